"""Show the progress of a tuning run: a bar, log lines, or JSON events."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from video_pipeline.engine.cli.progress import LOG_EVERY_SECONDS, JsonLines
from video_pipeline.engine.common.counts import count_text
from video_pipeline.engine.tuning.run import Watching
from video_pipeline.engine.tuning.search import SearchProgress


class TuneReporter:
    """Shows nothing but the result. A context manager; the classes below show more."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self.watching = Watching(drawn=self.drawn, progress=self.progress)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def drawn(self, done: int, total: int) -> None:
        """Show how many clips are drawn."""

    def progress(self, now: SearchProgress) -> None:
        """Show how far the search is."""

    def finish(self, fields: Mapping[str, Any], text: str) -> None:
        """Show the result: as `fields`, or as `text` for a person."""
        if not self._quiet:
            print(text, flush=True)


class TuneJson(TuneReporter):
    """One JSON object per line on standard output."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = JsonLines()

    def drawn(self, done: int, total: int) -> None:
        """Write an event."""
        self._lines.write("progress", stage="material", done=done, total=total)

    def progress(self, now: SearchProgress) -> None:
        """Write an event."""
        left = None if now.seconds_left is None else round(now.seconds_left, 1)
        self._lines.write("progress", stage="search", done=now.done, total=now.total, seconds_left=left)

    def finish(self, fields: Mapping[str, Any], text: str) -> None:
        """Write the result as an event."""
        self._lines.write("done", **fields)


class TuneLog(TuneReporter):
    """Logs a line every few seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._last = 0.0
        _log_above()
        self._logger = logging.getLogger("video_pipeline")

    def drawn(self, done: int, total: int) -> None:
        """Log how many clips are drawn."""
        self._say(f"drawing the material: {done} of {count_text(total, 'clip')}", final=done == total)

    def progress(self, now: SearchProgress) -> None:
        """Log how far the search is."""
        self._say(f"encoding: {now.done} of {now.total}{_left(now)}", final=now.done == now.total)

    def _say(self, text: str, *, final: bool) -> None:
        now = time.monotonic()
        if final or now - self._last >= LOG_EVERY_SECONDS:
            self._last = now
            self._logger.info("%s", text)


class TuneBar(TuneReporter):
    """A progress bar on a terminal with the time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        super().__init__()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._tasks: dict[str, Any] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(self._bar)
        _log_above()  # above the bar, which has replaced the stream
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def drawn(self, done: int, total: int) -> None:
        """Show how many clips are drawn."""
        self._show("drawing the material", done, total, "")

    def progress(self, now: SearchProgress) -> None:
        """Show how far the search is."""
        self._show("encoding", now.done, now.total, _left(now).lstrip(", "))

    def _show(self, what: str, done: int, total: int, left: str) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total, left=left)
        self._bar.update(self._tasks[what], completed=done, total=total, left=left)


def _log_above() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")


def _left(now: SearchProgress) -> str:
    if now.seconds_left is None:
        return ""
    minutes = round(now.seconds_left / 60)
    if minutes < 2:
        return f", {now.seconds_left:.0f} s left"
    return f", {minutes // 60} h {minutes % 60:02} min left" if minutes >= 60 else f", {minutes} min left"


def choose_tune_reporter(*, as_json: bool, quiet: bool) -> TuneReporter:
    """Return the reporter for a run."""
    if as_json:
        return TuneJson()
    if quiet:
        return TuneReporter(quiet=True)
    return TuneBar() if sys.stderr.isatty() else TuneLog()
