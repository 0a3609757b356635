"""Fetch assets from untrusted http(s) URLs: public addresses only, with limits and checked content.

A host name is resolved once, all its addresses are checked, and the connection goes to one of these addresses, so
a name server cannot answer differently the second time. Each redirect is checked like the first URL. Proxies and
credentials of the environment are not used.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urljoin

from video_pipeline.engine import __version__
from video_pipeline.engine.assets.formats import ALLOWED, HEAD_BYTES, suffix_as
from video_pipeline.engine.assets.urls import Address, Url, check_url, is_public
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import FetchError
from video_pipeline.engine.story.asset_fields import AssetKind

Resolve = Callable[[str, int], Sequence[Address]]
"""Return every address of a host; raises OSError."""

Allow = Callable[[Address], bool]

REDIRECTS: Final = 5
REDIRECT_STATUS: Final = frozenset({301, 302, 303, 307, 308})
PASSING_STATUS: Final = frozenset({408, 425, 429})
"""Statuses below 500 after which a retry may help."""

ADDRESSES_TRIED: Final = 4
READ_BYTES: Final = 64 * 1024
IDLE_SECONDS: Final = 15.0
CONNECT_SECONDS: Final = 10.0


def resolve(host: str, port: int) -> Sequence[Address]:
    """Return every address of a host in the order of the system's resolver; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


class Fetcher:
    """Fetches the assets of one attempt at a job. Thread-safe.

    `max_bytes` limits one asset, `max_total_bytes` all of them, `timeout` the seconds for one with its redirects,
    `idle` the seconds without a byte. `allow` returns whether an address may be used.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        max_total_bytes: int,
        timeout: float,
        idle: float = IDLE_SECONDS,
        allow: Allow = is_public,
        resolver: Resolve = resolve,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._idle = idle
        self._allow = allow
        self._resolve = resolver
        self._context = context
        self._lock = threading.Lock()
        self._left = max_total_bytes

    @classmethod
    def of(cls, node: Node, *, allow: Allow = is_public) -> Fetcher:
        """Return a fetcher with a node's limits."""
        return cls(
            max_bytes=int(node.asset_max_mb * 1e6),
            max_total_bytes=int(node.assets_max_mb * 1e6),
            timeout=node.fetch_timeout,
            allow=allow,
        )

    def __call__(self, url: str, folder: Path, kind: AssetKind) -> Path:
        """Download a URL completely into a file in `folder` and return the file's path.

        The file's name is the URL's hash, its suffix follows from its content. Raises FetchError, whose `kind`
        says whether a retry may help, and OSError if the disk is full.
        """
        deadline = time.monotonic() + self._timeout
        current = url
        for _ in range(REDIRECTS + 1):
            parts = check_url(current)
            if url.lower().startswith("https:") and parts.scheme != "https":
                _refuse(url, f"redirects from https to {current[:200]!r}")
            with self._answer(parts, url, deadline) as answer:
                if answer.status not in REDIRECT_STATUS:
                    return self._body(answer, url, folder, kind)
                location = answer.headers.get("Location")
            if not location:
                raise FetchError(f"{url}: redirects without a Location", url=url, kind="unusable")
            current = urljoin(current, location.strip(" \t"))
        raise FetchError(f"{url}: redirects more than {REDIRECTS} times", url=url, kind="unusable")

    @contextmanager
    def _answer(self, parts: Url, url: str, deadline: float) -> Iterator[http.client.HTTPResponse]:
        """Request a URL and yield the response with its header read; errors inside become FetchError."""
        wire: socket.socket | None = None
        try:
            wire = self._connect(parts, self._addresses(parts, url, deadline), deadline)
            connection = _Pinned(parts, _Timed(wire, deadline, self._idle))
            connection.request("GET", parts.target, headers=_HEADERS)
            yield connection.getresponse()
        except ssl.SSLCertVerificationError as error:
            reason = error.verify_message or error.reason
            raise FetchError(
                f"{url}: its certificate is not valid: {reason}", url=url, kind="unusable"
            ) from error
        except _TooSlowError as error:
            limit = f"{self._timeout:g} s in all (node.fetch_timeout), {self._idle:g} s without a byte"
            raise FetchError(f"{url}: took too long; allowed: {limit}", url=url, kind="transient") from error
        except (
            http.client.HTTPException,
            socket.gaierror,
            ssl.SSLError,
            ConnectionError,
            ValueError,
        ) as error:
            why = str(error) or type(error).__name__
            raise FetchError(f"{url}: no valid response: {why}", url=url, kind="transient") from error
        finally:
            if wire is not None:
                wire.close()

    def _addresses(self, parts: Url, url: str, deadline: float) -> Sequence[Address]:
        """Return the addresses of a host; raise FetchError unless all of them are allowed."""
        try:
            found: Sequence[Address] = (ipaddress.ip_address(parts.host),)
        except ValueError:
            found = self._looked_up(parts, deadline)
        if not found:
            raise FetchError(f"{url}: {parts.host} has no address", url=url, kind="transient")
        for address in found:
            if not self._allow(address):
                _refuse(url, f"{parts.host} is {address}")
        return found[:ADDRESSES_TRIED]

    def _looked_up(self, parts: Url, deadline: float) -> Sequence[Address]:
        """Resolve a name in its own thread, because the system's resolver has no timeout."""
        found: list[Sequence[Address] | OSError] = []

        def look() -> None:
            try:
                found.append(self._resolve(parts.host, parts.port))
            except OSError as error:
                found.append(error)
            except UnicodeError as error:  # a label that IDNA refuses
                found.append(socket.gaierror(socket.EAI_NONAME, str(error)))

        thread = threading.Thread(target=look, name="resolve", daemon=True)
        thread.start()
        thread.join(max(0.0, deadline - time.monotonic()))
        if not found:
            raise _TooSlowError
        if isinstance(found[0], OSError):
            raise socket.gaierror(f"{parts.host} cannot be resolved: {found[0].strerror}") from found[0]
        return found[0]

    def _connect(self, parts: Url, addresses: Sequence[Address], deadline: float) -> socket.socket:
        """Return a connection to the first address that accepts one, with TLS if the scheme is https."""
        wire: socket.socket | None = None
        for number, address in enumerate(addresses):
            seconds = min(CONNECT_SECONDS, self._left_of(deadline))
            try:
                # A literal address, so the name is not resolved again.
                wire = socket.create_connection((str(address), parts.port), seconds)
                break
            except OSError as error:
                if number == len(addresses) - 1:
                    raise ConnectionError(f"{parts.host} ({address}): {error}") from error
        assert wire is not None
        if parts.scheme == "http":
            return wire
        try:
            wire.settimeout(min(CONNECT_SECONDS, self._left_of(deadline)))
            context = self._context or ssl.create_default_context()
            return context.wrap_socket(wire, server_hostname=parts.host)
        except BaseException as error:
            wire.close()
            if isinstance(error, TimeoutError):
                raise _TooSlowError from error
            if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
                raise ConnectionError(str(error)) from error
            raise

    @staticmethod
    def _left_of(deadline: float) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _TooSlowError
        return left

    def _body(self, answer: http.client.HTTPResponse, url: str, folder: Path, kind: AssetKind) -> Path:
        """Write a response's body to a file and return it; raise FetchError for an error status or wrong content."""
        if answer.status != 200:
            passing = answer.status >= 500 or answer.status in PASSING_STATUS
            what = f"{answer.status} {answer.reason[:80]}".strip()
            raise FetchError(f"{url}: {what}", url=url, kind="transient" if passing else "unusable")
        encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise FetchError(
                f"{url}: Content-Encoding {encoding[:40]!r}; allowed: identity", url=url, kind="unusable"
            )
        expected = answer.length  # None if the body is chunked or ends with the connection
        self._within(expected or 0, url)
        stem = hashlib.sha256(f"{kind} {url}".encode()).hexdigest()[:24]
        partial = folder / f".partial-{stem}"
        taken = 0
        try:
            with partial.open("wb") as file:
                head = b""
                # Read into a buffer: `read` would take a chunk of length -1 to mean everything up to the end.
                buffer = bytearray(READ_BYTES)
                while size := answer.readinto(buffer):
                    taken += size
                    self._take(size, taken, url)
                    if len(head) < HEAD_BYTES:
                        head += buffer[: min(size, HEAD_BYTES - len(head))]
                        if len(head) == HEAD_BYTES:
                            _suffix(head, url, kind)  # reject a wrong file early
                    file.write(memoryview(buffer)[:size])
            if expected is None and not taken:  # a truncated header looks the same
                raise http.client.IncompleteRead(b"")
            if expected is not None and taken != expected:
                raise http.client.IncompleteRead(b"", expected - taken)
            target = folder / f"{stem}{_suffix(head, url, kind)}"
            partial.replace(target)
            return target
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def _within(self, size: int, url: str) -> None:
        if size > self._max_bytes:
            limit = f"at most {self._max_bytes / 1e6:g} MB (node.asset_max_mb)"
            raise FetchError(f"{url}: is larger than allowed; allowed: {limit}", url=url, kind="unusable")

    def _take(self, size: int, taken: int, url: str) -> None:
        """Count bytes towards the limits of one asset and of all assets."""
        self._within(taken, url)
        with self._lock:
            self._left -= size
            left = self._left
        if left < 0:
            raise FetchError(
                f"{url}: this job's URLs are together larger than node.assets_max_mb allows",
                url=url,
                kind="unusable",
            )


_HEADERS: Final = {
    "User-Agent": f"video-pipeline/{__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


def _refuse(url: str, what: str) -> NoReturn:
    raise FetchError(f"{url}: {what}; allowed: addresses of the public internet", url=url, kind="refused")


def _suffix(head: bytes, url: str, kind: AssetKind) -> str:
    try:
        return suffix_as(kind, head)
    except ValueError as error:
        raise FetchError(f"{url}: {error}; allowed: {ALLOWED[kind]}", url=url, kind="unusable") from error


class _TooSlowError(TimeoutError):
    """The deadline has passed, or no byte arrived for too long."""


class _Timed:
    """A connected socket with a deadline: no read waits past it, or longer than `idle` seconds."""

    def __init__(self, wire: socket.socket, deadline: float, idle: float) -> None:
        self._wire = wire
        self._deadline = deadline
        self._idle = idle

    def _set_timeout(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise _TooSlowError
        self._wire.settimeout(min(self._idle, left))

    def sendall(self, data: Any) -> None:
        """Send everything."""
        self._set_timeout()
        try:
            self._wire.sendall(data)
        except TimeoutError as error:
            raise _TooSlowError from error
        except ssl.SSLError:
            raise
        except OSError as error:
            raise ConnectionError(str(error)) from error

    def recv_into(self, buffer: Any) -> int:
        """Read the bytes available, at least one; return 0 at the end."""
        self._set_timeout()
        try:
            return self._wire.recv_into(buffer)
        except TimeoutError as error:
            raise _TooSlowError from error
        except ssl.SSLError:
            raise
        except OSError as error:  # an OSError would look like a disk error
            raise ConnectionError(str(error)) from error

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a reader for http.client."""
        return io.BufferedReader(_ResponseReader(self))

    def close(self) -> None:
        """Do nothing: http.client closes its end before the body is read. The fetcher closes the socket."""


class _ResponseReader(io.RawIOBase):
    def __init__(self, wire: _Timed) -> None:
        super().__init__()
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.recv_into(buffer)


class _Pinned(http.client.HTTPConnection):
    """HTTP over an existing connection; it never opens its own."""

    def __init__(self, parts: Url, wire: _Timed) -> None:
        super().__init__(parts.host, parts.port)
        self.default_port = 443 if parts.scheme == "https" else 80  # left out of the Host header
        self.sock = wire

    def connect(self) -> None:
        """Raise ConnectionError: a new connection would bypass the address check."""
        raise ConnectionError("the connection was closed")
