"""Programs of a fleet that cannot start or have nobody to talk to: one line that says why, and a status that says whether
waiting helps. No Ray is started. The file needs root, for network namespaces.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleets import NamespaceFleet, stop
from tests.support.namespaces import NamespacedMachine, network
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.fleet.settings import machine_settings, server_settings
from video_pipeline.engine.jobs.node.running_node import NodeLock

pytestmark = pytest.mark.slow

pytest.importorskip("ray")

HTTP = "import http.server as h; h.HTTPServer(('', 6379), h.BaseHTTPRequestHandler).serve_forever()"
SECONDS = 120.0


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespaceFleet]:
    """A network whose first machine would be the server, and a second one with a token."""
    with network(tmp_path_factory.mktemp("faults")) as net:
        made = NamespaceFleet(net)
        machine = net.machine()
        token = machine.tmp / "state" / "fleet" / "token"
        token.parent.mkdir(parents=True, mode=0o700)
        token.write_text("x" * 64)
        token.chmod(0o600)
        yield made


def command(fleet: NamespaceFleet, what: str) -> tuple[str, ...]:
    more = () if what == "serve --fleet" else ("--join", fleet.address)
    return (sys.executable, "-m", "video_pipeline", *what.split(), *more, "--config", "/tmp/node.yaml")


def run(
    fleet: NamespaceFleet, machine: NamespacedMachine, what: str, sections: Mapping[str, Any] | None = None
) -> subprocess.CompletedProcess[str]:
    fleet.write_config(machine, sections)
    done = machine.run(*command(fleet, what), seconds=SECONDS)
    assert "Traceback" not in done.stderr
    return done


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """Return the only line of an error."""
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("20")]
    return line.removeprefix("error: ")


def test_another_program_at_the_servers_port_is_told_to_all_sides(fleet: NamespaceFleet) -> None:
    server, machine = fleet.net.machines
    other = server.start(sys.executable, "-c", HTTP)
    try:
        ask = "import socket; socket.create_connection(('127.0.0.1', 6379))"
        while server.run(sys.executable, "-c", ask).returncode:
            assert other.status is None, other.output()
        asked = run(fleet, machine, "cluster status")
        assert asked.returncode == 1
        assert error_of(asked).startswith(
            f"fleet.address: {fleet.address} accepts connections, but does not answer as a fleet's server: another program"
        )
        waiting = machine.start(*command(fleet, "worker"))
        waiting.wait_for("does not answer as a fleet's server: another program has the port", SECONDS)
        assert stop(waiting) == 0, waiting.output()
        served = run(fleet, server, "serve --fleet")
        assert served.returncode == 2
        assert error_of(served).startswith(
            f"fleet.address: port 6379 is in use on {server.address}; end what"
        )
    finally:
        other.kill()


def test_a_machine_whose_storage_does_not_work_stays_out_and_tries_again_later(fleet: NamespaceFleet) -> None:
    _, machine = fleet.net.machines
    for setting, mount, reason in [
        ("/tmp/not-mounted", (), "/tmp/not-mounted: No such file or directory"),
        ("/tmp/read-only", ("-o", "size=1m,ro"), "/tmp/read-only: Read-only file system"),
        ("/tmp/full", ("-o", "size=4k,nr_inodes=10"), "/tmp/full: No space left on device"),
    ]:
        if mount:
            (machine.tmp / Path(setting).name).mkdir()
            made = machine.run("mount", "-t", "tmpfs", *mount, "none", setting)
            assert made.returncode == 0, made.stderr
        if "full" in setting:
            machine.run("sh", "-c", f"head -c 8000 /dev/zero > {setting}/file")
        done = run(fleet, machine, "worker", {"fleet": {"store": setting}})
        assert (done.returncode, error_of(done)) == (1, f"fleet.store: {reason}")


def test_a_worker_on_the_state_folder_of_another_program_is_refused_at_once(fleet: NamespaceFleet) -> None:
    _, machine = fleet.net.machines
    lock = NodeLock(machine.tmp / "state" / "node.lock")
    try:
        began = time.monotonic()
        done = run(fleet, machine, "worker")
        assert done.returncode == 2
        assert error_of(done).startswith("node.state_path: /tmp/state is in use by another node (process ")
        print(f"refused after {time.monotonic() - began:.1f} s")
    finally:
        lock.close()


def test_an_address_that_the_network_has_not_yet_is_tried_again_and_a_wrong_one_is_not(
    tmp_path: Path,
) -> None:
    cases: list[tuple[dict[str, str], str, int]] = [
        ({"bind": "192.0.2.1"}, r"fleet\.bind: 192\.0\.2\.1 is not an address of this machine", 1),
        ({"bind": "192.0.2"}, r"fleet\.bind: got 192\.0\.2; allowed: an IP address", 2),
        ({"address": "nowhere.invalid:6379"}, r"fleet\.address: no machine is named nowhere\.invalid", 1),
    ]
    for keys, reason, status in cases:
        config = load_config({"fleet": keys}, environ=False)
        of = machine_settings if "address" in keys else server_settings
        with pytest.raises(ConfigError, match=reason) as caught:
            of(config, tmp_path)
        assert caught.value.exit_status == status
