"""What FFmpeg logs in a thread, for the errors of encoders."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import av


@dataclass(slots=True)
class FfmpegLog:
    """The messages of a thread so far. FFmpeg writes some lines in several messages."""

    messages: list[tuple[int, str, str]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the lines, without those that are empty."""
        lines = "".join(message for _, _, message in self.messages).splitlines()
        return [line.strip() for line in lines if line.strip()]


@dataclass(slots=True)
class _Levels:
    """PyAV's log settings, which belong to the whole process: raised while any thread listens."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    listening: dict[object, int] = field(default_factory=dict)
    before: tuple[int | None, bool, bool] = (None, True, True)


_LEVELS: Final = _Levels()
_LIBAV: Final = logging.getLogger("libav")
_LIBAV.addHandler(logging.NullHandler())


def _raise_level(level: int) -> None:
    before = _LEVELS.before[0]
    av.logging.set_level(max(level, before) if before is not None else level)


@contextmanager
def ffmpeg_log(level: int = av.logging.ERROR) -> Iterator[FfmpegLog]:
    """Collect what FFmpeg logs in this thread, at a level and above.

    What other threads log goes where it went before: nowhere, unless the program has turned PyAV's log on. A
    message costs its thread Python's lock, so listen below ERROR only for a moment.
    """
    me = object()
    with _LEVELS.lock:
        if not _LEVELS.listening:
            current = av.logging.get_level()
            _LEVELS.before = (current, av.logging.get_skip_repeated(), _LIBAV.propagate)
            # PyAV drops a line equal to the one before it, even one of another thread.
            av.logging.set_skip_repeated(False)
            if current is None:
                _LIBAV.propagate = False
        _LEVELS.listening[me] = level
        _raise_level(max(_LEVELS.listening.values()))
    try:
        with av.logging.Capture() as messages:
            yield FfmpegLog(messages)
    finally:
        with _LEVELS.lock:
            del _LEVELS.listening[me]
            if _LEVELS.listening:
                _raise_level(max(_LEVELS.listening.values()))
            else:
                before, skips, propagate = _LEVELS.before
                av.logging.set_level(before)
                av.logging.set_skip_repeated(skips)
                _LIBAV.propagate = propagate
