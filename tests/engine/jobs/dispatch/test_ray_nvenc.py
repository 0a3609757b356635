"""Machines with NVENC sessions in a fleet, on an emulated driver: what they take, in which order, and how it ends."""

from __future__ import annotations

import fcntl
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.emulator import EmulatedDriver
from tests.support.forks import ForkServer
from tests.support.jobs import endless_story, tiny_story
from tests.support.namespaces import NamespacedMachine
from tests.support.rendering_fleet import START_SECONDS, TestFleet, fleet
from tests.support.tolerances import CANCEL_SECONDS
from video_pipeline.engine.jobs.dispatch.capacity import SESSION_MEMORY_MIB
from video_pipeline.engine.jobs.model import JobStatus, Priority

pytestmark = pytest.mark.slow

NVENC = {"video": {"codec": "h264_nvenc"}}
SESSIONS = (3, 1)
"""NVENC sessions of each machine with a GPU."""

NEVER_SPLIT_SECONDS = 86_400.0

STARTS = 5
PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high")


class GpuMachine:
    """A machine with an emulated card that has so many sessions and as many slots."""

    def __init__(self, made: TestFleet, libraries: Path, forks: ForkServer, sessions: int) -> None:
        self.sessions = sessions
        self._state = made.shared / f"gpu-{len(made.machines)}"
        self._state.mkdir()
        self.driver = EmulatedDriver(libraries, self._state, forks)
        environ = self.driver.environment(sessions=sessions, card_memory=sessions * SESSION_MEMORY_MIB)
        self.machine: NamespacedMachine = made.add(
            environ={
                name: value
                for name, value in environ.items()
                if name.startswith("EMULATOR_") or name == "LD_LIBRARY_PATH"
            },
            processing={"max_concurrent_jobs": sessions},
        )
        for _ in range(STARTS):
            told = made.programs[self.machine.name].wait_for("this machine is in the fleet", START_SECONDS)
            if f"{sessions} NVENC sessions" in told:
                return
            self.machine.kill()  # too busy to try its encoder within 20 s
            self.machine.power_on()
            made.join(self.machine)
        raise AssertionError(f"the emulated GPU was not found\n{told}")

    def open_sessions(self) -> int:
        """Return how many sessions are open now."""
        count = 0
        for path in self._state.glob("session.0.*"):
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    count += 1
        return count


@pytest.fixture(scope="module")
def mixed(
    tmp_path_factory: pytest.TempPathFactory, driver_libraries: Path, driver_forks: ForkServer
) -> Iterator[tuple[TestFleet, list[GpuMachine]]]:
    """A fleet of machines with three sessions, with one, and without a GPU."""
    with fleet(tmp_path_factory.mktemp("fleet"), machines=0, split_seconds=NEVER_SPLIT_SECONDS) as made:
        gpus = [GpuMachine(made, driver_libraries, driver_forks, sessions) for sessions in SESSIONS]
        made.add()
        made.wait_for_slots(sum(SESSIONS) + 1)
        yield made, gpus


def machines_of(made: TestFleet, job_ids: list[str]) -> set[str]:
    """Return the names of the machines on which jobs were started."""
    told = made.programs["door"].output()
    return {name for job_id in job_ids for name in re.findall(rf"job_id={job_id} on (m\d+)", told)}


def test_sessions_are_never_exceeded_high_comes_first_and_a_cancel_frees_them(
    mixed: tuple[TestFleet, list[GpuMachine]],
) -> None:
    made, gpus = mixed
    names = {gpu.machine.name for gpu in gpus}
    stories = [endless_story(f"first-{number}") for number in range(sum(SESSIONS))]
    first = [made.submit(story, config=NVENC) for story in stories]
    most = 0

    def open_sessions() -> list[int]:
        return [gpu.open_sessions() for gpu in gpus]

    def all_are_open() -> bool:
        nonlocal most
        most = max(most, sum(open_sessions()))
        return open_sessions() == list(SESSIONS)

    made.wait_until(all_are_open, "as many sessions as there are")
    waiting = {
        priority: [
            made.submit(tiny_story(f"{priority}-{number}"), config=NVENC, priority=priority)
            for number in range(3)
        ]
        for priority in PRIORITIES
    }
    others = [
        made.submit(tiny_story(f"cpu-{number}"), config={"video": {"codec": "libx264"}})
        for number in range(2)
    ]
    for job_id in others:
        assert made.finished(job_id).status is JobStatus.COMPLETED, made.told()
    assert not any(made.job(job_id).status.is_terminal for job_id in first), "they had to end first"
    assert not names & machines_of(made, others), "a slot with a session was free"

    for job_id in first:
        made.ledger.jobs.request_cancel(job_id)
    began = time.monotonic()
    made.wait_until(
        lambda: not any(re.search(r"first-\d", line) for gpu in gpus for line in _stories(gpu)), "empty work"
    )
    seconds = time.monotonic() - began
    print(f"cancelled after {seconds:.2f} s; {most} sessions were open")
    assert seconds < 5 * CANCEL_SECONDS, "on busy cores; their videos take far longer"
    assert {made.finished(job_id).status for job_id in first} == {JobStatus.CANCELLED}

    started = []
    for priority, jobs in waiting.items():
        for job_id in jobs:
            job = made.finished(job_id)
            assert job.status is JobStatus.COMPLETED, (job.error_message, made.told())
            assert job.started_at is not None
            started.append((job.started_at, PRIORITIES.index(priority)))
    order = [number for _, number in sorted(started)]
    assert order == sorted(order, reverse=True)
    assert machines_of(made, [*first, *(job_id for jobs in waiting.values() for job_id in jobs)]) <= names
    for gpu in gpus:
        calls = gpu.driver.calls()
        assert any(line.startswith("open ") for line in calls), "it encoded nothing"
        refused = sum(line.startswith("refused") for line in calls)
        assert refused == 0, f"{gpu.machine.name} was asked for more than its {gpu.sessions} sessions"
    assert open_sessions() == [0] * len(gpus)
    made.audit()


def _stories(gpu: GpuMachine) -> list[str]:
    """Return the texts of the attempts that have a work folder on a machine."""
    found = []
    for path in gpu.machine.tmp.glob("vp/state/slots/*/work/*/attempt.json"):
        try:
            found.append(path.read_text())
        except FileNotFoundError:
            continue
    return found
