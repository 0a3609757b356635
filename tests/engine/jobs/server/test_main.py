"""The server process: its addresses, its end, and what it survives."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.support.process_state import has_ended
from tests.support.server import ROOT, STORY, RunningServer, Speaker, node_config
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS, wait_until


def start_and_fail(tmp_path: Path, **node: Any) -> tuple[int, str]:
    process = RunningServer(node_config(tmp_path, **node))
    try:
        message = process.wait_for("error")
        return process.process.wait(FAST_SECONDS), message
    finally:
        process.stop()


def test_an_address_in_use_is_reported_and_ends_with_status_2(server: RunningServer, tmp_path: Path) -> None:
    status, message = start_and_fail(tmp_path, bind=server.requests, events_bind="tcp://127.0.0.1:*")
    assert status == 2
    assert message == f"node.bind: {server.requests}: is in use by another process"


@pytest.mark.parametrize(
    ("bind", "words"),
    [
        ("127.0.0.1:5570", "allowed: tcp://HOST:PORT"),
        ("tcp://127.0.0.1", "allowed: tcp://HOST:PORT"),
        ("tcp://127.0.0.1:99999", "allowed: tcp://HOST:PORT"),
        ("tcp://no-such-host.invalid:5570", "cannot resolve"),
        ("tcp://192.0.2.1:5570", "is not an address of this machine"),
        ("ipc:///tmp/" + "x" * 120, "at most 107"),
        ("ipc:///no/such/folder/node", "does not exist"),
        ("udp://127.0.0.1:5570", "allowed: tcp://HOST:PORT"),
        ("tcp://127.0.0.1:65535", "no next port"),
    ],
)
def test_an_invalid_address_is_reported_and_ends_with_status_2(tmp_path: Path, bind: str, words: str) -> None:
    status, message = start_and_fail(tmp_path, bind=bind, curve="off")
    assert status == 2
    assert message.startswith("node.bind")
    assert words in message


def test_an_ipc_socket_is_its_owner_s_alone_and_never_takes_a_file_s_place(tmp_path: Path) -> None:
    short = Path(os.path.relpath(tmp_path))
    path = tmp_path / "node.sock"
    if len(str(path)) > 90:
        pytest.skip(f"the temporary folder has too long a name for a socket: {short}")
    config = node_config(tmp_path, bind=f"ipc://{path}")
    with RunningServer(config) as server, Speaker(server.requests) as speaker:
        assert speaker.ask("ping")["events"] == f"{path}.events"
        for sock in (path, Path(f"{path}.events")):
            assert stat.S_IMODE(sock.stat().st_mode) == 0o600
        status, message = start_and_fail(tmp_path / "second", bind=f"ipc://{path}")
        assert (status, message) == (2, f"node.bind: {path}: is in use by another process")
        assert speaker.ask("ping")
        server.process.kill()  # leaves its sockets behind
        server.process.wait()
    with RunningServer(config) as server, Speaker(server.requests) as speaker:
        assert speaker.ask("ping")
    path.unlink(missing_ok=True)
    path.write_text("a file of the user")
    status, message = start_and_fail(tmp_path / "third", bind=f"ipc://{path}")
    assert status == 2
    assert "not a socket" in message
    assert path.read_text() == "a file of the user"


def test_the_server_ends_when_its_input_closes_and_ignores_signals(tmp_path: Path) -> None:
    with RunningServer(node_config(tmp_path)) as server, Speaker(server.requests) as speaker:
        for number in (signal.SIGINT, signal.SIGTERM):
            server.process.send_signal(number)
        time.sleep(0.1)
        assert speaker.ask("ping")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < PROMPT_SECONDS


def test_the_server_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from tests.support.server import PNG, RunningServer, node_config\n"
        "with RunningServer(node_config(Path(sys.argv[2]))) as server:\n"
        "    print(server.process.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(ROOT), str(tmp_path)], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: has_ended(pid), what="no server")


def replies_or_ends(server: RunningServer, speaker: Speaker) -> bool:
    """Wait until a server has replied or ended; return whether it has replied."""
    while not speaker.socket.poll(20):
        if server.process.poll() is not None:
            return False
    return True


def test_a_killed_server_loses_no_acknowledged_job(tmp_path: Path) -> None:
    config = node_config(tmp_path)
    acknowledged: dict[str, str] = {}
    for turn in range(3):
        with RunningServer(config) as server, Speaker(server.requests) as speaker:
            killer = threading.Timer(0.01 + 0.03 * turn, server.process.kill)
            for number in count():
                if number == 10:
                    killer.start()
                key = f"{turn}-{number}"
                sent = speaker.send("submit", {"story": STORY, "key": key})
                if not replies_or_ends(server, speaker):
                    break
                got, outcome, reply = speaker.receive()
                assert (got, outcome) == (sent, b"ok"), reply
                acknowledged[key] = reply["job_id"]
            assert server.process.wait(FAST_SECONDS) == -signal.SIGKILL
            killer.join()
    assert len(acknowledged) >= 30
    with RunningServer(config) as server, Speaker(server.requests) as speaker:
        for key, job_id in acknowledged.items():
            again = speaker.ask("submit", {"story": STORY, "key": key})
            assert (again["job_id"], again["created"]) == (job_id, False)


def test_the_counters_are_reported_each_second(server: RunningServer) -> None:
    with Speaker(server.requests) as speaker:
        before = server.counters().get("requests_ping", 0)
        speaker.ask("ping")
        server.wait_until_counted(lambda found: found["requests_ping"] > before, what="the ping")
        server.wait_until_counted(lambda found: found["connections_open"] >= 1, what="a connection")


def test_hundreds_of_half_open_connections_delay_no_client(server: RunningServer) -> None:
    host, _, port = server.requests.removeprefix("tcp://").rpartition(":")
    open_sockets = []
    before = server.memory
    known = server.counters().get("connections", 0)
    try:
        for number in range(400):
            sock = socket.create_connection((host, int(port)))
            if number % 2:
                sock.sendall(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03")  # the first bytes of a greeting
            open_sockets.append(sock)
        with Speaker(server.requests) as speaker:
            began = time.monotonic()
            assert speaker.ask("ping")
            assert time.monotonic() - began < PROMPT_SECONDS
        assert server.memory - before < 64 << 20
        server.wait_until_counted(lambda found: found["connections"] >= known + 400, what="all connections")
        server.wait_until_counted(
            lambda found: found["connections_open"] < 50, what="their end"
        )  # HANDSHAKE_MS
    finally:
        for sock in open_sockets:
            sock.close()
