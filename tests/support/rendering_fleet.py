"""A fleet of namespaces: a server and machines, each with the real programs of the command line."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.audit import assert_sound
from tests.support.fleet_services import BucketStorage, FolderStorage, RedisServer, TestStorage
from tests.support.jobs import job_of, node_settings, submit
from tests.support.namespaces import NamespacedMachine, NamespacedNetwork, Program, network
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.model import Job

START_SECONDS = 300.0
"""Ray takes ten seconds to start on idle cores, and minutes on busy ones."""

JOB_SECONDS = 300.0
LEASE = 4.0
TIDY_SECONDS = 60.0
"""What a lost machine has put into the storage too late is deleted later."""

Begins = Callable[[int], Sequence[str]]

SPLIT_SECONDS = 8.0
"""More than the drawing of `long_story` is estimated at, less than that of `large_story`."""


class TestFleet:
    """A server `door` and machines that render. Folders below `shared` are the same on all."""

    __test__ = False
    begins: Begins | None = None
    """How the commands of a machine begin, by its number from 0; None: as they are."""

    def __init__(
        self,
        net: NamespacedNetwork,
        folder: Path,
        fleet: Mapping[str, Any],
        *,
        redis_port: int | None = None,
        bucket: bool = False,
        python_of: Callable[[str], Path] | None = None,
    ) -> None:
        self._net, self.shared, self._keys = net, folder / "shared", dict(fleet)
        self._python_of = python_of
        self.shared.mkdir()
        (self.shared / "assets").mkdir()
        self.door = net.machine(shared=[self.shared])
        self.redis = None if redis_port is None else RedisServer(self.door, redis_port)
        self.bucket = BucketStorage(self.door, self.shared / "s3") if bucket else None
        self.storage: TestStorage = self.bucket or FolderStorage(self.shared / "store")
        self.machines: list[NamespacedMachine] = []
        self.programs: dict[str, Program] = {}
        self.acknowledged: list[str] = []
        self._own: dict[str, tuple[Mapping[str, str], Mapping[str, Mapping[str, Any]]]] = {}
        settings, self._door_file = self._configure(self.door)
        self.config: Config = load_config(settings, environ=False)
        self.folders = Folders.of(self.config)
        self.serve()
        self.wait_until((self.folders.state / "fleet" / "token").exists, "a token")
        (self.shared / "token").write_bytes((self.folders.state / "fleet" / "token").read_bytes())
        (self.shared / "token").chmod(0o600)
        self.ledger = Ledger(self.folders.ledger)

    def serve(self) -> None:
        """Start the server."""
        self.programs["door"] = self._start(self.door, "serve", "--fleet", "--config", self._door_file)

    def kill_server(self) -> None:
        """Kill the server, with which its Ray ends."""
        self.programs["door"].signal(signal.SIGKILL)
        services = {each.program.pid for each in (self.redis, self.bucket) if each is not None}
        self.wait_until(
            lambda: not set(self.door.pids()) - services, "the end of all that the server had started"
        )

    def add(
        self, *, environ: Mapping[str, str] | None = None, **sections: Mapping[str, Any]
    ) -> NamespacedMachine:
        """Add a machine of one slot, and let it join; `sections` are its own configuration."""
        machine = self._net.machine(shared=[self.shared])
        self.machines.append(machine)
        self._own[machine.name] = dict(environ or {}), sections
        self.join(machine)
        return machine

    def join(self, machine: NamespacedMachine) -> None:
        """Let a machine join, which has no program or whose programs were killed."""
        _, file = self._configure(machine, token_path=str(self.shared / "token"))
        self.programs[machine.name] = self._start(
            machine,
            *("worker", "--join", f"{self.door.address}:6379", "--config", file),
            begin=self.begins(self.machines.index(machine)) if self.begins else (),
        )

    def wait_for_slots(self, count: int) -> None:
        """Wait until the server has said so many times, since it was started, that a slot is ready."""
        self.wait_until(lambda: self.ready_slots() >= count, f"{count} slots", seconds=START_SECONDS)

    def ready_slots(self) -> int:
        """Return how many times the server has said that a slot is ready."""
        return len(re.findall(r"a slot on m\d+ is ready", self.programs["door"].output()))

    def submit(self, story: Mapping[str, Any], **values: Any) -> str:
        """Queue a job and return its id."""
        job_id = submit(self.ledger, story, **values)
        self.acknowledged.append(job_id)
        return job_id

    def machine_of(self, job_id: str) -> NamespacedMachine:
        """Wait until frames of a job are drawn, and return the machine that does it."""
        self.wait_until(lambda: (self.job(job_id).percent or 0) > 17, "frames of a job")
        for machine in self.machines:
            if machine.is_on and any(machine.tmp.rglob(f"{job_id}.*/attempt.json")):
                return machine
        raise AssertionError(f"no machine has {job_id}")

    def job(self, job_id: str) -> Job:
        """Return a job."""
        return job_of(self.ledger, job_id)

    def finished(self, job_id: str) -> Job:
        """Wait for the end of a job and return it."""
        self.wait_until(lambda: self.job(job_id).status.is_terminal, f"the end of {job_id}")
        return self.job(job_id)

    def wait_until(
        self, condition: Callable[[], object], what: str, *, seconds: float = JOB_SECONDS
    ) -> float:
        """Wait until a condition holds; return the seconds it took, or fail with what all programs wrote."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what}\n{self.told()}"
            time.sleep(0.05)
        return time.monotonic() - began

    def told(self) -> str:
        """Return the end of what every program has written."""
        return "\n".join(f"== {name}\n{each.output()[-3000:]}" for name, each in self.programs.items())

    def audit(self) -> None:
        """Assert that each job has one end and one output, and that nothing of them is left, in the storage neither."""
        assert_sound(self.folders, self.acknowledged, running=self.door.pids, settle=TIDY_SECONDS)
        self.wait_until(
            lambda: not self.storage.objects("staged/"),
            "a storage without staged files",
            seconds=TIDY_SECONDS,
        )

    def _configure(self, machine: NamespacedMachine, **fleet: Any) -> tuple[dict[str, Any], Path]:
        folder = self.shared / "door" if machine is self.door else Path("/tmp/vp")
        settings = node_settings(
            folder,
            cache=folder / "cache",
            fleet={
                "bind": machine.address,
                **self.storage.keys,
                "lease": LEASE,
                "split_seconds": SPLIT_SECONDS,
                **self._keys,
                **fleet,
            },
            node={"worker_memory_mb": 1000, "asset_roots": [str(self.shared / "assets")]},
            processing={
                "max_concurrent_jobs": 1,
                **({"redis_url": f"redis://127.0.0.1:{self.redis.port}"} if self.redis else {}),
            },
        )
        for section, values in self._own.get(machine.name, ({}, {}))[1].items():
            settings[section] = {**settings.get(section, {}), **values}
        if machine is self.door:
            folder.mkdir(exist_ok=True)
        file = self.shared / f"{machine.name}.yaml"
        file.write_text(yaml.safe_dump({"video_pipeline": settings}))
        return settings, file

    def _start(
        self, machine: NamespacedMachine, *arguments: str | Path, begin: Sequence[str] = ()
    ) -> Program:
        environ = {**self.storage.environ, **self._own.get(machine.name, ({}, {}))[0]}
        command: tuple[str | Path, ...] = (sys.executable,)
        if self._python_of is not None:
            python = self._python_of(machine.name)  # the checkout, as its folder, would have another version
            command = ("env", f"--chdir={python.parent}", python)
            environ["PYTHONPATH"] = ""
        return machine.start(*begin, *command, "-m", "video_pipeline", *arguments, environ=environ)


@contextmanager
def fleet(
    folder: Path,
    *,
    machines: int,
    begins: Begins | None = None,
    redis_port: int | None = None,
    bucket: bool = False,
    python_of: Callable[[str], Path] | None = None,
    **keys: Any,
) -> Iterator[TestFleet]:
    """Give a fleet with machines of one slot each; skip the test if there can be none.

    `begins` returns how a machine's commands begin, by its number from 0. `python_of` returns the Python, in a folder below `folder`/shared, that has the package of a machine, by its name.
    """
    with network(folder) as net:
        made = TestFleet(net, folder, keys, redis_port=redis_port, bucket=bucket, python_of=python_of)
        made.begins = begins
        try:
            for _ in range(machines):
                made.add()
            made.wait_for_slots(machines)
            yield made
        finally:
            made.ledger.close()
