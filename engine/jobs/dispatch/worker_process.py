"""The node's side of a worker: its process, the pipes to it, and its end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import video_pipeline
from video_pipeline.engine import __version__
from video_pipeline.engine.jobs.dispatch.failures import MESSAGE_CHARACTERS
from video_pipeline.engine.jobs.model import Failure, FailureKind, Progress
from video_pipeline.engine.jobs.processes import NODE_VARIABLE, signal_session

READ_BYTES = 1 << 16
READS_AT_ONCE = 64
LINE_MAX_BYTES = 1 << 22
"""A longer line counts as a closed pipe."""
WORKER_MODULE = "video_pipeline.engine.jobs.dispatch.worker"
PIPE_BYTES = 1 << 20
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def child_environment(state: Path) -> dict[str, str]:
    """Return the environment of the node's child processes: a mark of the node and this engine on the import path."""
    place = str(Path(video_pipeline.__file__).parents[1])
    known = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {
        **os.environ,
        NODE_VARIABLE: str(state),
        "PYTHONPATH": os.pathsep.join([place, *(path for path in known if path != place)]),
    }


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this engine; it ignores modules in the current folder."""
    return [sys.executable, "-P", "-m", module, *arguments]


class WorkerProcess:
    """One worker, or another `module` with its pipes: the leader of a session that contains every program that it starts.

    It is reaped only after all processes of the session have ended, so that its id is not reused before.
    """

    def __init__(
        self, *, setup: dict[str, Any], state: Path, cores: int, log: Path, module: str = WORKER_MODULE
    ) -> None:
        from_node, self._send = os.pipe()
        self.receive, to_node = os.pipe()
        environment = child_environment(state)
        for variable in THREAD_VARIABLES:
            environment.setdefault(variable, str(cores))
        try:
            with log.open("wb") as output:
                self._process = subprocess.Popen(
                    module_command(
                        module,
                        str(from_node),
                        str(to_node),
                        str(os.getpid()),
                    ),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(from_node, to_node),
                    start_new_session=True,
                    env=environment,
                )
        except BaseException:
            os.close(self._send)
            os.close(self.receive)
            raise
        finally:
            os.close(from_node)
            os.close(to_node)
        self.log = log
        self.pid = self._process.pid
        self._buffer = b""
        self._ended = False
        self.pipe_closed = False
        os.set_blocking(self._send, False)
        os.set_blocking(self.receive, False)
        if module != WORKER_MODULE and hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):  # a limit of the system; many slots then wait for each other
                fcntl.fcntl(self._send, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.send(setup={**setup, "version": __version__})

    def send(self, **message: Any) -> bool:
        """Send a message; return False if the pipe is full or closed: the worker is then unusable."""
        data = json.dumps(message).encode() + b"\n"
        try:
            return os.write(self._send, data) == len(data)
        except OSError:
            return False

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages received; set `pipe_closed` at the end of the pipe."""
        for _ in range(READS_AT_ONCE):
            if self.pipe_closed:
                break
            try:
                data = os.read(self.receive, READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            self._buffer += data
            self.pipe_closed = not data or len(self._buffer) > LINE_MAX_BYTES
        *lines, self._buffer = self._buffer.split(b"\n")
        found = []
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):  # a line cut off by the worker's exit
                message = json.loads(line)
                if isinstance(message, dict):
                    found.append(message)
        return found

    def exit_status(self) -> int | None:
        """Return the exit status of the leader (negative: its signal), None while it runs. Does not reap it."""
        if self._process.returncode is not None:
            return self._process.returncode
        try:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return -int(signal.SIGKILL)
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def terminate(self) -> None:
        """Send SIGTERM to every process of the session."""
        signal_session(self.pid, signal.SIGTERM)

    def kill_strays(self) -> bool:
        """Kill leftover processes that the worker started; return True if there were none."""
        return signal_session(self.pid, signal.SIGKILL, spare=self.pid) == 0

    def kill(self) -> bool:
        """Kill the session; return whether all its processes have ended. Call it again until they have."""
        if self._ended:
            return True
        if signal_session(self.pid, signal.SIGKILL) or self.exit_status() is None:
            return False
        self._ended = True
        self._process.wait()
        os.close(self._send)
        os.close(self.receive)
        return True


def read_progress(data: Any) -> Progress:
    """Parse a worker's progress message; raise ValueError, KeyError or TypeError if it is malformed."""
    numbers = [data[name] for name in ("percent", "fps", "eta_seconds")]
    if not isinstance(data["stage"], str) or not all(
        number is None or (isinstance(number, int | float) and math.isfinite(number)) for number in numbers
    ):
        raise ValueError("no progress")
    return Progress(data["stage"][:64], min(100.0, max(0.0, float(numbers[0]))), numbers[1], numbers[2])


def read_failure(data: Any) -> Failure:
    """Parse a worker's failure message; raise ValueError, KeyError or TypeError if it is malformed."""
    kind = data["kind"]
    if kind not in get_args(FailureKind):
        raise ValueError(f"kind {kind!r}")
    return Failure(kind, str(data["error_type"])[:128], str(data["message"])[:MESSAGE_CHARACTERS])
