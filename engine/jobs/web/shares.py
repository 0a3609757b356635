"""Limits on what all users hold at once, and what one of them may hold of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from video_pipeline.engine.jobs.web.replies import HttpError


@dataclass(slots=True)
class Shares:
    """`total` of something (bytes, streams), of which one user gets at most `each`. `what` names it in errors."""

    what: str
    total: int
    each: int
    held: int = 0
    _of: Counter[str] = field(default_factory=Counter)

    def take(self, user: str, amount: int = 1) -> None:
        """Take some of it for a user; raise HttpError (503) if a limit is reached."""
        if self.held + amount > self.total or self._of[user] + amount > self.each:
            raise HttpError(
                503, "BUSY", f"too many {self.what}: allowed: {self.each} of a user, {self.total} in all",
                retry_after=1.0,
            )  # fmt: skip
        self.held += amount
        self._of[user] += amount

    def give(self, user: str, amount: int = 1) -> None:
        """Give some of it back."""
        self.held -= amount
        self._of[user] -= amount
        if self._of[user] <= 0:
            del self._of[user]

    @contextmanager
    def taken(self, user: str, amount: int = 1) -> Iterator[None]:
        """Hold some of it in a block."""
        self.take(user, amount)
        try:
            yield
        finally:
            self.give(user, amount)
