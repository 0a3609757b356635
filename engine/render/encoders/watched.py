"""Calls into a GPU's driver, which may never return."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")
Watch = Callable[[], AbstractContextManager[None]]

CALL_SECONDS: Final = 7.0
"""Time for one call into a driver; less than a worker's lease by default, and far more than a frame takes."""

POLL_SECONDS: Final = 0.25


class Openings:
    """The calls that open an encoder. FFmpeg's binding keeps Python's lock meanwhile: one that hangs stops all threads.

    `listen` sets what is told of the first one that begins and of the last one that ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._listener: Callable[[bool], None] = lambda opening: None

    def listen(self, listener: Callable[[bool], None]) -> None:
        """Call `listener` with True when a call begins, with False when none is under way."""
        self._listener = listener

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Tell of a call."""
        with self._lock:
            self._count += 1
            if self._count == 1:
                self._listener(True)
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                if self._count == 0:
                    self._listener(False)


OPENINGS: Final = Openings()


class StalledError(Exception):
    """A call did not return in time."""


class _Calls:
    """The number of the call that a thread is in, None between calls."""

    def __init__(self) -> None:
        self.current: int | None = None
        self._next = 0

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        self._next += 1
        self.current = self._next
        try:
            yield
        finally:
            self.current = None


@dataclass(slots=True)
class _Bound:
    """Seconds for a call into a driver in this process."""

    seconds: float = CALL_SECONDS


_BOUND: Final = _Bound()


def limit_calls(seconds: float) -> None:
    """Give calls into a driver no more than some seconds in this process, and no more than CALL_SECONDS."""
    _BOUND.seconds = min(CALL_SECONDS, seconds)


def call_watched_once(work: Callable[[], T]) -> T:
    """Return what `work`, which is watched as one call, returns; otherwise as `call_watched`."""

    def run(watch: Watch) -> T:
        with watch():
            return work()

    return call_watched(run)


def call_watched(work: Callable[[Watch], T], *, seconds: float | None = None) -> T:
    """Return what `work` returns; raise what it raises, or StalledError if a call that it watches takes too long.

    A call has some `seconds`, by default those of the process (`limit_calls`). `work` runs in a thread of its own,
    which is left behind if it stalls: no thread can be ended from outside. It does not keep the process from ending.
    """
    calls = _Calls()
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work(calls.watch))
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, name="encoder", daemon=True).start()
    # Polls are counted, not seconds: a process that was stopped for a while has made none.
    polls, seen = 0, None
    bound = _BOUND.seconds if seconds is None else seconds
    while True:
        if wait([result], timeout=POLL_SECONDS).done:
            return result.result()
        current = calls.current
        polls = polls + 1 if current is not None and current == seen else 0
        seen = current
        if polls * POLL_SECONDS >= bound:
            raise StalledError(f"the GPU's driver did not return from a call for {bound:g} s")
