"""A fleet of machines that are network namespaces: a server and machines that join it, as their commands run them."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.namespaces import NamespacedMachine, NamespacedNetwork, Program

READY_SECONDS = 180.0
"""Ray takes seconds to start on a machine that is free, and minutes on one that is not."""

STOP_SECONDS = 180.0


class NamespaceFleet:
    """A network whose first machine is the server."""

    def __init__(self, net: NamespacedNetwork) -> None:
        self.net = net
        self.server = net.machine()
        self.address = f"{self.server.address}:6379"

    def write_config(self, machine: NamespacedMachine, sections: Mapping[str, Any] | None = None) -> str:
        """Write a machine's configuration; return its path in the machine. `sections` override it, key by key."""
        config: dict[str, dict[str, Any]] = {
            "node": {"state_path": "/tmp/state", "bind": "ipc:///tmp/node", "http_bind": None},
            "storage": {"output_path": "/tmp/out", "cache_path": "/tmp/cache"},
            "processing": {"max_concurrent_jobs": 1},
            "fleet": {"bind": machine.address, "address": self.address, "store": "/tmp/store"},
        }
        if (
            machine is self.server
        ):  # no machine has room for one of its slots, so that tasks of tests have them
            config["node"]["worker_memory_mb"] = 10_000_000
        (machine.tmp / "store").mkdir(exist_ok=True)
        for section, keys in (sections or {}).items():
            config.setdefault(section, {}).update(keys)
        (machine.tmp / "node.yaml").write_text(yaml.safe_dump({"video_pipeline": config}), encoding="utf-8")
        return "/tmp/node.yaml"

    def serve(
        self, sections: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None
    ) -> Program:
        """Start the server; return it when machines can join. The node is ready when the first of them has a slot."""
        config = self.write_config(self.server, sections)
        command = (sys.executable, "-m", "video_pipeline", "serve", "--fleet", "--config", config)
        program = self.server.start(*command, environ=environ)
        until = time.monotonic() + READY_SECONDS
        while not self.answers():
            assert time.monotonic() < until, program.output()
            assert program.status is None, program.output()
            time.sleep(0.2)
        return program

    def answers(self) -> bool:
        """Return whether the server's control store takes connections."""
        asks = f"import socket; socket.create_connection(({self.server.address!r}, 6379), 2).close()"
        return self.server.run(sys.executable, "-c", asks, seconds=READY_SECONDS).returncode == 0

    def give_token(self, machine: NamespacedMachine) -> None:
        """Copy the server's token to a machine."""
        token = machine.tmp / "state" / "fleet" / "token"
        token.parent.mkdir(parents=True, exist_ok=True)
        token.parent.parent.chmod(0o700)
        token.write_text((self.server.tmp / "state" / "fleet" / "token").read_text())
        token.chmod(0o600)

    def join(
        self,
        machine: NamespacedMachine,
        sections: Mapping[str, Any] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        ready: bool = True,
    ) -> Program:
        """Start `worker --join` on a machine; with `ready`, return it when it is in the fleet."""
        config = self.write_config(machine, sections)
        command = (
            sys.executable,
            "-m",
            "video_pipeline",
            "worker",
            "--join",
            self.address,
            "--config",
            config,
        )
        program = machine.start(*command, environ=environ)
        if ready:
            program.wait_for("this machine is in the fleet", READY_SECONDS)
        return program

    def status(self, machine: NamespacedMachine) -> list[dict[str, Any]]:
        """Return the fleet's machines as `cluster status --json` has them when it runs on a machine."""
        command = (sys.executable, "-m", "video_pipeline", "cluster", "status", "--json")
        done = machine.run(
            *command, "--join", self.address, "--config", "/tmp/node.yaml", seconds=READY_SECONDS
        )
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)["machines"]
        return found


def stop(program: Program) -> int:
    """End a program by SIGTERM; return its exit status."""
    program.signal(signal.SIGTERM)
    return program.wait(STOP_SECONDS)


def ray_logs(machine: NamespacedMachine) -> list[Path]:
    """Return the folders of Ray's logs on a machine, seen from outside."""
    return sorted(machine.tmp.glob("vp-*/session_2*/logs"))
