"""The replies of a server process to requests over real sockets."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.support.process_state import stop
from tests.support.server import PNG, STORY, RunningServer, Speaker, children_of, node_config
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS, wait_until
from video_pipeline.engine.jobs.model import Failure, JobStatus, Progress
from video_pipeline.engine.jobs.verbs import REQUESTS


def submit(speaker: Speaker, **fields: Any) -> str:
    job_id: str = speaker.ask("submit", {"story": STORY, **fields})["job_id"]
    return job_id


def test_ping_returns_the_supported_protocol(server: RunningServer, speaker: Speaker) -> None:
    pong = speaker.ask("ping")
    assert pong["protocols"] == ["VP1"]
    assert pong["encodings"] == ["json", "msgpack"]
    assert pong["user"] == "local"
    assert server.events.endswith(f":{pong['events']}")
    assert pong["max_parts"] == 64


def test_a_ping_to_the_writer_is_answered_only_if_the_writer_answers(tmp_path: Path) -> None:
    with RunningServer(node_config(tmp_path)) as server, Speaker(server.requests) as speaker:
        assert speaker.ask("ping", {"writer": True}).keys() == speaker.ask("ping").keys()
        (writer,) = children_of(server.process.pid)
        stop(writer)
        assert speaker.ask("ping")["node"] == "video-pipeline"
        speaker.send("ping", {"writer": True})
        server.wait_until_counted(lambda found: found["writes_waiting"] == 1, what="a ping that waits")
        assert not speaker.socket.poll(500)
        os.kill(writer, signal.SIGCONT)
        assert speaker.socket.recv_multipart()[2] == b"ok"
        server.wait_until_counted(lambda found: found["writes"] == 2, what="both pings")


def test_a_job_is_submitted_listed_cancelled_and_retried(speaker: Speaker) -> None:
    answer = speaker.ask("submit", {"story": STORY, "priority": "low", "config": {"video": {"fps": 25}}})
    assert answer["created"] is True
    assert answer["status"] == "queued"
    job_id = answer["job_id"]
    view = speaker.ask("status", {"job_id": job_id})
    assert (view["priority"], view["attempts"], view["max_attempts"]) == ("low", 0, 3)
    assert speaker.ask("list", {"limit": 1})["jobs"][0]["job_id"] == job_id
    assert speaker.ask("cancel", {"job_id": job_id})["status"] == "cancelled"
    assert speaker.ask("cancel", {"job_id": job_id})["status"] == "cancelled"
    assert speaker.ask("retry", {"job_id": job_id})["status"] == "queued"
    error = speaker.refused("retry", {"job_id": job_id})
    assert (error["code"], error["field"]) == ("CONFLICT", "job_id")
    kinds = [event["kind"] for event in speaker.ask("events", {"job_id": job_id})["events"]]
    assert kinds == ["queued", "cancelled", "queued"]


def test_stats_count_the_jobs(speaker: Speaker) -> None:
    before = speaker.ask("stats")
    submit(speaker)
    after = speaker.ask("stats")
    assert after["jobs"]["queued"] == before["jobs"]["queued"] + 1
    assert after["queued"] == after["jobs"]["queued"]
    assert (after["slots"], after["draining"], after["max_queued"]) == (2, False, 10_000)


def test_an_acknowledged_job_is_in_the_ledger(server: RunningServer, speaker: Speaker) -> None:
    job_id = submit(speaker, key=f"acked-{speaker.mark!r}"[:20].replace("'", ""), max_attempts=7)
    with server.ledger() as ledger:
        job = ledger.jobs.get(job_id)
        assert job is not None
        assert (job.owner, job.status, job.max_attempts) == ("local", JobStatus.QUEUED, 7)


def test_a_page_of_jobs_leads_to_the_next(speaker: Speaker) -> None:
    made = [submit(speaker) for _ in range(5)]
    first = speaker.ask("list", {"limit": 3})
    assert [job["job_id"] for job in first["jobs"]] == made[:1:-1]
    second = speaker.ask("list", {"limit": 2, "before": first["before"]})
    assert [job["job_id"] for job in second["jobs"]] == made[1::-1]


def test_wait_is_answered_when_the_job_ends(server: RunningServer, speaker: Speaker) -> None:
    job_id = submit(speaker)
    speaker.send("wait", {"job_id": job_id, "timeout": 30})
    with Speaker(server.requests) as other:
        time.sleep(0.1)
        other.ask("cancel", {"job_id": job_id})
    began = time.monotonic()
    _, outcome, view = speaker.receive()
    assert outcome == b"ok"
    assert view["status"] == "cancelled"
    assert time.monotonic() - began < PROMPT_SECONDS


def test_wait_is_answered_when_its_time_is_over_or_the_job_has_ended(speaker: Speaker) -> None:
    job_id = submit(speaker)
    began = time.monotonic()
    assert speaker.ask("wait", {"job_id": job_id, "timeout": 0.2})["status"] == "queued"
    assert 0.15 < time.monotonic() - began < PROMPT_SECONDS
    assert speaker.ask("wait", {"job_id": job_id, "timeout": 0})["status"] == "queued"
    speaker.ask("cancel", {"job_id": job_id})
    assert speaker.ask("wait", {"job_id": job_id})["status"] == "cancelled"


def test_requests_of_one_client_may_overlap(speaker: Speaker) -> None:
    sent = [speaker.send("submit", {"story": STORY, "key": f"{speaker.mark[3]}o{n}"}) for n in range(300)]
    answers = [speaker.receive() for _ in sent]
    assert [request_id for request_id, _, _ in answers] == sent
    assert len({body["job_id"] for _, _, body in answers}) == len(sent)


def test_the_same_key_at_once_from_two_clients_is_one_job(server: RunningServer) -> None:
    with Speaker(server.requests) as one, Speaker(server.requests, encoding="msgpack") as two:
        for number in range(50):
            body = {"story": STORY, "key": f"both-{number}"}
            for speaker in (one, two):
                speaker.send("submit", body)
            answers = [speaker.receive()[2] for speaker in (one, two)]
            assert answers[0]["job_id"] == answers[1]["job_id"]
            assert sorted(answer["created"] for answer in answers) == [False, True]


def test_another_story_under_the_same_key_is_a_conflict(speaker: Speaker) -> None:
    key = f"conflict-{speaker.mark[3]}"
    job_id = submit(speaker, key=key)
    for change in (
        {"story": {**STORY, "title": "B"}},
        {"priority": "high"},
        {"config": {"video": {"fps": 25}}},
    ):
        error = speaker.refused("submit", {"story": STORY, "key": key, **change})
        assert (error["code"], error["field"]) == ("CONFLICT", "key")
        assert job_id in error["message"]
    shuffled = dict(reversed(STORY.items()))
    assert speaker.ask("submit", {"story": shuffled, "key": key})["created"] is False


REFUSED: dict[str, tuple[list[bytes], str, str]] = {
    "another version": ([b"VP2J", b"1", b"ping", b"{}"], "UNSUPPORTED_VERSION", "VP1"),
    "a version to come": ([b"VP10J", b"1", b"ping", b"{}"], "UNSUPPORTED_VERSION", "VP1"),
    "another encoding": ([b"VP1X", b"1", b"ping", b"{}"], "BAD_REQUEST", "VP1J, VP1M"),
    "no protocol": ([b"GET / HTTP/1.1\r\n", b"1", b"ping", b"{}"], "BAD_REQUEST", "VP1J, VP1M"),
    "one frame": ([b"VP1J"], "BAD_REQUEST", "request id, verb, body"),
    "three frames": ([b"VP1J", b"1", b"ping"], "BAD_REQUEST", "request id, verb, body"),
    "an unknown verb": ([b"VP1J", b"1", b"sumbit", b"{}"], "UNKNOWN_VERB", "submit"),
    "a verb of bytes": ([b"VP1J", b"1", b"\xff" * 999, b"{}"], "UNKNOWN_VERB", "submit"),
    "a long request id": ([b"VP1J", b"1" * 65, b"ping", b"{}"], "BAD_REQUEST", "at most 64"),
    "no json": ([b"VP1J", b"1", b"ping", b"{"], "BAD_REQUEST", "invalid json"),
    "no object": ([b"VP1J", b"1", b"ping", b"[]"], "BAD_REQUEST", "an object"),
    "an unknown field": ([b"VP1J", b"1", b"ping", b'{"pong":1}'], "BAD_REQUEST", "'pong'|unknown key"),
    "parts of a ping": ([b"VP1J", b"1", b"ping", b"{}", b"part"], "BAD_REQUEST", "none"),
    "too many parts": ([b"VP1J", b"1", b"submit", b"{}", *[b"x"] * 65], "TOO_LARGE", "at most 64"),
    "very many parts": ([b"VP1J", b"1", b"submit", b"{}", *[b""] * 3000], "TOO_LARGE", "at most 64"),
    "a large body": ([b"VP1J", b"1", b"submit", b"[" + b" " * 5_000_000], "TOO_LARGE", "at most"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_malformed_request_is_refused_with_the_field(server: RunningServer, name: str) -> None:
    frames, code, words = REFUSED[name]
    with Speaker(server.requests) as speaker:
        speaker.socket.send_multipart(frames)
        _, outcome, error = speaker.receive()
        assert outcome == b"error"
        assert error["code"] == code
        assert any(word in error["message"] for word in words.split("|")), error["message"]
        assert speaker.ask("ping")


SUBMITS_REFUSED: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "a wrong story": (
        {"story": {"title": "T", "scenes": [{"scene_id": "a", "duration": -1}]}},
        "INVALID_STORY",
        "story.scenes[0].duration",
        "scenes[0] (scene_id 'a'): field 'duration': got -1; allowed: more than 0, at most 3600",
    ),
    "no story": ({"story": {}}, "INVALID_STORY", "story.title", "is missing"),
    "a wrong setting": ({"config": {"video": {"fps": 7}}}, "INVALID_CONFIG", "config.video.fps", "24 to 60"),
    "the node's setting": (
        {"config": {"storage": {"output_path": "/tmp"}}},
        "INVALID_CONFIG",
        "config.storage",
        "is set by the node's operator",
    ),
    "a path anywhere": (
        {"story": {"title": "T", "scenes": [{"scene_id": "a", "image": "/etc/passwd"}]}},
        "INVALID_ASSET",
        "scenes[0].image",
        "outside",
    ),
    "a part that is not there": (
        {"story": {"title": "T", "scenes": [{"scene_id": "a", "image": "inline:0"}]}},
        "INVALID_ASSET",
        "scenes[0].image",
        "no such part",
    ),
    "a wrong priority": ({"priority": "urgent"}, "BAD_REQUEST", "priority", "'high', 'normal' or 'low'"),
}


@pytest.mark.parametrize("name", SUBMITS_REFUSED)
def test_a_wrong_submit_names_field_value_and_what_is_allowed(speaker: Speaker, name: str) -> None:
    change, code, field, words = SUBMITS_REFUSED[name]
    error = speaker.refused("submit", {"story": STORY, **change})
    assert (error["code"], error["field"]) == (code, field)
    assert words in error["message"]


def test_an_inline_asset_is_kept_before_the_answer(server: RunningServer, speaker: Speaker) -> None:
    story = {"title": "T", "scenes": [{"scene_id": "a", "image": "inline:0"}]}
    speaker.ask("submit", {"story": story}, [PNG])
    inbox = server.config.state_dir() / "inbox"
    assert [path.read_bytes() for path in inbox.glob("*.png")] == [PNG]


def test_a_req_socket_gets_its_empty_frame_back(server: RunningServer) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context.socket(zmq.REQ) as sock:
        sock.linger, sock.rcvtimeo = 0, int(FAST_SECONDS * 1000)
        sock.connect(server.requests)
        sock.send_multipart([b"VP1J", b"7", b"ping", b"{}"])
        assert sock.recv_multipart()[:3] == [b"VP1J", b"7", b"ok"]
    context.destroy(0)


def test_replies_to_disconnected_clients_delay_no_other_client(server: RunningServer) -> None:
    with Speaker(server.requests) as steady:
        job_id = submit(steady)
        dropped = server.counters().get("replies_dropped", 0)
        for _ in range(20):
            with Speaker(server.requests) as fleeting:
                fleeting.send("wait", {"job_id": job_id, "timeout": 0.5})
                ping = fleeting.send("ping")  # once it is answered, the server has the wait
                while fleeting.receive()[0] != ping:
                    pass
        began = time.monotonic()
        steady.ask("ping")
        assert time.monotonic() - began < PROMPT_SECONDS
        server.wait_until_counted(
            lambda found: found["replies_dropped"] > dropped, what="a reply that is dropped"
        )
        steady.ask("ping")


def test_waits_of_one_client_are_bounded(server: RunningServer) -> None:
    with Speaker(server.requests) as speaker:
        job_id = submit(speaker)
        for _ in range(260):
            speaker.send("wait", {"job_id": job_id, "timeout": 30})
        refused = [speaker.receive()[2] for _ in range(4)]
        assert {error["code"] for error in refused} == {"BUSY"}
        assert all(error["retry_after"] > 0 for error in refused)
        with Speaker(server.requests) as other:
            assert other.ask("wait", {"job_id": job_id, "timeout": 0.1})["status"] == "queued"
            other.ask("cancel", {"job_id": job_id})  # ends the waits


# --- limits of a node --------------------------------------------------------------------------------------


def test_a_full_queue_is_busy_and_high_priority_has_its_reserve(tmp_path: Path) -> None:
    config = node_config(tmp_path, max_queued=10, high_reserve=0.2)
    with RunningServer(config) as server, Speaker(server.requests) as speaker:
        for _ in range(10):
            submit(speaker)
        busy = speaker.refused("submit", {"story": STORY})
        assert busy["code"] == "BUSY"
        assert busy["retry_after"] > 0
        for _ in range(2):
            submit(speaker, priority="high")
        assert speaker.refused("submit", {"story": STORY, "priority": "high"})["code"] == "BUSY"
        assert speaker.ask("stats")["queued"] == 12


def test_the_reply_to_a_client_over_its_rate_limit_gives_the_time_of_a_retry(tmp_path: Path) -> None:
    rate = 5
    config = node_config(tmp_path, max_requests_per_second=rate)
    with RunningServer(config) as server, Speaker(server.requests) as hasty, Speaker(server.requests) as calm:
        began = time.monotonic()
        for _ in range(100):
            hasty.send("ping")
        answers = [hasty.receive() for _ in range(100)]
        seconds = time.monotonic() - began
        refused = [body for _, outcome, body in answers if outcome == b"error"]
        assert {body["code"] for body in refused} == {"RATE_LIMITED"}
        assert 100 - rate - 1 - rate * seconds <= len(refused) <= 100 - rate
        assert all(0 < body["retry_after"] <= 1 / rate + 0.01 for body in refused)
        assert calm.ask("ping")
        time.sleep(2 / rate)
        assert hasty.ask("ping")


def test_a_node_that_drains_takes_no_jobs_and_answers_the_rest(tmp_path: Path) -> None:
    with RunningServer(node_config(tmp_path)) as server, Speaker(server.requests) as speaker:
        job_id = submit(speaker)
        server.tell({"drain": True})
        wait_until(lambda: speaker.ask("stats")["draining"], what="a node that drains")
        error = speaker.refused("submit", {"story": STORY})
        assert error["code"] == "DRAINING"
        assert error["retry_after"] > 0
        assert speaker.ask("status", {"job_id": job_id})["status"] == "queued"


def test_too_little_free_space_is_refused_before_it_is_accepted(tmp_path: Path) -> None:
    with RunningServer(node_config(tmp_path, min_free_mb=1e9)) as server, Speaker(server.requests) as speaker:
        error = speaker.refused("submit", {"story": STORY})
        assert error["code"] == "STORAGE"
        assert "node.state_path" in error["message"]
        assert speaker.ask("list")["jobs"] == []


# --- its life ----------------------------------------------------------------------------------------------


def test_every_verb_is_answered_by_the_process(server: RunningServer) -> None:
    with Speaker(server.requests) as speaker:
        for verb in REQUESTS:
            speaker.send(verb, {})
            assert speaker.receive()[1] in (b"ok", b"error")
        assert speaker.ask("stats")["draining"]
        speaker.ask("drain", {"on": False})
        assert not speaker.ask("stats")["draining"]


def test_a_job_that_failed_shows_why(server: RunningServer, speaker: Speaker) -> None:
    job_id = submit(speaker, priority="high", max_attempts=1)
    with server.ledger() as ledger:
        attempt = ledger.attempts.claim()
        while attempt is not None and attempt.job_id != job_id:
            ledger.attempts.requeue(attempt.job_id, attempt.fence, reason="not this one")
            ledger.jobs.request_cancel(attempt.job_id)
            attempt = ledger.attempts.claim()
        assert attempt is not None
        ledger.attempts.progress(job_id, attempt.fence, Progress("render", 50.0, fps=30.0, eta_seconds=1.0))
        view = speaker.ask("status", {"job_id": job_id})
        assert (view["stage"], view["percent"], view["fps"]) == ("render", 50.0, 30.0)
        failure = Failure("permanent", "StoryError", "a secret of the story", log_tail=("last line",))
        ledger.attempts.fail(job_id, attempt.fence, failure, retry_in=None)
    view = speaker.ask("wait", {"job_id": job_id})
    assert (view["status"], view["error_type"]) == ("failed", "StoryError")
    assert view["error_message"] == "a secret of the story"
    assert view["log_tail"] == ["last line"]
