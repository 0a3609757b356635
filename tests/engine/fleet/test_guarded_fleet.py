"""A fleet with TLS and a Redis with a password: who may join, what is said to who may not, and a Redis that goes away.

One server serves all tests of this file, which needs root, for network namespaces.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority, MachinePems
from tests.support.fleets import READY_SECONDS, NamespaceFleet, stop
from tests.support.namespaces import NamespacedMachine, Program, network

pytestmark = pytest.mark.slow

pytest.importorskip("ray")

PASSWORD = "not-a-real-password"
KEEPS = ("--dir", "/tmp", "--save", "", "--appendonly", "yes", "--appendfsync", "always")
REDIS = ("redis-server", "--port", "6400", *KEEPS, "--requirepass", PASSWORD)
REDIS_GONE = "processing.redis_url: Redis at 127.0.0.1:6400 does not answer: Connection refused"
LIBRARIES = ("/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime")


@dataclass
class GuardedFleet:
    fleet: NamespaceFleet
    program: Program
    redis: Program
    ours: Authority
    theirs: Authority

    def asks(self, machine: NamespacedMachine, sections: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        """Run `cluster status` on a machine."""
        config = self.fleet.write_config(machine, sections)
        return machine.run(
            *(sys.executable, "-m", "video_pipeline", "cluster", "status"),
            *("--join", self.fleet.address, "--config", config),
            seconds=READY_SECONDS,
        )


def place(machine: NamespacedMachine, files: MachinePems) -> dict[str, Any]:
    """Bring certificates to a machine; return its section `fleet`."""
    folder = machine.tmp / "pki"
    folder.mkdir(exist_ok=True)
    for path in (files.tls_cert, files.tls_key, files.tls_ca):
        shutil.copy(path, folder)
    return {"fleet": files.keys("/tmp/pki")}


def redis_when(fleet: NamespaceFleet, text: str) -> Program:
    """Start Redis once the server has written a text."""
    until = time.monotonic() + READY_SECONDS
    while not any(text in log.read_text() for log in fleet.net.folder.glob("m1-logs/*.txt")):
        assert time.monotonic() < until
        time.sleep(0.1)
    return fleet.server.start(*REDIS)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedFleet]:
    if shutil.which("redis-server") is None:
        pytest.skip("needs the program redis-server")
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "net").mkdir()
    ours, theirs = Authority(folder, "ours"), Authority(folder, "theirs")
    with network(folder / "net") as net:
        made = NamespaceFleet(net)
        url = {"processing": {"redis_url": f"redis://:{PASSWORD}@127.0.0.1:6400"}}
        keys = place(made.server, ours.machine(made.server.address, "m1"))
        with ThreadPoolExecutor(1) as pool:
            # It is back from a power cut before its Redis is.
            later = pool.submit(redis_when, made, REDIS_GONE)
            program = made.serve({**url, **keys})
            found = GuardedFleet(made, program, later.result(), ours, theirs)
        yield found
        assert stop(program) == 0, program.output()
        assert PASSWORD not in program.output()
        assert "Traceback" not in program.output()


@pytest.fixture(scope="module")
def member(guarded: GuardedFleet) -> Iterator[tuple[NamespacedMachine, Program]]:
    """A machine of the fleet, whose clock is 40 s ahead if there is libfaketime."""
    machine = guarded.fleet.net.machine()
    guarded.fleet.give_token(machine)
    keys = place(machine, guarded.ours.machine(machine.address, "m2"))
    program = guarded.fleet.join(machine, keys, environ=wrong_clock(40))
    yield machine, program
    assert stop(program) == 0, program.output()
    assert "Traceback" not in program.output()


def wrong_clock(ahead: int) -> dict[str, str]:
    """Return the variables with which the clock of programs is so many seconds ahead, none without libfaketime."""
    for folder in LIBRARIES:
        if (library := Path(folder, "libfaketimeMT.so.1")).exists():
            return {"LD_PRELOAD": str(library), "FAKETIME": f"+{ahead}s"}
    return {}


def test_a_machine_with_a_certificate_of_the_authority_is_in_the_fleet(
    guarded: GuardedFleet, member: tuple[NamespacedMachine, Program]
) -> None:
    assert [machine["name"] for machine in guarded.fleet.status(member[0])] == ["m1", "m2"]
    assert set(guarded.fleet.server.named(PASSWORD)) <= {guarded.redis.pid}


def test_a_clock_that_is_wrong_is_told_with_its_seconds(member: tuple[NamespacedMachine, Program]) -> None:
    if not wrong_clock(40):
        pytest.skip("needs libfaketime")
    said = member[1].wait_for("this machine's clock is", READY_SECONDS)
    found = re.search(r"this machine's clock is (\d+) s ahead of the server's; set it by NTP", said)
    assert found, said
    assert 39 <= int(found[1]) <= 50  # the server's time is read some time after it was written


def test_who_may_not_talk_to_the_server_is_told_why_within_seconds(guarded: GuardedFleet) -> None:
    stranger = guarded.fleet.net.machine()
    guarded.fleet.give_token(stranger)
    here = stranger.address
    plain = guarded.asks(stranger, {})
    assert plain.returncode == 1
    assert re.search(r"fleet\.address: .*(wants TLS|TLS is set there and not here)", plain.stderr), (
        plain.stderr
    )
    other = place(stranger, guarded.theirs.machine(here, "other"))
    asked = guarded.asks(stranger, other)
    assert (asked.returncode, len(asked.stderr.splitlines())) == (1, 1), asked.stderr
    assert f"fleet.tls_ca: the certificate of {guarded.fleet.address} is refused: " in asked.stderr


def test_a_redis_that_goes_away_is_named_and_waited_for(
    guarded: GuardedFleet, member: tuple[NamespacedMachine, Program]
) -> None:
    guarded.redis.kill()
    for pid in guarded.fleet.server.named("gcs/gcs_server"):
        os.kill(pid, signal.SIGKILL)
    guarded.program.wait_for(f"WARNING {REDIS_GONE}", READY_SECONDS)
    assert guarded.program.status is None
    guarded.redis = guarded.fleet.server.start(*REDIS)
    guarded.program.wait_for("INFO Ray works again", READY_SECONDS)
    until = time.monotonic() + READY_SECONDS
    while [machine["name"] for machine in guarded.fleet.status(member[0])] != ["m1", "m2"]:
        assert time.monotonic() < until, member[1].output()
    assert member[1].output().count("this machine is in the fleet") == 1, "it had to join again"
