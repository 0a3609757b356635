"""Retries: which errors, after how long, how often, and both forms of Retry-After."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from video_pipeline.engine.errors import ServiceError, ServiceFault
from video_pipeline.engine.net.retry import RetryPolicy, retry_after_seconds, with_retries

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)
POLICY = RetryPolicy(attempts=4, first_wait=1, factor=2, longest_wait=30)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("1.5", 1.5),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        ("Sat, 28 Nov 2026 13:00:00 +0100", 0),
        ("Sunday, 29-Nov-26 12:00:00 GMT", 86400),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
        ("9" * 40, None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, now=NOW) == seconds


class Calls:
    """Fails as often as it is told, and remembers the waits."""

    def __init__(self, *kinds: ServiceFault, retry_after: float | None = None) -> None:
        self.kinds = list(kinds)
        self.retry_after = retry_after
        self.waits: list[float] = []
        self.sent = 0

    def send(self) -> str:
        self.sent += 1
        if self.kinds:
            raise ServiceError("x: failed", kind=self.kinds.pop(0), retry_after=self.retry_after)
        return "answer"

    def run(self, share: float = 0.0) -> str:
        return with_retries(self.send, policy=POLICY, sleep=self.waits.append, share=lambda: share)


def test_waits_grow_and_up_to_half_of_each_is_left_out_at_random() -> None:
    calls = Calls("busy", "busy", "busy")
    assert calls.run() == "answer"
    assert calls.waits == [1, 2, 4]
    calls = Calls("busy", "busy", "busy")
    calls.run(share=1.0)
    assert calls.waits == [0.5, 1, 2]


def test_the_last_error_says_how_often_the_request_was_sent() -> None:
    calls = Calls(*["busy"] * 9)
    with pytest.raises(ServiceError, match=r"^x: failed \(sent 4 times\)$") as caught:
        calls.run()
    assert caught.value.kind == "busy"
    assert calls.sent == 4


@pytest.mark.parametrize("kind", ["denied", "rejected"])
def test_what_a_retry_cannot_help_is_not_sent_again(kind: ServiceFault) -> None:
    calls = Calls(kind)
    with pytest.raises(ServiceError, match=r"^x: failed$"):
        calls.run()
    assert (calls.sent, calls.waits) == (1, [])


def test_the_service_decides_how_long_to_wait() -> None:
    calls = Calls("busy", retry_after=7)
    calls.run()
    assert calls.waits == [7]


def test_a_service_that_asks_to_wait_longer_than_a_render_does_is_given_up() -> None:
    calls = Calls("busy", retry_after=31)
    with pytest.raises(ServiceError, match="asks to wait 31 s, and a render waits at most 30 s"):
        calls.run()
    assert (calls.sent, calls.waits) == (1, [])
