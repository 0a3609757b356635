"""What is due, carried on as a node does it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.publish.test_carry_on import a_post
from tests.engine.publish.test_instagram import connected
from tests.engine.publish.test_rules import a_video
from tests.support.instagram_fake import InstagramFake
from video_pipeline.engine.publish.due import carry_on_due
from video_pipeline.engine.publish.records import Publications
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
