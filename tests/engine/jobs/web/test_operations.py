"""Jobs over HTTP and over ZeroMQ are the same jobs, with the same checks, owners and keys."""

from __future__ import annotations

import contextlib
import json
import select
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.support.ledgers import claim
from tests.support.server import PNG, STORY, Speaker
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS, wait_until
from tests.support.web import EventStream, WebNode, get_bytes, raw, web_config
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.curve import make_client_key, make_node_key
from video_pipeline.engine.jobs.messages import BODY_MAX_BYTES
from video_pipeline.engine.jobs.web.operations import WAITS_OF_A_USER


def test_a_submitted_job_is_at_its_location_and_in_the_list(local: httpx.Client) -> None:
    made = local.post("/jobs", json={"story": STORY, "priority": "high", "max_attempts": 7})
    assert made.status_code == 201
    job_id = made.json()["job_id"]
    assert made.json() == {"job_id": job_id, "status": "queued", "created": True}
    assert made.headers["location"] == f"/jobs/{job_id}"
    job = local.get(made.headers["location"]).json()
    assert (job["status"], job["priority"], job["max_attempts"]) == ("queued", "high", 7)
    assert local.get("/jobs?limit=1").json()["jobs"] == [job]


def test_a_list_has_the_filters_and_pages_of_the_protocol(local: httpx.Client) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    ids = [local.post("/jobs", json={"story": STORY}).json()["job_id"] for _ in range(3)]
    planned = local.post("/jobs", json={"story": STORY, "scheduled_for": later}).json()["job_id"]
    assert [job["job_id"] for job in local.get("/jobs?status=scheduled").json()["jobs"]] == [planned]
    page = local.get("/jobs?limit=2").json()
    assert [job["job_id"] for job in page["jobs"]] == [planned, ids[2]]
    after = local.get("/jobs", params={"limit": 2, "before": page["before"]}).json()
    assert [job["job_id"] for job in after["jobs"]] == [ids[1], ids[0]]
    assert local.get("/jobs?status=sleeping").json()["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("way", ["DELETE", "POST"])
def test_a_job_is_cancelled_and_queued_again(local: httpx.Client, way: str) -> None:
    place = local.post("/jobs", json={"story": STORY}).headers["location"]
    done = local.delete(place) if way == "DELETE" else local.post(f"{place}/cancel")
    assert (done.status_code, done.json()["status"]) == (200, "cancelled")
    assert local.post(f"{place}/retry").json()["status"] == "queued"
    again = local.post(f"{place}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")


def test_a_job_that_is_being_stopped_is_accepted_for_it(web_node: WebNode, local: httpx.Client) -> None:
    with web_node.ledger() as ledger:
        place = local.post("/jobs", json={"story": STORY, "priority": "high"}).headers["location"]
        while f"/jobs/{claim(ledger).job_id}" != place:
            pass
        done = local.delete(place)
    assert (done.status_code, done.json()["cancel_requested"]) == (202, True)


def test_a_wait_ends_when_the_job_ends(web_node: WebNode, local: httpx.Client) -> None:
    place = local.post("/jobs", json={"story": STORY}).headers["location"]
    with web_node.client() as other:
        timer = threading.Timer(0.5, other.delete, [place])
        timer.start()
        job = local.get(f"{place}?wait=30")
        timer.join()
    assert job.json()["status"] == "cancelled"
    assert job.elapsed.total_seconds() < PROMPT_SECONDS
    for wrong in ("31", "-1", "nan", "x"):
        assert local.get(f"{place}?wait={wrong}").status_code == 400


def test_users_that_wait_for_jobs_leave_room_for_the_requests_of_others(web_node: WebNode) -> None:
    with contextlib.ExitStack() as opened:
        for user in ("will", "wendy", "wes"):
            client = opened.enter_context(web_node.client(user))
            place = client.post("/jobs", json={"story": STORY}).headers["location"]
            opened.callback(client.delete, place)  # ends the waits
            token = f"Authorization: {client.headers['authorization']}"
            waiting = [opened.enter_context(raw(web_node)) for _ in range(WAITS_OF_A_USER + 1)]
            for connection in waiting:
                connection.sendall(get_bytes(f"{place}?wait=30", token))
            answered, _, _ = select.select(waiting, [], [], FAST_SECONDS)
            assert [each.recv(65536).split()[1] for each in answered] == [b"503"]
        with web_node.client("vera") as other:
            assert other.get("/ping").elapsed.total_seconds() < PROMPT_SECONDS
            place = other.post("/jobs", json={"story": STORY}).headers["location"]
            assert other.get(f"{place}?wait=0.1").status_code == 200


def test_a_key_is_one_job_over_http_and_zeromq(web_node: WebNode, local: httpx.Client) -> None:
    with NodeClient(web_node.requests) as zeromq:
        first = zeromq.submit(STORY, key="both-1")
        second = local.post("/jobs", json={"story": STORY}, headers={"Idempotency-Key": "both-1"})
        assert (second.status_code, second.json()["job_id"]) == (200, first.job_id)
        third = local.post("/jobs", json={"story": STORY, "key": "both-1"})
        assert third.json() == {"job_id": first.job_id, "status": "queued", "created": False}
        quoted = local.post("/jobs", json={"story": STORY}, headers={"Idempotency-Key": '"both-1"'})
        assert quoted.json()["job_id"] == first.job_id
        other = local.post("/jobs", json={"story": {**STORY, "title": "Other"}, "key": "both-1"})
        assert (other.status_code, other.json()["code"], other.json()["field"]) == (409, "CONFLICT", "key")
    twice = local.post("/jobs", json={"story": STORY, "key": "a"}, headers={"Idempotency-Key": "b"})
    assert (twice.status_code, twice.json()["field"]) == (400, "key")


def test_equal_submits_at_once_over_both_make_one_job(web_node: WebNode) -> None:
    def by_http(_: int) -> str:
        with web_node.client() as client:
            return str(client.post("/jobs", json={"story": STORY, "key": "race"}).json()["job_id"])

    def by_zeromq(_: int) -> str:
        with NodeClient(web_node.requests) as client:
            return client.submit(STORY, key="race").job_id

    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(by_http, range(8)), *pool.map(by_zeromq, range(8))]
    assert len(set(found)) == 1


def test_a_user_s_key_and_token_have_the_same_jobs_and_others_see_none(tmp_path: Path) -> None:
    config = web_config(tmp_path, curve="on", operators=["chief"])
    with WebNode(config) as node:
        if not (node.keys / "node.key").exists():
            make_node_key(node.keys)
        secret = make_client_key(node.keys, "studio")
        with (
            node.client("studio") as mine,
            node.client("other") as other,
            node.client("chief") as chief,
            NodeClient(node.requests, key_file=secret, node_key=node.keys / "node.key") as zeromq,
        ):
            by_zeromq = zeromq.submit(STORY).job_id
            by_http = mine.post("/jobs", json={"story": STORY}).json()["job_id"]
            assert mine.get("/ping").json()["user"] == zeromq.ping().user == "studio"
            assert {job["job_id"] for job in mine.get("/jobs").json()["jobs"]} == {by_zeromq, by_http}
            assert {job.job_id for job in zeromq.jobs()} == {by_zeromq, by_http}
            assert {job["job_id"] for job in chief.get("/jobs").json()["jobs"]} == {by_zeromq, by_http}
            assert other.get("/jobs").json()["jobs"] == []
            for job_id in (by_zeromq, by_http):
                for asked in (
                    other.get(f"/jobs/{job_id}"),
                    other.delete(f"/jobs/{job_id}"),
                    other.post(f"/jobs/{job_id}/retry"),
                    other.get(f"/jobs/{job_id}/files"),
                    other.get(f"/jobs/{job_id}/events"),
                ):
                    assert (asked.status_code, asked.json()["code"]) == (404, "NOT_FOUND")
            same_key = [
                each.post("/jobs", json={"story": STORY, "key": "k"}).json() for each in (mine, other)
            ]
            assert same_key[0]["job_id"] != same_key[1]["job_id"]
            with mine.stream("GET", "/events?after=0") as response, other.stream("GET", "/events") as nothing:
                stream = EventStream(response)
                first = {stream.next()[1]["job_id"] for _ in range(2)}
                assert first == {by_zeromq, by_http}
                mine.delete(f"/jobs/{by_http}")
                while (event := stream.next()[1])["kind"] != "cancelled":
                    assert event["kind"] == "queued"
                assert event["job_id"] == by_http
                other_s = other.post("/jobs", json={"story": STORY}).json()["job_id"]
                assert EventStream(nothing).next()[1]["job_id"] in (other_s, same_key[1]["job_id"])
            mine.delete(f"/jobs/{by_zeromq}")
            assert zeromq.status(by_zeromq).status == "cancelled"


def test_a_file_sent_with_a_job_is_the_same_asset_as_over_zeromq(
    web_node: WebNode, local: httpx.Client
) -> None:
    story = {"title": "P", "scenes": [{"scene_id": "a", "text": "One.", "image": "inline:0"}]}
    fields = {"job": (None, json.dumps({"story": story, "key": "pic"}), "application/json")}
    made = local.post("/jobs", files={**fields, "file": ("a.png", PNG, "image/png")})
    assert made.status_code == 201, made.text
    with Speaker(web_node.requests) as speaker:
        assert speaker.ask("submit", {"story": story, "key": "pic"}, [PNG]) == {
            "job_id": made.json()["job_id"], "status": "queued", "created": False
        }  # fmt: skip
    unused = local.post("/jobs", files={**fields, "file": ("a", PNG), "more": ("b", PNG)})
    assert (unused.status_code, unused.json()["code"]) == (400, "INVALID_ASSET")


def test_a_path_outside_the_roots_is_refused_as_over_zeromq(web_node: WebNode, local: httpx.Client) -> None:
    story = {"title": "P", "scenes": [{"scene_id": "a", "text": "One.", "image": "/etc/hostname"}]}
    refused = local.post("/jobs", json={"story": story})
    assert refused.status_code == 400
    with Speaker(web_node.requests) as speaker:
        assert speaker.refused("submit", {"story": story}) == refused.json()


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"", "application/json", 400, "BAD_REQUEST"),
        (b"{", "application/json", 400, "BAD_REQUEST"),
        (b"[]", "application/json", 400, "BAD_REQUEST"),
        (b'{"story": {}, "story": {}}', "application/json", 400, "BAD_REQUEST"),
        (b'{"story": {"title": ""}}', "application/json", 400, "INVALID_STORY"),
        (
            b'{"story": {"title": "a", "content": "a."}, "config": {"web": {}}}',
            "application/json",
            400,
            "INVALID_CONFIG",
        ),
        (b"{}", "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", "application/json; charset=utf-16", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"x", "multipart/form-data", 400, "BAD_REQUEST"),
        (b"x", "multipart/form-data; boundary=b", 400, "BAD_REQUEST"),
        (b"--b\r\n\r\n\r\n--b--", "multipart/form-data; boundary=b", 400, "BAD_REQUEST"),
        (b" " * (BODY_MAX_BYTES + 1), "application/json", 413, "TOO_LARGE"),
    ],
)
def test_a_wrong_body_has_the_protocol_s_error(
    local: httpx.Client, body: bytes, kind: str, status: int, code: str
) -> None:
    refused = local.post("/jobs", content=body, headers={"Content-Type": kind})
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert set(refused.json()) == {"code", "message", "field", "retry_after", "allowed"}


def test_limits_of_the_node_hold_and_say_when_to_come_again(tmp_path: Path) -> None:
    config = web_config(tmp_path, max_queued=1, high_reserve=0, max_requests_per_second=5)
    with WebNode(config) as node, node.client("a") as client, node.client("b") as other:
        assert client.post("/jobs", json={"story": STORY}).status_code == 201
        full = other.post("/jobs", json={"story": STORY})
        assert (full.status_code, full.json()["code"]) == (503, "BUSY")
        assert int(full.headers["retry-after"]) >= full.json()["retry_after"] > 0
        codes = {client.get("/stats").status_code for _ in range(60)}
        assert codes == {200, 429}
        limited = next(reply for _ in range(40) if (reply := client.get("/stats")).status_code == 429)
        assert (limited.json()["code"], limited.headers["retry-after"]) == ("RATE_LIMITED", "1")
        assert other.get("/stats").status_code == 200  # another user's requests are counted apart
        node.draining = True

        def refusal() -> tuple[int, str]:
            refused = other.post("/jobs", json={"story": STORY})
            return refused.status_code, refused.json()["code"]

        wait_until(lambda: refusal() == (503, "DRAINING"), what="a node that drains")
