"""Ports for tests that must know one before its server starts."""

from __future__ import annotations

import contextlib
import random
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def free_port(*, beside: int = 0) -> int:
    """Return a free port below those that the system gives to outgoing connections, with the one at `port + beside` free too.

    No test process on this computer gets the same port while this one runs.
    """
    while True:
        port = random.Random().randrange(12_000, 20_000)
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            for place in {port, port + beside}:
                held.enter_context(socket.create_server(("127.0.0.1", place)))
            _reserve(port)
            return port


_RESERVED: list[socket.socket] = []


def _reserve(port: int) -> None:
    """Hold a name that stands for a port, which the system frees at the end of this process; raise OSError if it is held."""
    if sys.platform == "linux":  # others have no abstract namespace of sockets
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0video-pipeline-tests-port-{port}")
        except OSError:
            name.close()
            raise
        _RESERVED.append(name)


@contextmanager
def refusing_port() -> Iterator[int]:
    """Hold a port on which nothing listens, so that connections are refused and no other program can take it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
