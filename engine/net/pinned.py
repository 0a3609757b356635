"""HTTP requests to untrusted hosts: the address that was checked is the one that is connected to.

A host name is resolved once, all its addresses are checked, and the connection goes to one of these addresses, so a
name server cannot answer differently the second time. Proxies and credentials of the environment are not used, and
redirects are not followed.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from video_pipeline.engine.net.addresses import Address, Url, is_public

Resolve = Callable[[str, int], Sequence[Address]]
"""Return every address of a host; raises OSError."""

Allow = Callable[[Address], bool]

ADDRESSES_TRIED: Final = 4
CONNECT_SECONDS: Final = 10.0

NO_ANSWER_ERRORS: Final = (
    http.client.HTTPException,
    socket.gaierror,
    ssl.SSLError,
    ConnectionError,
    ValueError,
)
"""What a request raises, besides AddressRefusedError and TooSlowError, if there is no valid answer."""


class AddressRefusedError(Exception):
    """A host has an address that may not be used."""

    def __init__(self, host: str, address: Address) -> None:
        super().__init__(f"{host} is {address}")


class TooSlowError(TimeoutError):
    """The deadline has passed, or no byte arrived for too long."""


def resolve(host: str, port: int) -> Sequence[Address]:
    """Return every address of a host in the order of the system's resolver; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


class PinnedRequests:
    """Sends requests, each over a connection of its own. Thread-safe.

    `allow` returns whether an address may be used, `idle` is the seconds without a byte.
    """

    def __init__(
        self,
        *,
        idle: float,
        allow: Allow = is_public,
        resolver: Resolve = resolve,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._idle, self._allow, self._resolve, self._context = idle, allow, resolver, context

    @contextmanager
    def answer(
        self,
        parts: Url,
        method: str,
        *,
        headers: Mapping[str, str],
        deadline: float,
        body: bytes | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Request a URL and yield the response with its header read; `deadline` is in monotonic seconds.

        Raises AddressRefusedError, TooSlowError, or one of NO_ANSWER_ERRORS, also while the block reads the body.
        """
        wire: socket.socket | None = None
        try:
            wire = self.connect(parts, deadline=deadline)
            connection = _PinnedConnection(parts, _TimedSocket(wire, deadline, self._idle))
            connection.request(method, parts.target, body=body, headers=dict(headers))
            yield connection.getresponse()
        finally:
            if wire is not None:
                wire.close()

    def connect(self, parts: Url, *, deadline: float) -> socket.socket:
        """Return a connection to an address of the URL's host, with TLS if the scheme is https; raises as `answer`."""
        return self._connect(parts, self._addresses(parts, deadline), deadline)

    def _addresses(self, parts: Url, deadline: float) -> Sequence[Address]:
        """Return the addresses of a host; raise AddressRefusedError unless all of them are allowed."""
        try:
            found: Sequence[Address] = (ipaddress.ip_address(parts.host),)
        except ValueError:
            found = self._looked_up(parts, deadline)
        if not found:
            raise ConnectionError(f"{parts.host} has no address")
        for address in found:
            if not self._allow(address):
                raise AddressRefusedError(parts.host, address)
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
            raise TooSlowError
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
                raise TooSlowError from error
            if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
                raise ConnectionError(str(error)) from error
            raise

    @staticmethod
    def _left_of(deadline: float) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TooSlowError
        return left


class _TimedSocket:
    """A connected socket with a deadline: no read waits past it, or longer than `idle` seconds."""

    def __init__(self, wire: socket.socket, deadline: float, idle: float) -> None:
        self._wire = wire
        self._deadline = deadline
        self._idle = idle

    def _set_timeout(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TooSlowError
        self._wire.settimeout(min(self._idle, left))

    def sendall(self, data: Any) -> None:
        """Send everything."""
        self._set_timeout()
        try:
            self._wire.sendall(data)
        except TimeoutError as error:
            raise TooSlowError from error
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
            raise TooSlowError from error
        except ssl.SSLError:
            raise
        except OSError as error:  # an OSError would look like a disk error
            raise ConnectionError(str(error)) from error

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a reader for http.client."""
        return io.BufferedReader(_ResponseReader(self))

    def close(self) -> None:
        """Do nothing: http.client closes its end before the body is read. `answer` closes the socket."""


class _ResponseReader(io.RawIOBase):
    def __init__(self, wire: _TimedSocket) -> None:
        super().__init__()
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.recv_into(buffer)


class _PinnedConnection(http.client.HTTPConnection):
    """HTTP over an existing connection; it never opens its own."""

    def __init__(self, parts: Url, wire: _TimedSocket) -> None:
        super().__init__(parts.host, parts.port)
        self.default_port = 443 if parts.scheme == "https" else 80  # left out of the Host header
        self.sock = wire

    def connect(self) -> None:
        """Raise ConnectionError: a new connection would bypass the address check."""
        raise ConnectionError("the connection was closed")
