"""The scheduler between ledger and dispatcher: waits, clocks that jump, a ledger that cannot be written."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import job_of, node_config, submit, tiny_story
from tests.support.ledgers import FakeClock
from video_pipeline.engine.jobs.dispatch.base import (
    FailedReport,
    FinishedReport,
    ProgressReport,
    Report,
    StoppedReport,
)
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.errors import LedgerFull
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.model import Attempt, Failure, FailureKind, Progress
from video_pipeline.engine.jobs.node.scheduler import EndedAttempt, Scheduler, retry_wait
from video_pipeline.engine.storage.local import RESULT

FILES = {
    "video": "s.mp4",
    "thumbnail": "s_thumb.jpg",
    "srt": "s.srt",
    "vtt": "s.vtt",
    "ass": "s.ass",
    "words": "s.words.json",
    "metadata": "s.json",
    "manifest": "s.manifest.json",
}


class ScriptedDispatcher:
    """A dispatcher whose attempts end as the test decides."""

    def __init__(self, folders: Folders, *, capacity: int = 2) -> None:
        self.folders, self.capacity = folders, capacity
        self.accepts: Callable[[Mapping[str, Any]], bool] | None = None
        self.attempts: dict[tuple[str, int], Attempt] = {}
        self.stopped: list[tuple[str, int, bool]] = []
        self._reports: list[Report] = []

    @property
    def running(self) -> int:
        return len(self.attempts)

    def start(self, attempt: Attempt) -> None:
        assert self.running < self.capacity
        self.attempts[attempt.job_id, attempt.fence] = attempt

    def stop(self, job_id: str, fence: int, *, now: bool = False) -> None:
        self.stopped.append((job_id, fence, now))

    def reports(self, timeout: float) -> Sequence[Report]:
        del timeout
        reports, self._reports = self._reports, []
        return reports

    def close(self) -> None:
        self.attempts.clear()

    def progress(self, percent: float) -> None:
        for job_id, fence in self.attempts:
            self._reports.append(ProgressReport(job_id, fence, Progress("render", percent)))

    def finish(self) -> None:
        for job_id, fence in self._take():
            staging = self.folders.staging(job_id, fence)
            staging.mkdir()
            for name in FILES.values():
                (staging / name).write_text(name)
            (staging / RESULT).write_text(json.dumps({"files": FILES}))
            self._reports.append(FinishedReport(job_id, fence, staging, {}))

    def fail(self, kind: FailureKind = "retryable", error_type: str = "SomeError") -> None:
        for job_id, fence in self._take():
            self._reports.append(
                FailedReport(job_id, fence, Failure(kind, error_type, "it failed", ("a line",)))
            )

    def confirm_stops(self) -> None:
        for job_id, fence in self._take():
            self._reports.append(StoppedReport(job_id, fence))

    def _take(self) -> list[tuple[str, int]]:
        keys = list(self.attempts)
        self.attempts.clear()
        return keys


class Bench:
    """A scheduler with its parts, a ledger that is real, and time that the test lets pass."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        config = node_config(folder, **sections)
        self.folders = Folders.of(config)
        self.folders.make()
        self.clock = FakeClock()
        self.ledger = Ledger(self.folders.ledger, clock=self.clock)
        self.client = Ledger(self.folders.ledger, clock=self.clock)
        self.dispatcher = ScriptedDispatcher(self.folders)
        self.ended: list[EndedAttempt] = []
        self.scheduler = Scheduler(
            self.ledger,
            self.dispatcher,
            self.folders,
            config,
            clock=self.clock,
            on_ended=self.ended.append,
            rng=random.Random(0),
        )

    def step(self, seconds: float = 0.02) -> None:
        self.clock.run(seconds)
        self.scheduler.step(0)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.ledger.close()
    made.client.close()


def test_as_many_jobs_begin_as_there_are_slots_and_the_next_when_one_has_ended(bench: Bench) -> None:
    jobs = [submit(bench.client, tiny_story(str(number))) for number in range(3)]
    bench.step()
    assert [job_of(bench.client, job_id).status for job_id in jobs] == ["processing", "processing", "queued"]
    bench.dispatcher.progress(40)
    bench.step()
    assert job_of(bench.client, jobs[0]).percent == 40
    bench.dispatcher.finish()
    bench.step()
    assert [job_of(bench.client, job_id).status for job_id in jobs] == [
        "completed",
        "completed",
        "processing",
    ]
    assert (bench.folders.published(jobs[0]) / "s.mp4").exists()
    assert [ended.outcome for ended in bench.ended] == ["completed", "completed"]


def test_waits_grow_by_the_multiplier_with_jitter_up_to_five_minutes() -> None:
    assert [retry_wait(number, multiplier=2, jitter=0) for number in (1, 2, 3, 9, 10, 99)] == [
        1,
        2,
        4,
        256,
        300,
        300,
    ]
    assert retry_wait(1, multiplier=2, jitter=-1) == 0.75
    assert retry_wait(1, multiplier=2, jitter=1) == 1.25
    assert retry_wait(100_000, multiplier=100, jitter=0) == 300


def test_a_failed_job_waits_and_comes_again_until_its_attempts_are_spent(bench: Bench) -> None:
    job_id = submit(bench.client, tiny_story(), max_attempts=2)
    bench.step()
    bench.dispatcher.fail()
    bench.step()
    assert job_of(bench.client, job_id).status == "queued"
    bench.step(0.5)
    assert bench.dispatcher.running == 0
    bench.step(1)
    assert bench.dispatcher.running == 1
    bench.dispatcher.fail()
    bench.step()
    job = job_of(bench.client, job_id)
    assert (job.status, job.attempts, job.error_type, job.log_tail) == ("failed", 2, "SomeError", ("a line",))
    assert [ended.outcome for ended in bench.ended] == ["retrying", "failed"]


def test_trouble_of_the_machine_is_never_charged_and_waits_longer_each_time(bench: Bench) -> None:
    job_id = submit(bench.client, tiny_story(), max_attempts=1)
    waits = []
    for _ in range(4):
        waited = 0.0
        while bench.dispatcher.running == 0:
            bench.step(0.25)
            waited += 0.25
        waits.append(waited)
        bench.dispatcher.fail("machine")
        bench.step()
        assert job_of(bench.client, job_id).status == "queued"
    assert waits == sorted(waits)
    assert waits[-1] > 2
    assert (job_of(bench.client, job_id).attempts, job_of(bench.client, job_id).interruptions) == (0, 4)


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86400.0 * 365])
def test_a_wall_clock_that_jumps_ends_no_attempt_and_no_wait(bench: Bench, jump: float) -> None:
    running, failing = submit(bench.client, tiny_story("a")), submit(bench.client, tiny_story("b"))
    bench.step()
    attempts = dict(bench.dispatcher.attempts)
    kept = next(key for key in attempts if key[0] == running)
    del bench.dispatcher.attempts[kept]
    bench.dispatcher.fail()
    bench.dispatcher.attempts[kept] = attempts[kept]
    bench.step()
    assert job_of(bench.client, failing).status == "queued"
    bench.clock.wall_seconds += jump
    bench.step()
    assert job_of(bench.client, running).status == "processing"
    assert bench.dispatcher.stopped == []
    assert job_of(bench.client, failing).status == "queued", "its wait is not over"
    bench.step(1.5)
    assert job_of(bench.client, failing).status == "processing"
    later = submit(bench.client, tiny_story("later"))
    bench.dispatcher.finish()
    bench.step()
    bench.step()
    assert job_of(bench.client, later).status == "processing"


def test_a_cancel_is_passed_on_once_and_wins_over_a_finish_that_comes_after_it(bench: Bench) -> None:
    job_id = submit(bench.client, tiny_story())
    bench.step()
    bench.client.jobs.request_cancel(job_id)
    bench.step()
    bench.step()
    assert bench.dispatcher.stopped == [(job_id, 1, False)]
    bench.dispatcher.finish()
    bench.step()
    assert job_of(bench.client, job_id).status == "cancelled"
    assert not bench.folders.published(job_id).exists()
    assert list(bench.folders.stagings.iterdir()) == []
    assert [ended.outcome for ended in bench.ended] == ["cancelled"]


def test_draining_begins_nothing_and_stopping_queues_again_what_ran(bench: Bench) -> None:
    first = submit(bench.client, tiny_story("first"))
    bench.step()
    bench.scheduler.drain()
    second = submit(bench.client, tiny_story("second"))
    bench.step()
    assert job_of(bench.client, second).status == "queued"
    assert not bench.scheduler.idle
    bench.scheduler.stop_running(now=True)
    assert bench.dispatcher.stopped == [(first, 1, True)]
    bench.dispatcher.confirm_stops()
    bench.step()
    assert bench.scheduler.idle
    job = job_of(bench.client, first)
    assert (job.status, job.attempts, job.interruptions) == ("queued", 0, 1)


def test_a_cancel_during_the_drain_is_a_cancel(bench: Bench) -> None:
    job_id = submit(bench.client, tiny_story())
    bench.step()
    bench.scheduler.stop_running(now=False)
    bench.client.jobs.request_cancel(job_id)
    bench.dispatcher.confirm_stops()
    bench.step()
    assert job_of(bench.client, job_id).status == "cancelled"
    assert [ended.outcome for ended in bench.ended] == ["cancelled"]


def test_no_job_starts_if_the_disk_has_too_little_space(tmp_path: Path) -> None:
    bench = Bench(tmp_path, node={"min_free_mb": 1e12})
    job_id = submit(bench.client, tiny_story())
    bench.step()
    bench.step(2)
    assert job_of(bench.client, job_id).status == "queued"
    assert not bench.scheduler.healthy
    bench.ledger.close()
    bench.client.close()


def test_no_job_begins_without_room_for_temporary_files_and_one_does_when_there_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    bench = Bench(tmp_path, storage={"temp_path": str(tmp_path / "file" / "temp")})
    job_id = submit(bench.client, tiny_story())
    bench.step()
    assert job_of(bench.client, job_id).status == "queued"
    assert not bench.scheduler.healthy
    assert "not starting jobs: storage.temp_path" in caplog.text
    (tmp_path / "file").unlink()
    bench.step(2)
    assert job_of(bench.client, job_id).status == "processing"
    assert bench.scheduler.healthy
    bench.ledger.close()
    bench.client.close()


def test_a_result_that_the_ledger_cannot_store_is_written_later_and_published_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(bench.client, tiny_story())
    bench.step()
    bench.dispatcher.finish()

    def full(*arguments: object) -> bool:
        raise LedgerFull("no room")

    for name in ("begin_publishing", "complete"):
        with monkeypatch.context() as patch:
            patch.setattr(bench.ledger.attempts, name, full)
            bench.step()
            assert job_of(bench.client, job_id).status == "processing"
            assert not bench.scheduler.healthy
            other = submit(bench.client, tiny_story(name))
            bench.step(0.5)
            assert job_of(bench.client, other).status == "queued", "nothing begins meanwhile"
        bench.client.jobs.request_cancel(other)
        bench.clock.run(1)
    assert (bench.folders.published(job_id) / "s.mp4").exists()
    bench.step()
    assert job_of(bench.client, job_id).status == "completed"
    assert bench.scheduler.healthy


def test_an_output_that_is_not_whole_is_rendered_again(bench: Bench) -> None:
    job_id = submit(bench.client, tiny_story())
    bench.step()
    bench.dispatcher.finish()
    (bench.folders.staging(job_id, 1) / "s.srt").unlink()
    bench.step()
    job = job_of(bench.client, job_id)
    assert (job.status, job.attempts, job.error_type) == ("queued", 1, "NotStagedError")
    assert list(bench.folders.stagings.iterdir()) == []


def test_the_second_timeout_in_a_row_is_permanent(bench: Bench) -> None:
    job_id = submit(bench.client, tiny_story(), max_attempts=5)
    for error_type, status in (("JobTimeout", "queued"), ("WorkerLost", "queued"), ("JobTimeout", "queued")):
        bench.step(400)
        bench.dispatcher.fail(error_type=error_type)
        bench.step()
        assert job_of(bench.client, job_id).status == status
    bench.step(400)
    bench.dispatcher.fail(error_type="JobTimeout")
    bench.step()
    failed = job_of(bench.client, job_id)
    assert (failed.status, failed.attempts) == ("failed", 4)
    assert failed.error_message == "it failed, as did the attempt before"


# -- a ledger that was restored from a backup ---------------------------------------------------------


def published_folder(bench: Bench, job_id: str) -> Path:
    """Publish a job's files, as a node did after the ledger's backup was made."""
    folder = bench.folders.published(job_id)
    folder.mkdir()
    outputs = []
    for role, name in FILES.items():
        (folder / name).write_text(name)
        if role != "manifest":
            sha256 = hashlib.sha256(name.encode()).hexdigest()
            outputs.append({"role": role, "name": name, "size": len(name), "sha256": sha256})
    (folder / FILES["manifest"]).write_text(json.dumps({"outputs": outputs}))
    (folder / RESULT).write_text(json.dumps({"files": FILES}))
    return folder


def test_a_job_whose_whole_video_is_published_already_is_adopted_without_rendering(bench: Bench) -> None:
    job_id = submit(bench.client, tiny_story())
    folder = published_folder(bench, job_id)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    bench.step()
    assert bench.dispatcher.attempts == {}
    bench.step()
    done = job_of(bench.client, job_id)
    assert (done.status, done.error_message) == ("completed", None)
    assert done.result is not None
    assert done.result["video_path"] == str(folder / "s.mp4")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert [ended.outcome for ended in bench.ended] == ["completed"]
    assert bench.scheduler.idle


@pytest.mark.parametrize("fault", ["cut", "changed", "gone", "not in the manifest", "no manifest"])
def test_a_published_folder_that_is_not_whole_is_left_alone_and_named(bench: Bench, fault: str) -> None:
    job_id = submit(bench.client, tiny_story())
    folder = published_folder(bench, job_id)
    if fault == "cut":
        (folder / "s.mp4").write_text("s.m")
    elif fault == "changed":
        (folder / "s.mp4").write_text("x.mp4")
    elif fault == "gone":
        (folder / "s.mp4").unlink()
    elif fault == "not in the manifest":
        (folder / FILES["manifest"]).write_text('{"outputs": []}')
    else:
        (folder / FILES["manifest"]).write_text("{")
    bench.step()
    bench.step()
    failed = job_of(bench.client, job_id)
    assert (failed.status, failed.error_type) == ("failed", "AlreadyPublishedError")
    assert f"{folder}: exists and is not a whole video" in str(failed.error_message)
    assert folder.is_dir()
