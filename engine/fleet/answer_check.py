"""Who answers at the address of a fleet's server? Asked before Ray is, which would wait for minutes in silence."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import Final

from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.fleet.certificates import FleetTls, client_side

ANSWER_SECONDS: Final = 5.0
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""What a client of HTTP/2 sends first: the preface and an empty frame of settings (RFC 9113, section 3.4)."""

FRAME_HEAD: Final = 9
SETTINGS: Final = 4
TLS_ALERT: Final = b"\x15\x03"


def answer_trouble(address: str, tls: FleetTls | None, *, seconds: float = ANSWER_SECONDS) -> str | None:
    """Return what is wrong with who answers at HOST:PORT, None if it speaks gRPC, which is HTTP/2, as this side does.

    Each step takes at most `seconds`.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        plain = socket.create_connection((host, int(port)), seconds)
    except OSError as error:
        return f"fleet.address: cannot reach {address}: {error.strerror or 'no answer'}"
    with plain:
        if tls is None:
            return _plain_trouble(plain, address)
        return _encrypted_trouble(plain, address, host, tls)


def tls_of_environment() -> FleetTls | None:
    """Return the certificates that Ray's variables name, None without encryption."""
    if os.environ.get("RAY_USE_TLS") != "1":
        return None
    return FleetTls(
        *(Path(os.environ[f"RAY_TLS_{name}"]) for name in ("SERVER_CERT", "SERVER_KEY", "CA_CERT"))
    )


def _plain_trouble(plain: socket.socket, address: str) -> str | None:
    try:
        first = _greet(plain)
    except OSError:
        first = b""
    if _is_settings(first):
        return None
    if first.startswith(TLS_ALERT):
        return f"fleet.address: {address} wants TLS; set fleet.tls_cert, tls_key and tls_ca here too, or on no machine"
    return (
        f"fleet.address: {address} accepts connections, but does not answer as a fleet's server: another program has the "
        "port, or TLS is set there and not here"
    )


def _encrypted_trouble(plain: socket.socket, address: str, host: str, tls: FleetTls) -> str | None:
    try:
        with client_side(tls).wrap_socket(plain, server_hostname=host) as encrypted:
            try:
                first = _greet(encrypted)
            except OSError:
                first = b""
            if _is_settings(first):
                return None
            return (
                f"fleet.tls_cert: {address} refuses {tls.certificate}; allowed: a certificate that is valid now, of the "
                "authority that fleet.tls_ca has there"
            )
    except ConfigError as error:
        return str(error)
    except ssl.SSLCertVerificationError as error:
        return (
            f"fleet.tls_ca: the certificate of {address} is refused: {error.verify_message}; allowed: one for {host} that is "
            f"valid now, of the authority in {tls.authority}"
        )
    except OSError:
        return (
            f"fleet.address: {address} accepts connections, but not with TLS, which fleet.tls_cert asks for: it is not set "
            "there, or another program has the port"
        )


def _greet(connection: socket.socket) -> bytes:
    """Send what begins a connection of HTTP/2; return the head of the first frame, or what there is of it."""
    connection.sendall(PREFACE)
    found = b""
    while len(found) < FRAME_HEAD and (more := connection.recv(FRAME_HEAD - len(found))):
        found += more
    return found


def _is_settings(head: bytes) -> bool:
    return len(head) == FRAME_HEAD and head[3] == SETTINGS and int.from_bytes(head[:3]) % 6 == 0
