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


def tend_until_ready(server: ServerProcess, *, seconds: float = 20) -> float:
    began = time.monotonic()
    while not server.ready:
        assert time.monotonic() - began < seconds
        server.poll()
        time.sleep(0.005)
    return time.monotonic() - began


def test_a_killed_server_accepts_requests_again_within_seconds(
    tmp_path: Path, folders: Folders, guard: Guard
) -> None:
    server = ServerProcess(node_config(tmp_path), folders, slots=1, guard=guard)
    try:
        tend_until_ready(server)
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        while server.ready:
            server.poll()
        seconds = tend_until_ready(server)
        print(f"back after {seconds:.2f} s")
        assert seconds < 5  # alone on a machine: less than one
        assert server.pid != first
        assert server.restarts == 1
    finally:
        server.close()


def test_a_server_that_cannot_start_reports_why(tmp_path: Path, folders: Folders, guard: Guard) -> None:
    config = node_config(tmp_path, node={"bind": f"ipc://{tmp_path}/nowhere/node.sock"})
    server = ServerProcess(config, folders, slots=1, guard=guard)
    try:
        with pytest.raises(ConfigError, match=r"node\.bind"):
            tend_until_ready(server)
    finally:
        server.close()


def test_a_server_that_keeps_dying_is_restarted_with_growing_delays(
    tmp_path: Path, folders: Folders, guard: Guard
) -> None:
    server = ServerProcess(node_config(tmp_path), folders, slots=1, guard=guard)
    try:
        tend_until_ready(server)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            if server.pid is not None:
                os.kill(server.pid, signal.SIGKILL)
            server.poll()
            time.sleep(0.01)
        assert 2 <= server.restarts <= 4
        tend_until_ready(server)
    finally:
        server.close()
