"""Requests to services: deadlines however slow the bytes, sizes, redirects, and no secret in any text."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.origin import origin, reply
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS, wait_until
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.net.client import ServiceAnswer, ServiceClient, ServiceRequest
from video_pipeline.engine.net.retry import RetryPolicy
from video_pipeline.engine.net.secret import Secret
from video_pipeline.engine.net.spending import DailyCount, Spending

SECRET = Secret("top-secret-value", "environment variable A_KEY")
Talk = Callable[[socket.socket, bytes], None]


class Asking:
    def __init__(self, folder: Path, *, attempts: int = 1, timeout: float = FAST_SECONDS) -> None:
        self.spending = Spending(job_limit=1000, day_limit=1000, count=DailyCount(lambda: folder))
        self.client = ServiceClient(
            service="x",
            timeout=timeout,
            meter=self.spending,
            policy=RetryPolicy(attempts=attempts, first_wait=0.01),
            secrets=(SECRET,),
        )

    def ask(self, port: int, *, path: str = "") -> ServiceAnswer:
        return self.client.ask(
            ServiceRequest(
                url=f"http://127.0.0.1:{port}/{path}",
                headers={"Authorization": f"Bearer {SECRET.reveal()}"},
                body=b"words",
                billed=5,
            )
        )


def drip(part: bytes, head: bytes = b"") -> Talk:
    def talk(wire: socket.socket, _: bytes) -> None:
        wire.sendall(head)
        try:
            for _ in range(1000):
                wire.sendall(part)
                time.sleep(0.1)
        except OSError:
            return

    return talk


@pytest.mark.parametrize(
    "talk",
    [
        drip(b"x", reply(b"", Content_Length=1000, Content_Type="application/json")),
        drip(b"X-Slow: 1\r\n", b"HTTP/1.1 200 OK\r\n"),
        drip(b"", b""),
    ],
    ids=["body", "headers", "nothing"],
)
def test_an_answer_has_a_deadline_however_slowly_it_arrives(talk: Talk, tmp_path: Path) -> None:
    asking = Asking(tmp_path, timeout=0.6)
    with origin(talk) as server:
        begin = time.monotonic()
        with pytest.raises(ServiceError, match=r"^x: no complete answer within 0\.6 s \(sent once\)$"):
            asking.ask(server.port)
        assert time.monotonic() - begin < PROMPT_SECONDS
    assert asking.spending.spent == {"x": 5}  # the service may have done the work


def test_a_deadline_that_passes_before_there_is_a_connection_ends_it_too(tmp_path: Path) -> None:
    """The computer may be busy, or the body of the request not be ready."""

    def late() -> Iterator[bytes]:
        time.sleep(1.0)
        return iter([b"words"])

    client = Asking(tmp_path, timeout=0.6).client
    with origin(drip(b"x", reply(b"", Content_Length=1000, Content_Type="application/json"))) as server:
        begin = time.monotonic()
        with pytest.raises(ServiceError, match=r"^x: no complete answer within 0\.6 s \(sent once\)$"):
            client.ask(ServiceRequest(url=f"http://127.0.0.1:{server.port}/", headers={}, parts=late))
        assert time.monotonic() - begin < PROMPT_SECONDS


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        ("400 Bad Request", "rejected", "400 Bad Request: why"),
        ("401 Unauthorized", "denied", "401 Unauthorized: the key is refused (environment variable A_KEY)"),
        ("404 Not Found", "rejected", "404 Not Found: why"),
        ("429 Too Many Requests", "busy", "429 Too Many Requests: why"),
        ("503 Service Unavailable", "busy", "503 Service Unavailable: why"),
        ("302 Found", "denied", "answered 302 Found; redirects are not followed"),
    ],
)
def test_each_status_means_something_and_costs_nothing(
    status: str, kind: str, told: str, tmp_path: Path
) -> None:
    asking = Asking(tmp_path)
    answer = reply(b'{"error": {"message": "why"}}', status=status, Location="http://127.0.0.1:1/")
    with origin(answer) as server, pytest.raises(ServiceError) as caught:
        asking.ask(server.port)
    assert caught.value.kind == kind
    assert str(caught.value).removesuffix(" (sent once)") == f"x: {told}"
    assert asking.spending.spent == {}


def test_secrets_are_in_no_error_and_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    text = f'{{"message": "the header {SECRET.reveal()} and {SECRET.reveal()} is wrong"}}'.encode()
    where = f"http://127.0.0.1:1/?key={SECRET.reveal()}"
    with origin(reply(text, status="400 Bad Request", Location=where)) as server:
        with pytest.raises(ServiceError, match=r"the header \*\*\* and \*\*\* is wrong") as caught:
            Asking(tmp_path).ask(server.port)
        assert SECRET.reveal().encode() in server.heads[0]
    logging.getLogger("video_pipeline").debug("debug messages are logged")
    assert caplog.records
    for shown in (caplog.text, str(caught.value), repr(caught.value.details)):
        assert SECRET.reveal() not in shown


@pytest.mark.parametrize(
    "talk",
    [
        drip(b"x", reply(b"", Content_Length=1000, Content_Type="application/json")),
        lambda wire, _: wire.sendall(reply(b"", status="429 Too Many Requests", Retry_After=25)),
    ],
    ids=["a request", "a wait"],
)
def test_a_render_that_is_stopped_waits_for_no_service(talk: Talk, tmp_path: Path) -> None:
    asking = Asking(tmp_path, attempts=3, timeout=60)
    with origin(talk) as server:

        def stop_when_asked() -> None:
            wait_until(lambda: server.heads, what="a request")
            time.sleep(0.3)  # for the answer that says to wait
            asking.client.stop.set()

        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(stop_when_asked)
            begin = time.monotonic()
            with pytest.raises(ServiceError, match="the render was stopped"):
                asking.ask(server.port)
            assert time.monotonic() - begin < 2 * PROMPT_SECONDS
            stopping.result()
        assert len(server.heads) == 1


def test_each_attempt_is_counted_before_it_is_sent(tmp_path: Path) -> None:
    asking = Asking(tmp_path, attempts=3)
    cut = reply(b"{}", Content_Length=10, Content_Type="application/json")
    with origin(cut) as server, pytest.raises(ServiceError, match=r"not complete: .*\(sent 3 times\)"):
        asking.ask(server.port)
    assert asking.spending.spent == {"x": 15}


def test_a_page_instead_of_an_answer_is_named(tmp_path: Path) -> None:
    page = reply(b"<html>", Content_Type="text/html; charset=utf-8")
    with (
        origin(page) as server,
        pytest.raises(
            ServiceError,
            match=r"the answer is text/html, not application/json; asked http://127\.0\.0\.1:\d+/",
        ),
    ):
        Asking(tmp_path).ask(server.port)


def test_a_wrong_address_is_named_without_what_follows_it(tmp_path: Path) -> None:
    missing = reply(b"<html>", status="404 Not Found", Content_Type="text/html")
    with origin(missing) as server, pytest.raises(ServiceError) as caught:
        Asking(tmp_path).ask(server.port, path="v1/images?key=abc")
    assert f"404 Not Found: there is nothing at http://127.0.0.1:{server.port}/v1/images" in str(caught.value)
    assert "abc" not in str(caught.value)


def test_a_long_message_is_one_short_line(tmp_path: Path) -> None:
    body = b'{"message": "' + b"long\\n" * 5000 + b'"}'
    with origin(reply(body, status="400 Bad Request")) as server, pytest.raises(ServiceError) as caught:
        Asking(tmp_path).ask(server.port)
    assert len(str(caught.value)) < 320
    assert "\n" not in str(caught.value)
