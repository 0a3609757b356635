"""A node's workers under fire: killed, stopped, too slow, too large; and jobs cancelled at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.audit import assert_sound, processes_of
from tests.support.jobs import (
    RESULT_FIELDS,
    is_rendering,
    job_of,
    long_story,
    node_config,
    submit,
    tiny_story,
    turn_until,
    turn_until_ended,
)
from tests.support.process_state import stop
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.dispatch import local
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.model import JobStatus
from video_pipeline.engine.jobs.node.running_node import RunningNode
from video_pipeline.engine.jobs.processes import session_members
from video_pipeline.engine.machine.cores import cpu_count

JOB_TIMEOUT = 2.0
LEASE = 3.0
"""A short one; a worker says three times in it that it lives."""


@contextmanager
def running(folder: Path, cache: Path, **sections: Any) -> Iterator[RunningNode]:
    """Run a node in this process until the block ends; then nothing of it may be left."""
    with RunningNode(node_config(folder, cache=cache, **sections)) as node:
        turn_until(node, lambda: node.trouble is None, what="warm workers")
        yield node
    assert processes_of(node.folders.state) == {}


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory, session_cache: Path) -> Iterator[RunningNode]:
    """A node that several tests share, one after the other."""
    with running(tmp_path_factory.mktemp("steady"), session_cache, node={"lease": 600.0}) as node:
        yield node


def own_processes(node: RunningNode) -> list[int]:
    """The processes that a node keeps while it is idle."""
    workers = [slot.worker.pid for slot in node.dispatcher._slots if slot.worker is not None]
    return [node.guard.pid, *workers]


def worker_of(node: RunningNode) -> int:
    """The worker of the first slot."""
    worker = node.dispatcher._slots[0].worker
    assert worker is not None
    return worker.pid


def sound(node: RunningNode, *jobs: str) -> None:
    """Assert the invariant of a node that is idle, and that each slot is free."""
    turn_until(node, lambda: node.dispatcher.capacity == node.slots, what="each slot free")
    assert node.dispatcher.running == 0
    assert_sound(node.folders, jobs, running=own_processes(node))


def test_a_job_becomes_a_published_video_with_everything_beside_it(steady: RunningNode) -> None:
    job_id = submit(steady.ledger, tiny_story("first"))
    job = turn_until_ended(steady, job_id)
    assert (job.status, job.attempts, job.error_message) == (JobStatus.COMPLETED, 1, None)
    assert job.result is not None
    folder = steady.folders.published(job_id)
    assert job.result["video_path"] == str(folder / "first.mp4")
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [
            ".result.json",
            *(
                f"first{end}"
                for end in (
                    ".mp4",
                    "_thumb.jpg",
                    ".srt",
                    ".vtt",
                    ".ass",
                    ".words.json",
                    ".metadata.json",
                    ".manifest.json",
                )
            ),
        ]
    )
    told = (
        "video_path",
        "thumbnail_path",
        "subtitles",
        "words_path",
        "metadata_path",
        "manifest_path",
        "metadata",
        "encoder",
        "encoder_fallback",
        "encoder_sessions",
        "encoder_frames",
    )
    assert job.result.keys() == {*told, *RESULT_FIELDS}
    assert job.result["video_info"]["resolution"] == [160, 284]
    assert job.result["encoder"] in ("libx264", "h264_nvenc")
    log = steady.folders.log(job_id, job.fence).read_text()
    assert f"job_id={job_id} attempt=1.1 the attempt begins" in log
    sound(steady, job_id)


def test_progress_of_the_whole_job_is_seen_while_it_renders(steady: RunningNode) -> None:
    job_id = submit(steady.ledger, long_story())
    turn_until(steady, lambda: is_rendering(steady.ledger, job_id), what="frames")
    job = job_of(steady.ledger, job_id)
    assert 17 < (job.percent or 0) < 97
    assert (job.fps or 0) > 1
    assert (job.eta_seconds or 0) > 0
    seen = [
        event.details["percent"]
        for event in steady.ledger.events.page(after=0, limit=1000, job_id=job_id)
        if event.kind == "progress"
    ]
    assert seen == sorted(seen)
    steady.ledger.jobs.request_cancel(job_id)
    turn_until_ended(steady, job_id)
    sound(steady, job_id)


def test_a_jobs_own_configuration_counts_and_the_nodes_own_sections_are_refused(steady: RunningNode) -> None:
    small = submit(steady.ledger, tiny_story("small"), config={"video": {"size": [96, 96]}})
    wrong = submit(steady.ledger, tiny_story("wrong"), config={"storage": {"output_path": "/tmp"}})
    job = turn_until_ended(steady, small)
    assert job.result is not None
    assert job.result["video_info"]["resolution"] == [96, 96]
    job = turn_until_ended(steady, wrong)
    assert (job.status, job.attempts, job.error_type) == (JobStatus.FAILED, 1, "ConfigError")
    assert "storage" in (job.error_message or "")
    sound(steady, small, wrong)


def test_wrong_input_fails_for_good_naming_its_scene(steady: RunningNode) -> None:
    story = tiny_story("broken")
    story["scenes"][1]["font"] = "NoSuchFont"
    job_id = submit(steady.ledger, story)
    job = turn_until_ended(steady, job_id)
    assert (job.status, job.attempts) == (JobStatus.FAILED, 1)
    assert "'b'" in (job.error_message or "")
    assert any("NoSuchFont" in line for line in job.log_tail)
    sound(steady, job_id)


def test_killing_a_rendering_worker_costs_an_attempt_and_ends_its_children(
    steady: RunningNode,
) -> None:
    job_id = submit(steady.ledger, long_story(), config={"video": {"compositor": "ffmpeg"}})
    turn_until(steady, lambda: is_rendering(steady.ledger, job_id), what="frames")
    victim = worker_of(steady)
    turn_until(steady, lambda: len(session_members(victim)[victim]) > 1, what="ffmpeg beside the worker")
    os.kill(victim, signal.SIGKILL)
    turn_until(steady, lambda: job_of(steady.ledger, job_id).status == "queued", what="queued again")
    assert session_members(victim)[victim] == []
    job = job_of(steady.ledger, job_id)
    assert (job.attempts, job.error_type) == (1, "WorkerKilled")
    assert list(steady.folders.stagings.iterdir()) == []
    turn_until(steady, lambda: job_of(steady.ledger, job_id).attempts == 2, what="a second attempt")
    steady.ledger.jobs.request_cancel(job_id)
    turn_until_ended(steady, job_id)
    sound(steady, job_id)


def test_a_job_that_kills_its_worker_each_time_is_a_dead_letter_and_the_node_renders_on(
    steady: RunningNode,
) -> None:
    poison = submit(steady.ledger, long_story("poison"), max_attempts=2)
    while not job_of(steady.ledger, poison).status.is_terminal:
        turn_until(
            steady,
            lambda: is_rendering(steady.ledger, poison) or job_of(steady.ledger, poison).status.is_terminal,
        )
        if is_rendering(steady.ledger, poison):
            fence = job_of(steady.ledger, poison).fence
            os.kill(worker_of(steady), signal.SIGKILL)
            turn_until(
                steady,
                lambda fence=fence: (
                    job_of(steady.ledger, poison).status != "processing"
                    or job_of(steady.ledger, poison).fence != fence
                ),
            )
    job = job_of(steady.ledger, poison)
    assert (job.status, job.attempts, job.error_type) == (JobStatus.FAILED, 2, "WorkerKilled")
    assert "SIGKILL" in (job.error_message or "")
    assert any("the attempt begins" in line for line in job.log_tail)
    healthy = submit(steady.ledger, tiny_story("after"))
    assert turn_until_ended(steady, healthy).status == "completed"
    sound(steady, poison, healthy)


def test_a_stopped_worker_is_killed_after_its_lease_and_publishes_nothing(
    tmp_path: Path, session_cache: Path
) -> None:
    with running(tmp_path, session_cache, node={"lease": LEASE}) as node:
        job_id = submit(node.ledger, long_story())
        turn_until(node, lambda: is_rendering(node.ledger, job_id), what="frames")
        stale = worker_of(node)
        os.kill(stale, signal.SIGSTOP)
        seconds = turn_until(
            node, lambda: job_of(node.ledger, job_id).status == "queued", what="queued again"
        )
        assert seconds > LEASE / 3
        assert job_of(node.ledger, job_id).error_type == "WorkerLost"
        assert session_members(stale)[stale] == []
        assert not node.folders.published(job_id).exists()
        node.ledger.jobs.request_cancel(job_id)
        sound(node, job_id)


def test_silence_while_the_node_itself_stood_still_is_held_against_no_worker(
    tmp_path: Path, session_cache: Path
) -> None:
    with running(tmp_path, session_cache, node={"lease": LEASE}) as node:
        job_id = submit(node.ledger, long_story())
        turn_until(node, lambda: is_rendering(node.ledger, job_id), what="frames")
        time.sleep(1.5 * LEASE)  # the loop does not turn
        worker = worker_of(node)
        for _ in range(20):
            node.turn()
        assert worker_of(node) == worker
        job = turn_until_ended(node, job_id, seconds=4 * FAST_SECONDS)
        assert (job.status, job.attempts) == (JobStatus.COMPLETED, 1)
        sound(node, job_id)


def test_an_attempt_past_its_time_is_killed_with_a_child_that_ignores_sigterm(
    tmp_path: Path, session_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = tmp_path / "ffmpeg"
    stubborn.write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.2; done\n")
    stubborn.chmod(stubborn.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VIDEO_PIPELINE_FFMPEG", str(stubborn))
    with running(tmp_path, tmp_path / "cache", processing={"job_timeout": JOB_TIMEOUT}) as node:
        job_id = submit(node.ledger, tiny_story(), max_attempts=1)
        job = turn_until_ended(node, job_id)
        assert (job.status, job.error_type) == (JobStatus.FAILED, "JobTimeout")
        assert job.started_at is not None
        assert job.finished_at is not None
        seconds = job.finished_at - job.started_at
        assert -0.5 < seconds - JOB_TIMEOUT - local.TERM_SECONDS < PROMPT_SECONDS
        sound(node, job_id)


def test_an_attempt_that_holds_too_much_memory_is_killed_for_it(tmp_path: Path, session_cache: Path) -> None:
    with running(tmp_path, session_cache, node={"worker_memory_mb": 128}) as node:
        job_id = submit(node.ledger, long_story(), max_attempts=1, config={"video": {"size": [2160, 3840]}})
        job = turn_until_ended(node, job_id)
        assert (job.status, job.error_type) == (JobStatus.FAILED, "MemoryLimit")
        assert "node.worker_memory_mb" in (job.error_message or "")
        sound(node, job_id)


def test_a_worker_is_replaced_after_its_share_of_jobs(tmp_path: Path, session_cache: Path) -> None:
    with running(tmp_path, session_cache, node={"jobs_per_worker": 2}) as node:
        jobs, workers = [], []
        for number in range(4):
            jobs.append(submit(node.ledger, tiny_story(f"job{number}")))
            turn_until(node, lambda: node.dispatcher.running == 1 or job_of(node.ledger, jobs[-1]).attempts)
            workers.append(worker_of(node))
            assert turn_until_ended(node, jobs[-1]).status == "completed"
        assert workers[0] == workers[1] != workers[2] == workers[3]
        sound(node, *jobs)


def test_a_worker_that_dies_before_it_is_warm_is_not_started_in_a_busy_loop(
    tmp_path: Path, session_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "site" / "sitecustomize.py"
    broken.parent.mkdir()
    broken.write_text(
        "import os, sys\nif 'video_pipeline.engine.jobs.dispatch.worker' in sys.orig_argv: sys.exit('broken install')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    with RunningNode(node_config(tmp_path, cache=session_cache)) as node:
        job_id = submit(node.ledger, tiny_story())
        until = time.monotonic() + 3
        while time.monotonic() < until:
            node.turn()
        slot = node.dispatcher._slots[0]
        assert slot.failed_starts <= 3
        turn_until(node, lambda: slot.failed_starts >= 2, what="a second start")
        assert "broken install" in (node.trouble or "")
        assert job_of(node.ledger, job_id).attempts == 0
        broken.unlink()
        assert turn_until_ended(node, job_id).status == "completed"


@pytest.mark.parametrize(
    "nonsense",
    [
        '{"progress": 5}',
        '{"failed": {"kind": "fun"}, "fence": 1}',
        '{"failed": [], "fence": 1}',
        "x" * (1 << 25),
    ],
    ids=["progress", "kind", "list", "endless"],
)
def test_a_worker_that_talks_nonsense_costs_an_attempt_and_not_the_node(
    tmp_path: Path, session_cache: Path, monkeypatch: pytest.MonkeyPatch, nonsense: str
) -> None:
    place = tmp_path / "site"
    place.mkdir()
    (place / "said").write_text(nonsense + ("" if len(nonsense) > 1000 else "\n"))
    (place / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
            import os, sys, time
            if "video_pipeline.engine.jobs.dispatch.worker" in sys.orig_argv:
                receive, send = int(sys.orig_argv[-3]), int(sys.orig_argv[-2])
                os.write(send, b'{{"ready": true}}\\n')
                heard = b""
                while b"attempt" not in heard:
                    heard += os.read(receive, 65536)
                said = open({str(place / "said")!r}, "rb").read()
                while said:
                    said = said[os.write(send, said):]
                time.sleep(60)
        """)
    )
    monkeypatch.setenv("PYTHONPATH", str(place))
    with running(tmp_path, session_cache) as node:
        job_id = submit(node.ledger, tiny_story(), max_attempts=1)
        job = turn_until_ended(node, job_id)
        assert (job.status, job.error_type) == (JobStatus.FAILED, "WorkerLost")
        sound(node, job_id)


@pytest.mark.parametrize("seed", range(6))
def test_a_cancel_at_any_moment_has_one_winner(steady: RunningNode, seed: int) -> None:
    rng = random.Random(seed)
    wait = rng.uniform(0, 0.3)
    print(f"seed {seed}: the cancel comes after {wait:.3f} s")
    job_id = submit(steady.ledger, tiny_story(f"seed{seed}", text=f"{seed} {os.urandom(3).hex()}"))
    at = time.monotonic() + wait
    turn_until(steady, lambda: time.monotonic() >= at or job_of(steady.ledger, job_id).status.is_terminal)
    if not job_of(steady.ledger, job_id).status.is_terminal:
        steady.ledger.jobs.request_cancel(job_id)
    job = turn_until_ended(steady, job_id)
    assert job.status in ("completed", "cancelled")
    assert steady.folders.published(job_id).exists() == (job.status == "completed")
    sound(steady, job_id)


def test_a_queued_job_is_cancelled_at_once_and_a_rendering_one_when_its_worker_is_asked(
    steady: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "STOP_SECONDS", 4 * PROMPT_SECONDS)
    rendering, queued = submit(steady.ledger, long_story()), submit(steady.ledger, tiny_story("queued"))
    turn_until(steady, lambda: is_rendering(steady.ledger, rendering), what="frames")
    assert steady.ledger.jobs.request_cancel(queued).status == "cancelled"
    worker = worker_of(steady)
    steady.ledger.jobs.request_cancel(rendering)
    seconds = turn_until(steady, lambda: steady.dispatcher.running == 0, what="a free slot")
    assert seconds < PROMPT_SECONDS
    assert job_of(steady.ledger, rendering).status == "cancelled"
    assert worker_of(steady) == worker, "a worker that stops when it is asked stays warm"
    sound(steady, rendering, queued)


def test_a_worker_that_does_not_stop_when_asked_is_killed_a_second_later(steady: RunningNode) -> None:
    job_id = submit(steady.ledger, long_story())
    turn_until(steady, lambda: is_rendering(steady.ledger, job_id), what="frames")
    stop(worker_of(steady))
    steady.ledger.jobs.request_cancel(job_id)
    seconds = turn_until(steady, lambda: job_of(steady.ledger, job_id).status.is_terminal, what="cancelled")
    assert 0.9 * local.STOP_SECONDS < seconds < PROMPT_SECONDS  # its lease is far longer
    assert job_of(steady.ledger, job_id).status == "cancelled"
    sound(steady, job_id)


def test_each_slot_renders_with_its_share_of_the_cores(tmp_path: Path, session_cache: Path) -> None:
    slots = cpu_count()
    with running(tmp_path, session_cache, processing={"max_concurrent_jobs": slots}) as node:
        job = turn_until_ended(node, submit(node.ledger, tiny_story("shared")))
        assert job.result is not None
        manifest = json.loads(Path(job.result["manifest_path"]).read_text(encoding="utf-8"))
        assert manifest["compositor"]["options"]["workers"] == 1


def test_a_second_node_is_refused_the_state_folder(steady: RunningNode) -> None:
    with pytest.raises(ConfigError, match=rf"node\.state_path.*process {os.getpid()}"):
        RunningNode(steady.config)
    assert Folders.of(steady.config) == steady.folders
