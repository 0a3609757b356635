"""The machines that tests make: apart from each other, joined by a network that can be cut, and gone at the end."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.namespaces import NamespacedNetwork, network
from tests.support.process_state import thread_states
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline.engine.jobs.processes import read_process

LISTEN = """
import http.server
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
ASK = "import socket, sys; socket.create_connection((sys.argv[1], 8000), 2).close()"


@pytest.fixture
def net(tmp_path: Path) -> Iterator[NamespacedNetwork]:
    with network(tmp_path) as made:
        yield made


def test_machines_reach_each_other_until_a_link_is_cut_and_after_it_is_healed(net: NamespacedNetwork) -> None:
    first, second = net.machine(), net.machine()
    server = first.start(sys.executable, "-u", "-c", LISTEN)

    def reached() -> bool:
        return second.run(sys.executable, "-c", ASK, first.address).returncode == 0

    wait_until(reached, what="an answer")
    first.cut()
    assert not reached()
    first.heal()
    wait_until(reached, what="an answer after the link was healed")
    first.freeze()
    assert set(thread_states(server.pid)) == {"T"}
    first.thaw()
    wait_until(reached, what="an answer after the machine goes on")


def test_a_machine_has_processes_tmp_and_name_of_its_own(net: NamespacedNetwork, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    first, second = net.machine(shared=[shared]), net.machine(shared=[shared])
    first.run("sh", "-c", f"echo hello > /tmp/own; echo both > {shared}/both")
    assert (first.tmp / "own").read_text() == "hello\n"
    assert second.run("ls", "/tmp/own").returncode != 0
    assert second.run("cat", shared / "both").stdout == "both\n"
    sleeper = first.start("sleep", "60")
    assert first.pids() == [sleeper.pid]
    assert "sleep" not in second.run("ps", "-e").stdout
    assert first.run("hostname").stdout == "m1\n"
    sleeper.signal(signal.SIGTERM)
    assert sleeper.wait(FAST_SECONDS) != 0


def test_a_machine_that_is_killed_takes_its_processes_along_and_can_be_started_again(
    net: NamespacedNetwork,
) -> None:
    machine = net.machine()
    program = machine.start("sh", "-c", "echo kept > /tmp/file; setsid sleep 60 & echo up; wait")
    program.wait_for("up", FAST_SECONDS)
    inside = machine.pids()
    assert len(inside) == 2
    machine.kill()
    assert not any(Path(f"/proc/{pid}").exists() for pid in inside)
    machine.power_on()
    assert machine.pids() == []
    assert machine.run("cat", "/tmp/file").stdout == "kept\n"
    assert machine.run("ip", "-4", "addr", "show", "eth0").stdout.count(machine.address) == 1


def test_a_machine_may_be_pinned_to_some_cores(net: NamespacedNetwork) -> None:
    machine = net.machine(cores=[0])
    told = machine.run(sys.executable, "-c", "import os; print(os.sched_getaffinity(0))")
    assert told.stdout == "{0}\n"


def test_nothing_is_left_of_the_machines_of_a_test_that_is_killed(tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from tests.support.namespaces import network
with network(Path({str(tmp_path)!r})) as net:
    machine = net.machine()
    program = machine.start("sh", "-c", "sleep 1234 & sleep 1235")
    while len(machine.pids()) < 3: time.sleep(0.01)
    print(*machine.pids(), machine._init, flush=True)
    time.sleep(600)
"""
    with network(tmp_path):
        pass  # skips
    test = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert test.stdout is not None
    inside = test.stdout.readline().split()
    assert len(inside) == 4
    test.kill()
    test.communicate()
    wait_until(lambda: not any(read_process(int(pid)) for pid in inside), what="nothing left")
