"""A server on 127.0.0.1 that answers as a vendor's service does, and fails as a test asks."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.waiting import wait_until

HTML = b"<!DOCTYPE html><html><body><h1>Attention Required!</h1></body></html>"


@dataclass(frozen=True)
class Asked:
    """A request that the fake got."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int
    type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class ContractError(Exception):
    """The request is not what the vendor's contract allows."""


class Vendor:
    """What one vendor's fake does with a request. `billed` is what it would charge for the answers that it made."""

    name = ""
    voices: tuple[str, ...] = ()

    def is_work(self, asked: Asked) -> bool:
        """Whether a request is for what the service is there for, and so meets the faults that a test asks for."""
        return asked.method == "POST"

    def key_refused(self) -> Answer:
        raise NotImplementedError

    def throttled(self, headers: Mapping[str, str]) -> Answer:
        return Answer(429, "application/json", b'{"error": {"message": "slow down"}}', headers)

    def false_success(self) -> Answer:
        raise NotImplementedError

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        """Return the answer to a valid request and what is billed for it; raise ContractError."""
        raise NotImplementedError


class ServiceFake:
    """A server. Each of `faults` is used for one request for work; afterwards it answers well.

    A request whose fault is `held` gets a good answer once `release` was called. No request for work is answered before
    `at_once` of them have been there at the same time.
    """

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.asked: list[Asked] = []
        self.problems: list[str] = []
        self.faults: deque[str] = deque()
        self.billed = 0
        self.busiest = 0
        self.pause = 0.0
        self.at_once = 0
        self._released = threading.Event()
        self._now = 0
        self._refused_until: tuple[bytes, datetime] | None = None
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: Any) -> None:
                pass

            def respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                fake.serve(Asked(self.command, self.path, headers, body), self)

            do_GET = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 - names of http.server

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def worked(self) -> list[Asked]:
        """The requests for work."""
        return [asked for asked in self.asked if self.vendor.is_work(asked)]

    def release(self) -> None:
        """Answer the requests that are held."""
        self._released.set()

    def close(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve(self, asked: Asked, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.asked.append(asked)
            fault = self.faults.popleft() if self.vendor.is_work(asked) and self.faults else ""
            self._now += 1
            self.busiest = max(self.busiest, self._now)
        try:
            if fault == "held":
                self._released.wait()
            elif self.vendor.is_work(asked):
                wait_until(lambda: self.busiest >= self.at_once, what="requests at once")
            time.sleep(self.pause)
            self._write(self._answer(asked, fault), fault, handler)
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True
        finally:
            with self._lock:
                self._now -= 1

    def _answer(self, asked: Asked, fault: str) -> Answer:
        vendor = self.vendor
        if self._refused_until:
            body, until = self._refused_until
            if asked.body == body and datetime.now(UTC) < until:
                self.problems.append("asked again before the date of Retry-After")
        if fault == "500":
            return Answer(503, "text/plain", b"upstream connect error")
        if fault == "html":
            return Answer(200, "text/html; charset=utf-8", HTML)
        if fault == "429":
            return vendor.throttled({})
        if fault.startswith("429 after "):
            return vendor.throttled({"Retry-After": fault.removeprefix("429 after ")})
        if fault == "429 date":
            until = (datetime.now(UTC) + timedelta(seconds=1.5)).replace(microsecond=0)
            self._refused_until = (asked.body, until)
            return vendor.throttled({"Retry-After": format_datetime(until, usegmt=True)})
        if fault == "key":
            return vendor.key_refused()
        if fault == "false success":
            return vendor.false_success()
        try:
            answer, billed = vendor.answer(asked)
        except ContractError as error:
            self.problems.append(str(error))
            return Answer(400, "application/json", json.dumps({"message": str(error)}).encode())
        with self._lock:
            self.billed += billed
        return answer

    @staticmethod
    def _write(answer: Answer, fault: str, handler: BaseHTTPRequestHandler) -> None:
        if fault == "lost":
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        body = answer.body
        if fault == "cut inside":
            body = body[: len(body) // 2]
        handler.send_header("Content-Type", answer.type)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if fault == "cut":
            body = body[: len(body) // 2]
            handler.close_connection = True
        handler.end_headers()
        if fault == "drip":
            handler.close_connection = True
            for at in range(len(body)):
                handler.wfile.write(body[at : at + 1])
                handler.wfile.flush()
                time.sleep(0.1)
        else:
            handler.wfile.write(body)


@contextmanager
def service_fake(vendor: Vendor) -> Iterator[ServiceFake]:
    fake = ServiceFake(vendor)
    try:
        yield fake
    finally:
        fake.close()
