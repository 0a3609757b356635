"""A worker process without a node: its messages, its end, and its settings for the kernel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import ROOT, long_story, node_config
from tests.support.waiting import PROMPT_SECONDS, wait_until
from video_pipeline.engine import __version__
from video_pipeline.engine.jobs.dispatch.worker_process import WorkerProcess
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.processes import read_process, session_members


class Talk:
    """A worker process and its messages so far."""

    def __init__(self, worker: WorkerProcess) -> None:
        self.worker = worker
        self.said: list[dict[str, Any]] = []

    def wait_for(self, key: str) -> dict[str, Any]:
        def heard() -> bool:
            self.said += self.worker.messages()
            return any(key in message for message in self.said)

        wait_until(heard, what=key)
        return next(message for message in self.said if key in message)


@contextmanager
def talking(folder: Path, *, cores: int = 1) -> Iterator[Talk]:
    config = node_config(folder)
    setup = {"config": config.model_dump(mode="json"), "cores": cores, "sessions": None, "heartbeat": 0.2}
    worker = WorkerProcess(setup=setup, state=folder, cores=cores, log=folder / "worker.log")
    try:
        yield Talk(worker)
    finally:
        wait_until(worker.kill, what="its end")


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    with talking(tmp_path) as made:
        yield made


def test_a_worker_sends_heartbeats_before_and_after_it_is_warm(talk: Talk) -> None:
    talk.wait_for("alive")
    assert talk.wait_for("ready") == {"ready": True}
    talk.said.clear()
    talk.wait_for("alive")


def test_a_worker_of_another_version_than_its_node_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version was installed while the node ran."""
    monkeypatch.setattr("video_pipeline.engine.jobs.dispatch.worker_process.__version__", "99.0")
    with talking(tmp_path) as talk:
        wait_until(lambda: talk.worker.exit_status() is not None, what="its end")
        assert talk.worker.exit_status() == 1
    assert (tmp_path / "worker.log").read_text() == (
        f"version {__version__} was installed while version 99.0 ran; stop it and start it again\n"
    )


def test_a_worker_leads_its_own_session_and_is_the_first_to_be_killed_without_memory(talk: Talk) -> None:
    talk.wait_for("ready")
    process = read_process(talk.worker.pid)
    assert process is not None
    assert process.session == process.group == talk.worker.pid
    assert Path(f"/proc/{talk.worker.pid}/oom_score_adj").read_text().strip() == "500"
    limits = Path(f"/proc/{talk.worker.pid}/limits").read_text()
    assert "Max core file size        0                    0" in limits


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_a_service_manager_sends_to_everybody_does_not_end_it(
    talk: Talk, number: signal.Signals
) -> None:
    talk.wait_for("ready")
    os.kill(talk.worker.pid, number)
    talk.said.clear()
    talk.wait_for("alive")
    assert talk.worker.exit_status() is None


def test_the_worker_ends_with_its_children_when_the_node_closes_its_pipe(tmp_path: Path) -> None:
    folders = Folders.of(node_config(tmp_path))
    folders.make()
    with talking(tmp_path) as talk:
        talk.wait_for("ready")
        work, staging = folders.work("job", 1), folders.staging("job", 1)
        work.mkdir()
        staging.mkdir()
        (work / "attempt.json").write_text(
            json.dumps(
                {
                    "job_id": "job",
                    "number": 1,
                    "story_id": "long",
                    "story": long_story(),
                    "config": {"video": {"compositor": "ffmpeg"}},
                    "staging": str(staging),
                    "temp": str(work),
                    "log": str(tmp_path / "job.log"),
                    "inbox": str(folders.inbox),
                }
            )
        )
        assert talk.worker.send(attempt=str(work / "attempt.json"), fence=1)
        wait_until(lambda: len(session_members(talk.worker.pid)[talk.worker.pid]) > 1, what="an ffmpeg")
        os.close(talk.worker._send)
        talk.worker._send = os.open(os.devnull, os.O_WRONLY)
        wait_until(lambda: not session_members(talk.worker.pid)[talk.worker.pid], what="nothing left")


def test_the_process_dies_with_the_thread_that_started_it(tmp_path: Path) -> None:
    """The kernel binds PR_SET_PDEATHSIG to the thread: a node keeps the one that starts workers."""
    script = textwrap.dedent(f"""
        import pathlib, sys, threading, time
        from video_pipeline.engine.jobs.dispatch.worker_process import WorkerProcess
        def start():
            worker = WorkerProcess(setup={{}}, state=pathlib.Path({str(tmp_path)!r}), cores=1,
                                   log=pathlib.Path({str(tmp_path / "worker.log")!r}))
            print(worker.pid, flush=True)
            sys.stdin.readline()
        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        time.sleep(600)
    """)
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as node:
        try:
            assert node.stdin is not None
            assert node.stdout is not None
            pid = int(node.stdout.readline())
            assert read_process(pid) is not None
            node.stdin.write(b"\n")
            node.stdin.flush()
            wait_until(lambda: read_process(pid) is None, what="the worker's end")
            assert node.poll() is None
        finally:
            node.kill()


def test_the_worker_ends_at_once_if_the_node_ended_before_it_started(tmp_path: Path) -> None:
    receive, send = os.pipe()
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "video_pipeline.engine.jobs.dispatch.worker",
                str(receive),
                str(send),
                "1",
            ],
            cwd=ROOT,
            pass_fds=(receive, send),
            capture_output=True,
            timeout=120,
            check=False,
        )
    finally:
        os.close(receive)
        os.close(send)
    assert done.returncode == 1


def test_a_worker_that_takes_no_messages_is_found_out_and_not_waited_for(talk: Talk) -> None:
    os.kill(talk.worker.pid, signal.SIGSTOP)
    began = time.monotonic()
    said = 0
    while talk.worker.send(filler="x" * 1000):
        said += 1
        assert said < 10_000
    assert time.monotonic() - began < PROMPT_SECONDS
