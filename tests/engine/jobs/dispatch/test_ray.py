"""A fleet of namespaces that loses machines, links and its server while it renders."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import long_story, node_config, submit, tiny_story, turn_until_ended
from tests.support.namespaces import NamespacedMachine
from tests.support.rendering_fleet import JOB_SECONDS, LEASE, TestFleet, fleet
from tests.support.waiting import PROMPT_SECONDS
from video_pipeline import NodeClient
from video_pipeline.engine.jobs.dispatch.lease import MARGIN_SECONDS
from video_pipeline.engine.jobs.machines import MachinesFile
from video_pipeline.engine.jobs.model import JobStatus
from video_pipeline.engine.jobs.node.running_node import RunningNode

pytestmark = pytest.mark.slow

WORKER = "dispatch.worker "
LARGE = {"video": {"size": [540, 960]}}
SAME = ("video_path", "thumbnail_path", "words_path")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFleet]:
    """A fleet of two machines, which each test leaves as it found it."""
    with fleet(tmp_path_factory.mktemp("fleet"), machines=2) as made:
        yield made


def workers(machine: NamespacedMachine) -> list[int]:
    return machine.named(WORKER)


def test_a_job_of_the_fleet_has_the_bytes_of_a_local_one(two: TestFleet, tmp_path: Path) -> None:
    story = tiny_story("same")
    job = two.finished(two.submit(story))
    assert job.status is JobStatus.COMPLETED, (job.error_message, two.told())
    assert job.result is not None
    with RunningNode(node_config(tmp_path)) as node:
        local = turn_until_ended(node, submit(node.ledger, story), seconds=JOB_SECONDS).result
    assert local is not None
    for key in SAME:
        assert Path(job.result[key]).read_bytes() == Path(local[key]).read_bytes(), key
    for ours, theirs in zip(job.result["subtitles"], local["subtitles"], strict=True):
        assert Path(ours).read_bytes() == Path(theirs).read_bytes()
    assert "the attempt has finished" in two.folders.log(job.job_id, job.fence).read_text()
    two.audit()


def large_story(name: str) -> dict[str, Any]:
    """Return a story of 80 s; in LARGE frames its drawing is estimated at ten seconds of a core."""
    return tiny_story(name, seconds=40, text=f"{name} {os.urandom(4).hex()}")


def test_the_segments_of_a_large_job_are_drawn_by_two_machines_with_the_bytes_of_a_local_one(
    two: TestFleet, tmp_path: Path
) -> None:
    story = large_story("large")
    job = two.finished(two.submit(story, config=LARGE))
    assert job.status is JobStatus.COMPLETED, (job.error_message, two.told())
    assert job.result is not None
    print(f"{job.result['segments_from_shared']} of {job.result['segments']} segments from the other machine")
    assert 0 < job.result["segments_from_shared"] < job.result["segments"], two.told()
    with RunningNode(node_config(tmp_path)) as node:
        local = turn_until_ended(node, submit(node.ledger, story, config=LARGE), seconds=JOB_SECONDS).result
    assert local is not None
    for key in SAME:
        assert Path(job.result[key]).read_bytes() == Path(local[key]).read_bytes(), key
    two.audit()


def test_a_machine_that_dies_while_it_draws_for_another_costs_the_job_nothing(
    two: TestFleet, tmp_path: Path
) -> None:
    story = large_story("helped")
    job_id = two.submit(story, config=LARGE)
    two.wait_until(lambda: f"draws segments of {job_id}" in two.programs["door"].output(), "a second machine")
    (renders,) = re.findall(rf"job_id={job_id} on (m\d+)", two.programs["door"].output())
    other = next(machine for machine in two.machines if machine.name != renders)
    before = two.ready_slots()
    other.kill()
    job = two.finished(job_id)
    assert (job.status, job.fence, job.attempts) == (JobStatus.COMPLETED, 1, 1), job.error_message
    assert job.result is not None
    with RunningNode(node_config(tmp_path)) as node:
        local = turn_until_ended(node, submit(node.ledger, story, config=LARGE), seconds=JOB_SECONDS).result
    assert local is not None
    for key in SAME:
        assert Path(job.result[key]).read_bytes() == Path(local[key]).read_bytes(), key
    other.power_on()
    two.join(other)
    two.wait_for_slots(before + 1)
    two.audit()


def test_a_job_that_comes_takes_the_slot_that_draws_for_another(two: TestFleet) -> None:
    large = two.submit(large_story("large"), config=LARGE)
    two.wait_until(
        lambda: f"draws segments of {large}" in two.programs["door"].output(), "segments on the other machine"
    )
    began = time.monotonic()
    small = two.finished(two.submit(tiny_story("small")))
    assert small.status is JobStatus.COMPLETED, small.error_message
    print(f"the small job took {time.monotonic() - began:.1f} s")
    ended = two.finished(large)
    assert ended.status is JobStatus.COMPLETED
    assert small.finished_at is not None
    assert ended.finished_at is not None
    assert small.finished_at < ended.finished_at, "it did not wait for the large one"
    two.audit()


def test_a_machine_that_an_operator_drains_gets_no_job_until_it_works_again(two: TestFleet) -> None:
    names = [machine.name for machine in two.machines]
    with NodeClient(two.config.node.bind, timeout=JOB_SECONDS) as client:

        def states() -> dict[str, str]:
            return {machine.name: machine.state for machine in client.machines().machines}

        two.wait_until(
            lambda: all(states().get(name) == "ready" for name in names), "machines that are ready"
        )
        client.drain(names[0])
        two.wait_until(lambda: states().get(names[0]) == "draining", "a drained machine")
        # The server says so at once; the node, which starts jobs, writes it within a second.
        written = MachinesFile(two.folders.machines)
        two.wait_until(
            lambda: any(each.name == names[0] and each.state == "draining" for each in written.read()),
            "a node that drains it",
        )
        began = len(two.programs["door"].output())
        jobs = [two.finished(two.submit(tiny_story(f"drained{number}"))) for number in range(3)]
        assert {job.status for job in jobs} == {JobStatus.COMPLETED}
        told = two.programs["door"].output()[began:]
        assert {name for name in names if re.search(rf"job_id=\S+ on {name}\b", told)} == {names[1]}
        client.drain(names[0], on=False)
        two.wait_until(lambda: states().get(names[0]) == "ready", "a machine that works again")
    two.audit()


def test_a_cancelled_job_frees_its_slot(two: TestFleet) -> None:
    job_id = two.submit(long_story("cancelled"))
    machine = two.machine_of(job_id)
    two.ledger.jobs.request_cancel(job_id)
    began = time.monotonic()
    assert two.finished(job_id).status is JobStatus.CANCELLED
    two.wait_until(lambda: not any(machine.tmp.rglob(f"{job_id}.*")), "an empty work folder")
    print(f"cancelled after {time.monotonic() - began:.2f} s")
    two.audit()


def test_a_machine_that_is_cut_off_ends_its_attempt_before_another_gets_it(two: TestFleet) -> None:
    job_id = two.submit(long_story("cut"))
    machine = two.machine_of(job_id)
    before = two.ready_slots()
    machine.cut()
    began = time.monotonic()
    try:
        # The attempt is asked for first: a worker that is seen after that was there when the job was given away.
        two.wait_until(
            lambda: two.job(job_id).fence == 2 or not workers(machine),
            "the end of the worker that was cut off",
        )
        assert not workers(machine), "the job was given away while its first attempt ran"
        ended = time.monotonic() - began
        print(f"ended {ended:.2f} s after the cut; the lease is {LEASE} s and {MARGIN_SECONDS} s of margin")
        assert ended < LEASE + PROMPT_SECONDS
        job = two.finished(job_id)
    finally:
        machine.heal()
    assert (job.status, job.fence, job.attempts) == (JobStatus.COMPLETED, 2, 1), job.error_message
    two.wait_for_slots(before + 1)
    two.audit()


def test_what_a_stopped_machine_finishes_after_its_lease_is_refused(two: TestFleet) -> None:
    job_id = two.submit(long_story("frozen", seconds=120))
    machine = two.machine_of(job_id)
    before = two.ready_slots()
    machine.freeze()
    try:
        two.wait_until(lambda: two.job(job_id).fence == 2, "a second attempt")
    finally:
        machine.thaw()
    job = two.finished(job_id)
    assert (job.status, job.fence, job.attempts) == (JobStatus.COMPLETED, 2, 1), job.error_message
    two.wait_for_slots(before + 1)
    two.audit()


def test_a_machine_that_loses_its_power_costs_a_lease_and_no_attempt(two: TestFleet) -> None:
    job_id = two.submit(long_story("killed", seconds=120))
    machine = two.machine_of(job_id)
    before = two.ready_slots()
    machine.kill()
    job = two.finished(job_id)
    assert (job.status, job.fence, job.attempts) == (JobStatus.COMPLETED, 2, 1), job.error_message
    machine.power_on()
    two.join(machine)
    two.wait_for_slots(before + 1)
    two.audit()


def test_a_machine_that_leaves_finishes_what_it_renders(two: TestFleet) -> None:
    job_id = two.submit(long_story("leaving", seconds=160))
    machine = two.machine_of(job_id)
    before = two.ready_slots()
    program = two.programs[machine.name]
    program.signal(signal.SIGTERM)
    job = two.finished(job_id)
    assert (job.status, job.fence) == (JobStatus.COMPLETED, 1), job.error_message
    assert program.wait(JOB_SECONDS) == 0
    two.join(machine)
    two.wait_for_slots(before + 1)
    two.audit()


def test_a_killed_server_loses_no_acknowledged_job(two: TestFleet) -> None:
    jobs = [two.submit(long_story(f"server-{number}", seconds=160)) for number in range(2)]
    jobs += [two.submit(tiny_story(f"small-{number}")) for number in range(3)]
    two.machine_of(jobs[0])
    two.kill_server()
    two.serve()
    for job_id in jobs:
        job = two.finished(job_id)
        assert job.status is JobStatus.COMPLETED, (job.error_message, two.told())
    two.audit()
