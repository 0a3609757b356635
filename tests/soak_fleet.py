"""Kill, cut off and stop the machines of a fleet, its server, its storage and its Redis while it renders; audit the rest.

    python -m tests.soak_fleet [--kills 200] [--machines 2] [--seed 1] [--storage folder|bucket]

Needs root: the machines are network namespaces. Redis is behind the server's control store if redis-server is
installed; the bucket is one of SeaweedFS. Every acknowledged job must end once, with one whole video, and
nothing may be left running, in staging or in the storage.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from tests.support.jobs import long_story, tiny_story
from tests.support.namespaces import NamespacedMachine
from tests.support.rendering_fleet import LEASE, TestFleet, fleet
from tests.support.s3_server import weed_program

WAITING = 6
"""Jobs that are kept queued or running."""

END_SECONDS = 1800.0
REDIS_PORT = 6390
Fault = Callable[[TestFleet, NamespacedMachine, random.Random], None]


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
    made.kill_server()
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


def kill_redis(made: TestFleet, machine: NamespacedMachine, rng: random.Random) -> None:
    """Kill Redis for less or more than a lease; a third of the times it has forgotten everything."""
    assert made.redis is not None
    with made.redis.away(forgets=rng.random() < 1 / 3):
        time.sleep(rng.uniform(0, 3 * LEASE))


def kill_server_and_redis(made: TestFleet, machine: NamespacedMachine, rng: random.Random) -> None:
    """Kill the server and Redis, as a cut of their machine's power does; the server is the first to come back."""
    assert made.redis is not None
    with made.redis.away():
        made.kill_server()
        made.serve()
        time.sleep(rng.uniform(0, 3 * LEASE))


def lose_storage(made: TestFleet, machine: NamespacedMachine, rng: random.Random) -> None:
    """Take the shared storage away for less or more than a lease."""
    with made.storage.away():
        time.sleep(rng.uniform(0, 3 * LEASE))


def stop_storage(made: TestFleet, machine: NamespacedMachine, rng: random.Random) -> None:
    """Let the shared storage answer nothing for less or more than a lease."""
    assert made.bucket is not None
    with made.bucket.stopped():
        time.sleep(rng.uniform(0, 3 * LEASE))


def damage_objects(made: TestFleet, machine: NamespacedMachine, rng: random.Random) -> None:
    """Overwrite a tenth of what is in the shared storage."""
    keys = made.storage.objects("")
    made.storage.damage(*rng.sample(keys, (len(keys) + 9) // 10))


FAULTS: tuple[Fault, ...] = (
    kill_machine,
    cut_machine,
    freeze_machine,
    kill_server,
    kill_control_store,
    kill_bridge,
    kill_slot,
    lose_storage,
    damage_objects,
)
REDIS_FAULTS: tuple[Fault, ...] = (kill_redis, kill_server_and_redis)
BUCKET_FAULTS: tuple[Fault, ...] = (stop_storage,)


def faults_of(made: TestFleet) -> tuple[Fault, ...]:
    """Return the faults that a fleet can have."""
    return FAULTS + (REDIS_FAULTS if made.redis else ()) + (BUCKET_FAULTS if made.bucket else ())


def next_story(made: TestFleet, number: int, rng: random.Random) -> dict[str, Any]:
    """Return a story: of a second, of two minutes, or with a picture of its own that travels through the storage."""
    kind = rng.choice(("tiny", "long", "picture"))
    if kind == "long":
        return long_story(f"long-{number}", seconds=60)
    story = tiny_story(f"{kind}-{number}")
    if kind == "picture":
        path = made.shared / "assets" / f"{number}.png"
        Image.frombytes("RGB", (160, 284), rng.randbytes(160 * 284 * 3)).save(path)
        story["scenes"][0]["image"] = str(path)
    return story


def _kill_one(machine: NamespacedMachine, name: str) -> None:
    for pid in machine.named(name)[:1]:
        os.kill(pid, signal.SIGKILL)


def soak(made: TestFleet, *, kills: int, rng: random.Random) -> Counter[str]:
    """Do so many faults while jobs run; wait until all have ended; return how often each fault was done."""
    done: Counter[str] = Counter()
    faults = faults_of(made)
    number = 0

    def waiting() -> int:
        return sum(not made.job(job_id).status.is_terminal for job_id in made.acknowledged)

    for _ in range(kills):
        while waiting() < WAITING:
            number += 1
            made.submit(next_story(made, number, rng), max_attempts=10)
        if rng.random() < 1 / 5:
            left = waiting()
            made.wait_until(lambda left=left: waiting() < left, "the end of a job", seconds=END_SECONDS)
        time.sleep(rng.uniform(0, 5))
        fault = rng.choice(faults)
        fault(made, rng.choice(made.machines), rng)
        assert made.programs["door"].status is None, f"the server has ended\n{made.told()}"
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
    parser.add_argument(
        "--storage", choices=("folder", "bucket"), default="bucket" if weed_program() else "folder"
    )
    given = parser.parse_args()
    print(f"seed {given.seed}, storage: {given.storage}")
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as name,
        fleet(
            Path(name),
            machines=given.machines,
            redis_port=REDIS_PORT if shutil.which("redis-server") else None,
            bucket=given.storage == "bucket",
        ) as made,
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
