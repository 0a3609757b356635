"""The invariant of a node, audited from outside: ledger, output, processes, temporary folders.

Each acknowledged job is in exactly one terminal state with at most one published output; no process, temporary
folder, staging folder or slot is left over.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import av

from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.jobs.folders import STAGING, Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.model import Job, JobStatus

POLL_SECONDS = 0.05
ENDS = frozenset({"completed", "failed", "cancelled"})


def assert_sound(
    folders: Folders,
    acknowledged: Iterable[str],
    *,
    running: Collection[int] | Callable[[], Collection[int]] = (),
    damaged: Collection[str] = (),
    settle: float = FAST_SECONDS,
) -> None:
    """Assert that the invariant holds, waiting a moment if needed: a killed process takes some time to disappear.

    `running` are processes of the node that may be alive, none if it has ended, or a function that returns them anew. `damaged`
    are jobs whose row a test overwrote: they must have ended, in any state.
    """
    acknowledged = list(acknowledged)
    deadline = time.monotonic() + settle
    while faults := audit(
        folders, acknowledged, running=running() if callable(running) else running, damaged=damaged
    ):
        if time.monotonic() > deadline:
            raise AssertionError("\n".join(["the node's invariant is broken:", *faults]))
        time.sleep(POLL_SECONDS)


def audit(
    folders: Folders,
    acknowledged: Iterable[str],
    *,
    running: Collection[int] = (),
    damaged: Collection[str] = (),
) -> list[str]:
    """Return all faults, one sentence each."""
    acknowledged = list(acknowledged)
    faults = [f"acknowledged twice: {name}" for name, count in Counter(acknowledged).items() if count > 1]
    with Ledger(folders.ledger) as ledger:
        jobs = {job.job_id: job for job in _all_jobs(ledger)}
        for job_id in acknowledged:
            if job_id not in jobs:
                faults.append(f"{job_id}: acknowledged, and not in the ledger")
        for job in jobs.values():
            if job.job_id not in damaged:
                faults += _faults_of_job(ledger, job, folders)
            elif not job.status.is_terminal:
                faults.append(f"{job.job_id}: {job.status}, which is no end; its row was damaged")
    faults += _faults_of_output(folders, jobs)
    faults += [f"left in {folders.works}: {path.name}" for path in _entries(folders.works)]
    faults += _faults_of_processes(folders, running)
    return faults


def _all_jobs(ledger: Ledger) -> Iterable[Job]:
    before = None
    while page := ledger.jobs.page(limit=1000, before=before):
        yield from page
        before = page[-1].job_id


def _faults_of_job(ledger: Ledger, job: Job, folders: Folders) -> list[str]:
    """Return the faults of one job: in its state, its history and its output."""
    name = job.job_id
    if not job.status.is_terminal:
        return [f"{name}: {job.status}, which is no end"]
    faults = []
    history = []
    after = 0
    while events := ledger.events.page(after=after, limit=1000, job_id=name):
        history += [event.kind for event in events]
        after = events[-1].seq
    ends = [kind for kind in history if kind in ENDS]
    # A job that was queued again by a client may end again; a completed one never is.
    begun = history.count("queued")
    if len(ends) != begun or ends[-1:] != [job.status.value] or history[-1:] != ends[-1:]:
        faults.append(f"{name}: is {job.status}, its history: {', '.join(history)}")
    if ends.count("completed") > 1:
        faults.append(f"{name}: completed {ends.count('completed')} times")
    folder = folders.published(name)
    if job.status is not JobStatus.COMPLETED:
        return [*faults, f"{name}: {job.status}, and yet published"] if folder.exists() else faults
    if not job.result:
        return [*faults, f"{name}: completed without a result"]
    return faults + _faults_of_video(name, folder, Path(str(job.result["video_path"])))


def _faults_of_video(name: str, folder: Path, video: Path) -> list[str]:
    if video.parent != folder:
        return [f"{name}: its video is {video}"]
    try:
        told = json.loads((folder / ".result.json").read_text(encoding="utf-8"))
        with av.open(str(video)) as container:
            frames = container.streams.video[0].frames
            decoded = next(container.decode(video=0), None)
    except (OSError, ValueError, IndexError) as error:
        return [f"{name}: its video cannot be read: {error}"]
    if decoded is None or frames != told["video_info"]["frame_count"]:
        return [f"{name}: its video has {frames} frames, not {told['video_info']['frame_count']}"]
    missing = [file for file in told["files"].values() if not (folder / file).is_file()]
    return [f"{name}: published without {file}" for file in missing]


def _faults_of_output(folders: Folders, jobs: Collection[str]) -> list[str]:
    faults = [f"left in staging: {path.name}" for path in _entries(folders.stagings)]
    for path in _entries(folders.output):
        if path.name != STAGING and path.name not in jobs:
            faults.append(f"in the output folder, and no job's: {path.name}")
    faults += [f"left in a published folder: {path}" for path in folders.output.glob("job-*/.staging-*")]
    faults += [f"left in a published folder: {path}" for path in folders.output.glob("job-*/.partial-*")]
    return faults


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # it is not there, or no longer
        return []


def processes_of(state: Path) -> dict[int, str]:
    """Return id and command of each process that has a state folder in its command or environment.

    Shares no code with the engine, which it checks. The caller's own process is left out.
    """
    found = {}
    marks = (os.fsencode(state), os.fsencode(state.resolve()))
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            if (entry / "stat").read_bytes().rsplit(b")", 1)[1].split()[0] in (b"Z", b"X"):
                continue
            command = (entry / "cmdline").read_bytes()
            told = command + b"\0" + (entry / "environ").read_bytes()
        except OSError:
            continue
        if any(mark in told for mark in marks):
            found[int(entry.name)] = command.replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return found


def _faults_of_processes(folders: Folders, running: Collection[int]) -> list[str]:
    if sys.platform != "linux":
        return []
    left = processes_of(folders.state)
    return [f"left running: {pid} {command}" for pid, command in left.items() if pid not in running]
