"""A fleet whose machines have two versions of the package, one after the other, while clients submit jobs."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import yaml

from tests.support.jobs import tiny_story
from tests.support.namespaces import NamespacedMachine
from tests.support.rendering_fleet import START_SECONDS, TestFleet, fleet
from tests.support.versions import edit, install, make_environment, wheel_of
from video_pipeline import NodeClient
from video_pipeline.engine.jobs.machines import MachinesFile
from video_pipeline.engine.jobs.model import Job, JobStatus
from video_pipeline.engine.render.compositors.native import FORMAT

OLD, NEW = "0.1.0", "0.1.1"
CHANGES = {
    "engine/render/compositors/native.py": edit(f"FORMAT = {FORMAT}\n", f"FORMAT = {FORMAT + 1}\n"),
    "engine/config/fleet_keys.py": edit("    lease: float", "    later: int = 1\n    lease: float"),
}
"""What the new version has besides its number: another identity of its compositor, and a key, `fleet.later`."""

STOP_SECONDS = 180.0
PAUSE_SECONDS = 0.1
WAITING_JOBS = 4

Order = Literal["half first", "server first"]


class Installations:
    """Which version each machine has installed, each in an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "shared" / "python"
        self._wheels: dict[str, Path] = {}
        self._pythons: dict[str, Path] = {}
        for version, changes in ((OLD, {}), (NEW, CHANGES)):
            place = folder / f"wheel-{version}"
            place.mkdir()
            self._wheels[version] = wheel_of(version, place, changes=changes)

    def python_of(self, machine: str) -> Path:
        """Return the Python of a machine; at first it has the old version."""
        if machine not in self._pythons:
            self._folder.mkdir(exist_ok=True)
            self._pythons[machine] = make_environment(self._folder / machine)
            self.install(OLD, machine)
        return self._pythons[machine]

    def install(self, version: str, machine: str) -> None:
        """Install a version in place of the one that is there."""
        install(self._wheels[version], self._pythons[machine], compiled=False)


class Submitter:
    """A client that keeps some jobs waiting until it is stopped; it waits for the server while that restarts."""

    def __init__(self, bind: str) -> None:
        self.acknowledged: list[str] = []
        self.error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(bind,))
        self._thread.start()

    def stop(self) -> None:
        """Stop after the request that is under way; raise what went wrong."""
        self._stopped.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self, bind: str) -> None:
        waiting: list[str] = []
        try:
            with NodeClient(bind, timeout=STOP_SECONDS) as client:
                while not self._stopped.wait(PAUSE_SECONDS):
                    if len(waiting) < WAITING_JOBS:
                        key = f"job-{len(self.acknowledged)}"
                        waiting.append(client.submit(tiny_story(key, text=key), key=key).job_id)
                        self.acknowledged.append(waiting[-1])
                    if client.status(waiting[0]).status == "completed":
                        del waiting[0]
        except BaseException as error:
            self.error = error


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade was like. `ended` is when the old server had ended; `gaps` are seconds from a job's end to the next."""

    seconds: float
    ended: float
    jobs: tuple[Job, ...]
    gaps: tuple[float, ...]


class UpgradedFleet:
    """A fleet that is brought from the old version to the new one."""

    def __init__(self, made: TestFleet, installed: Installations) -> None:
        self.made, self._installed = made, installed
        self._began = time.monotonic()

    def upgrade(self, order: Order) -> Upgrade:
        """Upgrade server and machines while a client submits jobs; wait until all that it submitted has ended.

        Half first: half of the machines, the server, the others. Server first: the server, then all machines.
        """
        made = self.made
        client = Submitter(made.config.node.bind)
        self._began = time.monotonic()
        half = (len(made.machines) + 1) // 2 if order == "half first" else 0
        first, rest = made.machines[:half], made.machines[half:]
        try:
            for machine in first:
                self._renew(machine)
                self._wait_until_refused(machine, version=NEW, server=OLD)
            if first:
                self._wait_for_jobs(client)
            self._say("the server is stopped")
            self._stop("door")
            ended = time.time()
            self._installed.install(NEW, made.door.name)
            self._use_later_key()
            self._say("the server is started")
            made.serve()
            for machine in first:
                self._wait_until_ready(machine)
            for machine in rest:
                self._wait_until_refused(machine, version=OLD, server=NEW)
            if first:
                self._wait_for_jobs(client)
            for machine in rest:
                self._renew(machine)
                self._wait_until_ready(machine)
            self._wait_for_jobs(client)
            seconds = time.monotonic() - self._began
        finally:
            client.stop()
        made.acknowledged += client.acknowledged
        jobs = tuple(made.finished(job_id) for job_id in made.acknowledged)
        ends = sorted(job.finished_at for job in jobs if job.finished_at)
        return Upgrade(seconds, ended, jobs, tuple(after - before for before, after in pairwise(ends)))

    def check(self, found: Upgrade) -> None:
        """Assert that each acknowledged job completed once, uncharged, and was made by the version of its server."""
        for job in found.jobs:
            assert (job.status, job.attempts) == (JobStatus.COMPLETED, 1), (
                job.error_message,
                self.made.told(),
            )
            assert job.finished_at is not None
            assert self.made_by(job) == (OLD if job.finished_at < found.ended else NEW)
        self.made.audit()

    def made_by(self, job: Job) -> str:
        """Return the version that made a finished job."""
        (manifest,) = self.made.folders.published(job.job_id).glob("*.manifest.json")
        return str(json.loads(manifest.read_text(encoding="utf-8"))["versions"]["video_pipeline"])

    def _use_later_key(self) -> None:
        """Set a key in the server's configuration that the old version refuses; machines get it with each slot."""
        file = self.made.shared / f"{self.made.door.name}.yaml"
        settings = yaml.safe_load(file.read_text())
        settings["video_pipeline"]["fleet"]["later"] = 2
        file.write_text(yaml.safe_dump(settings))

    def _renew(self, machine: NamespacedMachine) -> None:
        """SIGTERM, install, start."""
        self._say(f"{machine.name} is stopped")
        self._stop(machine.name)
        self._installed.install(NEW, machine.name)
        self.made.join(machine)

    def _stop(self, name: str) -> None:
        program = self.made.programs[name]
        program.signal(signal.SIGTERM)
        assert program.wait(STOP_SECONDS) == 0, program.output()[-3000:]

    def _wait_until_refused(self, machine: NamespacedMachine, *, version: str, server: str) -> None:
        """Wait until the server has refused a machine, and says so to clients, with the reason and its version."""
        reason = f"{machine.name} is refused: video-pipeline {version}, the node has {server}"
        self._wait_for_line(reason)
        file = MachinesFile(self.made.folders.machines)
        wanted = (machine.name, "not ready", version, (reason,))

        def is_told() -> bool:
            return wanted in [(view.name, view.state, view.version, view.reasons) for view in file.read()]

        self.made.wait_until(is_told, f"a view of {machine.name}")

    def _wait_until_ready(self, machine: NamespacedMachine) -> None:
        self._wait_for_line(f"a slot on {machine.name} is ready")

    def _wait_for_line(self, line: str) -> None:
        """Wait until the present server has said something."""
        program = self.made.programs["door"]
        self.made.wait_until(lambda: line in program.output(), line, seconds=START_SECONDS)
        self._say(line)

    def _wait_for_jobs(self, client: Submitter) -> None:
        """Wait until two more jobs have completed."""

        def completed() -> int:
            known = list(client.acknowledged)
            return sum(self.made.job(job_id).status is JobStatus.COMPLETED for job_id in known)

        wanted = completed() + 2
        self.made.wait_until(lambda: completed() >= wanted or client.error, "two more jobs")

    def _say(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {what}", flush=True)


@contextmanager
def fleet_to_upgrade(folder: Path, *, machines: int) -> Iterator[UpgradedFleet]:
    """Give a fleet of the old version."""
    installed = Installations(folder)
    with fleet(folder, machines=machines, python_of=installed.python_of) as made:
        yield UpgradedFleet(made, installed)
