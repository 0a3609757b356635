"""Raw ZMTP 3 frames, to play a client that breaks the protocol."""

from __future__ import annotations

import socket
import struct

from tests.support.waiting import FAST_SECONDS

GREETING = b"\xff" + b"\0" * 8 + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + b"\0" * 31


def address(url: str) -> tuple[str, int]:
    """Return host and port of a tcp:// address."""
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    return host, int(port)


def frame(body: bytes, *, more: bool = False, command: bool = False) -> bytes:
    """Return a frame as encoded on the wire."""
    flags = (1 if more else 0) | (4 if command else 0)
    if len(body) > 255:
        return bytes([flags | 2]) + struct.pack(">Q", len(body)) + body
    return bytes([flags, len(body)]) + body


def ready(kind: bytes = b"DEALER") -> bytes:
    """Return the command that ends a handshake without security."""
    body = b"\x05READY" + b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    return frame(body, command=True)


def greeted(url: str, *, kind: bytes = b"DEALER") -> socket.socket:
    """Return a connection with a finished handshake."""
    sock = socket.create_connection(address(url), timeout=FAST_SECONDS)
    sock.sendall(GREETING + ready(kind))
    got = b""
    while len(got) < len(GREETING) + 2 or len(got) < len(GREETING) + 2 + got[len(GREETING) + 1]:
        data = sock.recv(4096)
        if not data:
            raise ConnectionError("the handshake was refused")
        got += data
    return sock
