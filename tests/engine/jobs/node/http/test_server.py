"""/metrics, /healthz and /readyz, over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.node.http import server as health_module
from video_pipeline.engine.jobs.node.http.prometheus import PrometheusMetrics
from video_pipeline.engine.jobs.node.http.server import (
    CONNECTIONS_MAX,
    REQUEST_MAX_BYTES,
    Health,
    HealthServer,
    Readiness,
    parse_bind,
)


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def server(health: Health) -> Iterator[HealthServer]:
    with HealthServer(
        "127.0.0.1:0", metrics=PrometheusMetrics(), health=health, request_seconds=0.5
    ) as server:
        yield server


def ask(server: HealthServer, path: str, verb: str = "GET") -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    connection.request(verb, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, {name.lower(): value for name, value in answer.getheaders()}


def raw(server: HealthServer, data: bytes) -> bytes:
    with socket.create_connection(server.address, 10) as wire:
        wire.sendall(data)
        answer = b""
        while piece := wire.recv(65536):
            answer += piece
        return answer


def test_metrics_are_served_as_text(server: HealthServer) -> None:
    status, body, headers = ask(server, "/metrics?name=x")
    assert status == 200
    assert "videos_generated_total 0.0" in body
    assert headers["content-type"].startswith("text/plain; version=")


def test_a_head_has_the_length_and_no_body(server: HealthServer) -> None:
    status, body, headers = ask(server, "/healthz", "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["content-length"]) > 0


def test_a_node_that_has_just_begun_lives_and_is_not_ready(server: HealthServer) -> None:
    assert ask(server, "/healthz")[0] == 200
    status, body, headers = ask(server, "/readyz")
    assert status == 503
    assert json.loads(body) == {"ready": False, "reasons": ["the node is starting"]}
    assert headers["content-type"] == "application/json"


def test_readiness_follows_the_node(server: HealthServer, health: Health) -> None:
    health.update(Readiness(()))
    assert ask(server, "/readyz")[:2] == (200, '{"ready": true, "reasons": []}\n')
    health.update(Readiness(("the disk is full",)))
    status, body, _ = ask(server, "/readyz")
    assert status == 503
    assert "the disk is full" in body
    assert ask(server, "/healthz")[0] == 200


def test_a_stalled_loop_is_reported(
    server: HealthServer, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    health.update(Readiness(()))
    monkeypatch.setattr(health_module, "STUCK_SECONDS", 0.0)
    assert ask(server, "/healthz")[:2] == (503, '{"alive": false}\n')
    assert "loop is stuck" in ask(server, "/readyz")[1]


@pytest.mark.parametrize(
    "path", ["/", "/metrics/", "/metrics/..", "/../etc/passwd", "/readyz%00", "//readyz"]
)
def test_everything_else_is_not_found(server: HealthServer, path: str) -> None:
    assert ask(server, path)[0] == 404


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(server: HealthServer, verb: str) -> None:
    status, _, headers = ask(server, "/metrics", verb)
    assert status == 405
    assert headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET http://x/metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        b"GET /metrics HTTP/2\r\n\r\n",
        b"GET /metrics HTTP/1.1 x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"x" * (REQUEST_MAX_BYTES - 23),
    ],
)
def test_what_is_no_request_is_refused(server: HealthServer, data: bytes) -> None:
    assert raw(server, data).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_drips_is_hung_up_on(server: HealthServer) -> None:
    began = time.monotonic()
    with socket.create_connection(server.address, 10) as wire:
        try:
            for letter in "GET /metrics HTTP/1.1\r\n" * 100:
                wire.sendall(letter.encode())
                time.sleep(0.05)
        except OSError:
            pass
    assert time.monotonic() - began < 5


def test_half_open_connections_take_a_bounded_number_of_threads_and_keep_no_probe_out(
    server: HealthServer,
) -> None:
    before = threading.active_count()
    over = threading.Event()
    wires: list[socket.socket] = []

    def flood() -> None:
        while not over.wait(0.005):
            wires.append(socket.create_connection(server.address, 10))
            with contextlib.suppress(OSError):
                wires[-1].sendall(b"GET /me")

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        most = 0
        for _ in range(40):
            assert ask(server, "/healthz")[0] == 200
            most = max(most, threading.active_count() - before)
            time.sleep(0.02)
        assert len(wires) > 2 * CONNECTIONS_MAX
        assert most <= CONNECTIONS_MAX + 1
    finally:
        over.set()
        flooding.join()
        for wire in wires:
            wire.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_disconnected_client_affects_no_other_client(server: HealthServer) -> None:
    for _ in range(3 * CONNECTIONS_MAX):
        socket.create_connection(server.address, 10).close()
    time.sleep(0.1)
    assert ask(server, "/healthz")[0] == 200


def test_ipv6_is_served() -> None:
    try:
        server = HealthServer("[::1]:0", metrics=PrometheusMetrics(), health=Health())
    except ConfigError:
        pytest.skip("this machine has no IPv6")
    with server:
        assert ask(server, "/healthz")[0] == 200


def test_a_port_that_is_taken_names_the_key(server: HealthServer) -> None:
    with pytest.raises(ConfigError, match=r"node\.http_bind: cannot listen on 127.0.0.1:\d+"):
        HealthServer(f"127.0.0.1:{server.address[1]}", metrics=PrometheusMetrics(), health=Health())


@pytest.mark.parametrize(
    "bind", ["", "5580", "host", "host:", ":5580", "host:99999", "::1:5580", "a b:1", "tcp://a:1"]
)
def test_a_bind_of_another_form_names_the_key(bind: str) -> None:
    with pytest.raises(ConfigError, match=r"node\.http_bind.*HOST:PORT"):
        parse_bind(bind)


def test_a_closed_server_is_gone(health: Health) -> None:
    server = HealthServer("127.0.0.1:0", metrics=PrometheusMetrics(), health=health)
    server.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(server.address, 5)
