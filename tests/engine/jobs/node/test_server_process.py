"""The server process as the node sees it: killed, it comes back; broken, it is not started in a busy loop."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.audit import processes_of
from tests.support.jobs import node_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.server_process import ServerProcess

pytest.importorskip("zmq")


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders.of(node_config(tmp_path))
    folders.make()
    Ledger(folders.ledger).close()
    return folders


@pytest.fixture
def guard(folders: Folders) -> Iterator[Guard]:
    guard = Guard(folders.state)
    yield guard
    guard.close()
    assert processes_of(folders.state) == {}


def tend_until_ready(front: ServerProcess, *, seconds: float = 20) -> float:
    began = time.monotonic()
    while not front.ready:
        assert time.monotonic() - began < seconds
        front.poll()
        time.sleep(0.005)
    return time.monotonic() - began


def test_a_front_end_that_was_killed_takes_requests_again_within_seconds(
    tmp_path: Path, folders: Folders, guard: Guard
) -> None:
    front = ServerProcess(node_config(tmp_path), folders, slots=1, guard=guard)
    try:
        tend_until_ready(front)
        first = front.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        while front.ready:
            front.poll()
        seconds = tend_until_ready(front)
        print(f"back after {seconds:.2f} s")
        assert seconds < 5  # alone on a machine: less than one
        assert front.pid != first
        assert front.restarts == 1
    finally:
        front.close()


def test_a_front_end_that_cannot_begin_says_why(tmp_path: Path, folders: Folders, guard: Guard) -> None:
    config = node_config(tmp_path, node={"bind": f"ipc://{tmp_path}/nowhere/node.sock"})
    front = ServerProcess(config, folders, slots=1, guard=guard)
    try:
        with pytest.raises(ConfigError, match=r"node\.bind"):
            tend_until_ready(front)
    finally:
        front.close()


def test_a_front_end_that_dies_again_and_again_is_started_ever_more_slowly(
    tmp_path: Path, folders: Folders, guard: Guard
) -> None:
    front = ServerProcess(node_config(tmp_path), folders, slots=1, guard=guard)
    try:
        tend_until_ready(front)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            if front.pid is not None:
                os.kill(front.pid, signal.SIGKILL)
            front.poll()
            time.sleep(0.01)
        assert 2 <= front.restarts <= 4
        tend_until_ready(front)
    finally:
        front.close()
