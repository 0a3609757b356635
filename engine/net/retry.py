"""Retries of requests to services: which failures, after how long, and how often."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from video_pipeline.engine.errors import ServiceError

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a request is sent, and the waits in between in seconds.

    The wait grows by `factor`; a random part of up to half of it is left out, so that many clients do not return
    together. A service that asks for a wait longer than `longest_wait` is given up.
    """

    attempts: int = 4
    first_wait: float = 0.5
    factor: float = 2.0
    longest_wait: float = 30.0

    def wait_before(self, retry: int, *, share: float) -> float:
        """Return the seconds to wait before a retry, the first of which is 1; `share` of 0 to 1 is the random part."""
        return min(self.longest_wait, self.first_wait * self.factor ** (retry - 1)) * (1 - share / 2)


def retry_after_seconds(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for, or None if it is missing or not valid.

    It has one of two forms (RFC 9110, 10.2.3): a number of seconds, or the date when to come back.
    """
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())


def with_retries(
    send: Callable[[], Answer],
    *,
    policy: RetryPolicy,
    sleep: Callable[[float], object] = time.sleep,
    share: Callable[[], float] = random.random,
) -> Answer:
    """Return what `send` returns, and send again while it raises a ServiceError that a retry may help.

    Raises the last ServiceError, which says how often the request was sent.
    """
    for attempt in range(1, policy.attempts + 1):
        try:
            return send()
        except ServiceError as error:
            if error.kind != "busy":
                raise
            sent = f"sent {attempt} times" if attempt > 1 else "sent once"
            if error.retry_after is not None and error.retry_after > policy.longest_wait:
                raise error.because(
                    f"{sent}; it asks to wait {error.retry_after:.0f} s, and a render waits at most "
                    f"{policy.longest_wait:g} s"
                ) from error
            if attempt == policy.attempts:
                raise error.because(sent) from error
            wait = policy.wait_before(attempt, share=share())
            sleep(wait if error.retry_after is None else max(error.retry_after, 0.0))
    raise AssertionError("a policy has at least one attempt")
