"""The addresses that a node listens on: parse and check them, and bind sockets to them."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import zmq

from video_pipeline.engine.common.validation import show
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.curve import KeyPair

HEARTBEAT_MS = 2500
HEARTBEATS_MISSED = 3
HANDSHAKE_MS = 5000
BACKLOG = 1024
IPC_PATH_MAX_BYTES = 107
_ALLOWED = "tcp://HOST:PORT, tcp://*:PORT, ipc://PATH; PORT 1 to 65535, or * for any that is free"


class AddressError(ConfigError):
    """The node cannot listen on an address."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A parsed address. `host` is an IP address or '*', `place` the port (0: any free one) or the path."""

    kind: Literal["tcp", "ipc"]
    host: str
    place: str

    @property
    def url(self) -> str:
        """The address in ZeroMQ's form."""
        if self.kind == "ipc":
            return f"ipc://{self.place}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{'*' if self.place == '0' else self.place}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        return self.kind == "ipc" or (self.host != "*" and ipaddress.ip_address(self.host).is_loopback)


def parse_endpoint(text: str, *, field: str) -> Endpoint:
    """Parse an address; raise AddressError naming the field."""
    if text.startswith("ipc://"):
        return Endpoint("ipc", "", _ipc_path(text, field))
    host, colon, port = text.removeprefix("tcp://").rpartition(":")
    number = "0" if port == "*" else port
    if not (text.startswith("tcp://") and colon and host and number.isdecimal() and int(number) <= 65535):
        raise AddressError(f"{field}: got {show(text)}; allowed: {_ALLOWED}")
    return Endpoint("tcp", _address(host, text, field), str(int(number)))


def _address(host: str, text: str, field: str) -> str:
    if host == "*":
        return host
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressError(
            f"{field}: got {show(text)}: cannot resolve the host {show(host)} ({error})"
        ) from error
    v4 = [entry for entry in found if entry[0] == socket.AF_INET]
    return str((v4 or found)[0][4][0])


def _ipc_path(text: str, field: str) -> str:
    path = text.removeprefix("ipc://")
    if not path or path.startswith("@") or "\0" in path:
        raise AddressError(f"{field}: got {show(text)}; allowed: {_ALLOWED}")
    path = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 - these do not resolve symlinks
    if len(os.fsencode(path)) > IPC_PATH_MAX_BYTES:
        raise AddressError(
            f"{field}: {path}: the path has {len(os.fsencode(path))} bytes; "
            f"allowed: at most {IPC_PATH_MAX_BYTES} (the system's limit for sockets)"
        )
    return path


def events_endpoint(node: Node, requests: Endpoint) -> Endpoint:
    """Return the address for events: node.events_bind, or the next port or a path with `.events`."""
    if node.events_bind is not None:
        return parse_endpoint(node.events_bind, field="node.events_bind")
    if requests.kind == "ipc":
        return parse_endpoint(f"ipc://{requests.place}.events", field="node.bind (with .events)")
    port = int(requests.place)
    if port == 65535:
        raise AddressError(
            "node.bind: port 65535 leaves no next port for events; choose another port or set node.events_bind"
        )
    return Endpoint("tcp", requests.host, str(port + 1 if port else 0))


def wants_curve(node: Node, *endpoints: Endpoint) -> bool:
    """Return whether clients need keys: as configured, or with `auto` if another machine can connect."""
    if node.curve == "auto":
        return not all(endpoint.is_local for endpoint in endpoints)
    return node.curve == "on"


def prepare(sock: zmq.Socket[bytes], endpoint: Endpoint, *, max_message: int, key: KeyPair | None) -> None:
    """Set the options that both sockets share; call it before binding."""
    sock.linger = 0
    sock.sndtimeo = 0
    sock.maxmsgsize = max_message
    sock.backlog = BACKLOG
    sock.heartbeat_ivl = HEARTBEAT_MS
    sock.heartbeat_timeout = HEARTBEAT_MS * HEARTBEATS_MISSED
    sock.heartbeat_ttl = HEARTBEAT_MS * HEARTBEATS_MISSED
    sock.handshake_ivl = HANDSHAKE_MS
    sock.ipv6 = ":" in endpoint.host
    if key is not None:
        assert key.secret is not None
        sock.curve_server = True
        sock.curve_secretkey = key.secret
        sock.curve_publickey = key.public
        sock.zap_domain = b"video-pipeline"


def bind(sock: zmq.Socket[bytes], endpoint: Endpoint, *, field: str) -> str:
    """Bind a socket and return its actual address; raise AddressError with the reason."""
    mask = None
    if endpoint.kind == "ipc":
        _check_ipc(Path(endpoint.place), field)
        mask = os.umask(0o177)  # only the owner may ever open the socket
    try:
        sock.bind(endpoint.url)
    except zmq.ZMQError as error:
        reason = {
            zmq.EADDRINUSE: "is in use by another process",
            zmq.EADDRNOTAVAIL: "is not an address of this machine",
            errno.ENODEV: "is not an address of this machine",
        }.get(error.errno or 0, error.strerror or str(error))
        raise AddressError(f"{field}: {endpoint.url}: {reason}") from error
    finally:
        if mask is not None:
            os.umask(mask)
    last = sock.get(zmq.LAST_ENDPOINT)
    assert isinstance(last, bytes)
    return last.decode().rstrip("\0")


def _check_ipc(path: Path, field: str) -> None:
    """Raise AddressError unless the path is free or a dead socket: ZeroMQ would delete any other file there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise AddressError(f"{field}: {path}: the folder {path.parent} does not exist") from None
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise AddressError(f"{field}: {path}: the folder {path.parent} is not writable") from None
        return
    except OSError as error:
        raise AddressError(f"{field}: {path}: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        raise AddressError(f"{field}: {path}: exists and is not a socket; choose another path")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.settimeout(1)
        probe.connect(str(path))
    except ConnectionRefusedError:
        return  # left by a process that has ended
    except OSError as error:
        raise AddressError(f"{field}: {path}: {error.strerror or error}") from error
    finally:
        probe.close()
    raise AddressError(f"{field}: {path}: is in use by another process")
