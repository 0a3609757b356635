"""Publications under kills and failures: once on the platform, or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from tests.support.kill_points import kill_points, killed_before_line
from video_pipeline.engine.errors import InputError, ServiceError
from video_pipeline.engine.publish.base import Handle, OnSent, Post, Published, Standing
from video_pipeline.engine.publish.carry_on import (
    GIVE_UP_SECONDS,
    LONGEST_ASKED_SECONDS,
    WORKING_SECONDS,
    CarryOn,
)
from video_pipeline.engine.publish.folder import FolderCalls
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import PublicationConflictError, Publications
from video_pipeline.engine.publish.schema import PublicationsError
from video_pipeline.engine.publish.states import PublicationState

MODULES = "video_pipeline.engine.publish"
S = PublicationState


def a_post(folder: Path, content: bytes = b"video" * 300_000) -> Post:
    video = folder / "lighthouse.mp4"
    video.write_bytes(content)
    return Post(
        video=video,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        duration=42.5,
        title="The Lighthouse: a story",
    )


def ready(state: Path, post: Post, **more: object) -> Publications:
    records = Publications(state / "publications.sqlite3")
    records.add(post, platform="folder", account="default")
    return records


def posts_of(share: Path) -> list[Path]:
    return [path for path in share.iterdir() if not path.name.startswith(".")]


def test_a_process_killed_before_any_line_publishes_a_video_once_when_it_is_carried_on(
    tmp_path: Path,
) -> None:
    post = a_post(tmp_path, b"a short video")
    point, stride = kill_points(7)
    states = set()
    ready(tmp_path / "ready", post).close()
    while True:
        share, state = tmp_path / f"share{point}", tmp_path / f"state{point}"
        share.mkdir()
        state.mkdir()
        shutil.copy(tmp_path / "ready" / "publications.sqlite3", state)

        def publish(state: Path = state, share: Path = share) -> Publication:
            records = Publications(state / "publications.sqlite3")
            try:
                return CarryOn(records=records).run(1, FolderCalls(share))
            finally:
                records.close()

        was_killed = killed_before_line(point, publish, modules=MODULES)
        records = Publications(state / "publications.sqlite3")
        states.add(records.get(1).state)
        records.close()
        assert publish().state is S.CONFIRMED
        (found,) = posts_of(share)
        assert hashlib.sha256((found / post.video.name).read_bytes()).hexdigest() == post.sha256
        assert not list(share.glob(".*")), f"killed before line {point}"
        if not was_killed:
            break
        point += stride
    assert point > 200, "the program of a publication became shorter than this test believes"
    assert states == {S.PREPARED, S.SAVED, S.COMMITTED, S.CONFIRMED} or stride > 3


@dataclass
class Scripted:
    """A platform in memory that answers each call as a test asks."""

    clock: list[float]
    answers: dict[str, list[object]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    shown: int = 0

    def _answer(self, call: str, otherwise: Callable[[], object]) -> object:
        self.calls.append(call)
        waiting = self.answers.get(call, [])
        found = waiting.pop(0) if waiting else otherwise()
        if callable(found):
            found = found()
        if isinstance(found, Exception):
            raise found
        return found

    def plan(self, post: Post) -> list[str]:
        return []

    def prepare(self, post: Post) -> Handle:
        found = self._answer("prepare", lambda: Handle(fields={"session": "secret"}))
        assert isinstance(found, Handle)
        return found

    def send(self, post: Post, handle: Handle, *, on_sent: OnSent) -> Literal["working"] | None:
        found = self._answer("send", lambda: None)
        on_sent(post.size, post.size)
        return "working" if found == "working" else None

    def commit(self, post: Post, handle: Handle) -> Published | None:
        def show() -> Published:
            self.shown += 1
            return Published(remote_id=f"post{self.shown}", url="https://example.org/post1")

        found = self._answer("commit", show)
        assert found is None or isinstance(found, Published)
        return found

    def ask(self, post: Post, handle: Handle) -> Published | Standing:
        def look() -> Published | Standing:
            return Published(remote_id=f"post{self.shown}") if self.shown else "open"

        return self._answer("ask", look)  # type: ignore[return-value]

    def complete(self, post: Post, published: Published) -> Published | None:
        found = self._answer("complete", lambda: None)
        assert found is None or isinstance(found, Published)
        return found

    def quota(self) -> None:
        return None


@dataclass
class Stage:
    """A publication on a scripted platform, with a clock that a test turns."""

    records: Publications
    platform: Scripted
    clock: list[float]

    def run(self) -> Publication:
        return CarryOn(records=self.records).run(1, self.platform)

    def run_until(self, state: PublicationState) -> Publication:
        for _ in range(1000):
            found = self.run()
            if found.state is state:
                return found
            self.clock[0] = max(found.due_at, self.clock[0] + 1)
        raise AssertionError(f"it never became {state}: {found}")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    clock = [1_800_000_000.0]
    records = Publications(tmp_path / "publications.sqlite3", clock=lambda: clock[0])
    records.add(a_post(tmp_path), platform="folder", account="default")
    return Stage(records, Scripted(clock), clock)


def busy(words: str = "503 Service Unavailable") -> ServiceError:
    return ServiceError(f"scripted: {words}", kind="busy")


def test_a_platform_that_is_down_for_a_day_gets_the_post_when_it_is_back(stage: Stage) -> None:
    began = stage.clock[0]
    stage.platform.answers["prepare"] = [
        lambda: busy() if stage.clock[0] < began + 86_400 else Handle(fields={"session": "s"})
    ] * 1000
    found = stage.run_until(S.CONFIRMED)
    assert stage.platform.shown == 1
    assert found.failures == 0
    assert found.error is None
    assert stage.clock[0] - began < 86_400 + 1000
    assert stage.platform.calls.count("prepare") < 120, "it asks at most every quarter of an hour"


def test_a_platform_that_stays_down_leaves_the_post_for_a_person_who_takes_it_up_again(stage: Stage) -> None:
    stage.platform.answers["send"] = [busy] * 1000
    found = stage.run_until(S.HELD)
    assert found.error == "scripted: 503 Service Unavailable"
    assert stage.clock[0] - found.created_at >= GIVE_UP_SECONDS
    stage.platform.answers.clear()
    stage.records.change(1)
    assert stage.run().state is S.CONFIRMED


def test_an_error_of_the_step_that_publishes_does_not_publish_twice_if_it_was_done(stage: Stage) -> None:
    def lost() -> ServiceError:
        stage.platform.shown += 1
        return busy("the answer is not complete")

    stage.platform.answers["commit"] = [lost]
    assert stage.run().state is S.CONFIRMED
    assert stage.platform.shown == 1


def test_an_error_of_the_step_that_publishes_is_repeated_if_it_was_certainly_not_done(stage: Stage) -> None:
    stage.platform.answers["commit"] = [busy, busy, busy]
    assert stage.run_until(S.CONFIRMED).state is S.CONFIRMED
    assert stage.platform.shown == 1
    assert stage.platform.calls.count("commit") == 4
    assert stage.clock[0] > 1_800_000_000 + 15, "it waits longer each time"


def test_a_refused_post_fails_with_the_platforms_words_and_can_be_tried_again(stage: Stage) -> None:
    refusal = ServiceError("scripted: 400 Bad Request: the title is empty", kind="rejected")
    stage.platform.answers["commit"] = [refusal]
    found = stage.run()
    assert (found.state, found.error) == (S.FAILED, "scripted: 400 Bad Request: the title is empty")
    stage.records.add(found.post, platform="folder", account="default")
    assert stage.run().state is S.CONFIRMED
    assert stage.platform.shown == 1


def test_a_platform_that_cannot_tell_leaves_the_post_unknown_until_a_person_ends_it(stage: Stage) -> None:
    stage.platform.answers["commit"] = [busy()]
    stage.platform.answers["ask"] = ["open", "unknown", "unknown"]
    found = stage.run_until(S.UNKNOWN)
    calls = list(stage.platform.calls)
    stage.clock[0] += 1_000_000
    assert stage.run().state is S.UNKNOWN
    assert stage.platform.calls == calls, "an unknown post is left alone"
    assert not stage.records.due(now=stage.clock[0])
    for change in (stage.records.cancel, stage.records.change):
        with pytest.raises(PublicationConflictError, match="is unknown and can no longer be"):
            change(1)
    assert stage.records.add(found.post, platform="folder", account="default").state is S.UNKNOWN
    assert stage.records.resolve(1, Published(remote_id="seen")).state is S.CONFIRMED
    with pytest.raises(PublicationConflictError, match="only unknown ones are resolved"):
        stage.records.resolve(1, None)


def test_a_post_that_a_person_did_not_find_is_published(stage: Stage) -> None:
    stage.platform.answers["commit"] = [busy()]
    stage.platform.answers["ask"] = ["open", "gone", "gone"]
    assert stage.run_until(S.UNKNOWN).state is S.UNKNOWN
    stage.records.resolve(1, None)
    assert stage.run_until(S.CONFIRMED).published == Published(
        remote_id="post1", url="https://example.org/post1"
    )


def test_a_handle_that_is_gone_is_replaced_later_each_time(stage: Stage) -> None:
    stage.platform.answers["ask"] = ["gone"] * 6
    assert stage.run_until(S.CONFIRMED).state is S.CONFIRMED
    assert stage.platform.calls.count("prepare") == 7
    assert stage.clock[0] - 1_800_000_000 > 15 * (1 + 2 + 4)


def test_a_post_on_which_the_platform_works_for_long_is_asked_for_until_it_shows(stage: Stage) -> None:
    stage.platform.answers["commit"] = [None]
    stage.platform.answers["ask"] = ["open", *["working"] * 50, Published(remote_id="late")]
    found = stage.run_until(S.CONFIRMED)
    assert found.published is not None
    assert found.published.remote_id == "late"
    assert 50 * WORKING_SECONDS <= stage.clock[0] - 1_800_000_000 < 70 * WORKING_SECONDS


def test_what_belongs_to_a_post_is_added_later_if_the_platform_is_busy(stage: Stage) -> None:
    stage.platform.answers["complete"] = [busy(), busy()]
    found = stage.run()
    assert found.state is S.CONFIRMED
    assert not found.is_complete
    assert found.error
    stage.clock[0] = found.due_at
    assert not stage.run().is_complete
    stage.clock[0] += 1000
    assert stage.run().is_complete
    assert stage.platform.shown == 1


def test_one_process_at_a_time_carries_a_publication_on(stage: Stage) -> None:
    with (
        stage.records.claim(1),
        pytest.raises(PublicationConflictError, match="another process works on it"),
    ):
        stage.run()
    assert stage.run().state is S.CONFIRMED


def test_a_cancelled_publication_is_left_alone(stage: Stage) -> None:
    stage.records.cancel(1)
    assert stage.run().state is S.CANCELLED
    assert stage.platform.calls == []


def test_a_video_is_published_once_on_an_account_however_often_it_is_added(tmp_path: Path) -> None:
    post = a_post(tmp_path)
    records = ready(tmp_path, post)
    again = records.add(post.model_copy(update={"title": "Another"}), platform="folder", account="default")
    other = records.add(post, platform="folder", account="second")
    assert (again.number, again.post.title, other.number) == (1, post.title, 2)
    assert [found.number for found in records.listed()] == [1, 2]


def test_a_handle_is_in_no_text_of_a_publication(stage: Stage) -> None:
    stage.platform.answers["send"] = [busy()]
    found = stage.run()
    assert found.state is S.SAVED
    assert found.handle is not None
    assert found.handle.fields == {"session": "secret"}
    assert "secret" not in f"{found!r} {found.handle} {json.dumps(found.as_dict())}"


def test_the_file_is_its_owners_alone_and_of_a_known_format(tmp_path: Path) -> None:
    records = ready(tmp_path, a_post(tmp_path))
    assert records.path.stat().st_mode & 0o077 == 0
    records._db.execute("PRAGMA user_version = 99")
    records.close()
    with pytest.raises(PublicationsError, match="was written by a newer version"):
        Publications(records.path)
    damaged = tmp_path / "damaged.sqlite3"
    damaged.write_bytes(b"no database" * 1000)
    with pytest.raises(PublicationsError, match="cannot be used"):
        Publications(damaged)


def test_a_share_that_is_not_mounted_is_waited_for(tmp_path: Path) -> None:
    records = ready(tmp_path / "state", a_post(tmp_path))
    found = CarryOn(records=records).run(1, FolderCalls(tmp_path / "share"))
    assert found.state is S.PREPARED
    assert found.error == f"folder: {tmp_path / 'share'} is not there"


def test_a_video_that_was_changed_after_it_was_added_is_not_published(tmp_path: Path) -> None:
    post = a_post(tmp_path)
    records = ready(tmp_path / "state", post)
    post.video.write_bytes(b"other")
    (tmp_path / "share").mkdir()
    found = CarryOn(records=records).run(1, FolderCalls(tmp_path / "share"))
    assert found.state is S.SAVED
    assert "is not the video that was to be published" in str(found.error)
    assert posts_of(tmp_path / "share") == []


def test_a_file_of_an_earlier_format_is_read_and_carried_on(tmp_path: Path) -> None:
    records = ready(tmp_path, a_post(tmp_path))
    records._db.execute("DROP INDEX publications_job")
    for column in ("began_at", "files"):
        records._db.execute(f"ALTER TABLE publications DROP COLUMN {column}")
    records._db.execute("PRAGMA user_version = 1")
    records.close()
    share = tmp_path / "share"
    share.mkdir()
    records = Publications(records.path)
    assert CarryOn(records=records).run(1, FolderCalls(share)).state is S.CONFIRMED
    assert len(posts_of(share)) == 1


def test_a_video_that_the_platform_must_process_first_is_committed_when_it_is_ready(stage: Stage) -> None:
    stage.platform.answers["send"] = ["working", None]
    stage.platform.answers["ask"] = ["open", "working", "working", "open"]
    found = stage.run_until(S.CONFIRMED)
    assert (stage.platform.shown, found.failures) == (1, 0)
    assert stage.platform.calls.count("send") == 2
    assert 3 * WORKING_SECONDS <= stage.clock[0] - 1_800_000_000 < 4 * WORKING_SECONDS


def test_a_handle_of_which_the_platform_cannot_tell_is_left_to_a_person_before_anything_is_sent(
    stage: Stage,
) -> None:
    stage.platform.answers["ask"] = ["unknown"]
    found = stage.run_until(S.UNKNOWN)
    assert "cannot tell whether it was published, or as which post" in str(found.error)
    assert "send" not in stage.platform.calls


def test_a_platform_that_drops_every_handle_is_left_to_a_person_after_days(stage: Stage) -> None:
    stage.platform.answers["ask"] = ["open", "gone"] * 500
    stage.platform.answers["send"] = ["working"] * 500
    found = stage.run_until(S.HELD)
    assert "no longer takes what was begun" in str(found.error)
    assert GIVE_UP_SECONDS <= stage.clock[0] - 1_800_000_000 < GIVE_UP_SECONDS + 3600
    assert stage.platform.shown == 0


def test_what_is_known_of_a_post_only_when_it_is_complete_is_kept(stage: Stage) -> None:
    stage.platform.answers["commit"] = [Published(remote_id="17")]
    more = Published(remote_id="17", url="https://example.org/17", note="finish it in the app")
    stage.platform.answers["complete"] = [busy(), more]
    stage.platform.shown = 0
    stage.platform.answers["ask"] = ["open"]
    found = stage.run_until(S.CONFIRMED)
    while not found.is_complete:
        stage.clock[0] = found.due_at
        found = stage.run()
    assert found.published == more


def test_a_quota_is_waited_out_however_long_that_takes(stage: Stage) -> None:
    used_up = ServiceError("scripted: 50 of 50 posts are used", kind="denied", retry_after=86_400.0)
    stage.platform.answers["prepare"] = [busy(), *[used_up] * 7, busy()]
    stage.run_until(S.CONFIRMED)
    assert stage.platform.shown == 1
    assert stage.clock[0] - 1_800_000_000 > 2 * GIVE_UP_SECONDS


def test_a_platform_that_asks_to_wait_for_ever_is_asked_again(stage: Stage) -> None:
    stage.platform.answers["prepare"] = [ServiceError("scripted: later", kind="busy", retry_after=1e300)]
    assert stage.run().due_at == stage.clock[0] + LONGEST_ASKED_SECONDS
    assert stage.run_until(S.CONFIRMED).state is S.CONFIRMED


@pytest.mark.parametrize("title", ["光" * 100, "😀" * 100, "ก็" * 90, "a" * 300, "../..", "\x00\n"])
def test_any_title_makes_the_name_of_a_folder(tmp_path: Path, title: str) -> None:
    share = tmp_path / "share"
    share.mkdir()
    records = ready(tmp_path / "state", a_post(tmp_path).model_copy(update={"title": title}))
    assert CarryOn(records=records).run(1, FolderCalls(share)).state is S.CONFIRMED
    assert [path.parent for path in posts_of(share)] == [share]
    records.close()


def test_a_second_account_of_one_folder_waits_while_the_first_copies_and_finds_the_post(
    tmp_path: Path,
) -> None:
    share = tmp_path / "share"
    share.mkdir()
    post = a_post(tmp_path)
    records = ready(tmp_path / "state", post)
    second = records.add(post, platform="folder", account="second")
    calls, refused = FolderCalls(share), []

    def interrupt(sent: int, size: int) -> None:
        if not refused:
            with pytest.raises(ServiceError, match="another process writes") as caught:
                calls.send(post, calls.prepare(post), on_sent=lambda sent, size: None)
            refused.append(caught.value.kind)

    assert CarryOn(records=records, on_sent=interrupt).run(1, calls).state is S.CONFIRMED
    assert refused == ["busy"]
    assert CarryOn(records=records).run(second.number, calls).state is S.CONFIRMED
    (found,) = share.iterdir()
    assert hashlib.sha256((found / post.video.name).read_bytes()).hexdigest() == post.sha256
    records.close()


@pytest.mark.parametrize("number", [0, -1, 2, 1 << 63, 1 << 70])
def test_a_number_that_no_publication_has_is_named(stage: Stage, number: int) -> None:
    with pytest.raises(InputError, match=f"publication: got {number}; there is none of this number"):
        stage.records.get(number)
