"""How many machines one door can keep busy: the real scheduler and ledger, with simulated machines.

    python -m benchmarks.door [--machines 10 100 300] [--slots 2] [--queued 10000] [--seconds 30] [--job-seconds 12]

A simulated machine takes an attempt, tells its progress twice a second, and has a staging folder with real files ready
after a time around --job-seconds (log-normal, its seed is printed). The door claims, records and publishes as it does
for real machines: every transition is a synced commit, every video a rename. Printed for each number of machines: the
share of a core that the door's process takes, jobs a second, and how long a free slot waits for its next job.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import markdown_table
from tests.support.finished_jobs import staged_files
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.jobs.dispatch.base import FinishedReport, ProgressReport, Report
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.model import Attempt, NewJob, Progress
from video_pipeline.engine.jobs.node.scheduler import Scheduler

PROGRESS_SECONDS = 0.5
TURN_SECONDS = 0.02
SPREAD = 0.5
"""The deviation of the logarithm of an attempt's seconds."""


@dataclass(slots=True)
class SimulatedMachines:
    """A `Dispatcher` of machines that draw nothing: attempts end after random times, with a folder of real files."""

    folders: Folders
    template: Path
    slots: int
    job_seconds: float
    rng: random.Random
    waits: list[float] = field(default_factory=list)
    _events: list[tuple[float, int, Attempt, float]] = field(default_factory=list)
    _running: int = 0
    _number: int = 0
    _freed: list[float] = field(default_factory=list)

    @property
    def capacity(self) -> int:
        """All slots."""
        return self.slots

    @property
    def running(self) -> int:
        """Attempts that have not ended."""
        return self._running

    def start(self, attempt: Attempt) -> None:
        """Begin an attempt."""
        now = time.monotonic()
        if self._freed:
            self.waits.append(now - self._freed.pop(0))
        # The mean of a log-normal distribution is exp(mu + sigma^2 / 2).
        seconds = self.rng.lognormvariate(math.log(self.job_seconds) - SPREAD**2 / 2, SPREAD)
        self._running += 1
        self._push(now + min(PROGRESS_SECONDS, seconds), attempt, now + seconds)

    def stop(self, job_id: str, fence: int, *, now: bool = False) -> None:
        """Nothing is cancelled here."""

    def close(self) -> None:
        """There is nothing to release."""

    def reports(self, timeout: float) -> Sequence[Report]:
        """Return what the machines told until now."""
        deadline = time.monotonic() + timeout
        if not self._events or self._events[0][0] > deadline:
            time.sleep(timeout)
            return ()
        time.sleep(max(0.0, self._events[0][0] - time.monotonic()))
        found: list[Report] = []
        now = time.monotonic()
        while self._events and self._events[0][0] <= now:
            _, _, attempt, ends = heapq.heappop(self._events)
            if ends > now:
                left = ends - now
                found.append(
                    ProgressReport(
                        attempt.job_id, attempt.fence, Progress("rendering", 100 / (1 + left), 60.0, left)
                    )
                )
                self._push(min(ends, now + PROGRESS_SECONDS), attempt, ends)
                continue
            staging = self.folders.staging(attempt.job_id, attempt.fence)
            shutil.copytree(self.template, staging, copy_function=os.link)
            self._running -= 1
            self._freed.append(now)
            found.append(FinishedReport(attempt.job_id, attempt.fence, staging, {}))
        return found

    def _push(self, at: float, attempt: Attempt, ends: float) -> None:
        self._number += 1
        heapq.heappush(self._events, (at, self._number, attempt, ends))


def _config(folder: Path) -> Config:
    return load_config(
        {
            "node": {"state_path": str(folder / "state"), "min_free_mb": 1},
            "storage": {"output_path": str(folder / "out"), "cache_path": str(folder / "cache")},
        },
        environ=False,
    )


@dataclass(frozen=True, slots=True)
class DoorFigures:
    """What one run measured. `waits_s` are sorted: from a slot's last job's end to its next job's start."""

    machines: int
    core_share: float
    jobs_a_second: float
    waits_s: tuple[float, ...]

    def wait_ms(self, share: float) -> float:
        """Return a quantile of the waits in milliseconds."""
        if not self.waits_s:
            return math.nan
        return 1000 * self.waits_s[min(len(self.waits_s) - 1, int(share * len(self.waits_s)))]


def measure(
    machines: int, *, slots: int, queued: int, seconds: float, job_seconds: float, seed: int
) -> DoorFigures:
    """Run a door with so many simulated machines, after all slots are filled once."""
    with tempfile.TemporaryDirectory(prefix="door-") as name:
        folder = Path(name)
        config = _config(folder)
        folders = Folders.of(config)
        folders.make()
        template = folder / "template"
        staged_files(template)
        simulated = SimulatedMachines(folders, template, machines * slots, job_seconds, random.Random(seed))
        with Ledger(folders.ledger) as ledger:
            story = json.dumps({"id": "s", "title": "A light", "content": "The lamp is lit. " * 40})
            for start in range(0, queued, 500):
                jobs = [
                    NewJob(owner="load", story_id=f"s{number}", story=story)
                    for number in range(start, min(queued, start + 500))
                ]
                ledger.queue.submit_all(jobs, ageing=60, max_queued=10 * queued)
            scheduler = Scheduler(ledger, simulated, folders, config)
            while simulated.running < simulated.capacity:
                scheduler.step(0.0)
            simulated.waits.clear()
            before, began = _cpu_seconds(), time.monotonic()
            done = ledger.jobs.counts()
            while time.monotonic() - began < seconds:
                scheduler.step(TURN_SECONDS)
            wall = time.monotonic() - began
            used = _cpu_seconds() - before
            after = ledger.jobs.counts()
        ended = sum(after[status] - done.get(status, 0) for status in after if status.is_terminal)
        return DoorFigures(machines, used / wall, ended / wall, tuple(sorted(simulated.waits)))


def _cpu_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def main() -> int:
    """Measure each number of machines, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.door", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--machines", type=int, nargs="+", default=[10, 100, 300])
    parser.add_argument(
        "--slots", type=int, default=2, help="attempts that each machine runs at once (default 2)"
    )
    parser.add_argument("--queued", type=int, default=10_000, help="jobs in the queue (default 10000)")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to measure each (default 30)")
    parser.add_argument("--job-seconds", type=float, default=12.0, help="mean seconds of a job (default 12)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(f"seed {given.seed}")
    rows = []
    for machines in given.machines:
        found = measure(
            machines,
            slots=given.slots,
            queued=given.queued,
            seconds=given.seconds,
            job_seconds=given.job_seconds,
            seed=given.seed,
        )
        rows.append(
            [
                str(machines),
                f"{100 * found.core_share:.1f} %",
                f"{found.jobs_a_second:.1f}",
                f"{found.wait_ms(0.5):.1f}",
                f"{found.wait_ms(0.99):.1f}",
            ]
        )
    print(markdown_table(("machines", "of a core", "jobs/s", "wait ms, median", "wait ms, p99"), rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
