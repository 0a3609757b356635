"""Processes of a node that run only while there is something for them to do.

    node → process    {"config": {…}, "parent": …, "json_log": …}      once; then what the process understands
                      end of file: stop after the step that is under way

It logs to the standard error of the node, and may be killed at any time.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from typing import Any, Final

from video_pipeline.engine.common.child_process import ends_with_its_input
from video_pipeline.engine.common.process import load_nothing_idle, return_freed_memory
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.dispatch.worker_process import child_environment, module_command
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.logs import JsonFormatter, LineFormatter
from video_pipeline.engine.jobs.processes import die_with_parent, signal_session

logger = logging.getLogger(__name__)

END_SECONDS: Final = 3.0
"""How long a process may go on with what is under way when the node ends."""


class HelperProcess:
    """The node's side of one such process, which does what `what` says. Use it in one thread."""

    def __init__(
        self, module: str, what: str, config: Config, folders: Folders, *, guard: Guard, json_log: bool
    ) -> None:
        self._module, self._what, self._folders, self._guard = module, what, folders, guard
        self._setup = {
            "config": config.model_dump(mode="json", exclude_unset=True),
            "parent": os.getpid(),
            "json_log": json_log,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process, None while it does not run."""
        return self._process.pid if self._process else None

    def has_failed(self) -> bool:
        """Take note if the process has ended; return whether it ended by an error, which is logged."""
        status = self._process.poll() if self._process is not None else None
        if self._process is None or status is None:
            return False
        signal_session(self._process.pid, signal.SIGKILL)  # what it had started
        self._forget(self._process)
        if status != 0:
            logger.error("the process that %s ended with status %d", self._what, status)
        return status != 0

    def start(self) -> None:
        """Start the process."""
        self._process = subprocess.Popen(
            module_command(self._module),
            stdin=subprocess.PIPE,
            start_new_session=True,
            env=child_environment(self._folders.state),
            bufsize=0,
        )
        self._guard.add(self._process.pid)
        self.tell(self._setup)

    def tell(self, message: object) -> None:
        """Send a message to the process that runs."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), json.dumps(message).encode() + b"\n")
        except OSError as error:
            logger.warning("cannot send to the process that %s: %s", self._what, error)

    def close(self) -> None:
        """Stop the process: what is under way may end, then it is killed with all that it started."""
        process = self._process
        if process is None:
            return
        if not ends_with_its_input(process, END_SECONDS):
            logger.info("the process that %s is killed", self._what)
        signal_session(process.pid, signal.SIGKILL)
        process.wait()
        self._forget(process)

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        self._guard.remove(process.pid)
        if process.stdin is not None:
            process.stdin.close()
        self._process = None


def begin_helper() -> Config:
    """Read the setup of this process, which ends with the node, set up its log, and return its configuration."""
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)  # the node ended before it could say anything
    setup: dict[str, Any] = json.loads(line)
    die_with_parent(setup["parent"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the node decides
    return_freed_memory()
    load_nothing_idle()
    config = load_config(setup["config"], environ=False)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if setup["json_log"] else LineFormatter())
    logging.basicConfig(level=config.error_handling.log_level, handlers=[handler], force=True)
    return config
