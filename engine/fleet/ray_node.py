"""The process that starts Ray's programs on a machine and watches them: `python -m …fleet.ray_node`. Imports Ray.

    parent → this    {"setup": {…}}          once
                     {"drain": SECONDS}      take no more work
                     end of file: stop
    this → parent    {"ready": {…}}          the machine's id in the fleet
                     {"alive": true}         every second
                     {"idle": true|false}    after a drain: whether nothing runs
                     {"trouble": TEXT|null}  what does not work, while it tries again
                     {"clock": SECONDS}      how far this machine's clock is ahead of the server's
                     {"error": TEXT, "for_good": BOOL}   why it ends

It is the leader of a session; Ray's programs die with it, and with them all that they started. On the server, Ray's
global control store (GCS) is started again alone, so machines and drivers stay connected.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.fleet.join_check import (
    CLOCK_KEY,
    CLOCK_NAMESPACE,
    JoinError,
    check_versions,
    cluster_metadata,
    open_client,
)
from video_pipeline.engine.fleet.redis_check import RedisPlace, redis_trouble

TURN_SECONDS: Final = 1.0
OBJECT_STORE_BYTES: Final = 128 << 20
"""Results travel by the shared storage, so Ray's own needs little."""

CLOCK_SECONDS: Final = 60.0
"""How often a machine compares its clock with the server's."""

CLOCK_READ_SECONDS: Final = 0.25
"""How often it then looks whether the server, which writes its time every second, has done so; an offset is as coarse."""

REGISTER_SECONDS: Final = 150.0
"""How long a machine's Ray may take to start."""

NO_AGENT_PORT: Final = 1024
"""The raylet wants to be told a port, from 1024 on; it never asks the agent anything, since no task has an environment."""

STAND_IN: Final = Path(__file__).with_name("agent_stand_in.py")
GCS: Final = "gcs_server"
RAYLET: Final = "raylet"


class Channel:
    """The pipes to the parent, JSON lines. Ray's own output goes to standard error."""

    def __init__(self) -> None:
        self._out = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._buffer = b""
        self._lock = threading.Lock()

    def send(self, **message: Any) -> None:
        """Send a message; end the process if the parent is gone."""
        with self._lock:
            try:
                os.write(self._out, json.dumps(message).encode() + b"\n")
            except BrokenPipeError:
                os._exit(0)

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """Return the next message, or None if there is none within `seconds`; raise EOFError at the end."""
        until = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            if not select.select([0], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            data = os.read(0, 1 << 16)
            if not data:
                raise EOFError
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found


class RayNode:
    """Ray's programs on this machine: those of the server, or those of a machine that joins."""

    def __init__(self, setup: Mapping[str, Any], channel: Channel) -> None:
        self._setup, self._channel = setup, channel
        self._redis = RedisPlace(**setup["redis"]) if setup["redis"] else None
        self._client: Any = None
        self._node: Any = None
        self._drained = False

    def start(self) -> None:
        """Start them; raise JoinError."""
        address = self._setup["address"]
        if self._setup["head"]:
            if self._redis is not None and (trouble := redis_trouble(self._redis)):
                raise JoinError(f"processing.redis_url: {trouble.reason}", for_good=trouble.for_good)
            _check_port_is_free(self._setup["bind"], int(address.rpartition(":")[2]))
        else:
            check_versions(open_client(address))
        self._node = self._started()
        self._client = open_client(address)
        self._channel.send(
            ready={
                "node": self._node.node_id,
                "address": address,
                "session": self._node.get_session_dir_path(),
            }
        )
        watch = self._write_clock if self._setup["head"] else self._compare_clocks
        threading.Thread(target=watch, daemon=True).start()

    def turn(self) -> None:
        """Look after them once; raise JoinError if they must be started anew."""
        dead = {kind: process.returncode for kind, process in self._node.dead_processes()}
        if dead.get(RAYLET) == 0 and self._drained:  # Ray ends it when nothing runs there
            self._channel.send(alive=True)
            self._channel.send(idle=True)
            return
        if RAYLET in dead:
            raise JoinError(f"Ray's raylet ended with status {dead[RAYLET]}", for_good=False)
        if GCS in dead:
            self._restart_gcs(dead[GCS])
        self._channel.send(alive=True)
        if self._drained:
            self._channel.send(idle=self._is_idle())

    def drain(self, seconds: float) -> None:
        """Let the machine take no more work; what runs gets `seconds`."""
        from ray.core.generated import autoscaler_pb2

        self._client.drain_node(
            self._node.node_id,
            autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"),
            "the machine leaves the fleet",
            int((time.time() + seconds) * 1000),
        )
        self._drained = True

    def stop(self) -> None:
        """End them."""
        if self._node is not None:
            self._node.kill_all_processes(check_alive=False, allow_graceful=True)

    def _started(self) -> Any:
        from ray._private import services
        from ray._private.node import Node
        from ray._private.parameter import RayParams

        setup, head = self._setup, self._setup["head"]
        started: list[Any] = []
        services.get_node = _with_patience(services.get_node, started)
        parameters = RayParams(
            node_ip_address=setup["bind"],
            gcs_address=None if head else setup["address"],
            gcs_server_port=int(setup["address"].rpartition(":")[2]) if head else None,
            node_name=setup["name"],
            num_cpus=setup["slots"],
            num_gpus=setup["gpus"],
            memory=setup["memory_bytes"],
            resources=dict(setup["resources"]),
            labels=dict(setup["labels"]),
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False if head else None,
            no_monitor=True,
            runtime_env_agent_port=NO_AGENT_PORT,
            include_log_monitor=False,
            temp_dir=setup["temp"],
            redis_username=self._redis.user if self._redis else None,
            redis_password=self._redis.password if self._redis else None,
        )
        services.start_ray_process = _without_password(services.start_ray_process, started, parameters)
        # Ray's dashboard takes 130 MB and shows nothing of ours; Ray starts it even if told not to.
        Node.start_api_server = lambda *_, **__: None
        try:
            return Node(parameters, head=head, shutdown_at_exit=True, spawn_reaper=True)
        except JoinError:
            raise
        except Exception as error:
            first = str(error).strip().splitlines() or [type(error).__name__]
            raise JoinError(f"Ray does not start: {first[0][:300]}", for_good=False) from error

    def _restart_gcs(self, status: int) -> None:
        """Start the server's control store again; without its Redis, once that is back."""
        trouble = redis_trouble(self._redis) if self._redis else None
        self._channel.send(
            trouble=f"processing.redis_url: {trouble.reason}"
            if trouble
            else f"Ray's control store ended with status {status}; restarting it"
        )
        if trouble:
            return
        node = self._node
        del node.all_processes[GCS]
        node._gcs_address = node._gcs_client = None
        node.start_gcs_server()
        until = time.monotonic() + REGISTER_SECONDS
        while True:
            try:
                self._client = open_client(self._setup["address"])
                break
            except JoinError:
                if GCS in {kind for kind, _ in node.dead_processes()}:
                    return  # the next turn starts it again
                if time.monotonic() > until:
                    raise
            self._channel.send(alive=True)
            time.sleep(0.2)
        if not cluster_metadata(self._client):  # machines notice it a minute later
            raise JoinError("Ray's control store has lost the list of machines", for_good=False)
        self._channel.send(trouble=None)

    def _is_idle(self) -> bool:
        from ray.autoscaler.v2.sdk import get_cluster_resource_state

        for each in get_cluster_resource_state(self._client).node_states:
            if each.node_id.hex() == self._node.node_id:
                return all(
                    each.available_resources.get(name, 0.0) >= amount
                    for name, amount in each.total_resources.items()
                    if not name.startswith(("object_store_memory", "node:"))
                )
        return True

    def _write_clock(self) -> None:
        while True:
            with suppress(Exception):  # while the control store restarts
                self._client.internal_kv_put(
                    CLOCK_KEY, f"{time.time():.3f}".encode(), True, namespace=CLOCK_NAMESPACE
                )
            time.sleep(1)

    def _compare_clocks(self) -> None:
        while True:
            with suppress(Exception):  # while the server cannot be reached
                before = now = self._client.internal_kv_get(CLOCK_KEY, namespace=CLOCK_NAMESPACE)
                until = time.monotonic() + CLOCK_SECONDS
                while now == before and time.monotonic() < until:
                    time.sleep(CLOCK_READ_SECONDS)
                    now = self._client.internal_kv_get(CLOCK_KEY, namespace=CLOCK_NAMESPACE)
                if now and now != before:  # else the server does not write
                    self._channel.send(clock=round(time.time() - float(now), 1))
            time.sleep(CLOCK_SECONDS)


def _check_port_is_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise JoinError(
                f"fleet.address: port {port} is in use on {host}; end what uses it or choose another port",
                for_good=True,
            ) from error


def _without_password(start: Any, started: list[Any], parameters: Any) -> Any:
    """Return Ray's function that starts a program, with Redis's password in the environment, not on the command line.

    Each that it starts is added to `started`.
    """
    password = parameters.redis_password

    def starts(command: list[str], *arguments: Any, **options: Any) -> Any:
        if command[0].endswith("/gcs_server") and password:
            command = [part for part in command if not part.startswith("--redis_password=")]
            command.append("--fromenv=redis_password")
            options["env_updates"] = {**(options.get("env_updates") or {}), "FLAGS_redis_password": password}
            parameters.redis_password = None  # or the raylet has it on its command line
        if command[0].endswith("/raylet"):
            command = _without_agents(command)
            _tell_ports(command)
        started.append(start(command, *arguments, **options))
        return started[-1]

    return starts


def _with_patience(get_node: Any, started: list[Any]) -> Any:
    """Return Ray's function that finds a started node, which waits longer than Ray's 30 s: a busy machine needs it.

    `started` are the programs that Ray has started: JoinError if one of them ends.
    """

    def finds(*arguments: Any) -> Any:
        until = time.monotonic() + REGISTER_SECONDS
        while True:
            try:
                return get_node(*arguments)
            except RuntimeError:
                if time.monotonic() > until:
                    raise
            for each in started:
                if (status := each.process.poll()) is not None:
                    name = os.path.basename(str(each.process.args[0]))  # noqa: PTH119 - of a command
                    raise JoinError(
                        f"Ray does not start: its {name} ended with status {status}", for_good=False
                    )
            time.sleep(0.5)

    return finds


def _without_agents(command: Sequence[str]) -> list[str]:
    """Return a raylet's command with something small that does nothing in the place of Ray's agents.

    One serves Ray's dashboard, the other makes environments for tasks that ask for one; both take seconds of a core to start, 100 MB
    each, and an open port.
    """
    nothing = subprocess.list2cmdline([sys.executable, "-I", "-S", str(STAND_IN)])
    agents = ("--dashboard_agent_command=", "--runtime_env_agent_command=")
    return [
        next((f"{agent}{nothing}" for agent in agents if part.startswith(agent)), part) for part in command
    ]


def _tell_ports(command: Sequence[str]) -> None:
    """Write the files in which Ray's agents would tell their ports to the raylet that a command starts. -1 is "none"."""
    options = dict(
        part.removeprefix("--").split("=", 1) for part in command if part.startswith("--") and "=" in part
    )
    ports = {
        "runtime_env_agent_port": str(NO_AGENT_PORT),
        "metrics_agent_port": "-1",
        "metrics_export_port": "-1",
        "dashboard_agent_listen_port": "-1",
    }
    for name, port in ports.items():
        Path(options["session_dir"], f"{name}_{options['node_id']}").write_text(port, encoding="ascii")


def main() -> None:
    """Start Ray's programs and watch them until the parent ends."""
    channel = Channel()
    node: RayNode | None = None
    status = 0
    try:
        first = channel.receive(60)
        if first is None:
            return
        node = RayNode(first["setup"], channel)
        node.start()
        while True:
            until = time.monotonic() + TURN_SECONDS
            while (message := channel.receive(max(0.0, until - time.monotonic()))) is not None:
                if "drain" in message:
                    node.drain(message["drain"])
            node.turn()
    except EOFError:
        pass
    except JoinError as error:
        channel.send(error=str(error), for_good=error.for_good)
        status = 1
    if node is not None:
        node.stop()
    os._exit(status)


if __name__ == "__main__":
    main()
