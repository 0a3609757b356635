"""Attempts whose files in the shared storage must be deleted: none is forgotten if the storage, the bridge or the node is away.

fleet/staged/JOB_ID.FENCE   an empty file in the state folder, from the start of an attempt until its files are deleted
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.jobs.folders import attempt_name, parse_attempt_name

logger = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Attempts whose files are deleted at once: a storage that does not answer must not keep all threads of the bridge."""

RETRY_SECONDS: Final = 10.0
AGAIN_SECONDS: Final = (30.0, 600.0, 6000.0)
"""A machine that was stopped may store a file after its lease has ended, so a lost attempt's files are deleted again."""

AttemptKey = tuple[str, int]


class StagedAttempts:
    """What is to be deleted, and when, in monotonic seconds.

    `left` are attempts that ran when the last node ended; they and those of which files are left count as lost at `opens_at`.
    """

    def __init__(self, folder: Path, left: Iterable[AttemptKey] = (), *, opens_at: float = 0.0) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        keys = {*left, *filter(None, (parse_attempt_name(path.name) for path in folder.iterdir()))}
        self._due: dict[AttemptKey, float] = dict.fromkeys(sorted(keys), opens_at)
        self._again: dict[AttemptKey, tuple[float, ...]] = dict.fromkeys(keys, AGAIN_SECONDS)
        self._asked: set[AttemptKey] = set()

    def begin(self, key: AttemptKey) -> None:
        """Take note that an attempt starts. Raises OSError."""
        self._path(key).touch()

    def ended(self, key: AttemptKey, now: float, *, lost: bool = False) -> None:
        """Take note that an attempt has ended, `lost`: without its machine's word."""
        self._due[key] = now
        self._again[key] = AGAIN_SECONDS if lost else ()

    def next(self, now: float) -> list[AttemptKey]:
        """Return the attempts whose files are to be deleted now; `told` says what came of it."""
        ready = [key for key, at in self._due.items() if at <= now and key not in self._asked]
        asked = ready[: max(0, AT_ONCE - len(self._asked))]
        self._asked.update(asked)
        return asked

    def told(self, message: Mapping[str, Any], now: float) -> None:
        """Take note of what the bridge says came of a deletion: {discarded: JOB_ID, fence, failure}."""
        key = str(message["discarded"]), int(message["fence"])
        self._asked.discard(key)
        if message["failure"] is not None:
            self._due[key] = now + RETRY_SECONDS
            return
        wait, *later = self._again.pop(key, ()) or (None,)
        if wait is None:
            self._due.pop(key, None)
            try:
                self._path(key).unlink(missing_ok=True)
            except OSError as error:  # it is deleted once more when the node starts again
                logger.warning("cannot delete %s: %s", error.filename, error.strerror)
        else:
            self._due[key], self._again[key] = now + wait, tuple(later)

    def bridge_lost(self) -> None:
        """Forget what was asked for: no answer will come."""
        self._asked.clear()

    def _path(self, key: AttemptKey) -> Path:
        return self._folder / attempt_name(*key)
