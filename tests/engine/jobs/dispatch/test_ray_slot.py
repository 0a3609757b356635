"""A slot of a machine by itself: a real worker process, a real storage, and a test in the node's place."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.audit import processes_of
from tests.support.jobs import ROOT, endless_story, node_settings, tiny_story
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS, wait_until
from video_pipeline.engine import __version__
from video_pipeline.engine.common.object_store import FolderStore
from video_pipeline.engine.jobs.dispatch.identity import difference, shared_versions
from video_pipeline.engine.jobs.dispatch.ray_slot import FAILED_SECONDS
from video_pipeline.engine.jobs.dispatch.transfer import fetch_staged
from video_pipeline.engine.jobs.processes import NODE_VARIABLE, read_process

LEASE = 3.0
JOB = "job-000000000000000000000001"
SLOW_SECONDS = 120.0

# A process as Ray would start it; a line is a method and its argument, the answer is what the method returns.
ACTOR = textwrap.dedent("""
    import json, sys
    from video_pipeline.engine.jobs.dispatch.ray_slot import MachineSlot, Whereabouts
    slot = MachineSlot(sys.argv[1], Whereabouts("m1", 1))
    for line in sys.stdin:
        method, argument = json.loads(line)
        print(getattr(slot, method)(*[json.dumps(argument)] if argument else []), flush=True)
""")


class Slot:
    """A slot's process and what it has told."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.state, self._process = folder / "machine", process
        self.store = FolderStore(folder / "store")
        self.received = 0

    def call(self, method: str, **argument: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([method, argument]) + "\n")
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def poll(self) -> dict[str, Any]:
        news = self.call("poll", received=self.received, wait=0.2)
        self.received = news["number"]
        return news

    def poll_until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        until = time.monotonic() + SLOW_SECONDS
        while not condition(news := self.poll()):
            assert not news["end"], news["end"]
            assert time.monotonic() < until, news
        return news

    def start(self, story: dict[str, Any], *, fence: int = 1, **config: Any) -> None:
        self.call(
            "start",
            job_id=JOB,
            fence=fence,
            number=1,
            story_id=story["id"],
            story=story,
            config=config,
            priority="normal",
            files=[],
        )

    def workers(self) -> list[int]:
        """Return the render worker and its children."""
        return [pid for pid, command in processes_of(self.state).items() if "dispatch.worker " in command]

    @property
    def pid(self) -> int:
        return self._process.pid


@contextmanager
def slot_process(
    folder: Path,
    *,
    versions: Mapping[str, Any] | None = None,
    begins: bool = True,
    **sections: Mapping[str, Any],
) -> Iterator[Slot]:
    """Run a slot for a node that has these versions, and these sections in its configuration.

    It is ready then, unless it has another version or does not begin at all.
    """
    for name in ("store", "machine"):
        (folder / name).mkdir(exist_ok=True)
    settings = node_settings(folder / "node", fleet={"store": str(folder / "store")}, **sections)
    setup = json.dumps(
        {"config": settings, "lease": LEASE, "nvenc": False, "versions": versions or shared_versions()}
    )
    with (folder / "slot.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", ACTOR, setup],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            bufsize=1,
            env={**os.environ, NODE_VARIABLE: str(folder / "machine")},
        )
    try:
        slot = Slot(folder, process)
        if versions is None and begins:
            slot.poll_until(lambda news: news["ready"])
        yield slot
    finally:
        process.kill()
        process.communicate()
        print((folder / "slot.log").read_text())
        wait_until(lambda: not processes_of(folder / "machine"), what="nothing left")


@pytest.fixture
def slot(tmp_path: Path) -> Iterator[Slot]:
    with slot_process(tmp_path) as made:
        yield made


def test_a_slot_of_another_version_reads_nothing_of_the_node_and_says_which_version_it_has(
    tmp_path: Path,
) -> None:
    """A later version's configuration may have keys that this one refuses."""
    later = {**shared_versions(), "video-pipeline": "99.0"}
    with slot_process(tmp_path, versions=later, later={"key": 1}) as slot:
        told = slot.call("describe")["identity"]
        assert difference(later, told) == f"video-pipeline {__version__}, the node has 99.0"
        for _ in range(3):
            assert slot.poll()["ready"] is False
        assert not slot.workers()
        assert slot.call("describe")["identity"] == told, "it is still there"


def test_a_slot_that_cannot_begin_says_why_and_stays_for_a_while(tmp_path: Path) -> None:
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine" / "slots").write_text("a file where the folder of slots belongs")
    began = time.monotonic()
    with slot_process(tmp_path, begins=False) as slot:
        news = slot.poll_until(lambda news: news["trouble"])
        assert re.match(r"the slot cannot begin: \w+: .*/machine/slots'", news["trouble"])
        assert not news["ready"]
        wait_until(
            lambda: read_process(slot.pid) is None, seconds=FAILED_SECONDS + FAST_SECONDS, what="its end"
        )
    assert time.monotonic() - began > FAILED_SECONDS


def test_an_attempt_ends_with_its_result_its_log_and_files_in_the_storage(slot: Slot, tmp_path: Path) -> None:
    slot.start(tiny_story())
    end = slot.poll_until(lambda news: news["end"])["end"]
    assert (end["job_id"], end["fence"]) == (JOB, 1)
    assert "the attempt has finished" in end["log"]
    there = tmp_path / "there"
    there.mkdir()
    fetch_staged(slot.store, end["files"], there, JOB, 1)
    assert (there / end["finished"]["files"]["video"]).stat().st_size > 1000
    assert slot.poll()["end"] is None, "it was told, and the node has received it"


def test_an_end_is_told_again_until_the_node_has_received_it(slot: Slot) -> None:
    slot.start({**tiny_story(), "scenes": []})
    end = slot.poll_until(lambda news: news["end"])["end"]
    assert end["failed"]["kind"] == "permanent"
    before, slot.received = slot.received, 0
    assert slot.poll()["end"] == end
    slot.received = max(before, slot.received)
    assert slot.poll()["end"] is None


def test_a_stopped_attempt_says_so_and_the_slot_renders_the_next(slot: Slot) -> None:
    slot.start(endless_story())
    slot.poll_until(lambda news: news["progress"])
    slot.call("stop", job_id=JOB, fence=1, now=False)
    assert slot.poll_until(lambda news: news["end"])["end"]["stopped"] is True
    slot.start(tiny_story(), fence=2)
    assert "finished" in slot.poll_until(lambda news: news["end"])["end"]


def test_without_a_renewed_lease_the_attempt_and_the_slot_end_by_themselves(slot: Slot) -> None:
    slot.start(endless_story())
    slot.poll_until(lambda news: news["progress"])
    silent_since = time.monotonic()
    assert slot.workers()
    wait_until(lambda: not slot.workers(), what="the worker's end")
    assert time.monotonic() - silent_since < LEASE + PROMPT_SECONDS, "its job would take far longer"
    wait_until(lambda: read_process(slot.pid) is None, what="the slot's end")
    assert not list((slot.state / "slots").glob("*/work/*"))


def test_a_stopped_slot_process_does_not_keep_its_attempt_running(slot: Slot) -> None:
    slot.start(endless_story())
    slot.poll_until(lambda news: news["progress"])
    silent_since = time.monotonic()
    os.kill(slot.pid, signal.SIGSTOP)
    wait_until(lambda: not slot.workers(), what="the worker's end")
    assert time.monotonic() - silent_since < LEASE + PROMPT_SECONDS


def test_a_slot_removes_what_an_ended_one_left(tmp_path: Path) -> None:
    with slot_process(tmp_path) as slot:
        slot.start(endless_story())
        slot.poll_until(lambda news: news["progress"])
    left = list((tmp_path / "machine" / "slots").iterdir())
    assert len(left) == 1
    with slot_process(tmp_path):
        now = list((tmp_path / "machine" / "slots").iterdir())
        assert len(now) == 1
        assert now != left
