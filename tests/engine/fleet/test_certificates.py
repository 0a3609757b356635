"""What is wrong with the certificates of machines, and who answers at an address: real handshakes, no Ray."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.support.certificates import Authority, MachinePems
from tests.support.ports import refusing_port
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.fleet.answer_check import answer_trouble
from video_pipeline.engine.fleet.certificates import FleetTls, check_certificate

HOST = "127.0.0.1"
SETTINGS = bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100])
"""The first frame of a server of HTTP/2: its settings, here the number of streams."""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("theirs"), "theirs")


def tls_of(files: MachinePems) -> FleetTls:
    return FleetTls(files.tls_cert, files.tls_key, files.tls_ca)


def test_a_certificate_for_the_machines_address_passes(ours: Authority) -> None:
    check_certificate(tls_of(ours.machine("10.0.0.7", "m7")), "10.0.0.7")
    check_certificate(tls_of(ours.machine("2001:db8::7", "six")), "2001:db8::7")


def test_a_certificate_that_other_machines_would_refuse_is_named_with_the_reason(
    ours: Authority, theirs: Authority
) -> None:
    good = tls_of(ours.machine("10.0.0.7", "good"))
    other = tls_of(theirs.machine("10.0.0.7", "other"))
    cases = [
        (
            tls_of(ours.machine("10.0.0.8", "elsewhere")),
            r"fleet\.tls_cert: .*elsewhere\.pem: IP address mismatch",
        ),
        (
            tls_of(ours.machine("10.0.0.7", "old", days=-1)),
            r"fleet\.tls_cert: .*old\.pem: certificate has expired",
        ),
        (
            replace(other, authority=good.authority),
            r"fleet\.tls_cert: .*other\.pem: unable to get local issuer",
        ),
        (replace(good, key=other.key), r"fleet\.tls_key: .*other\.key is not the key of .*good\.pem"),
        (replace(good, certificate=good.key), r"fleet\.tls_key: .*is not the key of"),
        (replace(good, authority=good.key), r"fleet\.tls_ca: .*good\.key holds no certificate"),
    ]
    for tls, reason in cases:
        with pytest.raises(ConfigError, match=reason):
            check_certificate(tls, "10.0.0.7")


@contextmanager
def listening(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Give the address of a server that talks so to each that connects."""
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        talk(connection)
                        connection.recv(1000)
                    except OSError:  # the other side has had enough
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"{HOST}:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(FAST_SECONDS)


def encrypted(files: MachinePems) -> Callable[[socket.socket], None]:
    """Answer as a server of gRPC with TLS that asks for a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.tls_cert, files.tls_key)
    context.load_verify_locations(files.tls_ca)
    context.verify_mode = ssl.CERT_REQUIRED

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as inner:
            inner.sendall(SETTINGS)
            inner.recv(1000)

    return talk


def told_of(address: str, tls: FleetTls | None = None) -> str | None:
    return answer_trouble(address, tls, seconds=FAST_SECONDS)


def test_who_answers_as_this_side_expects_is_no_trouble(ours: Authority) -> None:
    with listening(lambda connection: connection.sendall(SETTINGS)) as address:
        assert told_of(address) is None
    with listening(encrypted(ours.machine(HOST, "server"))) as address:
        assert told_of(address, tls_of(ours.machine("10.0.0.7", "client"))) is None


def test_another_program_a_silent_one_and_none_are_told_apart() -> None:
    with listening(lambda connection: connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")) as address:
        told = told_of(address)
        assert told is not None
        assert told.startswith(
            f"fleet.address: {address} accepts connections, but does not answer as a fleet's"
        )
    with listening(lambda connection: None) as address:
        assert "another program has the port" in (answer_trouble(address, None, seconds=0.2) or "")
    with refusing_port() as port:
        assert told_of(f"{HOST}:{port}") == f"fleet.address: cannot reach {HOST}:{port}: Connection refused"


def test_tls_on_one_side_only_names_the_side_that_lacks_it(ours: Authority) -> None:
    client = tls_of(ours.machine("10.0.0.7", "client"))
    with listening(lambda connection: connection.sendall(SETTINGS)) as address:
        assert "but not with TLS, which fleet.tls_cert asks for" in (told_of(address, client) or "")
    with listening(encrypted(ours.machine(HOST, "server"))) as address:
        told = told_of(address) or ""
        assert "wants TLS" in told or "TLS is set there and not here" in told


def test_certificates_that_the_other_side_must_refuse_are_named(ours: Authority, theirs: Authority) -> None:
    mine = tls_of(ours.machine("10.0.0.7", "mine"))
    for server, reason in [
        (theirs.machine(HOST, "stranger"), "(self-signed certificate|unable to get local issuer)"),
        (ours.machine(HOST, "old", days=-1), "certificate has expired"),
        (ours.machine("10.0.0.8", "elsewhere"), "IP address mismatch"),
    ]:
        with listening(encrypted(server)) as address:
            told = told_of(address, mine) or ""
            assert re.match(f"fleet.tls_ca: the certificate of {address} is refused: {reason}", told), told
    stranger = replace(tls_of(theirs.machine("10.0.0.7", "mine")), authority=ours.certificate)
    with listening(encrypted(ours.machine(HOST, "server"))) as address:
        told = told_of(address, stranger) or ""
        assert told.startswith(f"fleet.tls_cert: {address} refuses {stranger.certificate}; allowed: "), told
