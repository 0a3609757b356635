"""A fleet of real Ray: machines join with the token, what dies is started again, and nothing is left at the end.

One server serves all tests of this file. The file needs root, for network namespaces.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.fleets import READY_SECONDS, NamespaceFleet, ray_logs, stop
from tests.support.namespaces import NamespacedMachine, Program, network
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

pytest.importorskip("ray")

SET_VERSION = """
import json, sys
from pathlib import Path
from video_pipeline.engine.config import load_config
from video_pipeline.engine.fleet.connect import enter_fleet
from video_pipeline.engine.fleet.join_check import open_client
from video_pipeline.engine.fleet.settings import client_settings
settings = client_settings(load_config("/tmp/node.yaml", environ=False), Path("/tmp/state"))
enter_fleet(settings)
client = open_client(settings.address)
known = json.loads(client.internal_kv_get(b"CLUSTER_METADATA", namespace=b"cluster"))
print(known["ray_version"])
known["ray_version"] = sys.argv[1]
client.internal_kv_put(b"CLUSTER_METADATA", json.dumps(known).encode(), True, namespace=b"cluster")
"""
ASK_HEALTH = """
import re, urllib.request
for page in ("healthz", "readyz", "metrics"):
    text = urllib.request.urlopen(f"http://127.0.0.1:5580/{page}", timeout=60).read().decode()
    print(re.findall(r"^video_pipeline_ready (.*)$", text, re.M)[0] if page == "metrics" else text.strip())
"""
ASK_RAYLET = """
import sys
import grpc
channel = grpc.insecure_channel(sys.argv[1])
for method in ("ray.rpc.NodeManagerService/GetNodeStats", "ray.rpc.ObjectManagerService/Pull"):
    try:
        channel.unary_unary("/" + method)(b"", timeout=60)
        print("answered", method)
    except grpc.RpcError as error:
        print(error.code().name)
"""
DRIVE = """
import sys
from video_pipeline.engine.config import load_config
from video_pipeline.engine.fleet.connect import connect_driver
ray = connect_driver(load_config("/tmp/node.yaml", environ=False))

@ray.remote(num_cpus=1, max_retries=0)
def sleep(seconds):
    import os, time
    open(f"/tmp/began-{seconds:g}", "w").close()
    time.sleep(seconds)
    return os.uname().nodename, sorted(name for name in os.environ if "PASSWORD" in name)

first = sleep.options(label_selector={"video-pipeline/version": sys.argv[1]}).remote(0)
print("first", ray.get(first), flush=True)
print("second", ray.get(sleep.remote(float(sys.argv[2]))), flush=True)
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespaceFleet]:
    with network(tmp_path_factory.mktemp("fleet")) as net:
        made = NamespaceFleet(net)
        program = made.serve()
        yield made
        assert stop(program) == 0, program.output()
        wait_until(lambda: made.server.pids() == [], what="the end of all processes")
        assert not list(made.server.tmp.glob("vp-*"))
        token = (made.server.tmp / "state" / "fleet" / "token").read_text().strip()
        assert token not in program.output()


@pytest.fixture(scope="module")
def worker(fleet: NamespaceFleet) -> Iterator[tuple[NamespacedMachine, Program]]:
    machine = fleet.net.machine()
    fleet.give_token(machine)
    program = fleet.join(machine, {"node": {"http_bind": "127.0.0.1:5580"}})
    yield machine, program
    if program.status is None:
        stop(program)


def test_a_machine_that_joins_offers_what_its_probes_find(
    fleet: NamespaceFleet, worker: tuple[NamespacedMachine, Program]
) -> None:
    server, joined = fleet.status(worker[0])
    assert server["server"]
    assert server["slots"] == 0
    assert (joined["name"], joined["address"], joined["slots"]) == ("m2", worker[0].address, 1)
    assert joined["memory_bytes"] == 2048e6
    assert joined["version"] == server["version"]
    assert len(joined["identity"]) == 32
    assert joined["slots_used"] == joined["nvenc"] == joined["gpus"] == 0


def test_a_machine_in_the_fleet_says_over_http_that_it_is_well(
    worker: tuple[NamespacedMachine, Program],
) -> None:
    done = worker[0].run(sys.executable, "-c", ASK_HEALTH, seconds=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ['{"alive": true}', '{"ready": true, "reasons": []}', "1.0"]


def test_who_has_a_wrong_token_or_none_gets_no_answer(fleet: NamespaceFleet) -> None:
    stranger = fleet.net.machine()
    fleet.give_token(stranger)
    token = stranger.tmp / "state" / "fleet" / "token"
    token.write_text("f" * 64)
    wrong = fleet.join(stranger, ready=False)
    assert wrong.wait(READY_SECONDS) == 2
    assert f"fleet.token_path: the server at {fleet.address} refuses this token" in wrong.output()
    assert "Traceback" not in wrong.output()
    asks = "from ray._raylet import GcsClient; GcsClient(address=%r).internal_kv_keys(b'', None)"
    asked = stranger.run(
        sys.executable,
        "-c",
        asks % fleet.address,
        environ={"RAY_AUTH_MODE": "disabled"},
        seconds=READY_SECONDS,
    )
    assert "AuthenticationError" in asked.stderr
    wait_until(lambda: stranger.pids() == [], what="the end of all processes")


def test_no_port_of_a_machine_serves_who_has_no_token(
    fleet: NamespaceFleet, worker: tuple[NamespacedMachine, Program]
) -> None:
    machine = worker[0]
    listening = machine.run("ss", "-ltnpH").stdout
    stranger = fleet.net.machine()
    beyond = [line for line in listening.splitlines() if " 127.0.0.1:" not in line]
    assert len(beyond) == 2
    assert all('"raylet"' in line for line in beyond), listening
    programs = machine.run("ps", "-e", "-ww", "-o", "args").stdout
    assert "agent_stand_in.py" in programs
    assert "dashboard/agent.py" not in programs
    assert "runtime_env/agent" not in programs
    raylet_ports = re.findall(r"\*:(\d+) .*raylet", listening)
    assert len(raylet_ports) == 2
    for port in raylet_ports:
        told = stranger.run(sys.executable, "-c", ASK_RAYLET, f"{machine.address}:{port}")
        # Each port has one of the two services.
        assert sorted(told.stdout.split()) == ["UNAUTHENTICATED", "UNIMPLEMENTED"], told.stderr


def test_another_version_of_ray_is_refused_with_both_versions(fleet: NamespaceFleet) -> None:
    machine = fleet.net.machine()
    fleet.give_token(machine)
    fleet.write_config(machine)
    told = machine.run(sys.executable, "-c", SET_VERSION, "2.59.1", seconds=READY_SECONDS)
    assert told.returncode == 0, told.stderr
    ours = told.stdout.strip()
    try:
        other = fleet.join(machine, ready=False)
        assert other.wait(READY_SECONDS) == 2
        assert f"this machine has Ray {ours}, the server has Ray 2.59.1" in other.output()
        assert "pip install ray==2.59.1" in other.output()
    finally:
        done = machine.run(sys.executable, "-c", SET_VERSION, ours, seconds=READY_SECONDS)
        assert done.returncode == 0, done.stderr


def test_a_control_store_that_is_killed_is_back_and_the_driver_and_its_task_go_on(
    fleet: NamespaceFleet, worker: tuple[NamespacedMachine, Program]
) -> None:
    version = fleet.status(worker[0])[0]["version"]
    driver = fleet.server.start(sys.executable, "-c", DRIVE, version, "15")
    driver.wait_for("first ('m2', [])", READY_SECONDS)
    wait_until((worker[0].tmp / "began-15").exists, seconds=READY_SECONDS, what="a task")
    os.kill(fleet.server.named("gcs/gcs_server")[0], signal.SIGKILL)
    assert driver.wait(READY_SECONDS) == 0, driver.output()
    assert "second ('m2'" in driver.output()
    wait_until(fleet.answers, seconds=READY_SECONDS, what="the control store")
    wait_until(lambda: len(fleet.status(worker[0])) == 2, seconds=READY_SECONDS, what="both machines")


def test_a_raylet_that_is_killed_is_started_again(
    fleet: NamespaceFleet, worker: tuple[NamespacedMachine, Program]
) -> None:
    machine, program = worker
    before = fleet.status(machine)[1]["id"]
    os.kill(machine.named("raylet/raylet")[0], signal.SIGKILL)
    program.wait_for("this machine is not in the fleet: Ray's raylet ended with status -9", READY_SECONDS)
    until = time.monotonic() + READY_SECONDS
    while program.output().count("this machine is in the fleet") < 2:
        assert time.monotonic() < until, program.output()
        time.sleep(0.1)
    wait_until(
        lambda: before not in {each["id"] for each in fleet.status(machine) if each["status"] != "dead"},
        seconds=READY_SECONDS,
        what="the raylet that was killed is known to be dead",
    )


def test_a_machine_that_is_asked_to_stop_lets_its_task_end_and_takes_no_other(
    fleet: NamespaceFleet, worker: tuple[NamespacedMachine, Program]
) -> None:
    machine, program = worker
    version = fleet.status(machine)[0]["version"]
    driver = fleet.server.start(sys.executable, "-c", DRIVE, version, "8")
    wait_until((machine.tmp / "began-8").exists, seconds=READY_SECONDS, what="a task")
    assert stop(program) == 0, program.output()
    assert driver.wait(READY_SECONDS) == 0, driver.output()
    assert "second ('m2'" in driver.output()
    wait_until(lambda: machine.pids() == [], what="the end of all processes")
    assert not ray_logs(machine)
    wait_until(
        lambda: [each["name"] for each in fleet.status(machine)] == ["m1"],
        seconds=READY_SECONDS,
        what="the server alone",
    )
