"""The server process as the node sees it: killed, it comes back; broken, it is not started in a busy loop."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.audit import processes_of
from tests.support.jobs import node_config
from tests.support.process_state import stop
from tests.support.server import children_of
from tests.support.waiting import PROMPT_SECONDS, wait_until
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node import server_process
from video_pipeline.engine.jobs.node.probe import reachable
from video_pipeline.engine.jobs.node.server_process import ServerProcess
from video_pipeline.engine.jobs.processes import read_process

SILENT = 3.0
"""Seconds of silence after which a server is killed in these tests; it reports every second."""


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


def tend_until(server: ServerProcess, condition: Callable[[], object], *, what: str) -> float:
    """Do the node's part until a condition holds; return the seconds it took."""

    def tended() -> bool:
        if condition():
            return True
        server.poll()
        return bool(condition())

    return wait_until(tended, what=what)


def tend_until_ready(server: ServerProcess) -> float:
    return tend_until(server, lambda: server.ready, what="a server that is ready")


def test_a_killed_server_accepts_requests_again_within_seconds(
    tmp_path: Path, folders: Folders, guard: Guard
) -> None:
    server = ServerProcess(node_config(tmp_path), folders, slots=1, guard=guard)
    try:
        tend_until_ready(server)
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        tend_until(server, lambda: not server.ready, what="its end")
        seconds = tend_until_ready(server)
        print(f"back after {seconds:.2f} s")
        assert seconds < PROMPT_SECONDS  # alone on a machine: less than one
        assert server.pid != first
        assert server.restarts == 1
    finally:
        server.close()


@pytest.mark.parametrize("curve", ["off", "on"])
@pytest.mark.parametrize("stopped", ["server", "writer"])
def test_a_server_that_hangs_is_killed_with_its_writer_and_restarted(
    tmp_path: Path, folders: Folders, guard: Guard, monkeypatch: pytest.MonkeyPatch, stopped: str, curve: str
) -> None:
    monkeypatch.setattr(server_process, "SILENT_SECONDS", SILENT)
    node = {"curve": curve, "bind": "tcp://127.0.0.1:*", "lease": 1.0}
    server = ServerProcess(node_config(tmp_path, node=node), folders, slots=1, guard=guard)
    try:
        tend_until_ready(server)
        until = time.monotonic() + 1.5 * SILENT
        while time.monotonic() < until:  # nothing is held against one that has nothing to do
            server.poll()
            time.sleep(0.01)
        assert server.restarts == 0
        tend_until(server, lambda: server.trouble is None, what="a server without trouble")
        first = server.pid
        assert first is not None
        (writer,) = children_of(first)
        stop(first if stopped == "server" else writer)
        assert tend_until(server, lambda: server.pid != first, what="its end") > SILENT / 4
        wait_until(lambda: read_process(first) is None, what="the server is gone")
        wait_until(lambda: read_process(writer) is None, what="its writer is gone")
        assert server.trouble == "the server process is not running"
        tend_until_ready(server)
        assert server.restarts == 1
        assert server.trouble is None
    finally:
        server.close()


def test_a_server_that_waits_for_an_answer_of_its_writer_is_not_ready(
    tmp_path: Path, folders: Folders, guard: Guard
) -> None:
    config = node_config(tmp_path, node={"lease": 600.0})  # it must not be killed meanwhile
    server = ServerProcess(config, folders, slots=1, guard=guard)
    try:
        tend_until_ready(server)
        assert server.pid is not None
        (writer,) = children_of(server.pid)
        stop(writer)
        tend_until(server, lambda: server.trouble is not None, what="a server that is late")
        assert (server.trouble or "").startswith("the server has not answered for ")
        os.kill(writer, signal.SIGCONT)
        tend_until(server, lambda: server.trouble is None, what="an answer")
        assert server.restarts == 0
    finally:
        server.close()


def test_silence_while_the_node_itself_was_paused_is_not_held_against_the_server(
    tmp_path: Path, folders: Folders, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "SILENT_SECONDS", SILENT)
    server = ServerProcess(node_config(tmp_path, node={"lease": 1.0}), folders, slots=1, guard=guard)
    try:
        tend_until_ready(server)
        time.sleep(1.5 * SILENT)  # the node's loop does not turn
        for _ in range(50):
            server.poll()
            time.sleep(0.01)
        assert server.restarts == 0
        assert server.ready
    finally:
        server.close()


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

        def restarts_after_a_kill() -> int:
            if server.pid is not None:
                os.kill(server.pid, signal.SIGKILL)
            server.poll()
            return server.restarts

        until = time.monotonic() + 3
        while time.monotonic() < until:
            assert restarts_after_a_kill() <= 4
            time.sleep(0.01)
        wait_until(lambda: restarts_after_a_kill() >= 2, what="a second start")
        tend_until_ready(server)
    finally:
        server.close()
