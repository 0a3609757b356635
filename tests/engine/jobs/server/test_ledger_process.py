"""The process that writes the ledger: killed, stopped, given more than it can take at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.front_end import STORY, FrontEndProcess, Speaker, children_of, node_config


@pytest.fixture
def front(tmp_path: Path) -> Iterator[FrontEndProcess]:
    with FrontEndProcess(node_config(tmp_path, max_message_mb=4, max_requests_per_second=1e6)) as process:
        yield process


def writer_of(front: FrontEndProcess) -> int:
    """Return the process that writes the ledger."""
    (pid,) = children_of(front.process.pid)
    return pid


def lives(pid: int) -> bool:
    """Say whether a process has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> None:
    """Wait until a process has ended."""
    until = time.monotonic() + 5
    while lives(pid):
        assert time.monotonic() < until, f"{pid} lives"
        time.sleep(0.01)


def test_when_it_is_killed_the_front_end_ends_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    config = node_config(tmp_path)
    with FrontEndProcess(config) as front, Speaker(front.requests, timeout=1) as speaker:
        kept = [speaker.ask("submit", {"story": STORY, "key": str(number)})["job_id"] for number in range(5)]
        os.kill(writer_of(front), signal.SIGKILL)
        assert front.process.wait(5) == 1
        assert any("the process that writes the ledger has ended" in line for line in front.errors)
    with FrontEndProcess(config) as front, Speaker(front.requests) as speaker:
        again = [speaker.ask("submit", {"story": STORY, "key": str(number)}) for number in range(5)]
        assert [answer["job_id"] for answer in again] == kept
        assert not any(answer["created"] for answer in again)


def test_it_ends_with_the_front_end_however_that_ends(tmp_path: Path) -> None:
    config = node_config(tmp_path)
    with FrontEndProcess(config) as front:
        pid = writer_of(front)
        front.process.kill()
        wait_until_gone(pid)
    with FrontEndProcess(config) as front:
        pid = writer_of(front)
        assert front.stop() == 0
        assert not lives(pid)


def test_while_it_stands_still_jobs_can_be_looked_up(front: FrontEndProcess) -> None:
    with Speaker(front.requests) as reader, Speaker(front.requests) as writer:
        job_id = reader.ask("submit", {"story": STORY})["job_id"]
        pid = writer_of(front)
        os.kill(pid, signal.SIGSTOP)
        try:
            writer.send("submit", {"story": STORY, "key": "late"})
            writer.send("cancel", {"job_id": job_id})
            began = time.monotonic()
            for _ in range(20):
                assert reader.ask("status", {"job_id": job_id})["status"] == "queued"
            assert time.monotonic() - began < 2
            assert not writer.socket.poll(100)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert [writer.receive()[1] for _ in range(2)] == [b"ok", b"ok"]
        assert reader.ask("status", {"job_id": job_id})["status"] == "cancelled"


def test_what_was_asked_before_the_end_is_answered_at_the_end(front: FrontEndProcess) -> None:
    with Speaker(front.requests) as speaker:
        speaker.ask("ping")
        pid = writer_of(front)
        os.kill(pid, signal.SIGSTOP)
        for number in range(10):
            speaker.send("submit", {"story": STORY, "key": f"last-{number}"})
        with Speaker(front.requests) as other:
            other.ask("ping")  # they are in by now
        assert front.process.stdin is not None
        front.process.stdin.close()
        time.sleep(0.2)
        os.kill(pid, signal.SIGCONT)
        assert [speaker.receive()[1] for _ in range(10)] == [b"ok"] * 10
    assert front.process.wait(5) == 0


def test_more_than_may_wait_is_refused_and_the_rest_is_written(front: FrontEndProcess) -> None:
    scenes = [{"scene_id": f"s{number}", "text": "word " * 800, "duration": 5} for number in range(180)]
    large = {"title": "T", "scenes": scenes}
    with Speaker(front.requests, timeout=30) as speaker:
        before = front.memory
        pid = writer_of(front)
        os.kill(pid, signal.SIGSTOP)
        try:
            for number in range(200):  # 146 MB, of which 16 may be under way and 64 may wait
                speaker.send("submit", {"story": large, "key": f"large-{number}"})
                time.sleep(0.03)  # a connection that sends faster than is read is ended
            time.sleep(1)
            assert front.memory - before < 400_000_000
        finally:
            os.kill(pid, signal.SIGCONT)
        answers = [speaker.receive() for _ in range(200)]
    refused = [body for _, outcome, body in answers if outcome == b"error"]
    assert 20 < len(refused) < 180
    assert {(body["code"], body["retry_after"]) for body in refused} == {("BUSY", 1.0)}
    with front.ledger() as ledger:
        assert ledger.queue.length() == 200 - len(refused)
