"""The server process as the node sees it: killed, it comes back; broken, it is not started in a busy loop."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.audit import processes_of
from tests.support.front_end import children_of
from tests.support.jobs import node_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node import server_process
from video_pipeline.engine.jobs.node.probe import reachable
from video_pipeline.engine.jobs.node.server_process import ServerProcess
from video_pipeline.engine.jobs.processes import read_process


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


@pytest.mark.parametrize("curve", ["off", "on"])
@pytest.mark.parametrize("stopped", ["server", "writer"])
def test_a_server_that_stands_still_is_killed_with_its_writer_and_started_again(
    tmp_path: Path, folders: Folders, guard: Guard, monkeypatch: pytest.MonkeyPatch, stopped: str, curve: str
) -> None:
    monkeypatch.setattr(server_process, "SILENT_SECONDS", 1.5)
    node = {"curve": curve, "bind": "tcp://127.0.0.1:*", "lease": 1.0}
    front = ServerProcess(node_config(tmp_path, node=node), folders, slots=1, guard=guard)
    try:
        tend_until_ready(front)
        until = time.monotonic() + 4
        while time.monotonic() < until:  # nothing is held against one that has nothing to do
            front.poll()
            assert front.trouble is None
            time.sleep(0.01)
        server = front.pid
        assert server is not None
        (writer,) = children_of(server)
        os.kill(server if stopped == "server" else writer, signal.SIGSTOP)
        began = time.monotonic()
        while front.pid == server:
            front.poll()
            time.sleep(0.01)
        assert 0.5 < time.monotonic() - began < 10
        assert read_process(server) is None
        assert read_process(writer) is None
        assert front.trouble == "the server process is not running"
        tend_until_ready(front)
        assert front.restarts == 1
        assert front.trouble is None
    finally:
        front.close()


def test_a_server_that_waits_for_an_answer_of_its_writer_is_not_ready(
    tmp_path: Path, folders: Folders, guard: Guard
) -> None:
    front = ServerProcess(node_config(tmp_path), folders, slots=1, guard=guard)
    try:
        tend_until_ready(front)
        assert front.pid is not None
        (writer,) = children_of(front.pid)
        os.kill(writer, signal.SIGSTOP)
        began = time.monotonic()
        while front.trouble is None:
            front.poll()
            time.sleep(0.01)
            assert time.monotonic() - began < 8
        assert front.trouble.startswith("the server has not answered for ")
        os.kill(writer, signal.SIGCONT)
        while front.trouble is not None:
            front.poll()
            time.sleep(0.01)
            assert time.monotonic() - began < 15
        assert front.restarts == 0
    finally:
        front.close()


def test_silence_while_the_node_itself_was_paused_is_not_held_against_the_server(
    tmp_path: Path, folders: Folders, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "SILENT_SECONDS", 1.0)
    front = ServerProcess(node_config(tmp_path, node={"lease": 1.0}), folders, slots=1, guard=guard)
    try:
        tend_until_ready(front)
        time.sleep(2.5)  # the node's loop does not turn
        for _ in range(50):
            front.poll()
            time.sleep(0.01)
        assert front.restarts == 0
        assert front.ready
    finally:
        front.close()


@pytest.mark.parametrize(
    ("bound", "reached"),
    [
        ("tcp://0.0.0.0:5570", "tcp://127.0.0.1:5570"),
        ("tcp://[::]:5570", "tcp://[::1]:5570"),
        ("tcp://10.0.0.7:5570", "tcp://10.0.0.7:5570"),
        ("ipc:///run/node.sock", "ipc:///run/node.sock"),
    ],
)
def test_a_server_bound_to_every_address_is_reached_at_the_loopback_one(bound: str, reached: str) -> None:
    assert reachable(bound) == reached


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
