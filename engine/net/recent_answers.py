"""Answers that stay in memory, so that a full disk does not cause them to be paid for again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class RecentAnswers(Generic[Answer]):
    """The last answers of a service by their keys, at most `most` of them. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, Answer] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Answer | None:
        """Return an answer, or None if it is not among the last ones."""
        with self._lock:
            return self._kept.get(key)

    def keep(self, key: str, answer: Answer) -> None:
        """Keep an answer instead of the oldest one."""
        with self._lock:
            self._kept[key] = answer
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
