"""The guard: a small process that kills the node's child sessions when the node ends, even by a crash.

Its standard input is a pipe from the node: `+ PID STARTED` adds a session, `- PID` removes one. When the pipe
closes, the guard kills the remaining sessions. It repeats each `? NUMBER`, so that the node knows that it runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from video_pipeline.engine.jobs.processes import read_process, session_members, signal_process, started_for

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

    def restart_if_dead(self) -> bool:
        """Restart the guard if it has died or does not answer; return whether it had to be."""
        if self._process.poll() is None:
            if self._answers():
                return False
            self._process.kill()
            self._process.wait()
        self._close_pipes()
        self._process = self._spawn()
        for session, started in self._sessions.items():
            self._send(f"+ {session} {started}")
        return True

    def close(self) -> None:
        """Stop the guard; it kills the remaining sessions."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close_pipes()

    def _answers(self) -> bool:
        """Ask the guard to repeat a number; return whether it has done so lately."""
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
    """Kill sessions (id and start time of the leader) until none is left or time is over; return whether none is."""
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

    Call it under the node's lock, so that none of them belongs to a running node.
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


def main() -> None:
    """Run the guard until the node ends."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sessions: dict[int, int] = {}
    for line in sys.stdin.buffer:
        match line.split():
            case [b"+", session, started]:
                sessions[int(session)] = int(started)
            case [b"-", session]:
                sessions.pop(int(session), None)
            case [b"?", asked]:
                with contextlib.suppress(OSError):  # the node has ended
                    os.write(sys.stdout.fileno(), asked + b"\n")
    sys.exit(0 if kill_sessions(sessions) else 1)


if __name__ == "__main__":
    main()
