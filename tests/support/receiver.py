"""A web server on 127.0.0.1 that gets webhooks, verifies them by the library of Standard Webhooks, and fails as a test asks."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import standardwebhooks

from tests.support.origin import reply

SECRET = f"whsec_{base64.b64encode(b'0123456789abcdef0123456789abcdef').decode()}"


class Receiver:
    """Keeps the body of each message that verifies; each of `faults` is used for one request."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.got: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.problems: list[str] = []
        self.faults: deque[str] = deque()
        self.always = ""
        self._closing = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # a thread that waits in accept would keep the port
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                wire, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: socket.socket) -> None:
        with wire:
            try:
                file = wire.makefile("rb")
                if not file.readline():
                    return  # somebody only looked whether the port is open
                headers = {}
                while line := file.readline().strip():
                    name, _, value = line.decode().partition(":")
                    headers[name.strip().lower()] = value.strip()
                body = file.read(int(headers["content-length"]))
                self._answer(wire, headers, body)
            except OSError:
                return

    def _answer(self, wire: socket.socket, headers: dict[str, str], body: bytes) -> None:
        self.ids.append(headers["webhook-id"])
        fault = self.faults.popleft() if self.faults else self.always
        if fault == "lost":
            return
        if fault == "drip":
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000:
                wire.sendall(bytes([byte]))
                if self._closing.wait(0.05):
                    return
        if fault == "cut":
            wire.sendall(b"HTTP/1.1 20")
            return
        if fault == "not http":
            wire.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
            return
        if fault == "endless error":
            wire.sendall(b"HTTP/1.1 500 No\r\n\r\n")
            while not self._closing.is_set():
                wire.sendall(b"x" * 65536)
        if fault:
            status, _, header = fault.partition("|")
            more = dict([header.split(": ")]) if header else {}
            html = b"<!DOCTYPE html><h1>Attention Required!</h1>"
            wire.sendall(reply(html, status=status, Content_Type="text/html", **more))
            return
        try:
            self.got.append(standardwebhooks.Webhook(SECRET).verify(body, headers))
        except standardwebhooks.WebhookVerificationError as error:
            self.problems.append(str(error))
            wire.sendall(reply(json.dumps({"error": "signature"}).encode(), status="401 Unauthorized"))
            return
        wire.sendall(reply(b"", status="204 No Content"))


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    found = Receiver()
    try:
        yield found
    finally:
        found.close()
