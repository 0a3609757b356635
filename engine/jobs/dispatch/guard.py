"""The guard: a small process that kills the node's child sessions when the node ends, even by a crash.

Its standard input is a pipe from the node: `+ PID STARTED` adds a session, `- PID` removes one. When the pipe
closes, the guard kills the remaining sessions.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

from video_pipeline.engine.jobs.processes import read_process, session_members, signal_process, started_for

KILL_SECONDS = 10.0
POLL_SECONDS = 0.02


class Guard:
    """The node's side of the guard; it restarts a dead guard with all sessions."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._sessions: dict[int, int] = {}
        self._process = self._spawn()

    @property
    def pid(self) -> int:
        """Process id of the guard."""
        return self._process.pid

    def _spawn(self) -> subprocess.Popen[bytes]:
        from video_pipeline.engine.jobs.dispatch.worker_process import child_environment, module_command

        return subprocess.Popen(
            module_command("video_pipeline.engine.jobs.dispatch.guard"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env=child_environment(self._state),
            bufsize=0,
        )

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
        """Restart the guard if it has died; return whether it had."""
        if self._process.poll() is None:
            return False
        self._close_pipe()
        self._process = self._spawn()
        for session, started in self._sessions.items():
            self._send(f"+ {session} {started}")
        return True

    def close(self) -> None:
        """Stop the guard; it kills the remaining sessions."""
        self._close_pipe()
        try:
            self._process.wait(timeout=KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # `restart_if_dead` repeats it to a new guard
            self._process.stdin.write(line.encode() + b"\n")

    def _close_pipe(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()


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
    sys.exit(0 if kill_sessions(sessions) else 1)


if __name__ == "__main__":
    main()
