"""What is due, carried on as a node does it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.publish.test_carry_on import a_post
from tests.engine.publish.test_rules import a_video
from tests.support.instagram_fake import InstagramFake
from tests.support.instagram_setup import connected
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.publish.base import Post, Published
from video_pipeline.engine.publish.due import carry_on_due, carry_on_one, carry_on_unless_held
from video_pipeline.engine.publish.records import Publications
from video_pipeline.engine.publish.schema import PublicationsError
from video_pipeline.engine.publish.states import PublicationState


@pytest.fixture
def fake() -> Iterator[InstagramFake]:
    server = InstagramFake()
    yield server
    server.close()


@pytest.mark.parametrize(("seconds", "fits"), [(2.5, False), (3.0, True)])
def test_a_video_that_breaks_a_rule_fails_before_anything_is_sent(
    fake: InstagramFake, tmp_path: Path, seconds: float, fits: bool
) -> None:
    video = a_video(tmp_path / "reel.mp4", seconds=seconds)
    content = video.read_bytes()
    post = a_post(tmp_path, b"x").model_copy(
        update={
            "video": video,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "duration": seconds,
        }
    )
    records = Publications(tmp_path / "publications.sqlite3")
    records.add(post, platform="instagram", account="default")
    (found,) = carry_on_due(records, connected(fake, tmp_path))
    records.close()
    if fits:
        assert found.state is not PublicationState.FAILED
        assert fake.asked
    else:
        assert found.state is PublicationState.FAILED
        assert found.error == (
            "does not fit instagram: error: duration: got 2.5; allowed: 3 to 900 s: shorten the story, or split it"
        )
        assert not fake.asked


def test_a_file_that_is_not_there_is_no_reason_to_refuse_its_post(
    fake: InstagramFake, tmp_path: Path
) -> None:
    post = a_post(tmp_path, b"x").model_copy(update={"video": tmp_path / "gone.mp4"})
    records = Publications(tmp_path / "publications.sqlite3")
    records.add(post, platform="instagram", account="default")
    (found,) = carry_on_due(records, connected(fake, tmp_path))
    records.close()
    assert found.state is not PublicationState.FAILED


def folders(folder: Path, *names: str) -> Config:
    for name in names:
        (folder / name).mkdir()
    accounts = {name: {"path": str(folder / name)} for name in names}
    return load_config({"publishing": {"accounts": {"folder": accounts}}}, environ=False)


def another_post(folder: Path, number: int) -> Post:
    (folder / f"post{number}").mkdir()
    return a_post(folder / f"post{number}", b"video %d" % number)


@pytest.mark.parametrize("column", ["post", "state", "files"])
def test_a_damaged_row_is_named_and_holds_up_no_other(tmp_path: Path, column: str) -> None:
    config = folders(tmp_path, "default")
    records = Publications(tmp_path / "publications.sqlite3")
    for number in (1, 2):
        records.add(another_post(tmp_path, number), platform="folder", account="default")
    records._db.execute(
        f"UPDATE publications SET {column} = ?, remote_id = 'x' WHERE number = 1",
        ("prepared " if column == "state" else "{secret",),
    )
    assert [each.number for each in carry_on_due(records, config)] == [2]
    with pytest.raises(PublicationsError, match="publication 1: its row is damaged") as caught:
        records.listed()
    assert "secret" not in str(caught.value)
    assert records.due(now=records.clock()) == []
    records.close()


def test_a_fault_of_the_program_holds_up_no_other_post_and_shows_no_secret(tmp_path: Path) -> None:
    config = folders(tmp_path, "default")
    records = Publications(tmp_path / "publications.sqlite3")
    for number in (1, 2):
        records.add(another_post(tmp_path, number), platform="folder", account="default")
    records._db.execute(
        'UPDATE publications SET state = \'saved\', handle = \'{"fields": {"other": "secret"}}\' WHERE number = 1'
    )
    first, second = carry_on_due(records, config)
    assert second.state is PublicationState.CONFIRMED
    assert (first.state, first.error) == (
        PublicationState.SAVED,
        "KeyError in the program; see the log",
    )
    assert first.due_at > records.clock() + 600
    records.close()


def test_a_platform_whose_package_is_missing_holds_its_post_and_no_other(tmp_path: Path) -> None:
    config = folders(tmp_path, "default")
    records = Publications(tmp_path / "publications.sqlite3")
    records.add(another_post(tmp_path, 1), platform="a later version's", account="default")
    records.add(another_post(tmp_path, 2), platform="folder", account="default")
    assert [each.state for each in carry_on_due(records, config)] == [
        PublicationState.HELD,
        PublicationState.CONFIRMED,
    ]
    records.close()


@pytest.mark.parametrize("state", ["held", "unknown", "failed", "cancelled"])
def test_a_post_that_waits_for_a_person_is_returned_as_it_is_though_its_account_is_gone(
    tmp_path: Path, state: str
) -> None:
    records = Publications(tmp_path / "publications.sqlite3")
    added = records.add(another_post(tmp_path, 1), platform="folder", account="gone")
    records._db.execute("UPDATE publications SET state = ?", (state,))
    assert carry_on_one(records, records.get(added.number), load_config({}, environ=False)).state == state
    records.close()


def test_a_published_post_keeps_no_error_of_an_account_that_is_gone(tmp_path: Path) -> None:
    config = folders(tmp_path, "default")
    records = Publications(tmp_path / "publications.sqlite3")
    added = records.add(another_post(tmp_path, 1), platform="folder", account="default")
    done = carry_on_one(records, added, config)
    assert isinstance(done.published, Published)
    assert carry_on_one(records, done, load_config({}, environ=False)) == done
    records.close()


def test_a_post_that_another_process_works_on_is_no_error(tmp_path: Path) -> None:
    config = folders(tmp_path, "default")
    records = Publications(tmp_path / "publications.sqlite3")
    added = records.add(another_post(tmp_path, 1), platform="folder", account="default")
    with records.claim(added.number):
        assert carry_on_unless_held(records, added, config) == added
    assert carry_on_unless_held(records, added, config).state is PublicationState.CONFIRMED
    records.close()


def test_locks_that_cannot_be_made_are_an_error_of_the_file_of_publications(tmp_path: Path) -> None:
    records = Publications(tmp_path / "publications.sqlite3")
    added = records.add(another_post(tmp_path, 1), platform="folder", account="default")
    (tmp_path / "publications.sqlite3-claims").write_text("")
    with pytest.raises(PublicationsError, match=r"publications\.sqlite3-claims: cannot be used"):
        records.cancel(added.number)
    records.close()
