"""Processes as the kernel shows them: who belongs to a session, how much memory they hold, and their end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HAS_PROC = sys.platform == "linux"
PR_SET_PDEATHSIG = 1
NODE_VARIABLE = "VIDEO_PIPELINE_NODE_STATE"
"""In the environment of all that a node starts, and of what these start: the node's state folder."""

OOM_SCORE = "500"
"""Of 1000: when memory runs out the kernel takes a worker before the node."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that has not ended. `started` is in clock ticks since the machine's start, `memory` in bytes."""

    pid: int
    group: int
    session: int
    started: int
    memory: int


def read_process(pid: int) -> Process | None:
    """Return a process, or None where it has ended, as a zombie too."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name is in brackets and may hold anything, brackets too.
    fields = text[text.rindex(b")") + 2 :].split()
    if fields[0] in (b"Z", b"X"):
        return None
    return Process(
        pid,
        group=int(fields[2]),
        session=int(fields[3]),
        started=int(fields[19]),
        memory=int(fields[21]) * resource.getpagesize(),
    )


def processes() -> Iterator[Process]:
    """Yield every process that has not ended; none where the system does not show them in /proc."""
    for entry in os.scandir("/proc") if HAS_PROC else ():
        if entry.name.isdecimal():
            process = read_process(int(entry.name))
            if process is not None:
                yield process


def session_members(*sessions: int) -> dict[int, list[Process]]:
    """Return the processes of sessions, those of a group of the same number with them."""
    found: dict[int, list[Process]] = {session: [] for session in sessions}
    for process in processes():
        if process.session in found:
            found[process.session].append(process)
        elif process.group in found:
            found[process.group].append(process)
    return found


def signal_process(process: Process, number: signal.Signals) -> None:
    """Send a signal to exactly this process, never to another that got its number."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return  # it has ended
    try:
        now = read_process(process.pid)
        if now is not None and now.started == process.started:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def signal_session(session: int, number: signal.Signals, *, spare: int | None = None) -> int:
    """Send a signal to all processes of a session, but not to `spare`; return how many there were.

    Where the system does not show processes in /proc only the leader's group gets it, and none are counted.
    """
    if not HAS_PROC:
        if spare is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(session, number)
        return 0
    members = [process for process in session_members(session)[session] if process.pid != spare]
    # The leader first: what it would start otherwise is not there yet when the others are listed.
    for process in sorted(members, key=lambda process: process.pid != session):
        signal_process(process, number)
    return len(members)


def started_for(state: Path) -> list[Process]:
    """Return every process that a node of this state folder has started, directly or not."""
    wanted = f"{NODE_VARIABLE}={state}".encode()
    found = []
    for process in processes():
        if process.pid == os.getpid():
            continue
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:
            continue  # ended, or another process
        if wanted in environment.split(b"\0"):
            found.append(process)
    return found


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends; end at once where it has ended."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(1)


def set_worker_limits() -> None:
    """Leave no core dump, and be taken before the node when memory runs out."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")
