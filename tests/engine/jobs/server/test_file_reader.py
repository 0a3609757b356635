"""Files are read off the server's loop, in turn, and only as fast as each client takes them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import zmq

from tests.support.finished_jobs import finished_job, video_bytes
from tests.support.server import RunningServer, Speaker, node_config
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS
from video_pipeline.engine.jobs.messages import CHUNK_MAX_BYTES

PARTS = 6
SIZE = PARTS * CHUNK_MAX_BYTES + 5


@pytest.fixture
def server(tmp_path: Path) -> RunningServer:
    return RunningServer(node_config(tmp_path, max_requests_per_second=1e6))


def ask_for(speaker: Speaker, job_id: str, count: int) -> None:
    """Ask for the parts of a video in turn, again and again."""
    for number in range(count):
        offset = number % (PARTS + 1) * CHUNK_MAX_BYTES
        speaker.send("fetch", {"job_id": job_id, "name": "film.mp4", "offset": offset})


def test_the_parts_of_a_file_arrive_in_order_with_their_bytes(server: RunningServer, tmp_path: Path) -> None:
    with server, server.ledger() as ledger, Speaker(server.requests) as speaker:
        job_id = finished_job(ledger, tmp_path / "out", size=SIZE)
        ask_for(speaker, job_id, PARTS + 1)
        data = b""
        for _ in range(PARTS + 1):
            _, _, outcome, body, part = speaker.socket.recv_multipart()
            assert (outcome, json.loads(body)) == (b"ok", {"offset": len(data), "file_size": SIZE})
            data += part
        assert data == video_bytes(SIZE)


def test_a_client_that_does_not_read_holds_little_memory_and_delays_no_other(
    server: RunningServer, tmp_path: Path
) -> None:
    with (
        server,
        server.ledger() as ledger,
        Speaker(server.requests) as slow,
        Speaker(server.requests) as quick,
    ):
        job_id = finished_job(ledger, tmp_path / "out", size=SIZE)
        quick.ask("ping")
        slow.socket.close()
        slow.socket = slow.context.socket(zmq.DEALER)
        slow.socket.linger, slow.socket.rcvhwm, slow.socket.rcvtimeo = 0, 1, int(FAST_SECONDS * 1000)
        slow.socket.connect(server.requests)
        before = server.memory
        ask_for(slow, job_id, 48)
        time.sleep(0.5)
        for _ in range(20):
            began = time.monotonic()
            quick.ask("stats")
            assert time.monotonic() - began < PROMPT_SECONDS
        ask_for(quick, job_id, 1)
        assert len(quick.socket.recv_multipart()[4]) == CHUNK_MAX_BYTES
        assert server.memory - before < 24 << 20
        received = [slow.socket.recv_multipart() for _ in range(48)]
        assert all(frames[2] == b"ok" for frames in received)
        assert not [line for line in server.errors if "closed a connection" in line]


def test_a_client_that_asks_for_too_many_parts_is_refused_and_can_ask_again(
    server: RunningServer, tmp_path: Path
) -> None:
    with server, server.ledger() as ledger, Speaker(server.requests) as speaker:
        job_id = finished_job(ledger, tmp_path / "out", size=SIZE)
        ask_for(speaker, job_id, 400)
        found = [speaker.socket.recv_multipart() for _ in range(400)]
        refused = [json.loads(frames[3]) for frames in found if frames[2] == b"error"]
        assert {error["code"] for error in refused} <= {"BUSY"}
        assert len(found) - len(refused) >= 64
        ask_for(speaker, job_id, 1)
        assert speaker.socket.recv_multipart()[2] == b"ok"


def test_an_error_of_a_read_is_its_reply(server: RunningServer, tmp_path: Path) -> None:
    with server, server.ledger() as ledger, Speaker(server.requests) as speaker:
        job_id = finished_job(ledger, tmp_path / "out", size=10)
        (tmp_path / "out" / job_id / "film.mp4").unlink()
        error = speaker.refused("fetch", {"job_id": job_id, "name": "film.mp4"})
        assert (error["code"], error["field"]) == ("NOT_FOUND", "job_id")
        assert speaker.ask("files", {"job_id": finished_job(ledger, tmp_path / "out")})["files"]
