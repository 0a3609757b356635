"""The pipes between the server process and the node: JSON, one object per line."""

from __future__ import annotations

import json
import os
import select
import sys
from contextlib import suppress
from typing import Any

from video_pipeline.engine.errors import ConfigError


class Commands:
    """The pipes to the node: commands on stdin, reports on stdout."""

    def __init__(self) -> None:
        self.descriptor = sys.stdin.fileno()
        self._out = sys.stdout.fileno()
        self._rest = b""
        self.ended = False

    def setup(self) -> dict[str, Any] | None:
        """Wait for the setup command and return it, or None at the end of the input. Raises ConfigError."""
        while not self.ended:
            select.select([self.descriptor], [], [])
            for first in self.read(most=1):
                setup = first.get("setup") if isinstance(first, dict) else None
                if not isinstance(setup, dict) or not isinstance(setup.get("config"), dict):
                    raise ConfigError('server process: the first line must be {"setup": {"config": {…}, …}}')
                return setup
        return None

    def received(self) -> list[Any]:
        """Return the commands that came with the setup, for which the pipe is not readable again."""
        return self.read() if b"\n" in self._rest else []

    def read(self, *, most: int = 1000) -> list[Any]:
        """Return the commands received."""
        if b"\n" not in self._rest:
            data = os.read(self.descriptor, 1 << 16)
            self.ended = not data
            self._rest += data
        found: list[Any] = []
        while b"\n" in self._rest and len(found) < most:
            line, self._rest = self._rest.split(b"\n", 1)
            with suppress(ValueError):
                found.append(json.loads(line))
        return found

    def send(self, message: dict[str, Any]) -> bool:
        """Send a message to the node and return True; drop it if the pipe is full or closed."""
        line = json.dumps(message).encode() + b"\n"
        _, writable, _ = select.select([], [self._out], [], 0)
        if writable and len(line) <= select.PIPE_BUF:  # a pipe takes that many bytes whole
            with suppress(BrokenPipeError):
                os.write(self._out, line)
                return True
        return False
