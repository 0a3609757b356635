"""The guard: a small process that kills the node's child sessions when the node ends, even by a crash.

Its standard input is a pipe from the node: `+ PID STARTED` adds a session, `- PID` removes one, `= SECONDS` says at
which time of `machine_seconds` the lease of all ends, `= -` that there is none. When the pipe closes or the lease ends,
the guard kills the remaining sessions. It repeats each `? NUMBER`, which proves to the node that it runs.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from video_pipeline.engine.common.child_process import ends_with_its_input
from video_pipeline.engine.jobs.dispatch.lease import machine_seconds
from video_pipeline.engine.jobs.processes import (
    read_process,
    session_members,
    signal_process,
    started_for,
)

KILL_SECONDS = 10.0
POLL_SECONDS = 0.02
READ_BYTES = 65536
SILENT_SECONDS = 10.0
"""A guard that has not repeated a number for this long is killed."""


class Guard:
    """The node's side of the guard; it restarts a dead guard with all sessions."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._sessions: dict[int, int] = {}
        self._lease: float | None = None
        self._asked = 0
        self._asked_at = self._answered_at = time.monotonic()
        self._process = self._spawn()

    @property
    def pid(self) -> int:
        """Process id of the guard."""
        return self._process.pid

    def _spawn(self) -> subprocess.Popen[bytes]:
        from video_pipeline.engine.jobs.dispatch.worker_process import child_environment, module_command

        process = subprocess.Popen(
            module_command("video_pipeline.engine.jobs.dispatch.guard"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=child_environment(self._state),
            bufsize=0,
        )
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        self._answered_at = time.monotonic()
        return process

    def add(self, session: int) -> None:
        """Add a session, to be killed when the node ends."""
        process = read_process(session)
        if process is not None:
            self._sessions[session] = process.started
            self._send(f"+ {session} {process.started}")

    def remove(self, session: int) -> None:
        """Remove a session whose processes have all ended."""
        if self._sessions.pop(session, None) is not None:
            self._send(f"- {session}")

    def set_lease(self, until: float | None) -> None:
        """Let the guard kill all sessions at a time of `machine_seconds`, even if this process is stopped; None: never."""
        if until != self._lease:
            self._lease = until
            self._send(f"= {'-' if until is None else until}")

    def restart_if_dead(self) -> bool:
        """Restart the guard if it has exited or does not answer; return whether it was restarted."""
        if self._process.poll() is None:
            if self._answers():
                return False
            self._process.kill()
            self._process.wait()
        self._close_pipes()
        self._process = self._spawn()
        for session, started in self._sessions.items():
            self._send(f"+ {session} {started}")
        if self._lease is not None:
            self._send(f"= {self._lease}")
        return True

    def close(self) -> None:
        """Stop the guard; it kills the remaining sessions."""
        if not ends_with_its_input(self._process, KILL_SECONDS):
            self._process.kill()
            self._process.wait()
        self._close_pipes()

    def _answers(self) -> bool:
        """Ask the guard to repeat a number; return whether it has repeated one recently."""
        now = time.monotonic()
        if now - self._asked_at > SILENT_SECONDS / 2:
            self._answered_at = now  # the node itself was paused
        self._asked_at = now
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            if os.read(self._process.stdout.fileno(), READ_BYTES):
                self._answered_at = now
        self._asked += 1
        self._send(f"? {self._asked}")
        return now - self._answered_at < SILENT_SECONDS

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # `restart_if_dead` repeats it to a new guard
            os.write(self._process.stdin.fileno(), line.encode() + b"\n")

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()


def kill_sessions(sessions: dict[int, int], *, seconds: float = KILL_SECONDS) -> bool:
    """Kill sessions (id and start time of the leader) for up to `seconds`; return whether none is left."""
    wanted = {}
    for session, started in sessions.items():
        leader = read_process(session)
        # If the leader started at another time, its id was reused by an unrelated session.
        if leader is None or leader.started == started:
            wanted[session] = started
    deadline = time.monotonic() + seconds
    while wanted:
        members = [process for found in session_members(*wanted).values() for process in found]
        if not members:
            return True
        for process in sorted(members, key=lambda process: process.pid != process.session):
            signal_process(process, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def sweep(state: Path, *, seconds: float = KILL_SECONDS) -> int:
    """Kill all processes left by an earlier node of this state folder; return their number.

    Call it while holding the node's lock, so that none of them belongs to a running node.
    """
    killed: set[tuple[int, int]] = set()
    deadline = time.monotonic() + seconds
    while left := started_for(state):
        for process in left:
            signal_process(process, signal.SIGKILL)
            killed.add((process.pid, process.started))
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    return len(killed)


class _Orders:
    """What the node has told the guard."""

    def __init__(self) -> None:
        self.sessions: dict[int, int] = {}
        self.lease: float | None = None

    def take(self, line: bytes) -> None:
        match line.split():
            case [b"+", session, started]:
                self.sessions[int(session)] = int(started)
            case [b"-", session]:
                self.sessions.pop(int(session), None)
            case [b"=", until]:
                self.lease = None if until == b"-" else float(until)
            case [b"?", asked]:
                with contextlib.suppress(OSError):  # the node has ended
                    os.write(sys.stdout.fileno(), asked + b"\n")


def main() -> None:
    """Run the guard until the node ends."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    orders, buffer, pipe = _Orders(), b"", sys.stdin.fileno()
    while True:
        left = None if orders.lease is None else max(0.0, orders.lease - machine_seconds())
        if select.select([pipe], [], [], left)[0]:
            data = os.read(pipe, READ_BYTES)
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                orders.take(line)
            if not data:
                break
        if orders.lease is not None and machine_seconds() >= orders.lease:
            kill_sessions(orders.sessions)
            orders.lease = None
    sys.exit(0 if kill_sessions(orders.sessions) else 1)


if __name__ == "__main__":
    main()
