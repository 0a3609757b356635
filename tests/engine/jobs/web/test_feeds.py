"""Streams of events: resumed by number without a gap or a double, ended with the job, each user's own."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.support.ledgers import claim
from tests.support.server import STORY
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS, wait_until
from tests.support.web import EventStream, WebNode, everything, get_bytes, raw, web_config
from video_pipeline.engine.jobs.node import node_process
from video_pipeline.engine.jobs.tokens import remove_tokens_of
from video_pipeline.engine.jobs.web import operations
from video_pipeline.engine.jobs.web.feeds import UserFeed
from video_pipeline.engine.jobs.web.server_client import ServerClient


def submit_and_cancel(client: httpx.Client) -> str:
    job_id = str(client.post("/jobs", json={"story": STORY}).json()["job_id"])
    client.delete(f"/jobs/{job_id}")
    return job_id


def test_the_stream_of_a_job_has_all_its_events_and_ends_with_it(
    web_node: WebNode, local: httpx.Client
) -> None:
    job_id = local.post("/jobs", json={"story": STORY}).json()["job_id"]
    with local.stream("GET", f"/jobs/{job_id}/events") as response, web_node.client() as other:
        assert response.headers["content-type"] == "text/event-stream"
        stream = EventStream(response)
        found = [stream.next()]
        other.delete(f"/jobs/{job_id}")
        found.append(stream.next())
        with pytest.raises(StopIteration):
            stream.next()
    assert [(event["kind"], event["job_id"]) for _, event in found] == [
        ("queued", job_id),
        ("cancelled", job_id),
    ]
    assert all(number == event["seq"] for number, event in found)
    last = {"Last-Event-ID": str(found[-1][0])}
    assert local.get(f"/jobs/{job_id}/events", headers=last).status_code == 204


def test_a_stream_goes_on_after_the_number_that_it_is_given(local: httpx.Client) -> None:
    jobs = [submit_and_cancel(local) for _ in range(3)]
    pages = local.get("/events?after=0&limit=1000", headers={"Accept": "application/json"}).json()
    wanted = [event for event in pages["events"] if event["job_id"] in jobs]
    with local.stream("GET", "/events?after=0", headers={"Last-Event-ID": str(wanted[1]["seq"])}) as response:
        stream = EventStream(response)
        assert [stream.next()[1] for _ in range(4)] == wanted[2:]
        later = submit_and_cancel(local)
        assert [stream.next()[1]["job_id"] for _ in range(2)] == [later, later]


def test_many_events_over_reconnections_arrive_once_each(web_node: WebNode, local: httpx.Client) -> None:
    begin = local.get("/ping").json()["last_event"]
    stop = threading.Event()

    def work() -> None:
        with web_node.client() as client:
            while not stop.is_set():
                submit_and_cancel(client)

    worker = threading.Thread(target=work)
    worker.start()
    last, numbers = begin, []
    try:
        for _ in range(12):
            with local.stream("GET", "/events", headers={"Last-Event-ID": str(last)}) as response:
                stream = EventStream(response)
                for _ in range(25):
                    last, _ = stream.next()
                    numbers.append(last)
    finally:
        stop.set()
        worker.join()
    assert numbers == list(range(begin + 1, begin + 1 + len(numbers)))


def test_a_stream_without_a_number_begins_now_and_shows_own_jobs_alone(web_node: WebNode) -> None:
    with web_node.client("anna") as anna, web_node.client("ben") as ben:
        submit_and_cancel(anna)
        with anna.stream("GET", "/events") as hers, ben.stream("GET", "/events") as his:
            ben_s, anna_s = submit_and_cancel(ben), submit_and_cancel(anna)
            stream, other = EventStream(hers), EventStream(his)
            assert [stream.next()[1]["job_id"] for _ in range(2)] == [anna_s, anna_s]
            assert [other.next()[1]["job_id"] for _ in range(2)] == [ben_s, ben_s]


def test_a_number_from_the_future_misses_nothing(web_node: WebNode, local: httpx.Client) -> None:
    with local.stream("GET", "/events?after=900000000") as response:
        job_id = submit_and_cancel(local)
        assert EventStream(response).next()[1]["job_id"] == job_id


def test_what_is_announced_before_a_stream_waits_for_it_is_not_waited_for() -> None:
    async def announced_first() -> float:
        feed = UserFeed(ServerClient.__new__(ServerClient), "anna")
        feed.close()  # the test reads nothing from a node
        feed.seen = 7
        began = time.monotonic()
        waiting = asyncio.create_task(feed.changed(7, 4 * PROMPT_SECONDS))
        feed.seen = 8
        feed._announce()  # the task has not run yet
        await waiting
        return time.monotonic() - began

    assert asyncio.run(announced_first()) < PROMPT_SECONDS


@pytest.mark.parametrize("value", ["-1", "x", "9" * 30, "1.5"])
def test_a_wrong_number_is_refused(local: httpx.Client, value: str) -> None:
    for asked in (
        local.get("/events", headers={"Last-Event-ID": value}),
        local.get(f"/events?after={value}"),
        local.get(f"/events?after={value}", headers={"Accept": "application/json"}),
    ):
        assert (asked.status_code, asked.json()["code"]) == (400, "BAD_REQUEST")


def test_the_published_events_and_the_process_rest_when_no_stream_is_open(
    web_node: WebNode, local: httpx.Client
) -> None:
    with local.stream("GET", "/events") as response:
        assert response.status_code == 200
        wait_until(lambda: web_node.counters()["streams_open"] == 1)
    wait_until(lambda: web_node.counters()["streams_open"] == 0)

    def published() -> int:
        """Return how many events the server publishes of a job."""
        counts = []
        for act in (lambda: None, lambda: submit_and_cancel(local)):
            act()
            for _ in range(2):  # the first report may be from before it
                found = web_node.server_counters()
            counts.append(found.get("events", 0))
        return counts[1] - counts[0]

    wait_until(lambda: published() == 0, what="a server that publishes nothing")


def test_streams_are_limited_for_a_user_and_in_all_and_end_with_the_token(tmp_path: Path) -> None:
    with WebNode(web_config(tmp_path, {"max_streams": 8})) as node, node.client("anna") as anna:
        opened = [anna.send(anna.build_request("GET", "/events"), stream=True) for _ in range(2)]
        assert [each.status_code for each in opened] == [200, 200]
        refused = anna.get("/events")
        assert (refused.status_code, refused.json()["code"]) == (503, "BUSY")
        with node.client("ben") as ben, ben.stream("GET", "/events") as his:
            assert his.status_code == 200
            began = time.monotonic()
            remove_tokens_of(node.keys, "anna")
            for each in opened:
                with pytest.raises(httpx.RemoteProtocolError):
                    each.read()
            assert time.monotonic() - began < PROMPT_SECONDS < operations.HEARTBEAT_SECONDS
            assert anna.get("/jobs").status_code == 401
            submit_and_cancel(ben)
            assert EventStream(his).next()[1]["kind"] == "queued"


def test_a_quiet_stream_has_heartbeats(tmp_path: Path) -> None:
    # the real time is 15 s: this waits once for it
    with (
        WebNode(web_config(tmp_path)) as node,
        raw(node, seconds=4 * operations.HEARTBEAT_SECONDS) as connection,
    ):
        connection.sendall(get_bytes("/events"))
        began, found = time.monotonic(), b""
        while b": heartbeat" not in found:
            data = connection.recv(4096)
            assert data
            found += data
        assert time.monotonic() - began < 2 * operations.HEARTBEAT_SECONDS


def test_a_stream_survives_the_server_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_process, "BACKOFF_SECONDS", (2 * FAST_SECONDS,))
    with (
        WebNode(web_config(tmp_path)) as node,
        node.client() as client,
        client.stream("GET", "/events?after=0") as response,
    ):
        stream = EventStream(response)
        first = submit_and_cancel(client)
        assert [stream.next()[1]["job_id"] for _ in range(2)] == [first, first]
        assert node.server.pid is not None
        os.kill(node.server.pid, signal.SIGKILL)
        wait_until(lambda: node.server.pid is None, what="its end")
        story = {"story": STORY, "key": "k"}
        refused = client.post("/jobs", json=story)
        assert (refused.status_code, refused.json()["code"]) in ((503, "NO_REPLY"), (503, "BUSY"))
        assert int(refused.headers["retry-after"]) >= 1
        node.server._process._start_at = 0.0  # now it is started again
        wait_until(lambda: client.post("/jobs", json=story).status_code in (200, 201), what="a job")
        made = client.post("/jobs", json=story).json()
        assert stream.next()[1]["job_id"] == made["job_id"]


def test_head_of_a_stream_is_its_head_alone(local: httpx.Client) -> None:
    got = local.head("/events")
    assert (got.status_code, got.headers["content-type"], got.content) == (200, "text/event-stream", b"")


def test_a_client_that_goes_frees_its_stream(web_node: WebNode) -> None:
    before = web_node.counters()["streams_open"]

    def is_streamed() -> bool:
        with raw(web_node) as connection:
            connection.sendall(get_bytes("/events"))
            return connection.recv(1000).startswith(b"HTTP/1.1 200")

    for _ in range(100):  # more than one user may have at once
        wait_until(is_streamed, what="a stream")
    wait_until(lambda: web_node.counters()["streams_open"] <= before)
    with raw(web_node) as connection:
        connection.sendall(get_bytes("/events"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        connection.sendall(b"more")
        everything(connection)  # anything more ends the stream


def test_progress_is_streamed_while_a_job_is_rendered(web_node: WebNode, local: httpx.Client) -> None:
    job_id = local.post("/jobs", json={"story": STORY, "priority": "high"}).json()["job_id"]
    with web_node.ledger() as ledger, local.stream("GET", f"/jobs/{job_id}/events") as response:
        stream = EventStream(response)
        assert stream.next()[1]["kind"] == "queued"
        while claim(ledger).job_id != job_id:
            pass
        assert stream.next()[1]["status"] == "processing"
