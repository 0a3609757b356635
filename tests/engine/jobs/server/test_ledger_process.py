"""The process that writes the ledger: killed, stopped, given more than it can take at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process_state import has_ended, stop
from tests.support.server import STORY, RunningServer, Speaker, children_of, node_config
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS, wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(node_config(tmp_path, max_message_mb=4, max_requests_per_second=1e6)) as process:
        yield process


def writer_of(server: RunningServer) -> int:
    """Return the process that writes the ledger."""
    (pid,) = children_of(server.process.pid)
    return pid


def test_killing_the_writer_ends_the_server_and_loses_no_acknowledged_job(tmp_path: Path) -> None:
    config = node_config(tmp_path)
    with RunningServer(config) as server, Speaker(server.requests) as speaker:
        kept = [speaker.ask("submit", {"story": STORY, "key": str(number)})["job_id"] for number in range(5)]
        os.kill(writer_of(server), signal.SIGKILL)
        assert server.process.wait(FAST_SECONDS) == 1
        said = "the process that writes the ledger has ended"
        wait_until(lambda: any(said in line for line in list(server.errors)), what=said)
    with RunningServer(config) as server, Speaker(server.requests) as speaker:
        again = [speaker.ask("submit", {"story": STORY, "key": str(number)}) for number in range(5)]
        assert [answer["job_id"] for answer in again] == kept
        assert not any(answer["created"] for answer in again)


def test_the_writer_exits_with_the_server_in_every_case(tmp_path: Path) -> None:
    config = node_config(tmp_path)
    with RunningServer(config) as server:
        pid = writer_of(server)
        server.process.kill()
        wait_until(lambda: has_ended(pid), what="no writer")
    with RunningServer(config) as server:
        pid = writer_of(server)
        assert server.stop() == 0
        assert has_ended(pid)


def test_jobs_can_be_looked_up_while_the_writer_is_stopped(server: RunningServer) -> None:
    with Speaker(server.requests) as reader, Speaker(server.requests) as writer:
        job_id = reader.ask("submit", {"story": STORY})["job_id"]
        pid = writer_of(server)
        stop(pid)
        try:
            writer.send("submit", {"story": STORY, "key": "late"})
            writer.send("cancel", {"job_id": job_id})
            began = time.monotonic()
            for _ in range(20):
                assert reader.ask("status", {"job_id": job_id})["status"] == "queued"
            assert time.monotonic() - began < PROMPT_SECONDS
            assert not writer.socket.poll(100)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert [writer.receive()[1] for _ in range(2)] == [b"ok", b"ok"]
        assert reader.ask("status", {"job_id": job_id})["status"] == "cancelled"


def test_requests_from_before_a_stop_are_answered_before_it_ends(server: RunningServer) -> None:
    with Speaker(server.requests) as speaker:
        speaker.ask("ping")
        pid = writer_of(server)
        stop(pid)
        for number in range(10):
            speaker.send("submit", {"story": STORY, "key": f"last-{number}"})
        server.wait_until_counted(lambda found: found["writes_waiting"] == 10, what="ten submits")
        assert server.process.stdin is not None
        server.process.stdin.close()
        time.sleep(0.2)
        os.kill(pid, signal.SIGCONT)
        assert [speaker.receive()[1] for _ in range(10)] == [b"ok"] * 10
    assert server.process.wait(FAST_SECONDS) == 0


def test_more_than_may_wait_is_refused_and_the_rest_is_written(server: RunningServer) -> None:
    scenes = [{"scene_id": f"s{number}", "text": "word " * 800, "duration": 5} for number in range(180)]
    large = {"title": "T", "scenes": scenes}
    with Speaker(server.requests, timeout=60) as speaker, Speaker(server.requests) as other:
        before = server.memory
        pid = writer_of(server)
        stop(pid)
        try:
            for number in range(200):  # 146 MB, of which 16 may be under way and 64 may wait
                speaker.send("submit", {"story": large, "key": f"large-{number}"})
                other.ask("ping")  # a connection that sends faster than is read is ended
            server.wait_until_counted(lambda found: found["requests_submit"] == 200, what="all submits")
            assert server.memory - before < 400_000_000
        finally:
            os.kill(pid, signal.SIGCONT)
        answers = [speaker.receive() for _ in range(200)]
    refused = [body for _, outcome, body in answers if outcome == b"error"]
    assert 20 < len(refused) < 180
    assert {(body["code"], body["retry_after"]) for body in refused} == {("BUSY", 1.0)}
    with server.ledger() as ledger:
        assert ledger.queue.length() == 200 - len(refused)
