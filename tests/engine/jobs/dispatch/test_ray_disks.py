"""Disks of a fleet that are full, read-only or damaged while jobs run: the reason is told, and a job costs only time."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.jobs import tiny_story
from tests.support.namespaces import NamespacedMachine
from tests.support.rendering_fleet import START_SECONDS, TestFleet, fleet
from video_pipeline import NodeClient
from video_pipeline.engine.jobs.model import JobStatus

pytestmark = pytest.mark.slow

FAULT = "a fault of the machine, not of the job: "


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFleet]:
    """A fleet of one machine, which each test leaves as it found it."""
    with fleet(tmp_path_factory.mktemp("disks"), machines=1) as made:
        with NodeClient(made.config.node.bind, timeout=START_SECONDS) as client:
            made.wait_until(lambda: client.stats().slots == 1, "a slot that clients see")
        yield made


def inside(machine: NamespacedMachine, path: Path) -> str:
    """Return the path in a machine of what is below its /tmp."""
    return str(Path("/tmp") / path.relative_to(machine.tmp))


def on(machine: NamespacedMachine, *command: str) -> None:
    done = machine.run(*command)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def finishes_after(fleet: TestFleet, job_id: str, reason: str, mend: tuple[str, ...]) -> None:
    """Wait for a fault, mend it, and assert that the job then completes in its first attempt."""
    door, (machine,) = fleet.programs["door"], fleet.machines

    def is_told() -> bool:
        lines = [line for line in door.output().splitlines() if job_id in line and FAULT in line]
        return any(reason in line for line in lines)

    try:
        fleet.wait_until(is_told, reason)
        assert not fleet.job(job_id).status.is_terminal
    finally:
        on(machine, *mend)
    job = fleet.finished(job_id)
    assert (job.status, job.attempts) == (JobStatus.COMPLETED, 1), (job.error_message, fleet.told())
    fleet.audit()


def test_a_storage_that_is_read_only_on_a_machine_is_named(one: TestFleet) -> None:
    (machine,) = one.machines
    store = str(one.shared / "store")
    on(machine, "mount", "--bind", store, store)
    on(machine, "mount", "-o", "remount,bind,ro", store)
    job_id = one.submit(tiny_story("read-only"))
    reason = f"fleet.store: {store}: Read-only file system (on {machine.name})"
    finishes_after(one, job_id, reason, ("umount", store))


def test_a_disk_of_a_machine_that_is_full_is_named(one: TestFleet) -> None:
    (machine,) = one.machines
    (staging,) = machine.tmp.rglob("slots/*/out/.node-staging")
    place = inside(machine, staging)
    on(machine, "mount", "-t", "tmpfs", "-o", "size=8k", "none", place)
    job_id = one.submit(tiny_story("full"))
    finishes_after(one, job_id, f"No space left on device (on {machine.name})", ("umount", "--lazy", place))


def test_damaged_objects_of_the_storage_are_made_again(one: TestFleet) -> None:
    (machine,) = one.machines
    first = one.finished(one.submit(tiny_story("damaged")))
    assert first.result is not None, first.error_message
    damaged = {}
    for path in (one.shared / "store").rglob("*"):
        if path.is_file():
            path.write_bytes(b"damage" + path.read_bytes()[6:-3])
            damaged[path] = path.read_bytes()
    assert damaged
    for cache in machine.tmp.rglob("cache"):
        subprocess.run(["rm", "-r", cache], check=True)
    again = one.finished(one.submit(tiny_story("damaged")))
    assert (again.status, again.attempts) == (JobStatus.COMPLETED, 1), (again.error_message, one.told())
    assert again.result is not None
    for key in ("video_path", "thumbnail_path"):
        assert Path(again.result[key]).read_bytes() == Path(first.result[key]).read_bytes()
    made_again = [path for path, was in damaged.items() if path.exists() and path.read_bytes() != was]
    assert len(made_again) >= again.result["segments"] > 0
    one.audit()
