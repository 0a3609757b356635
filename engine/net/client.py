"""Requests to services over HTTP: deadlines, sizes, retries, and errors without secrets."""

from __future__ import annotations

import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any, Final, Protocol

import httpx

from video_pipeline.engine import __version__
from video_pipeline.engine.errors import ServiceError, ServiceFault
from video_pipeline.engine.net.meter import Meter
from video_pipeline.engine.net.retry import RetryPolicy, retry_after_seconds, with_retries
from video_pipeline.engine.net.secret import Secret, hide_secrets

CONNECT_SECONDS: Final = 10.0
STOP_SECONDS: Final = 0.1
MAX_BYTES: Final = 64 * 2**20
SHOWN_CHARACTERS: Final = 300
BUSY_STATUS: Final = frozenset({408, 409, 425, 429})
DENIED_STATUS: Final = frozenset({401, 402, 403})

# They log addresses and headers, and a key may be in either.
for _name in ("httpx", "httpcore", "hpack", "urllib3", "botocore", "google"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """One request. `accepts` are the content types of a good answer; `billed` is what the service charges for it.

    `sign` returns more headers and is called for each attempt, since signatures have a date. An answer with a status of
    `also_good` is returned whatever its type. `parts` is called for the body of each attempt if that is too large to be held;
    a header says its length.
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    accepts: Sequence[str] = ("application/json",)
    billed: int = 0
    sign: Callable[[ServiceRequest], Mapping[str, str]] | None = None
    also_good: Sequence[int] = ()
    parts: Callable[[], Iterable[bytes]] | None = None


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, or None if it is none; half a surrogate pair, which UTF-8 cannot encode, becomes `?`."""
        try:
            told = json.loads(self.body)
            if b"\\u" in self.body or b"\xed" in self.body:  # else there is no surrogate
                told = json.loads(json.dumps(told, ensure_ascii=False).encode(errors="replace"))
            return told
        except (ValueError, RecursionError):
            return None


Fault = tuple[ServiceFault, str]
"""What an answer that is an error means, and the service's own words for it."""


def usual_fault(answer: ServiceAnswer) -> Fault:
    """Return what an error status means by HTTP, with the message of its JSON body if it has one."""
    if answer.status in DENIED_STATUS:
        return "denied", ""  # services quote parts of the key here
    kind: ServiceFault = "busy" if answer.status in BUSY_STATUS or answer.status >= 500 else "rejected"
    return kind, message_of(answer.json())


def message_of(body: Any) -> str:
    """Return the message in the JSON body of an error, in any of the shapes that services use."""
    if isinstance(body, Mapping):
        for key in ("error", "message", "Message", "detail", "errors"):
            if key in body and (found := message_of(body[key])):
                return found
    if isinstance(body, list) and body:
        return message_of(body[0])
    return body if isinstance(body, str) else ""


class CallSettings(Protocol):
    """The part of a service's settings that says how long it is waited for, and how often it is asked again."""

    @property
    def timeout(self) -> float:
        """The longest time of one attempt in seconds."""

    @property
    def max_retries(self) -> int:
        """How often a request is sent again."""


class CallContext(Protocol):
    """The part of a service's context that requests need: see ServiceClient."""

    @property
    def meter(self) -> Meter:
        """Counts what is paid for."""

    @property
    def stop(self) -> threading.Event:
        """After it is set, nothing is asked."""


def service_client(
    service: str,
    settings: CallSettings,
    context: CallContext,
    *,
    secrets: Sequence[Secret] = (),
    fault: Callable[[ServiceAnswer], Fault] = usual_fault,
) -> ServiceClient:
    """Return a client with the timeout and retries of the settings."""
    return ServiceClient(
        service=service,
        timeout=settings.timeout,
        meter=context.meter,
        policy=RetryPolicy(attempts=settings.max_retries + 1),
        secrets=secrets,
        fault=fault,
        stop=context.stop,
    )


def usual_wait(answer: ServiceAnswer, kind: ServiceFault) -> float | None:
    """Return the seconds after which a busy service asks to be asked again, None if it does not say."""
    return retry_after_seconds(answer.headers.get("retry-after")) if kind == "busy" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceClient:
    """Sends requests to one service.

    `timeout` is the longest time of one attempt in seconds, up to the last byte of its answer. `secrets` are left out of
    every error. `fault` reads the service's own errors, and `wait` when to ask again. After `stop` is set, waits and requests end at once with an error.
    """

    service: str
    timeout: float
    meter: Meter
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    secrets: Sequence[Secret] = ()
    fault: Callable[[ServiceAnswer], Fault] = usual_fault
    wait: Callable[[ServiceAnswer, ServiceFault], float | None] = usual_wait
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(
        self, request: ServiceRequest, *, check: Callable[[ServiceAnswer], object] | None = None
    ) -> ServiceAnswer:
        """Return the answer to a request, which is sent again while a retry may help.

        `check` raises ServiceError for a success that is a failure. Raises ServiceError with the service's name, the
        status and its words.
        """

        def send() -> ServiceAnswer:
            answer = self._send(request)
            if check is not None:
                check(answer)
            return answer

        return with_retries(send, policy=self.policy, sleep=self.stop.wait)

    def error(self, what: str, *, kind: ServiceFault, retry_after: float | None = None) -> ServiceError:
        """Return an error of this service without its secrets, on one line."""
        shown = " ".join(hide_secrets(what, self.secrets).split())
        if len(shown) > SHOWN_CHARACTERS:
            shown = f"{shown[: SHOWN_CHARACTERS - 1]}…"
        return ServiceError(f"{self.service}: {shown}", kind=kind, retry_after=retry_after)

    def _send(self, request: ServiceRequest) -> ServiceAnswer:
        """Send a request once. What was charged is taken back unless the service may have done the work."""
        if self.stop.is_set():
            raise self._too_slow()
        if request.billed:
            self.meter.take(self.service, request.billed)
        is_charged = True
        try:
            answer = self._exchange(request)
            if answer.status in request.also_good:
                return answer
            if answer.status >= 300:
                is_charged = False
                raise self._refused(answer, request)
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            if request.accepts and not kind.startswith(tuple(request.accepts)):
                wanted = " or ".join(request.accepts)
                raise self.error(
                    f"the answer is {kind or 'of no type'}, not {wanted}; asked {_place(request.url)}",
                    kind="busy",
                )
            return answer
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.ProxyError,
            httpx.UnsupportedProtocol,
        ) as error:
            is_charged = False
            raise self.error(f"cannot be reached at {_host(request.url)}: {error}", kind="busy") from None
        except httpx.TimeoutException:
            raise self._too_slow() from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            what = str(error) or type(error).__name__
            raise self.error(f"the answer is not complete: {what}", kind="busy") from None
        finally:
            if not is_charged and request.billed:
                self.meter.give_back(self.service, request.billed)

    def _too_slow(self) -> ServiceError:
        if self.stop.is_set():
            return self.error("the render was stopped", kind="denied")
        return self.error(f"no complete answer within {self.timeout:g} s", kind="busy")

    def _refused(self, answer: ServiceAnswer, request: ServiceRequest) -> ServiceError:
        try:
            status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
        except ValueError:
            status = str(answer.status)
        if answer.status < 400:
            return self.error(f"answered {status}; redirects are not followed", kind="denied")
        kind, words = self.fault(answer)
        if kind == "denied" and not words:
            words = f"the key is refused ({self._origins()})" if self.secrets else "a key is needed"
        if answer.status == HTTPStatus.NOT_FOUND and not words:
            words = f"there is nothing at {_place(request.url)}"
        wait = self.wait(answer, kind)
        return self.error(f"{status}: {words}" if words else status, kind=kind, retry_after=wait)

    def _origins(self) -> str:
        return ", ".join(dict.fromkeys(secret.origin for secret in self.secrets))

    def _exchange(self, request: ServiceRequest) -> ServiceAnswer:
        headers = {"User-Agent": f"video-pipeline/{__version__}", **request.headers}
        if request.sign is not None:
            headers |= request.sign(request)
        timeout = httpx.Timeout(self.timeout, connect=min(CONNECT_SECONDS, self.timeout))
        with (
            _deadline(self.timeout, self.stop) as deadline,
            # A connection of its own, so that the deadline can end it.
            httpx.Client(timeout=timeout, follow_redirects=False, verify=_certificates()) as client,
        ):
            try:
                with client.stream(
                    request.method,
                    request.url,
                    headers=headers,
                    content=request.parts() if request.parts else request.body or None,
                    extensions={"trace": deadline.watch},
                ) as response:
                    body = bytearray()
                    for part in response.iter_bytes():
                        body += part
                        if len(body) > MAX_BYTES:
                            raise self.error(
                                f"the answer is larger than {MAX_BYTES >> 20} MiB", kind="denied"
                            )
                    if deadline.passed:
                        raise self._too_slow()
                    return ServiceAnswer(response.status_code, dict(response.headers), bytes(body))
            except httpx.HTTPError:
                if deadline.passed:
                    raise self._too_slow() from None
                raise


@cache
def _certificates() -> ssl.SSLContext:
    """Return the certificates that servers are checked against: reading them takes longer than a small request."""
    return httpx.create_ssl_context()


def _host(url: str) -> str:
    return httpx.URL(url).netloc.decode("ascii", "replace")


def _place(url: str) -> str:
    """Return a URL without its query, which may hold a key."""
    found = httpx.URL(url)
    return f"{found.scheme}://{_host(url)}{found.path}"


class _Deadline:
    """Ends a connection when the time is over, however slowly its bytes arrive."""

    def __init__(self) -> None:
        self.passed = False
        self._lock = threading.Lock()
        self._stream: Any = None

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember the connection that was opened (httpcore's `trace`); end it if the time is over already."""
        made = info.get("return_value")
        if event.endswith(".complete") and hasattr(made, "get_extra_info"):
            with self._lock:
                self._stream = made
                passed = self.passed
            if passed:
                self._shut_down()

    def expire(self) -> None:
        """Shut the connection down: a read that waits for it returns at once."""
        with self._lock:
            self.passed = True
        self._shut_down()

    def _shut_down(self) -> None:
        with self._lock:
            sock = self._stream.get_extra_info("socket") if self._stream is not None else None
        if sock is not None:
            try:
                sock.shutdown(2)
            except OSError:
                return  # it is closed already


@contextmanager
def _deadline(seconds: float, stop: threading.Event) -> Iterator[_Deadline]:
    """End the connection that is opened inside the block after so many seconds, or soon after `stop` is set."""
    deadline, done = _Deadline(), threading.Event()
    end = time.monotonic() + seconds

    def wait() -> None:
        while not done.wait(min(STOP_SECONDS, max(0.0, end - time.monotonic()))):
            if stop.is_set() or time.monotonic() >= end:
                deadline.expire()
                return

    thread = threading.Thread(target=wait, name="deadline", daemon=True)
    thread.start()
    try:
        yield deadline
    finally:
        done.set()
