"""A web server for tests: real sockets on 127.0.0.1 that send exactly the given bytes, optionally over TLS."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Talk = Callable[[socket.socket, bytes], None]
"""Answers a request on its connection; gets the request's head."""


def reply(body: bytes = b"", *, status: str = "200 OK", **headers: str | int) -> bytes:
    """Return an HTTP response with its length; underscores in header names become hyphens."""
    given = {
        "Content-Length": len(body),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    return "\r\n".join(lines).encode() + body


class Origin:
    """A web server; `heads` are the heads of the requests that it received."""

    def __init__(self, talk: Talk, context: ssl.SSLContext | None = None) -> None:
        self._talk = talk
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heads: list[bytes] = []
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                wire, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(wire)
            thread = threading.Thread(target=self._serve, args=(wire,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, wire: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the fetcher may close the connection early
            if self._context is not None:
                wire = self._context.wrap_socket(wire, server_side=True)
                self._open.append(wire)
            head = b""
            while b"\r\n\r\n" not in head:
                data = wire.recv(65536)
                if not data:
                    break
                head += data
            self.heads.append(head)
            self._talk(wire, head)
        wire.close()

    def close(self) -> None:
        """Stop the server and close every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for wire in self._open:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
            wire.close()
        for thread in self._threads:
            thread.join()


@contextmanager
def origin(answer: bytes | Talk, *, context: ssl.SSLContext | None = None) -> Iterator[Origin]:
    """Run a server that answers every request with the same bytes or by a function."""
    talk: Talk = answer if callable(answer) else lambda wire, head: wire.sendall(answer)
    server = Origin(talk, context)
    try:
        yield server
    finally:
        server.close()


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Return a self-signed certificate and its key for a name, made by the openssl program."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program is not here to make a certificate")
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
         "-out", paths[0], "-keyout", paths[1]],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return paths
