"""Show the progress of a render: a bar, log lines, or JSON events."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO

from video_pipeline.engine.common.documents import json_text

if TYPE_CHECKING:
    from video_pipeline.engine.events import Event

STAGE_WORDS = {
    "assets": "making pictures and narration",
    "render": "rendering",
    "outputs": "writing thumbnail, subtitles, metadata",
}

LOG_EVERY_SECONDS = 5.0


class Reporter(Protocol):
    """Receives the events of one render. A context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, event: Event) -> None:
        """Show an event."""

    def finish(self, fields: Mapping[str, Any], text: str) -> None:
        """Show the result: as `fields`, or as `text` for a person."""


class Pace:
    """Speed and time left of the stage that is running. What came from the cache does not count."""

    def __init__(self) -> None:
        self._stage, self._started = "", 0.0

    def measure(self, event: Event) -> tuple[float | None, float | None]:
        """Return the units per second since the stage began, and the seconds left; None if not known."""
        now = time.monotonic()
        if event.stage != self._stage:
            self._stage, self._started = event.stage, now
        elapsed = now - self._started
        made = event.done - event.cached
        if elapsed <= 0 or made <= 0:
            return None, None
        speed = made / elapsed
        return speed, (event.total - event.done) / speed


class Quiet:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: Event) -> None:
        pass

    def finish(self, fields: Mapping[str, Any], text: str) -> None:
        pass


class Text(Quiet):
    """Shows the result only."""

    def finish(self, fields: Mapping[str, Any], text: str) -> None:
        """Print the text to standard output."""
        print(text, flush=True)


class JsonLines(Quiet):
    """One JSON object per line on standard output; progress at most five times a second."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._pace, self._last = Pace(), (0.0, "")

    def __call__(self, event: Event) -> None:
        speed, left = self._pace.measure(event)
        now = time.monotonic()
        final = event.done == event.total
        if not final and event.stage == self._last[1] and now - self._last[0] < 0.2:
            return
        self._last = (now, event.stage)
        fields: dict[str, Any] = {"stage": event.stage, "done": event.done, "total": event.total}
        if event.stage == "render":
            fields |= {
                "fps": None if speed is None else round(speed, 2),
                "seconds_left": None if left is None else round(left, 1),
            }
        self.write("progress", **fields)

    def finish(self, fields: Mapping[str, Any], text: str) -> None:
        """Write the result as an event."""
        self.write("done", **fields)

    def write(self, kind: str, **fields: Any) -> None:
        """Write one event."""
        # One write: print() writes the newline separately, and another thread's line could come between.
        self._stream.write(json_text({"event": kind, **fields}) + "\n")
        self._stream.flush()


class LogLines(Text):
    """Logs a line when a stage begins and every few seconds during it."""

    def __init__(self) -> None:
        self._pace, self._last = Pace(), (0.0, "")
        self._logger = logging.getLogger("video_pipeline")

    def __call__(self, event: Event) -> None:
        speed, left = self._pace.measure(event)
        now = time.monotonic()
        if (
            event.stage == self._last[1]
            and now - self._last[0] < LOG_EVERY_SECONDS
            and event.done < event.total
        ):
            return
        self._last = (now, event.stage)
        words = STAGE_WORDS.get(event.stage, event.stage)
        if event.stage != "render":
            self._logger.info("%s: %d of %d", words, event.done, event.total)
            return
        pace = "" if speed is None else f", {speed:.1f} fps"
        eta = "" if left is None else f", {left:.0f} s left"
        self._logger.info("%s: frame %d of %d%s%s", words, event.done, event.total, pace, eta)


class Bar(Text):
    """A progress bar on a terminal: stage, frames, speed, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed}/{task.total} {task.fields[unit]}"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
        )
        self._pace = Pace()
        self._tasks: dict[str, Any] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(self._progress)
        self._open.enter_context(_redirected(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def __call__(self, event: Event) -> None:
        speed, _ = self._pace.measure(event)
        unit = "frames" if event.stage == "render" else "parts"
        if event.stage not in self._tasks:
            words = STAGE_WORDS.get(event.stage, event.stage)
            self._tasks[event.stage] = self._progress.add_task(words, total=event.total, unit=unit, speed="")
        self._progress.update(
            self._tasks[event.stage],
            completed=event.done,
            total=event.total,
            speed=f"{speed:.1f} fps" if event.stage == "render" and speed is not None else "",
        )

    def line(self, text: str) -> None:
        """Print a line above the bar, without markup."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Above(logging.Handler):
    def __init__(self, bar: Bar) -> None:
        super().__init__()
        self._bar = bar

    def emit(self, record: logging.LogRecord) -> None:
        self._bar.line(self.format(record))


@contextmanager
def _redirected(bar: Bar) -> Iterator[None]:
    """Print log lines above the bar inside the block."""
    root = logging.getLogger()
    before = root.handlers[:]
    handler = _Above(bar)
    handler.setFormatter(before[0].formatter if before else None)
    root.handlers[:] = [handler]
    try:
        yield
    finally:
        root.handlers[:] = before


class Forgiving:
    """Forwards everything to another reporter until it fails to write.

    A render must not fail because the program that reads its events has ended or their disk is full.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._works = True

    def __enter__(self) -> Self:
        with self._forgiven():
            self._reporter.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._forgiven():
            self._reporter.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        if self._works:
            with self._forgiven():
                self._reporter(event)

    def finish(self, fields: Mapping[str, Any], text: str) -> None:
        """Show the result if the output still works."""
        if self._works:
            with self._forgiven():
                self._reporter.finish(fields, text)

    @contextmanager
    def _forgiven(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):  # ValueError: the stream was closed
            self._works = False
            discard_output()


def discard_output(stream: TextIO | None = None) -> None:
    """Discard what a stream (standard output if None) still buffers and everything written to it later."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())


@contextmanager
def discarding(stream: TextIO) -> Iterator[None]:
    """Discard a stream if it cannot be written to inside the block."""
    try:
        yield
        stream.flush()
    except (OSError, ValueError):  # ValueError: the stream was closed
        discard_output(stream)


def choose_reporter(*, as_json: bool, quiet: bool, steps: bool = True) -> Reporter:
    """Return the reporter for a command; without `steps`, text output shows only the result."""
    if as_json:
        return Forgiving(JsonLines())
    if quiet:
        return Quiet()
    if not steps:
        return Forgiving(Text())
    return Forgiving(Bar() if sys.stderr.isatty() else LogLines())
