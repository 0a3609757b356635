"""What saturates first in a fleet of 10, 100 and 1,000 machines: a simulation with service times that were recorded.

    python -m benchmarks.fleet_limits --record      measure the service times here, and store them
    python -m benchmarks.fleet_limits               simulate with the stored ones; --storages 20: with 20 storage servers

Recorded are: the seconds of a job and the bytes that it puts into the shared storage (the lighthouse example, rendered here with an
empty cache), the door's processor time for a job (benchmarks.door), what one storage server stores and returns (SeaweedFS on
loopback, 8 at once), and the requests of Ray's control store to its Redis for each machine. Jobs arrive so that every slot always has
one. A station that is busy all the time is the limit; more machines then only wait. The door publishes one job after another.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import simpy

from benchmarks import door
from benchmarks.machine import describe_machine
from benchmarks.report import markdown_table
from tests.support.rendering_fleet import fleet
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY, S3Server
from video_pipeline.engine.common.object_store import ObjectStore
from video_pipeline.engine.common.open_store import open_store
from video_pipeline.engine.config import load_config
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.pipeline import render_story

RESULTS = Path(__file__).parent / "results" / "fleet-limits.json"
EXAMPLE = Path(__file__).parent.parent / "examples" / "lighthouse.json"
STREAMS = 8
"""Transfers that the storage serves at once at the recorded rate."""

OBJECT_BYTES = 3_000_000
STORAGE_SECONDS = 8.0
REDIS_SECONDS = 20.0
REDIS_PORT = 6390
SPREAD = 0.5
"""The deviation of the logarithm of a job's seconds."""


@dataclass(frozen=True, slots=True)
class ServiceTimes:
    """What was recorded. Bytes are those of one job; rates are those of one storage server."""

    job_seconds: float
    put_bytes: int
    result_bytes: int
    door_seconds: float
    storage_put_bytes_a_second: float
    storage_get_bytes_a_second: float
    redis_requests_a_second_and_machine: float
    redis_requests_a_second: float


@dataclass(frozen=True, slots=True)
class LimitFigures:
    """What one simulation found: shares of time in which each station was busy, and jobs an hour."""

    machines: int
    slots: int
    jobs_an_hour: float
    door: float
    storage: float
    redis: float
    waiting: float
    """Share of the slots' time in which they wait for a station."""


# --- recording -----------------------------------------------------------------------------------


def record_job(folder: Path) -> tuple[float, int, int]:
    """Render the example with empty caches; return its seconds, the bytes in the shared storage, and those of its files."""
    (folder / "store").mkdir()
    config = load_config(
        {"storage": {"cache_path": str(folder / "cache")}, "fleet": {"store": str(folder / "store")}},
        environ=False,
    )
    began = time.perf_counter()
    result = render_story(EXAMPLE, folder / "out" / "v.mp4", config=config)
    seconds = time.perf_counter() - began
    stored = sum(path.stat().st_size for path in (folder / "store").rglob("*") if path.is_file())
    files = sum(path.stat().st_size for path in result.outputs.by_role().values())
    return seconds, stored + files, files


def record_storage(folder: Path, patch: dict[str, str]) -> tuple[float, float]:
    """Return the bytes a second that a storage server stores and returns."""
    import os

    os.environ.update(patch)
    data = random.Random(1).randbytes(OBJECT_BYTES)
    with S3Server(folder) as server:
        import botocore.session

        client = botocore.session.get_session().create_client("s3", endpoint_url=server.url)
        client.create_bucket(Bucket="limits")
        store = open_store("s3://limits", endpoint=server.url)
        count = _transfers(store, data, putting=True)
        taken = _transfers(store, data, putting=False, count=count[0])
    return count[0] * OBJECT_BYTES / count[1], taken[0] * OBJECT_BYTES / taken[1]


def _transfers(store: ObjectStore, data: bytes, *, putting: bool, count: int = 0) -> tuple[int, float]:
    """Store or fetch objects for a while, STREAMS at once; return their number and the seconds."""
    until = time.perf_counter() + STORAGE_SECONDS

    def work(stream: int) -> int:
        done = 0
        while time.perf_counter() < until and (putting or done * STREAMS + stream < count):
            key = f"o/{stream}/{done}"
            if putting:
                store.put_if_absent(key, data)
            elif store.get(key) is None:
                break
            done += 1
        return done

    began = time.perf_counter()
    with ThreadPoolExecutor(STREAMS) as pool:
        numbers = list(pool.map(work, range(STREAMS)))
    return sum(numbers), time.perf_counter() - began


def record_redis(folder: Path) -> tuple[float, float]:
    """Return the requests a second to Redis of a fleet without machines, and those that each machine adds."""
    rates = []
    with fleet(folder, machines=1, redis_port=REDIS_PORT) as made:
        assert made.redis is not None
        for machines in (1, 2):
            if machines == 2:
                made.add()
                made.wait_for_slots(2)
            before = made.redis.requests()
            time.sleep(REDIS_SECONDS)
            rates.append((made.redis.requests() - before) / REDIS_SECONDS)
    each = max(0.0, rates[1] - rates[0])
    return max(0.0, rates[0] - each), each


def record() -> ServiceTimes:
    """Measure all service times on this machine."""
    with tempfile.TemporaryDirectory(prefix="limits-") as name:
        folder = Path(name)
        (folder / "job").mkdir()
        job_seconds, put_bytes, result_bytes = record_job(folder / "job")
        found = door.measure(100, slots=2, queued=10_000, seconds=20, job_seconds=12, seed=1)
        keys = {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }
        stored, returned = record_storage(folder / "s3", keys)
        (folder / "fleet").mkdir()
        base, each = record_redis(folder / "fleet")
    return ServiceTimes(
        job_seconds=job_seconds,
        put_bytes=put_bytes,
        result_bytes=result_bytes,
        door_seconds=found.core_share / found.jobs_a_second,
        storage_put_bytes_a_second=stored,
        storage_get_bytes_a_second=returned,
        redis_requests_a_second_and_machine=each,
        redis_requests_a_second=base,
    )


# --- simulation ----------------------------------------------------------------------------------


def simulate(
    times: ServiceTimes, machines: int, *, slots: int, hours: float, seed: int, redis_limit: float = 50_000.0
) -> LimitFigures:
    """Simulate a fleet; `redis_limit` are the requests a second that one Redis answers.

    The first half of the hours is not counted: the queues of what saturates grow meanwhile.
    """
    world = simpy.Environment()
    storage = simpy.Resource(world, capacity=STREAMS)
    desk = simpy.Resource(world, capacity=1)
    rng = random.Random(seed)
    busy = {"door": 0.0, "storage": 0.0, "rendering": 0.0}
    ended = 0
    end = hours * 3600
    began = end / 2

    def counted(seconds: float) -> float:
        """Return how many of the seconds that begin now count."""
        return max(0.0, min(end, world.now + seconds) - max(began, world.now))

    def use(station: simpy.Resource, name: str, seconds: float) -> Generator[Any, Any, None]:
        with station.request() as turn:
            yield turn
            busy[name] += counted(seconds)
            yield world.timeout(seconds)

    def slot() -> Generator[Any, Any, None]:
        nonlocal ended
        yield world.timeout(rng.uniform(0, times.job_seconds))
        while True:
            yield from use(desk, "door", times.door_seconds / 2)
            # The mean of a log-normal distribution is exp(mu + sigma^2 / 2).
            seconds = rng.lognormvariate(math.log(times.job_seconds) - SPREAD**2 / 2, SPREAD)
            busy["rendering"] += counted(seconds)
            yield world.timeout(seconds)
            yield from use(storage, "storage", STREAMS * times.put_bytes / times.storage_put_bytes_a_second)
            yield from use(
                storage, "storage", STREAMS * times.result_bytes / times.storage_get_bytes_a_second
            )
            yield from use(desk, "door", times.door_seconds / 2)
            ended += world.now >= began

    for _ in range(machines * slots):
        world.process(slot())
    world.run(until=end)
    return LimitFigures(
        machines,
        slots,
        ended / (hours / 2),
        busy["door"] / (end - began),
        busy["storage"] / (end - began) / STREAMS,
        (times.redis_requests_a_second + machines * times.redis_requests_a_second_and_machine) / redis_limit,
        max(0.0, 1 - sum(busy.values()) / ((end - began) * machines * slots)),
    )


def main() -> int:
    """Record, or simulate and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet_limits", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--record", action="store_true", help="measure the service times here and store them")
    parser.add_argument("--machines", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--slots", type=int, default=2, help="slots of each machine (default 2)")
    parser.add_argument("--hours", type=float, default=4.0, help="simulated hours (default 4)")
    parser.add_argument(
        "--storages", type=float, default=1.0, help="storage servers like the recorded one (default 1)"
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.record:
        document = {"machine": describe_machine(str(find_ffmpeg().path)), "service_times": asdict(record())}
        RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    times = ServiceTimes(**json.loads(RESULTS.read_text(encoding="utf-8"))["service_times"])
    times = replace(
        times,
        storage_put_bytes_a_second=given.storages * times.storage_put_bytes_a_second,
        storage_get_bytes_a_second=given.storages * times.storage_get_bytes_a_second,
    )
    print(f"seed {given.seed}; a job: {times.job_seconds:.1f} s, {times.put_bytes / 1e6:.1f} MB stored")
    rows = []
    for machines in given.machines:
        found = simulate(times, machines, slots=given.slots, hours=given.hours, seed=given.seed)
        shares = {"door": found.door, "storage": found.storage, "Redis": found.redis}
        first = max(shares, key=lambda name: shares[name])
        rows.append(
            [
                str(machines),
                f"{found.jobs_an_hour:.0f}",
                *(f"{100 * share:.1f} %" for share in shares.values()),
                f"{100 * found.waiting:.1f} %",
                first,
            ]
        )
    header = ("machines", "jobs an hour", "door", "storage", "Redis", "slots wait", "first limit")
    print(markdown_table(header, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
