"""Inspect and signal processes through /proc: members of a session, their memory, their end."""

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
"""Environment variable with the node's state folder, inherited by all processes that the node starts."""

OOM_SCORE = "500"
"""Of 1000: if memory runs out, the kernel kills a worker before the node."""


@dataclass(frozen=True, slots=True)
class Process:
    """A running process. `started` is in clock ticks since the machine's start, `memory` in bytes."""

    pid: int
    group: int
    session: int
    started: int
    memory: int


def read_process(pid: int) -> Process | None:
    """Return a process, or None if it has ended or is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name is in brackets and may contain any characters, even brackets.
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
    """Yield all running processes; none if the system has no /proc."""
    for entry in os.scandir("/proc") if HAS_PROC else ():
        if entry.name.isdecimal():
            process = read_process(int(entry.name))
            if process is not None:
                yield process


def session_members(*sessions: int) -> dict[int, list[Process]]:
    """Return the processes of each session, and those whose group has the session's id."""
    found: dict[int, list[Process]] = {session: [] for session in sessions}
    for process in processes():
        if process.session in found:
            found[process.session].append(process)
        elif process.group in found:
            found[process.group].append(process)
    return found


def waits_for_disk(session: int) -> bool:
    """Return whether a process of a session is in an uninterruptible wait, as for a slow disk."""
    for member in session_members(session)[session]:
        try:
            text = Path(f"/proc/{member.pid}/stat").read_bytes()
        except OSError:
            continue
        if text[text.rindex(b")") + 2 :].split()[0] == b"D":
            return True
    return False


def signal_process(process: Process, number: signal.Signals) -> None:
    """Send a signal to exactly this process, never to another one that reuses its id."""
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
    """Send a signal to all processes of a session except `spare`; return how many there were.

    Without /proc only the leader's group gets the signal, and 0 is returned.
    """
    if not HAS_PROC:
        if spare is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(session, number)
        return 0
    members = [process for process in session_members(session)[session] if process.pid != spare]
    # The leader first, so that it starts no further processes.
    for process in sorted(members, key=lambda process: process.pid != session):
        signal_process(process, number)
    return len(members)


def started_for(state: Path) -> list[Process]:
    """Return all processes that a node of this state folder has started, directly or not."""
    wanted = f"{NODE_VARIABLE}={state}".encode()
    found = []
    for process in processes():
        if process.pid == os.getpid():
            continue
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:
            continue  # it has ended or belongs to another user
        if wanted in environment.split(b"\0"):
            found.append(process)
    return found


def die_with_parent(parent: int) -> None:
    """Make the kernel kill this process when the thread that started it ends; exit now if `parent` has ended."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(1)


def limit_file_size(megabytes: float) -> None:
    """Let neither this process nor its children write a file of more than so many MB."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    wanted = int(megabytes * 1e6)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))


def set_worker_limits() -> None:
    """Disable core dumps, and let the kernel kill this process before the node if memory runs out."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")
