"""The file in which a node says how its machines are, for the process that answers clients.

The node replaces it about once a second; nothing in it is worth keeping.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from video_pipeline.engine.jobs.node_messages import Machines, MachineView


def machine_name() -> str:
    """Return the name of this machine."""
    return as_machine_name(socket.gethostname())


def as_machine_name(host: str) -> str:
    """Return the name of a machine: its host name, with `-` for letters that a name may not have."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", host)[:64].lstrip("._-") or "machine"


def write_machines(path: Path, machines: Sequence[MachineView]) -> None:
    """Replace the file; raises OSError."""
    made = path.with_name(f".{path.name}.new")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(Machines(machines=tuple(machines)).model_dump_json())
    made.replace(path)


class MachinesFile:
    """Reads the file again when it was replaced. For one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: tuple[int, ...] = ()
        self._machines: tuple[MachineView, ...] = ()

    def read(self) -> tuple[MachineView, ...]:
        """Return the machines; none if there is no file or it cannot be read."""
        try:
            status = self._path.stat()
            mark = (status.st_ino, status.st_mtime_ns, status.st_size)
            if mark != self._mark:
                self._machines = Machines.model_validate_json(self._path.read_bytes()).machines
                self._mark = mark
        except (OSError, ValidationError):
            self._mark, self._machines = (), ()
        return self._machines
