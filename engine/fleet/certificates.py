"""The certificates with which machines of a fleet prove to each other who they are."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from video_pipeline.engine.errors import ConfigError

HTTP2: Final = ["h2"]
STEPS_MOST: Final = 10
"""More than the messages of a handshake."""


@dataclass(frozen=True, slots=True)
class FleetTls:
    """The PEM files of a machine: its certificate, that one's key, and the authority of all machines."""

    certificate: Path
    key: Path
    authority: Path


def check_certificate(tls: FleetTls, address: str) -> None:
    """Raise ConfigError unless other machines will take this one's certificate: its key, authority, time and address.

    `address` is the machine's own in the fleet. The two sides of a connection shake hands in memory, as machines will.
    """
    server, client = _server_side(tls), client_side(tls)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=address),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    try:
        for _ in range(STEPS_MOST):
            sides = [side for side in sides if not _is_done(side)]
            if not sides:
                return
    except ssl.SSLCertVerificationError as error:
        raise ConfigError(
            f"fleet.tls_cert: {tls.certificate}: {error.verify_message}; allowed: a certificate for {address}, signed by "
            f"the authority in {tls.authority} (fleet.tls_ca), at the time of this machine's clock"
        ) from error
    except ssl.SSLError as error:
        raise ConfigError(f"fleet.tls_cert: {tls.certificate}: {error.reason or error}") from error


def client_side(tls: FleetTls) -> ssl.SSLContext:
    """Return what a machine needs to connect to another; raise ConfigError for files that hold nothing usable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _with_files(context, tls)


def _server_side(tls: FleetTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _with_files(context, tls)


def _with_files(context: ssl.SSLContext, tls: FleetTls) -> ssl.SSLContext:
    context.set_alpn_protocols(HTTP2)
    try:
        context.load_verify_locations(tls.authority)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"fleet.tls_ca: {tls.authority} holds no certificate in PEM form") from error
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: b"")
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"fleet.tls_key: {tls.key} is not the key of {tls.certificate} (fleet.tls_cert); allowed: both in PEM form, the "
            "key without a password"
        ) from error
    return context


def _is_done(side: ssl.SSLObject) -> bool:
    """Take one step of a handshake; return whether it is complete."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
