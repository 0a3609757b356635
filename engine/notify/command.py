"""Run an operator's command for a job that has ended, without a shell and without the node's secrets."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.notify.outbox import Note
from video_pipeline.engine.notify.target import NotDelivered, Target, one_line

logger = logging.getLogger(__name__)

KEPT_VARIABLES: Final = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "PATH",
    "TMPDIR",
    "TZ",
    "USER",
    "VIDEO_PIPELINE_NODE_STATE",
)
"""What a command gets of the node's environment; the last marks it as a process of this node, which ends with it."""

RUN_VARIABLE: Final = "VIDEO_PIPELINE_NOTIFICATION"
"""Has the id of the notification, which marks the command and its children."""

TAIL_LINES: Final = 20
LINE_BYTES: Final = 2000


def clean_environment(note: Note, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command: a few variables of the node's, and the notification's id."""
    kept = {name: environ[name] for name in KEPT_VARIABLES if name in environ}
    return {**kept, RUN_VARIABLE: note.message_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteCommand:
    """Runs one command."""

    argv: Sequence[str]
    timeout: float

    def __call__(self, note: Note) -> NotDelivered | None:
        """Run it with the notification on its standard input; return why it failed, None if it exited with 0.

        It is killed after `timeout` seconds. What it has started is killed when it ends.
        """
        with tempfile.TemporaryFile() as given:
            given.write(note.body.encode())
            given.seek(0)
            try:
                process = subprocess.Popen(
                    list(self.argv),
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=clean_environment(note, os.environ),
                    process_group=0,
                )
            except (OSError, ValueError) as error:
                return NotDelivered(error=one_line(f"{self.argv[0]}: cannot be started: {error}"))
        assert process.stdout is not None
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        reader = threading.Thread(target=_read_tail, args=(process.stdout, tail), daemon=True)
        reader.start()
        is_late = False
        try:
            process.wait(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            is_late = True
        finally:
            _kill_marked(process.pid, note.message_id)
            process.wait()
            reader.join(timeout=1.0)
        for line in tail:
            logger.info("%s of %s: %s", note.target, note.subject, line)
        if is_late:
            return NotDelivered(error=f"killed after {self.timeout:g} s (notifications.command_timeout)")
        if process.returncode != 0:
            last = f": {tail[-1]}" if tail else ""
            return NotDelivered(error=one_line(f"exit status {process.returncode}{last}"))
        return None


def _read_tail(pipe: IO[bytes], tail: deque[str]) -> None:
    """Read a pipe to its end and keep its last lines."""
    with pipe:
        while line := pipe.readline(LINE_BYTES):
            tail.append(line.decode("utf-8", "replace").rstrip())


def _kill_marked(group: int, message_id: str) -> None:
    """Kill a command's process group, and every process that inherited its mark."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    wanted = f"{RUN_VARIABLE}={message_id}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in entry.read_bytes().split(b"\0") and int(entry.parent.name) != os.getpid():
                os.kill(int(entry.parent.name), signal.SIGKILL)


def command_target(name: str, argv: Sequence[str], *, timeout: float, attempts: int, place: str) -> Target:
    """Return the target of a command; raise ConfigError if its program is not there."""
    if shutil.which(argv[0]) is None:
        raise ConfigError(
            f"{place}: {argv[0]!r} is no program that can be run; give its path, and each argument apart"
        )
    return Target(name=name, address=argv[0], send=NoteCommand(argv=argv, timeout=timeout), attempts=attempts)
