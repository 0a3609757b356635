"""A process of the node that runs as long as the node does, and is started again if it ends.

Messages are JSON objects, one per line, on its standard input and output. It logs to the standard error of the node.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.common.child_process import ends_with_its_input
from video_pipeline.engine.common.clock import Clock
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.dispatch.worker_process import child_environment, module_command
from video_pipeline.engine.jobs.processes import signal_session

logger = logging.getLogger(__name__)

STEADY_SECONDS: Final = 5.0
"""A process that ran at least this long is restarted at once; otherwise the delay grows."""

BACKOFF_SECONDS: Final = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
END_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 1.0
"""If a turn of the node's own loop is later than this, the node was paused: the process gets its full time again."""

READ_BYTES: Final = 1 << 16
BROKEN_STATUS: Final = 2
"""The exit status of a process that cannot start at all; a message with the key `error` says why."""


class NodeProcess:
    """Such a process, which runs `module`; `what` names it in the log.

    Use it in the node's main thread: the process dies with its thread. `restarts` counts its starts but the first;
    `started` is the monotonic time of the last one.
    """

    def __init__(self, module: str, what: str, state: Path, *, guard: Guard, clock: Clock) -> None:
        self._module, self._what, self._state = module, what, state
        self._guard, self._clock = guard, clock
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._failures = 0
        self._was_ready = self._killed = False
        self._error: str | None = None
        self._cause: OSError | None = None
        self._start_at = self._turned = self.started = 0.0
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The id of the process, None while it is not running."""
        return self._process.pid if self._process else None

    @property
    def descriptor(self) -> int | None:
        """The pipe that becomes readable when the process sends a message; None while it is not running."""
        return self._process.stdout.fileno() if self._process and self._process.stdout else None

    def start(self) -> None:
        """Start the process."""
        process = subprocess.Popen(
            module_command(self._module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=child_environment(self._state),
            bufsize=0,
        )
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        self._process, self._buffer, self._killed = process, b"", False
        self.started = self._turned = self._clock.monotonic()
        self._guard.add(process.pid)

    def restart_if_due(self) -> bool:
        """Start a process that has ended, once its delay is over; return whether it was started."""
        if self._process is not None or self._clock.monotonic() < self._start_at:
            return False
        self.restarts += 1
        self.start()
        return True

    def was_paused(self) -> bool:
        """Return whether the node did nothing for so long that the process must get its full time again."""
        now = self._clock.monotonic()
        paused, self._turned = now - self._turned > PAUSE_SECONDS, now
        return paused

    def is_running(self) -> bool:
        """Return whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def messages(self) -> list[dict[str, Any]]:
        """Return what the process has sent since the last call."""
        if self._process is None or self._process.stdout is None:
            return []
        try:
            while data := os.read(self._process.stdout.fileno(), READ_BYTES):
                self._buffer += data
        except OSError:
            pass
        *lines, self._buffer = self._buffer.split(b"\n")
        found = []
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                self._was_ready = self._was_ready or "ready" in message
                if "error" in message:
                    self._error, number = str(message["error"]), message.get("errno")
                    self._cause = OSError(number, os.strerror(number)) if isinstance(number, int) else None
                found.append(message)
        return found

    def send(self, **message: Any) -> None:
        """Send a message if the process runs."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), json.dumps(message).encode() + b"\n")
        except BlockingIOError:  # it is behind, and will read the ledger anyway when it continues
            if "changed" not in message:
                logger.warning("cannot send to %s: its pipe is full", self._what)
        except OSError as error:  # it has exited or is stuck, which its supervisor handles
            logger.warning("cannot send to %s: %s", self._what, error)

    def kill_once(self, fault: str | None) -> None:
        """Kill a process that has a fault, unless it was killed for it before; None: it has none."""
        if fault is None:
            self._killed = False
        elif not self._killed and self._process is not None:
            self._killed = True
            logger.error("killing %s: %s", self._what, fault)
            signal_session(self._process.pid, signal.SIGKILL)

    def bury(self) -> None:
        """Release a process that has ended, and decide when it starts again.

        Raises ConfigError with its reason if it cannot start at all.
        """
        assert self._process is not None
        status, lived = self._process.wait(), self._clock.monotonic() - self.started
        self._release()
        if status == BROKEN_STATUS and not self._was_ready:
            raise ConfigError(self._error or f"{self._what} could not start") from self._cause
        self._failures = 0 if lived >= STEADY_SECONDS else self._failures + 1
        wait = BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS) - 1)]
        self._start_at = self._clock.monotonic() + wait
        logger.error(
            "%s ended with status %d after %.1f s; restarting it in %g s", self._what, status, lived, wait
        )

    def close(self) -> None:
        """Stop the process: close its input, kill it if it does not exit."""
        process = self._process
        if process is None:
            return
        if not ends_with_its_input(process, END_SECONDS):
            signal_session(process.pid, signal.SIGKILL)
            process.wait()
        self._release()

    def _release(self) -> None:
        assert self._process is not None
        self._guard.remove(self._process.pid)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process = None
