"""Limits on what services are paid for: in one render, and in one day over all processes."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from video_pipeline.engine.common.files import write_text
from video_pipeline.engine.errors import ServiceError

if sys.platform != "win32":
    import fcntl

COUNT_FILE: Final = "spending.json"
DAYS_KEPT: Final = 31


class Billed(NamedTuple):
    """What services are paid for, the configuration keys of its limits, and the file of its daily count."""

    unit: str
    job_key: str
    day_key: str
    file: str


CHARACTERS: Final = Billed("characters", "tts.max_characters", "tts.max_characters_per_day", COUNT_FILE)
PICTURES: Final = Billed(
    "pictures", "images.max_pictures", "images.max_pictures_per_day", "spending-pictures.json"
)


class DailyCount:
    """A file of what was counted on each day (UTC), by service; processes share it under a lock.

    `folder` is called when something is counted, because a user without a home folder needs none otherwise.
    """

    def __init__(
        self,
        folder: Callable[[], Path],
        *,
        billed: Billed = CHARACTERS,
        today: Callable[[], str] | None = None,
    ) -> None:
        self.billed = billed
        self._folder = folder
        self._today = today or (lambda: datetime.now(UTC).date().isoformat())

    @property
    def path(self) -> Path:
        """The file."""
        return self._folder() / self.billed.file

    def add(self, service: str, amount: int, *, limit: int | None = None) -> int | None:
        """Count an amount and return the day's sum over all services; None, and nothing counted, above the limit.

        Raises OSError if the file cannot be read or written, ValueError if it is damaged.
        """
        with self._locked():
            days = self._read()
            day = days.setdefault(self._today(), {})
            total = sum(day.values()) + amount
            if limit is not None and total > limit:
                return None
            day[service] = max(0, day.get(service, 0) + amount)
            kept = dict(sorted(days.items())[-DAYS_KEPT:])
            write_text(self.path, json.dumps(kept, indent=1) + "\n")
            return total

    def used(self) -> int:
        """Return the day's sum over all services; raise OSError or ValueError."""
        with self._locked():
            return sum(self._read().get(self._today(), {}).values())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if sys.platform != "win32":
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _read(self) -> dict[str, dict[str, int]]:
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        if not isinstance(data, dict) or not all(
            isinstance(day, dict) and all(type(count) is int for count in day.values())
            for day in data.values()
        ):
            raise ValueError("it is not a count")
        return data


class Spending:
    """What one render pays for, held to its limit and to the day's. Thread-safe.

    What a killed process took stays counted, since the service may have been paid for them.
    """

    def __init__(self, *, job_limit: int, day_limit: int, count: DailyCount) -> None:
        self._job_limit = job_limit
        self._day_limit = day_limit
        self._count = count
        self._lock = threading.Lock()
        self._spent: Counter[str] = Counter()

    @property
    def spent(self) -> Mapping[str, int]:
        """What was taken, by service."""
        with self._lock:
            return {service: count for service, count in self._spent.items() if count}

    def take(self, service: str, amount: int) -> None:
        """Count an amount before it is asked for; raise ServiceError if that exceeds a limit or cannot be counted."""
        billed = self._count.billed
        with self._lock:
            total = sum(self._spent.values()) + amount
            if total > self._job_limit:
                raise ServiceError(
                    f"{service}: this render would pay for {total} {billed.unit}; {billed.job_key} allows {self._job_limit}",
                    kind="denied",
                )
            if self._add(service, amount, self._day_limit) is None:
                raise ServiceError(
                    f"{service}: {amount} more would exceed {billed.day_key} ({self._day_limit}); the count of {self._count.path} begins again at 00:00 UTC",
                    kind="denied",
                )
            self._spent[service] += amount

    def give_back(self, service: str, amount: int) -> None:
        """Take back the count of what is not billed."""
        with self._lock:
            self._spent[service] -= amount
            self._add(service, -amount, None)

    def _add(self, service: str, amount: int, limit: int | None) -> int | None:
        try:
            return self._count.add(service, amount, limit=limit)
        except OSError as error:
            why = f"cannot be written: {error.strerror}"
        except ValueError as error:
            why = f"is damaged ({error}); delete it to begin the count again"
        raise ServiceError(
            f"{service}: the day's {self._count.billed.unit} must be counted, and {self._count.path} {why}",
            kind="denied",
        )
