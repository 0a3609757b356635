"""Nodes, jobs and clocks for tests of render nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.paths import ROOT
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.ledger.rows import json_of
from video_pipeline.engine.jobs.model import Job, NewJob, Priority
from video_pipeline.engine.jobs.node.running_node import RunningNode

START_SECONDS = 2 * FAST_SECONDS
"""A node imports the engine, starts its processes and warms its workers."""

RESULT_FIELDS = (
    "video_info",
    "warnings",
    "segments",
    "segments_from_cache",
    "segments_from_shared",
    "timings",
)
"""Fields that a command and a job report about a finished video, besides its files."""


def node_settings(
    folder: Path, *, cache: Path | None = None, **sections: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings of a node that keeps everything in a folder and renders small videos quickly."""
    settings: dict[str, Any] = {
        "video": {"size": [160, 284], "fps": 24, "preset": "ultrafast", "crf": 30},
        "tts": {"service": "none"},
        "processing": {"max_concurrent_jobs": 1},
        "node": {
            "state_path": str(folder / "state"),
            "bind": f"ipc://{folder / 'node.sock'}",
            "http_bind": None,
            "min_free_mb": 1,
        },
        "storage": {"output_path": str(folder / "out"), "cache_path": str(cache or folder / "cache")},
    }
    for section, values in sections.items():
        settings[section] = {**settings.get(section, {}), **values}
    return settings


def node_config(folder: Path, *, cache: Path | None = None, **sections: Mapping[str, Any]) -> Config:
    """Return the configuration of such a node."""
    return load_config(node_settings(folder, cache=cache, **sections), environ=False)


def tiny_story(name: str = "tiny", *, seconds: float = 0.5, text: str = "Words") -> dict[str, Any]:
    """Return a story of two scenes, a second in all."""
    return {
        "id": name,
        "title": f"Story {name}",
        "metadata": {"genre": "mystery", "language": "en"},
        "scenes": [
            {"scene_id": scene, "text": f"{text} {scene}", "narration": "", "duration": seconds}
            for scene in ("a", "b")
        ],
    }


def long_story(name: str = "long", *, seconds: float = 240) -> dict[str, Any]:
    """Return a story of twice `seconds`, with no frame in any cache; a fast core draws 3000 frames a second."""
    return tiny_story(name, seconds=seconds, text=f"{name} {os.urandom(4).hex()}")


def endless_story(name: str = "endless") -> dict[str, Any]:
    """Return a story of forty minutes, for jobs that a test stops or cancels: none ends by itself before that."""
    return long_story(name, seconds=1200)


def submit(
    ledger: Ledger,
    story: Mapping[str, Any],
    *,
    config: Mapping[str, Any] | None = None,
    priority: Priority = "normal",
    max_attempts: int = 3,
    scheduled_for: float | None = None,
) -> str:
    """Queue a job in a ledger and return its id."""
    new = NewJob(
        "tester",
        str(story.get("id", "story")),
        json_of(story),
        json_of(config or {}),
        priority=priority,
        max_attempts=max_attempts,
        scheduled_for=scheduled_for,
    )
    return ledger.queue.submit(new, ageing=600, max_queued=10_000).job_id


def job_of(ledger: Ledger, job_id: str) -> Job:
    """Return a job that must be there."""
    job = ledger.jobs.get(job_id)
    assert job is not None
    return job


def turn_until(
    node: RunningNode, condition: Callable[[], object], *, seconds: float = FAST_SECONDS, what: str = ""
) -> float:
    """Run a node's loop until a condition holds; return the seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what or condition}"
        node.turn()
    return time.monotonic() - began


def turn_until_ended(node: RunningNode, job_id: str, *, seconds: float = FAST_SECONDS) -> Job:
    """Run a node's loop until a job has ended, and return the job."""
    turn_until(node, lambda: job_of(node.ledger, job_id).status.is_terminal, seconds=seconds, what="ended")
    return job_of(node.ledger, job_id)


def is_rendering(ledger: Ledger, job_id: str) -> bool:
    """Return whether some frames of a job have been rendered."""
    job = job_of(ledger, job_id)
    return job.status == "processing" and job.stage == "render" and (job.percent or 0) > 17


class NodeProcess:
    """`video-pipeline serve` as a process."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        environ: Mapping[str, str] | None = None,
        python: Path = Path(sys.executable),
        cwd: Path = ROOT,
    ) -> None:
        self.folder = folder
        self._python = python
        self._cwd = cwd
        self.config = load_config(dict(settings), environ=False)
        self._file = folder / "node.yaml"
        self._file.write_text(yaml.safe_dump({"video_pipeline": dict(settings)}))
        self._environ = {**os.environ, **(environ or {})}
        self.log = folder / "node.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._log_begins = 0

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self._log_begins = log.tell()
            self.process = subprocess.Popen(
                [self._python, "-m", "video_pipeline", "serve", "--config", self._file],
                cwd=self._cwd,
                env=self._environ,
                stderr=log,
                stdout=log,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until the node is ready for jobs and handles signals."""
        wait_until(
            lambda: b"the node is ready" in self.log.read_bytes()[self._log_begins :],
            seconds=START_SECONDS,
            what="a node",
        )

    def ledger(self) -> Ledger:
        """Open the ledger that the node has created."""
        path = self.config.state_dir() / "ledger.sqlite3"
        wait_until(path.exists, seconds=START_SECONDS, what="a ledger")
        return Ledger(path)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the node."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, *, seconds: float = FAST_SECONDS) -> int:
        """Wait until the node has ended; return its exit status."""
        assert self.process is not None
        return self.process.wait(timeout=seconds)

    def kill(self) -> None:
        """Kill the node with SIGKILL."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def node_process(
    folder: Path,
    *,
    environ: Mapping[str, str] | None = None,
    cache: Path | None = None,
    python: Path = Path(sys.executable),
    cwd: Path = ROOT,
    **sections: Mapping[str, Any],
) -> Iterator[NodeProcess]:
    """Run `video-pipeline serve` during the `with` block; print its log if the block fails."""
    settings = node_settings(folder, cache=cache, **sections)
    node = NodeProcess(folder, settings, environ=environ, python=python, cwd=cwd)
    node.start()
    try:
        yield node
    except BaseException:
        print(node.log.read_text(errors="replace")[-6000:], file=sys.stderr)
        raise
    finally:
        node.kill()
