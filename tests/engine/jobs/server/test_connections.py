"""Floods, messages without end and readers that do not read: memory is bounded, others are served."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import zmq

from tests.support.server import STORY, RunningServer, Speaker, node_config
from tests.support.waiting import FAST_SECONDS, wait_until
from tests.support.zmtp import frame, greeted
from video_pipeline.engine.jobs.server import connections
from video_pipeline.engine.jobs.server.connections import Connections

MB = 1 << 20
MAX_MESSAGE = 4 * MB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    config = node_config(tmp_path_factory.mktemp("node"), max_message_mb=4, max_requests_per_second=1e6)
    with RunningServer(config) as process, Speaker(process.requests) as speaker:
        speaker.ask("ping")
        yield process


def send_until_ended(sock: socket.socket, data: bytes, *, most: int) -> int:
    """Send data again and again until the connection is ended; return how many bytes went out."""
    sent = 0
    with suppress(OSError):
        while sent < most:
            sock.sendall(data)
            sent += len(data)
    return sent


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
def test_an_endless_message_closes_only_its_own_connection(server: RunningServer, size: int) -> None:
    before = server.memory
    highest = 0
    data = frame(b"x" * size, more=True)
    data *= max(1, 65_536 // len(data))
    with Speaker(server.requests) as speaker, greeted(server.requests) as sock:
        sock.settimeout(0.2)
        sent = 0
        until = time.monotonic() + 60
        with suppress(ConnectionError, BrokenPipeError):
            while sent < 400 * MB and time.monotonic() < until:
                with suppress(TimeoutError):
                    sock.sendall(data)
                sent += len(data)
                if sent % (1 << 21) < len(data):
                    highest = max(highest, server.memory)
                    speaker.ask("ping")
        assert sent < 200 * MB, "it was not ended"
        assert highest - before < 400 * MB
        assert speaker.ask("submit", {"story": STORY})["created"]
    wait_until(lambda: server.memory - before < 100 * MB, what="memory given back")
    assert server.process.poll() is None


@pytest.mark.parametrize("size", [MAX_MESSAGE + 1, 1 << 31, 1 << 62])
def test_a_frame_that_is_too_large_ends_its_connection_at_its_first_bytes(
    server: RunningServer, size: int
) -> None:
    before = server.memory
    with greeted(server.requests) as sock:
        sock.sendall(b"\x02" + struct.pack(">Q", size) + b"x" * 1000)
        with suppress(ConnectionError):
            while sock.recv(4096):
                pass
    with Speaker(server.requests) as speaker:
        assert speaker.ask("ping")
    assert server.memory - before < 16 * MB


def test_frames_that_say_they_are_large_take_no_memory(server: RunningServer) -> None:
    before = server.memory
    held = []
    for _ in range(100):
        sock = greeted(server.requests)
        sock.sendall(b"\x03" + struct.pack(">Q", MAX_MESSAGE) + b"x" * 100)
        held.append(sock)
    with Speaker(server.requests) as speaker:
        assert speaker.ask("submit", {"story": STORY})["created"]
    assert server.memory - before < 64 * MB
    for sock in held:
        sock.close()


def test_the_largest_message_is_taken(server: RunningServer) -> None:
    with Speaker(server.requests) as speaker:
        error = speaker.refused("submit", {"story": STORY}, [b"x" * (MAX_MESSAGE - 500_000)])
        assert error["code"] == "INVALID_ASSET"  # it was read, and nothing in the story refers to the part
        error = speaker.refused("submit", {"story": STORY}, [b"x" * (MAX_MESSAGE // 2)] * 3)
        assert error["code"] == "TOO_LARGE"


def test_a_client_that_never_reads_its_replies_is_disconnected(server: RunningServer) -> None:
    with Speaker(server.requests) as speaker:
        for _ in range(300):
            speaker.send("submit", {"story": STORY})
        for _ in range(300):
            speaker.receive()
        before = server.memory
        ended = server.counters().get("connections_ended", 0)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        with context.socket(zmq.DEALER) as deaf:
            deaf.linger, deaf.rcvhwm, deaf.sndhwm, deaf.sndtimeo = 0, 1, 1, 2000
            deaf.rcvbuf = 4096
            deaf.connect(server.requests)
            with suppress(zmq.Again):
                for number in range(500):
                    deaf.send_multipart([b"VP1J", b"%d" % number, b"list", b'{"limit":1000}'])
            server.wait_until_counted(lambda found: found["connections_ended"] > ended, what="its end")
            assert speaker.ask("ping")
        context.destroy(0)
        wait_until(lambda: server.memory - before < 100 * MB, what="memory given back")


def own_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_descriptor_that_went_from_one_side_to_the_other_is_still_watched() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        requests, events = context.socket(zmq.ROUTER), context.socket(zmq.XPUB)
        watch = Connections(max_message=4 * MB, memory_budget=256 * MB)
        watch.add(requests, "requests")
        watch.add(events, "events")
        told = list(watch._monitors)  # no thread: the test reads, the later news first
        urls = []
        for sock in (requests, events):
            sock.bind("tcp://127.0.0.1:*")
            urls.append(sock.last_endpoint.decode())
        before = own_descriptors()
        greeted(urls[1], kind=b"SUB").close()
        assert told[1].poll(FAST_SECONDS * 1000)
        wait_until(lambda: own_descriptors() == before, what="closed there too, and its number free")
        with greeted(urls[0]):
            assert told[0].poll(FAST_SECONDS * 1000)
            watch._read(told[0])
            ((_, descriptor),) = watch._open
            watch._read(told[1])
            assert list(watch._open) == [("requests", descriptor)]
            assert watch.counters["connections"] == 2
    finally:
        context.destroy(0)


def test_memory_that_no_connection_explains_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Connections(max_message=4 * MB, memory_budget=256 * MB)
    held = [50 * MB]
    ended: list[int] = []
    monkeypatch.setattr(connections, "_resident", lambda: held[0])
    monkeypatch.setattr(connections.os, "_exit", ended.append)
    watch._quiet_rss, watch._quiet_most = held[0], held[0] + 256 * MB
    for second in range(100):
        watch._check_memory(float(second), 0, None)
        held[0] += 10 * MB
        if held[0] <= 3 * 256 * MB:
            assert not ended
    assert ended[0] == connections.EXIT_MEMORY


def test_a_subscriber_that_subscribes_endlessly_is_disconnected(server: RunningServer) -> None:
    before = server.memory
    with greeted(server.events, kind=b"SUB") as sock:
        data = b"".join(frame(b"\x01%020d" % number) for number in range(1000))
        assert send_until_ended(sock, data, most=64 * MB) < 64 * MB
    wait_until(lambda: server.memory - before < 64 * MB, what="memory given back")
    with Speaker(server.requests) as speaker:
        assert speaker.ask("ping")


def test_a_slow_subscriber_misses_events_sees_the_gap_and_gets_them_replayed(tmp_path: Path) -> None:
    with RunningServer(node_config(tmp_path, max_requests_per_second=1e6, max_queued=100_000)) as server:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        good = [context.socket(zmq.SUB) for _ in range(5)]
        for sock in good:
            sock.linger, sock.rcvtimeo, sock.rcvhwm = 0, int(FAST_SECONDS * 1000), 0
            sock.connect(server.events)
            sock.subscribe(b"")
        with (
            Speaker(server.requests, encoding="msgpack") as speaker,
            greeted(server.events, kind=b"SUB") as stalled,
        ):
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled.sendall(frame(b"\x01"))  # subscribes to all, and never reads
            server.wait_until_counted(lambda found: found["subscriptions"] >= 6, what="six subscribers")
            before = server.memory
            count = 3000
            made = []
            for _ in range(count // 100):
                for _ in range(100):
                    speaker.send("submit", {"story": STORY})
                made += [speaker.receive()[2]["job_id"] for _ in range(100)]
            for sock in good:
                seen = [json_seq(sock.recv_multipart()) for _ in range(count)]
                assert [seq for seq, _ in seen] == list(range(1, count + 1))
                assert [job_id for _, job_id in seen] == made
            assert server.memory - before < 64 * MB
            after, replayed = 0, []
            while True:
                page = speaker.ask("events", {"after": after})
                replayed += [event["job_id"] for event in page["events"]]
                after = page["events"][-1]["seq"]
                if not page["more"]:
                    break
            assert replayed == made
            assert page["last"] == count
        context.destroy(0)


def json_seq(frames: list[bytes]) -> tuple[int, str]:

    topic, mark, body = frames
    event = json.loads(body)
    assert (mark, topic.decode()) == (b"VP1J", event["job_id"])
    return event["seq"], event["job_id"]
