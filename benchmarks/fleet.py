"""What a fleet costs: the time of a small job through Ray against a local one, a machine that is added, memory.

    python -m benchmarks.fleet [--jobs 20] [--large 3] [--share 0.5]

Needs root: the machines are network namespaces on this computer, each with the programs of `serve --fleet` and
`worker --join`. The local node and the fleet's machine have one slot of one core each, and render the same stories,
in turns. Each machine has a core of its own. A large job is then rendered by one machine and, after another has been added, by both.
With --share only large jobs are rendered, by one machine and by three, each of which gets that share of a core from the kernel
(CPU bandwidth of control groups): so three can be tried on two cores. Memory is the resident set without what is shared (PSS), in MB, of a machine with one idle slot.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.report import markdown_table
from tests.support.cpu_share import cpu_share, on_a_core
from tests.support.jobs import node_config, submit, tiny_story, turn_until, turn_until_ended
from tests.support.rendering_fleet import TestFleet, fleet
from video_pipeline.engine.jobs.node.running_node import RunningNode

IDLE_SECONDS = 10.0
MOST_MACHINES = 3
LARGE_SECONDS = 60
OWN = ("video_pipeline", "ray::MachineSlot")


def seconds_of(job: Callable[[int], object], number: int) -> float:
    """Return how long a job took."""
    began = time.monotonic()
    job(number)
    return time.monotonic() - began


def memory_mb(pid: int) -> float:
    """Return the proportional resident set of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("Pss:"))) / 1000


def measure_jobs(made: TestFleet, folder: Path, jobs: int) -> tuple[list[float], list[float]]:
    """Return the seconds of the same jobs on a local node and on the fleet; a job of each before is not counted."""

    def remote(number: int) -> None:
        made.finished(made.submit(tiny_story(f"remote{number}", text=f"remote {number}")))

    with RunningNode(node_config(folder, node={"worker_memory_mb": 1000})) as node:

        def local(number: int) -> None:
            turn_until_ended(node, submit(node.ledger, tiny_story(f"local{number}", text=f"local {number}")))

        turn_until(node, lambda: node.dispatcher.capacity == 1, seconds=120)
        local(-1)
        remote(-1)
        pairs = [(seconds_of(local, number), seconds_of(remote, number)) for number in range(jobs)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def measure_large(made: TestFleet, name: str, count: int) -> list[float]:
    """Return the seconds of large jobs, each of frames that are in no cache."""

    def render(number: int) -> None:
        story = tiny_story(f"{name}{number}", seconds=LARGE_SECONDS, text=f"{name} {number}")
        job = made.finished(made.submit(story, config={"video": {"size": [540, 960], "preset": "medium"}}))
        assert job.result is not None, job.error_message
        print(f"{name}: {job.result['segments_from_shared']} of {job.result['segments']} segments elsewhere")

    return [seconds_of(render, number) for number in range(count)]


def compare_shares(folder: Path, share: float, count: int) -> list[tuple[str, str]]:
    """Return the rows of large jobs on one machine and on three, each with a share of a core."""
    with ExitStack() as opened:
        shares = [
            opened.enter_context(cpu_share(f"fleet-{number}", share)) for number in range(MOST_MACHINES)
        ]
        made = opened.enter_context(
            fleet(folder, machines=1, begins=lambda number: (*shares[number], *on_a_core(number)))
        )
        alone = statistics.median(measure_large(made, "alone", count))
        for _ in range(MOST_MACHINES - 1):
            made.add()
        made.wait_for_slots(MOST_MACHINES)
        together = statistics.median(measure_large(made, "together", count))
    return [
        ("share of a core that a machine gets", f"{share:g}"),
        ("large job, one machine, median s", f"{alone:.1f}"),
        (f"large job, {MOST_MACHINES} machines, median s", f"{together:.1f}"),
        ("times as fast", f"{alone / together:.2f}"),
    ]


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--jobs", type=int, default=20, help="small jobs of each kind (default 20)")
    parser.add_argument("--large", type=int, default=3, help="large jobs of each kind (default 3)")
    parser.add_argument("--share", type=float, help="share of a core of each of three machines")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="fleet-") as name:
        folder = Path(name)
        if given.share is not None:
            print(markdown_table(("what", "measured"), compare_shares(folder, given.share, given.large)))
            return 0
        with fleet(folder, machines=1, begins=on_a_core) as made:
            local, remote = measure_jobs(made, folder / "local", given.jobs)
            rows.append(("small job, local, median s", f"{statistics.median(local):.2f}"))
            rows.append(("small job, fleet, median s", f"{statistics.median(remote):.2f}"))
            more = [theirs - ours for ours, theirs in zip(local, remote, strict=True)]
            rows.append(("more than local, median s", f"{statistics.median(more):.2f}"))
            rows.append(("more than local, worst s", f"{max(more):.2f}"))
            time.sleep(IDLE_SECONDS)
            machine = made.machines[0]
            parts = {True: 0.0, False: 0.0}
            for pid in machine.pids():
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                own = any(mark in line for mark in OWN) and "fleet.ray_node" not in line
                parts[own] += memory_mb(pid)
            rows.append(("idle machine, Ray's own, MB", f"{parts[False]:.0f}"))
            rows.append(("idle machine, ours beyond it, MB", f"{parts[True]:.0f}"))
            alone = statistics.median(measure_large(made, "alone", given.large))
            made.add()
            began = time.monotonic()
            made.wait_until(
                lambda: "is in the fleet" in made.programs["m3"].output(), "a machine", seconds=300
            )
            joined = time.monotonic()
            made.wait_for_slots(2)
            rows.append(("added machine: Ray has started, s", f"{joined - began:.1f}"))
            rows.append(("from then until its slot is ready, s", f"{time.monotonic() - joined:.1f}"))
            both = statistics.median(measure_large(made, "both", given.large))
            rows.append(("large job, one machine, median s", f"{alone:.1f}"))
            rows.append(("large job, two machines, median s", f"{both:.1f}"))
            rows.append(("times as fast", f"{alone / both:.2f}"))
    print(markdown_table(("what", "measured"), rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
