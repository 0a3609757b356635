"""The clients against a small node over real sockets, whose replies each test defines."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.support.small_node import SmallNode, pong
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS, wait_until
from video_pipeline.engine.errors import (
    ConfigError,
    InputError,
    JobConflictError,
    JobNotFoundError,
    NodeError,
    StoryError,
    UnreachableError,
)
from video_pipeline.engine.jobs.client.async_client import AsyncNodeClient
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.messages import (
    Encoding,
    ErrorReply,
    Message,
    Ping,
    Submit,
    Submitted,
)
from video_pipeline.engine.jobs.model import JobStatus
from video_pipeline.engine.jobs.verbs import Request

JOB = "job-" + "0" * 24
STORY = {"title": "T", "content": "Once."}


def accept(number: int, request: Request, parts: Sequence[bytes]) -> Message:
    """Answer everything at once."""
    if isinstance(request, Ping):
        return pong()
    return Submitted(job_id=JOB, status=JobStatus.QUEUED, created=True)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_a_submit_without_a_key_gets_a_random_one(encoding: Encoding) -> None:
    with SmallNode(accept) as node, NodeClient(node.url, encoding=encoding) as client:
        made = client.submit(STORY, {"video": {"fps": 24}}, priority="high")
        assert (made.job_id, made.created) == (JOB, True)
        client.submit(STORY)
    first, second = (request for _, _, request in node.asked)
    assert isinstance(first, Submit)
    assert isinstance(second, Submit)
    assert first.story == STORY
    assert first.config == {"video": {"fps": 24}}
    assert first.priority == "high"
    assert first.key
    assert first.key != second.key


def test_an_unanswered_request_is_sent_again_on_a_new_connection() -> None:
    def manners(number: int, request: Request, parts: Sequence[bytes]) -> Message | None:
        return None if number < 2 else accept(number, request, parts)

    with SmallNode(manners) as node, NodeClient(node.url, timeout=60, retries=199) as client:
        assert client.submit(STORY).job_id == JOB
    assert len({routing for routing, _, _ in node.asked}) == len(node.asked) >= 3
    assert len({request_id for _, request_id, _ in node.asked}) == 1
    assert len({request.key for _, _, request in node.asked if isinstance(request, Submit)}) == 1


def test_a_node_that_comes_back_gets_the_request_at_once_again() -> None:
    heard = threading.Event()

    def silent(number: int, request: Request, parts: Sequence[bytes]) -> None:
        heard.set()

    with SmallNode(silent) as first, NodeClient(first.url, timeout=6 * PROMPT_SECONDS, retries=0) as client:
        answers: list[object] = []
        asking = threading.Thread(target=lambda: answers.append(client.submit(STORY)))
        asking.start()
        assert heard.wait(FAST_SECONDS)
        first.stop()
        with SmallNode(accept, port=first.port) as second:
            began = time.monotonic()
            asking.join(6 * PROMPT_SECONDS)
            assert answers
            assert time.monotonic() - began < PROMPT_SECONDS
    assert first.asked[0][1] == second.asked[0][1]
    assert first.asked[0][2] == second.asked[0][2]


def test_a_client_waits_while_the_node_is_busy_and_reports_it_at_its_timeout() -> None:
    def manners(number: int, request: Request, parts: Sequence[bytes]) -> Message:
        if number < 2:
            return ErrorReply(code="BUSY", message="the queue is full", retry_after=0.1)
        if number == 2:
            return accept(number, request, parts)
        return ErrorReply(code="DRAINING", message="no new jobs", retry_after=300)

    with SmallNode(manners) as node, NodeClient(node.url, timeout=3 * PROMPT_SECONDS) as client:
        began = time.monotonic()
        assert client.submit(STORY).job_id == JOB
        assert 0.2 <= time.monotonic() - began < PROMPT_SECONDS
        with pytest.raises(NodeError, match=r"DRAINING: no new jobs; try again in 300\.0 s") as raised:
            client.submit(STORY)
    assert (raised.value.code, raised.value.retry_after) == ("DRAINING", 300)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INVALID_STORY", StoryError),
        ("INVALID_CONFIG", ConfigError),
        ("INVALID_ASSET", InputError),
        ("BAD_REQUEST", InputError),
        ("NOT_FOUND", JobNotFoundError),
        ("CONFLICT", JobConflictError),
        ("UNKNOWN_VERB", NodeError),
    ],
)
def test_refusals_become_the_exceptions_of_the_engine(code: str, kind: type[Exception]) -> None:
    def manners(number: int, request: Request, parts: Sequence[bytes]) -> Message:
        return ErrorReply.model_validate({"code": code, "message": "field 'x': got 1", "field": "x"})

    with SmallNode(manners) as node, NodeClient(node.url) as client:
        with pytest.raises(kind, match="field 'x': got 1") as raised:
            client.submit(STORY)
        assert len(node.asked) == 1
    assert type(raised.value) is kind
    assert raised.value.details["field"] == "x"  # type: ignore[attr-defined]


def test_the_error_without_a_server_has_the_url_and_the_seconds() -> None:
    with SmallNode(accept) as node:
        url = node.url
    with NodeClient(url, timeout=0.4) as client:
        began = time.monotonic()
        with pytest.raises(UnreachableError, match=r"could not connect.*serve") as raised:
            client.ping()
        assert 0.4 <= time.monotonic() - began < PROMPT_SECONDS
    assert url in str(raised.value)
    assert "within 0.4 s" in str(raised.value)


def test_the_error_says_that_a_node_is_connected_but_does_not_answer() -> None:
    with SmallNode(lambda *asked: None) as node, NodeClient(node.url, timeout=3) as client:
        with pytest.raises(UnreachableError, match="connected, but the node did not answer"):
            client.ping()
        wait_until(lambda: len(node.asked) == 3, what="the request, sent three times")


def test_answers_that_are_none_are_passed_over() -> None:
    from video_pipeline.engine.jobs.client.pending import PendingRequests

    requests = PendingRequests("tcp://x", timeout=1, retries=0, encoding="json")
    for frames in ([], [b""] * 4, [b"VP1J", b"other", b"ok", b"{}"], [b"VP1J", b"1"], [b"VP9J"] * 4):
        requests.received(frames, 0.0)
    assert len(requests) == 0


def test_one_client_serves_many_threads_at_once() -> None:
    with SmallNode(accept) as node, NodeClient(node.url) as client:
        answers: list[str] = []
        threads = [
            threading.Thread(target=lambda: answers.extend(client.submit(STORY).job_id for _ in range(20)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [JOB] * 160
    assert len({request_id for _, request_id, _ in node.asked}) == 160


def test_a_cancelled_task_takes_no_answer_from_the_others() -> None:
    cancelled_one = threading.Event()

    def manners(number: int, request: Request, parts: Sequence[bytes]) -> Message:
        time.sleep(0.002)
        if number == 60:  # the client cancels a task whose request has certainly no answer yet
            assert cancelled_one.wait(FAST_SECONDS)
        return Submitted(job_id=f"job-{number:024x}", status=JobStatus.QUEUED, created=True)

    async def run(url: str) -> tuple[int, list[str]]:
        async with AsyncNodeClient(url) as client:
            tasks = [asyncio.create_task(client.submit(STORY, key=f"k{n}")) for n in range(120)]
            for number, task in enumerate(tasks):
                if number % 3 == 0:
                    await asyncio.sleep(0.004)
                    task.cancel()
                if number == 60:
                    cancelled_one.set()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            # The line goes on as if nothing had been.
            after = await client.submit(STORY)
            assert after.created
        cancelled = sum(isinstance(each, asyncio.CancelledError) for each in done)
        return cancelled, [each.job_id for each in done if isinstance(each, Submitted)]

    with SmallNode(manners) as node:
        cancelled, answered = asyncio.run(run(node.url))
    assert cancelled > 0
    assert len(set(answered)) == len(answered) == 120 - cancelled
    assert len(answered) >= 80


def test_one_asyncio_client_serves_loops_one_after_another() -> None:
    with SmallNode(accept) as node:
        client = AsyncNodeClient(node.url)

        async def ask() -> str:
            return (await client.submit(STORY)).job_id

        assert asyncio.run(ask()) == asyncio.run(ask()) == JOB
        asyncio.run(client.close())


def test_closing_a_client_fails_its_pending_requests() -> None:
    with SmallNode(lambda *asked: None) as node:
        client = NodeClient(node.url, timeout=4 * FAST_SECONDS)
        failures: list[Exception] = []

        def ask() -> None:
            try:
                client.ping()
            except NodeError as error:
                failures.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: node.asked, what="a request")
        client.close()
        asking.join(FAST_SECONDS)
        assert "closed" in str(failures[0])
        with pytest.raises(NodeError, match="closed"):
            client.ping()


def test_a_forgotten_client_ends_its_thread() -> None:
    with SmallNode(accept) as node:
        before = set(threading.enumerate())
        client = NodeClient(node.url)
        client.ping()
        (own,) = set(threading.enumerate()) - before
        del client
        gc.collect()
        wait_until(lambda: not own.is_alive(), what="the end of the client's thread")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_client_that_was_used_before_a_fork_says_so() -> None:
    with SmallNode(accept) as node, NodeClient(node.url) as client:
        client.ping()
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                try:
                    client.ping()
                except NodeError as error:
                    code = 0 if "forked" in str(error) else 2
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.ping().node == "small"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"connect": "http://x"}, "tcp://HOST:PORT or ipc://PATH"),
        ({"timeout": 0}, "allowed: more than 0 seconds"),
        ({"retries": -1}, "whole number"),
        ({"encoding": "pickle"}, "json, msgpack"),
        ({"key_file": "a.key"}, r"node_key \(--node-key, VIDEO_PIPELINE_NODE_KEY\): is missing"),
        ({"key_file": "/nowhere", "node_key": "x"}, "/nowhere: cannot read the key"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        NodeClient(**options)  # type: ignore[arg-type]


def test_a_wrong_field_is_named_before_anything_is_sent() -> None:
    with SmallNode(accept) as node, NodeClient(node.url) as client:
        with pytest.raises(InputError, match="priority"):
            client.submit(STORY, priority="urgent")  # type: ignore[arg-type]
        with pytest.raises(InputError, match="job_id"):
            client.status("../../etc/passwd")
        assert not node.asked


def test_local_files_of_a_story_are_sent_with_it(tmp_path: Path) -> None:
    received: list[tuple[Submit, list[bytes]]] = []

    def manners(number: int, request: Request, parts: Sequence[bytes]) -> Message:
        if isinstance(request, Submit):
            received.append((request, list(parts)))
        return accept(number, request, parts)

    (tmp_path / "a.jpg").write_bytes(b"picture")
    (tmp_path / "m.mp3").write_bytes(b"music")
    story = tmp_path / "story.yaml"
    story.write_text(
        "title: T\nmusic: m.mp3\nscenes:\n- {scene_id: a, image: a.jpg}\n- {scene_id: b, image: a.jpg}\n"
        "- {scene_id: c, video: {path: http://example.org/v.mp4}}\n"
    )
    with SmallNode(manners) as node, NodeClient(node.url) as client:
        client.submit(story, send_assets=True)
        client.submit(story)
        client.submit(
            {"title": "T", "scenes": [{"scene_id": "a", "image": "inline:0"}]}, assets=[tmp_path / "a.jpg"]
        )
        with pytest.raises(InputError, match=r"got 5 files to send; allowed: at most 4"):
            client.submit(STORY, assets=[tmp_path / "a.jpg"] * 5)
        (tmp_path / "large").write_bytes(bytes(1_000_001))
        with pytest.raises(InputError, match=r"1000001 bytes"):
            client.submit(STORY, assets=[tmp_path / "large"])
        with pytest.raises(InputError, match=r"field 'scenes\[0\]\.image'.*gone\.jpg: cannot be read"):
            client.submit(
                {"title": "T", "scenes": [{"scene_id": "a", "image": "gone.jpg"}]}, send_assets=True
            )
    sent, named, given = received
    assert sent[1] == [b"picture", b"music"]
    assert sent[0].story["music"] == "inline:1"
    assert [scene.get("image") for scene in sent[0].story["scenes"]] == ["inline:0", "inline:0", None]
    assert sent[0].story["scenes"][2]["video"]["path"] == "http://example.org/v.mp4"
    assert named[1] == []
    assert named[0].story["music"] == str(tmp_path / "m.mp3")
    assert given[1] == [b"picture"]


def test_a_retry_whose_answer_was_lost_finds_the_job_queued() -> None:
    from tests.support.job_views import view

    def manners(number: int, request: Request, parts: Sequence[bytes]) -> Message | None:
        if number == 0:
            return None
        if request.VERB == "retry":
            return ErrorReply(code="CONFLICT", message="the job is queued")
        return view(JOB, JobStatus.QUEUED)

    with SmallNode(manners) as node, NodeClient(node.url, timeout=60, retries=199) as client:
        assert client.retry(JOB).status is JobStatus.QUEUED
    with (
        SmallNode(lambda *_: ErrorReply(code="CONFLICT", message="no")) as node,
        NodeClient(node.url) as client,
        pytest.raises(JobConflictError),
    ):
        client.retry(JOB)


def test_pages_are_asked_for_as_they_are_needed() -> None:
    from tests.support.job_views import view
    from video_pipeline.engine.jobs.messages import Jobs, List

    names = [f"job-{number:024x}" for number in range(5)]

    def manners(number: int, request: Request, parts: Sequence[bytes]) -> Message:
        assert isinstance(request, List)
        start = 0 if request.before is None else names.index(request.before) + 1
        page = names[start : start + 2]
        more = start + 2 < len(names)
        return Jobs(jobs=tuple(view(name) for name in page), before=page[-1] if more else None)

    async def run(url: str) -> list[str]:
        async with AsyncNodeClient(url) as client:
            found: AsyncIterator[object] = client.jobs()
            return [job.job_id async for job in found]  # type: ignore[attr-defined]

    with SmallNode(manners) as node, NodeClient(node.url) as client:
        assert [job.job_id for job in client.jobs()] == names
        assert len(node.asked) == 3
        next(client.jobs())
        assert len(node.asked) == 4
        assert asyncio.run(run(node.url)) == names
