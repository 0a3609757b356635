"""Slow and hostile clients: bounded in memory and time, while others, over HTTP and ZeroMQ, are served."""

from __future__ import annotations

import contextlib
import random
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.finished_jobs import finished_job
from tests.support.server import STORY, memory_of
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS, wait_until
from tests.support.web import WebNode, everything, get, get_bytes, raw, web_config
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.web.exchange import HEAD_MAX_BYTES, HEAD_SECONDS

MB = 1_000_000


def held_by(node: WebNode) -> int:
    assert node.web.pid is not None
    return memory_of(node.web.pid)


def usual_of_zeromq(node: WebNode, *, seconds: float) -> float:
    """Return the median time of a status request over ZeroMQ within some seconds.

    One request after the other: if they wait for other clients, there are few, and the median shows it.
    """
    took, until = [], time.monotonic() + seconds
    with NodeClient(node.requests, timeout=2 * FAST_SECONDS) as client:
        job_id = client.submit(STORY).job_id
        while time.monotonic() < until or not took:
            began = time.monotonic()
            client.status(job_id)
            took.append(time.monotonic() - began)
            time.sleep(0.005)
    return statistics.median(took)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 2 * HEAD_MAX_BYTES,
        b"GET /" + b"a" * 2 * HEAD_MAX_BYTES,
        b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n bad: folded\r\n: nothing\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /ping HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_request_gets_a_4xx_or_501_and_the_connection_ends(web_node: WebNode, sent: bytes) -> None:
    with raw(web_node) as connection:
        connection.sendall(sent)
        status = int(everything(connection).split()[1])
    assert status in (400, 401, 403, 404, 431, 501)


def test_refused_clients_that_go_on_sending_make_room_for_others(tmp_path: Path) -> None:
    sent = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\nContent-Length: 9\r\n\r\n"
    with WebNode(web_config(tmp_path, {"max_connections": 16})) as node, contextlib.ExitStack() as opened:
        for _ in range(16):
            connection = opened.enter_context(raw(node))
            connection.sendall(sent)
            assert b" 401 " in connection.recv(65536)
        assert get(f"{node.url}/ping").status_code == 200


def test_requests_in_one_packet_are_answered_in_their_order(web_node: WebNode) -> None:
    with raw(web_node) as connection:
        connection.sendall(get_bytes("/ping") + get_bytes("/no") + get_bytes("/stats", "Connection: close"))
        found = everything(connection)
    assert [int(part.split()[0]) for part in found.split(b"HTTP/1.1 ")[1:]] == [200, 404, 200]


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(web_node: WebNode) -> None:
    head = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with raw(web_node) as connection:
        connection.sendall(head + b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 413")
    with raw(web_node) as connection:
        body = b'{"story": {"title": "a", "content": "b."}}'
        connection.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 201")


def test_an_endless_chunked_body_is_cut_at_the_limit(web_node: WebNode) -> None:
    head = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    before = held_by(web_node)
    with raw(web_node) as connection:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 500 * MB:
                connection.sendall(b"100000\r\n" + b"a" * 0x100000 + b"\r\n")
                sent += 0x100000
        found = everything(connection)
    assert sent < 100 * MB
    assert found.startswith(b"HTTP/1.1 413") or not found
    print(f"{sent / MB:.0f} MB sent, memory {before / MB:.0f} to {held_by(web_node) / MB:.0f} MB")
    wait_until(lambda: held_by(web_node) < before + 100 * MB, what="memory given back")


@contextlib.contextmanager
def many(node: WebNode, count: int, data: bytes) -> Iterator[list[socket.socket]]:
    """Open connections that send some bytes and no more."""
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            with contextlib.suppress(OSError):
                one = socket.create_connection(("127.0.0.1", node.port), timeout=FAST_SECONDS)
                opened.append(one)
                one.sendall(data)
        yield opened
    finally:
        for one in opened:
            one.close()


@pytest.mark.slow
def test_ten_thousand_connections_leave_room_for_others_and_little_memory(tmp_path: Path) -> None:
    with WebNode(web_config(tmp_path, max_requests_per_second=1e6)) as node:
        before = held_by(node)
        quiet = usual_of_zeromq(node, seconds=1)
        found: list[float] = []
        watcher = threading.Thread(target=lambda: found.append(usual_of_zeromq(node, seconds=6)))
        watcher.start()
        with many(node, 10_000, b"GET / HTTP/1.1\r\nHost: loc"), node.client() as client:
            after = held_by(node)
            assert node.counters()["connections_open"] <= 1024
            for _ in range(20):
                assert client.get("/ping").status_code == 200
            watcher.join()
        print(
            f"memory {before / MB:.0f} to {after / MB:.0f} MB, ZeroMQ {quiet * 1e3:.0f} then {found[0] * 1e3:.0f} ms"
        )
        assert after - before < 120 * MB
        assert found[0] < 0.5


@pytest.mark.slow
def test_a_head_that_comes_a_byte_at_a_time_has_seconds(web_node: WebNode) -> None:
    with raw(web_node) as connection:
        began = time.monotonic()
        connection.settimeout(0.2)
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 3 * HEAD_SECONDS:
                connection.sendall(b"a")
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(100):
                        break
        assert time.monotonic() - began < HEAD_SECONDS + PROMPT_SECONDS


@pytest.mark.slow
def test_clients_that_read_nothing_hold_little(tmp_path: Path) -> None:
    with WebNode(web_config(tmp_path, max_requests_per_second=1e6)) as node, node.client() as client:
        with node.ledger() as ledger:
            job_id = finished_job(ledger, node.config.storage.output_path, size=60 * MB)
        for _ in range(600):
            client.post("/jobs", json={"story": STORY})
        before = held_by(node)
        lists = get_bytes("/jobs?limit=1000")
        with (
            many(node, 100, get_bytes(f"/jobs/{job_id}/files/film.mp4")),
            many(node, 100, lists * 10),
            many(node, 60, get_bytes("/events?after=0")),
        ):
            assert usual_of_zeromq(node, seconds=2) < 0.5
            after = held_by(node)
            assert client.get("/ping").status_code == 200
            open_now = node.counters()
            assert open_now["downloads_open"] <= 32
        print(f"memory {before / MB:.0f} to {after / MB:.0f} MB")
        assert after - before < 150 * MB


def test_random_bytes_and_requests_never_break_it(web_node: WebNode) -> None:
    """A 500 is a bug, a restart is one too. The seed is printed."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    restarts = web_node.web.restarts
    words = ["jobs", "events", "files", "stats", "ping", "openapi.json", "retry", "cancel", "..", "%00", "%ff", "é",
             "job-" + "0" * 24, "a" * 300, "?", "&", "=", "limit=1", "after=x", "wait=0", "{", "//"]  # fmt: skip
    methods = ["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "CONNECT", "X"]
    names = ["Range", "If-Range", "If-None-Match", "Authorization", "Origin", "Content-Type", "Accept", "Cookie",
             "Last-Event-ID", "Idempotency-Key", "Transfer-Encoding", "Content-Length", "Expect", "Connection"]  # fmt: skip
    values = ["", "bytes=0-", "bytes=9-1", "*", "Bearer x", "null", "application/json", "chunked", "5", "-1", "é",
              "multipart/form-data; boundary=b", "100-continue", '"', "text/event-stream", "a" * 500]  # fmt: skip
    bodies = [b"", b"{", b"null", b'{"story": 5}', b"[" * 2000, b"--b\r\n", b"--b\r\nContent-Disposition: form-data; "
              b'name="job"\r\n\r\n{}\r\n--b--', rng.randbytes(200), b"5\r\nhello\r\n0\r\n\r\n"]  # fmt: skip
    statuses: dict[int, int] = {}
    for _ in range(600):
        path = "/" + "/".join(rng.choice(words) for _ in range(rng.randrange(5)))
        lines = [f"{rng.choice(methods)} {path} HTTP/1.1", "Host: localhost"]
        lines += [f"{rng.choice(names)}: {rng.choice(values)}" for _ in range(rng.randrange(4))]
        body = rng.choice(bodies)
        if rng.random() < 0.7:
            lines.append(f"Content-Length: {len(body)}")
        sent = "\r\n".join((*lines, "", "")).encode("utf-8") + body
        if rng.random() < 0.2:
            sent = bytes(rng.randrange(256) if rng.random() < 0.02 else byte for byte in sent)
        with raw(web_node, seconds=5) as connection, contextlib.suppress(OSError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            found = connection.recv(65536)
            if found.startswith(b"HTTP/1.1 "):
                status = int(found.split()[1])
                statuses[status] = statuses.get(status, 0) + 1
                assert status != 500, (sent, found)
    print(statuses)
    assert len(statuses) >= 5
    assert web_node.web.restarts == restarts
    assert get(f"{web_node.url}/ping").status_code == 200
