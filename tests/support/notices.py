"""A service manager's datagram socket, for tests of what a program reports to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Notices:
    """The datagrams that a program has sent, as `NAME=VALUE` lines in order."""

    def __init__(self, receiver: socket.socket) -> None:
        self._receiver = receiver
        self._lines: list[str] = []

    def lines(self) -> list[str]:
        """Return all lines until now."""
        while True:
            try:
                self._lines += self._receiver.recv(65536).decode().splitlines()
            except BlockingIOError:
                return list(self._lines)


@contextmanager
def notices(address: str | Path) -> Iterator[Notices]:
    """Listen at a path, or at a name in the abstract namespace that begins with NUL."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(address))
        receiver.setblocking(False)
        yield Notices(receiver)
