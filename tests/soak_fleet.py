"""Kill, cut off and stop the machines of a fleet and its server while they render, and audit what is left.

    python -m tests.soak_fleet [--kills 200] [--machines 2] [--seed 1]

Needs root: the machines are network namespaces. Every acknowledged job must end once, with one whole video, and
nothing may be left running, in staging or in the storage.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.support.jobs import long_story, tiny_story
from tests.support.namespaces import NamespacedMachine
from tests.support.rendering_fleet import LEASE, TestFleet, fleet

WAITING = 6
"""Jobs that are kept queued or running."""

END_SECONDS = 1800.0


def kill_machine(made: TestFleet, machine: NamespacedMachine, rng: random.Random) -> None:
    """Cut a machine's power, and switch it on again later."""
    machine.kill()
    time.sleep(rng.uniform(0, 2 * LEASE))
    machine.power_on()
    made.join(machine)


def cut_machine(made: TestFleet, machine: NamespacedMachine, rng: random.Random) -> None:
    """Cut a machine off for less or more than a lease."""
    machine.cut()
    time.sleep(rng.uniform(0, 3 * LEASE))
    machine.heal()


def freeze_machine(made: TestFleet, machine: NamespacedMachine, rng: random.Random) -> None:
    """Stop all that runs on a machine for less or more than a lease."""
    machine.freeze()
    time.sleep(rng.uniform(0, 3 * LEASE))
    machine.thaw()


def kill_server(made: TestFleet, machine: NamespacedMachine, rng: random.Random) -> None:
    """Kill the server, with which its Ray ends, and start it again."""
    made.programs["door"].signal(signal.SIGKILL)
    made.wait_until(lambda: not made.door.pids(), "the end of all that the server had started")
    made.serve()


def kill_control_store(made: TestFleet, machine: NamespacedMachine, rng: random.Random) -> None:
    """Kill the process of Ray that knows the machines."""
    _kill_one(made.door, "gcs/gcs_server")


def kill_bridge(made: TestFleet, machine: NamespacedMachine, rng: random.Random) -> None:
    """Kill the server's process that talks to Ray."""
    _kill_one(made.door, "dispatch.ray_bridge")


def kill_slot(made: TestFleet, machine: NamespacedMachine, rng: random.Random) -> None:
    """Kill a slot's process or its worker."""
    _kill_one(machine, rng.choice(("MachineSlot", "dispatch.worker ")))


FAULTS = (kill_machine, cut_machine, freeze_machine, kill_server, kill_control_store, kill_bridge, kill_slot)


def _kill_one(machine: NamespacedMachine, name: str) -> None:
    for pid in machine.named(name)[:1]:
        os.kill(pid, signal.SIGKILL)


def soak(made: TestFleet, *, kills: int, rng: random.Random) -> Counter[str]:
    """Do so many faults while jobs run; wait until all have ended; return how often each fault was done."""
    done: Counter[str] = Counter()
    number = 0
    for _ in range(kills):
        while sum(not made.job(job_id).status.is_terminal for job_id in made.acknowledged) < WAITING:
            number += 1
            story = (
                long_story(f"long-{number}", seconds=60) if rng.random() < 0.5 else tiny_story(f"t-{number}")
            )
            made.submit(story, max_attempts=10)
        time.sleep(rng.uniform(0, 5))
        fault = rng.choice(FAULTS)
        fault(made, rng.choice(made.machines), rng)
        done[fault.__name__] += 1
        print(f"{sum(done.values())} of {kills}: {fault.__name__}; {number} jobs", flush=True)
    for job_id in made.acknowledged:
        made.wait_until(
            lambda job_id=job_id: made.job(job_id).status.is_terminal, job_id, seconds=END_SECONDS
        )
    return done


def main() -> int:
    """Run the faults, audit, and say how many jobs ended how."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak_fleet", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--machines", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(f"seed {given.seed}")
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as name,
        fleet(Path(name), machines=given.machines) as made,
    ):
        done = soak(made, kills=given.kills, rng=random.Random(given.seed))
        made.audit()
        ends = Counter(str(made.job(job_id).status) for job_id in made.acknowledged)
    print(
        f"{dict(done)}; {len(made.acknowledged)} jobs acknowledged, {dict(ends)}; nothing lost, nothing left"
    )
    return 0 if set(ends) == {"completed"} else 1


if __name__ == "__main__":
    raise SystemExit(main())
