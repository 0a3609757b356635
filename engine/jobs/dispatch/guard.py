"""The guard: a small process that outlives the node by a moment, to kill what the node has started.

Its standard input is a pipe of the node: `+ PID STARTED` and `- PID` say which sessions there are. At its end,
which comes however the node ended, it kills those that are left.
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
    """The node's side of the guard. It is started again where it has died, and told everything anew."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._sessions: dict[int, int] = {}
        self._process = self._spawn()

    @property
    def pid(self) -> int:
        """The guard's process."""
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
        """Have a session killed when the node ends."""
        process = read_process(session)
        if process is not None:
            self._sessions[session] = process.started
            self._say(f"+ {session} {process.started}")

    def remove(self, session: int) -> None:
        """Forget a session of which nothing is left."""
        if self._sessions.pop(session, None) is not None:
            self._say(f"- {session}")

    def tend(self) -> bool:
        """Start the guard again where it has died; return whether it had to be."""
        if self._process.poll() is None:
            return False
        self._close_pipe()
        self._process = self._spawn()
        for session, started in self._sessions.items():
            self._say(f"+ {session} {started}")
        return True

    def close(self) -> None:
        """End the guard; it kills what it still has to guard."""
        self._close_pipe()
        try:
            self._process.wait(timeout=KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # `tend` starts another, which is told again
            self._process.stdin.write(line.encode() + b"\n")

    def _close_pipe(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()


def kill_sessions(sessions: dict[int, int], *, seconds: float = KILL_SECONDS) -> bool:
    """Kill sessions, given as number and start of their leader, until nothing is left; return whether nothing is."""
    wanted = {}
    for session, started in sessions.items():
        leader = read_process(session)
        # A number whose leader started at another time belongs to somebody else by now.
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
    """Kill every process that a former node of this state folder has left; return how many there were.

    Called under the node's lock, so that none of them can belong to a node that runs.
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
    """Guard until the node ends."""
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
