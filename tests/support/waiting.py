"""Waiting for what another thread, process or machine does, on a computer that may be busy with other tests.

What another party does is waited for, never read at once: `wait_until`. That something does *not* take long, because it
must not wait for a timeout or a busy neighbour, is checked against `PROMPT_SECONDS`, with a timeout in the test that is
several times as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

FAST_SECONDS = 30.0
"""Timeout for anything that takes a second or two on an idle machine; all of them cost time in failing tests only."""

PROMPT_SECONDS = 10.0
"""Upper limit of what takes less than two seconds on an idle machine, where the wrong way takes far longer."""


def again_and_again(*, seconds: float, until: Callable[[], object]) -> Iterator[None]:
    """Yield for some seconds, and then until a condition holds; fail if it still does not after FAST_SECONDS more."""
    began = time.monotonic()
    while (took := time.monotonic() - began) < seconds or not until():
        assert took < seconds + FAST_SECONDS, f"not within {took:g} s: {until}"
        yield


def wait_until(condition: Callable[[], object], *, seconds: float = FAST_SECONDS, what: str = "") -> float:
    """Wait until a condition holds; return the seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what or condition}"
        time.sleep(0.01)
    return time.monotonic() - began
