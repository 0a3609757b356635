"""Display jobs: tables, and events as bars, lines or JSON."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from video_pipeline.engine.cli.progress import STAGE_WORDS
from video_pipeline.engine.jobs.messages import EventView, JobView, PublicationView, StatsReply
from video_pipeline.engine.jobs.model import JobStatus

if TYPE_CHECKING:
    from rich.table import Table

LINE_EVERY_SECONDS = 5.0
PLAIN_WIDTH = 200
"""Width if the output is not a terminal, so that nothing is cut."""


class Display(AbstractContextManager["Display"], Protocol):
    """Shows events of jobs while it is open."""

    def show(self, event: EventView) -> None:
        """Show an event."""


def watch_display(*, as_json: bool, names: Mapping[str, str] | None = None) -> Display:
    """Return the display for the output; `names` maps job ids to names shown beside them."""
    if as_json:
        return JsonEvents()
    return Bars(names or {}) if sys.stderr.isatty() else Lines(names or {})


class JsonEvents:
    """Prints each event as a JSON object on one line."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, event: EventView) -> None:
        """Print an event."""
        print(event.model_dump_json(), flush=True)


class Lines(JsonEvents):
    """Prints a line for each change of state, and progress every few seconds."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._last: dict[str, tuple[str, float]] = {}

    def show(self, event: EventView) -> None:
        """Print an event, unless it is progress shortly after other progress."""
        if event.kind == "progress":
            stage, now = str(event.details.get("stage")), time.monotonic()
            before = self._last.get(event.job_id, ("", 0.0))
            if stage == before[0] and now - before[1] < LINE_EVERY_SECONDS:
                return
            self._last[event.job_id] = (stage, now)
        moment = event.at.astimezone().strftime("%H:%M:%S")
        print(f"{moment}  {_display_name(event.job_id, self._names)}  {event_words(event)}", flush=True)


class Bars:
    """Shows a bar for each rendering job (stage, percent, speed, time left) and prints other events above."""

    def __init__(self, names: Mapping[str, str]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskID, TextColumn

        self._names = names
        self._bars: dict[str, TaskID] = {}
        self._progress_text = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %", markup=False),
            TextColumn("{task.fields[speed]}", markup=False),
            TextColumn("{task.fields[left]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )

    def __enter__(self) -> Self:
        self._progress_text.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress_text.stop()

    def show(self, event: EventView) -> None:
        """Update the job's bar, or print the job's outcome."""
        called = _display_name(event.job_id, self._names)
        if event.kind == "progress":
            if event.job_id not in self._bars:
                self._bars[event.job_id] = self._progress_text.add_task(called, total=100, speed="", left="")
            details = event.details
            self._progress_text.update(
                self._bars[event.job_id],
                description=f"{called}  {_stage(details)}",
                completed=float(details.get("percent") or 0),
                speed=_number(details.get("fps"), "{:.1f} fps"),
                left=_number(details.get("eta_seconds"), "{:.0f} s left"),
            )
            return
        bar = self._bars.pop(event.job_id, None)
        if bar is not None:
            self._progress_text.remove_task(bar)
        self._progress_text.console.print(
            f"{called}  {event_words(event)}", markup=False, highlight=False, soft_wrap=True
        )


def event_words(event: EventView) -> str:
    """Return an event in words."""
    details = event.details
    if event.kind == "progress":
        numbers = [
            _number(details.get("percent"), "{:.0f} %"),
            _number(details.get("fps"), "{:.1f} fps"),
            _number(details.get("eta_seconds"), "{:.0f} s left"),
        ]
        return ", ".join([_stage(details), *(number for number in numbers if number)])
    words: str = event.kind
    if event.kind == "processing" and event.attempt > 1:
        words += f", attempt {event.attempt}"
    if event.kind == "priority":
        words += f" {details.get('priority', '')}"
    if event.kind == "retrying":
        words += _number(details.get("retry_in"), " in {:.1f} s")
    reason = details.get("error_message") or details.get("reason")
    if reason:
        kind = details.get("error_type")
        words += f": {f'{kind}: ' if kind else ''}{reason}"
    return words


def shown_end(job: JobView) -> str:
    """Return the outcome of a job, with its video or the error."""
    if job.status is JobStatus.COMPLETED:
        return f"{job.job_id}  completed  {(job.result or {}).get('video_path', '')}"
    words = f"{job.job_id}  {job.status.value}"
    if job.error_message:
        words += f"  {job.error_type}: {job.error_message}"
    return "\n".join([words, *(f"  {line}" for line in job.log_tail)])


def job_details(job: JobView) -> str:
    """Return a job's fields as a table of two columns."""
    table = _job_table()
    result = job.result or {}
    info = result.get("video_info", {})
    rows: dict[str, Any] = {
        "job": job.job_id,
        "story": job.story_id,
        "status": state_of(job),
        "priority": job.priority,
        "key": job.key,
        "attempts": f"{job.attempts} of {job.max_attempts}",
        "submitted": _local_time(job.created_at),
        "scheduled for": _local_time(job.scheduled_for),
        "started": _local_time(job.started_at),
        "ended": _local_time(job.finished_at),
        "progress": _progress_text(job),
        "error": f"{job.error_type}: {job.error_message}" if job.error_message else None,
        "log": "\n".join(job.log_tail),
        "video": result.get("video_path"),
        "thumbnail": result.get("thumbnail_path"),
        "length": _number(info.get("duration"), "{:.2f} s"),
        "size": _number(info.get("file_size"), "{:,} bytes"),
        "encoder": result.get("encoder"),
        "warnings": "\n".join(result.get("warnings", ())),
    }
    rows["published"] = "\n".join(
        f"{post.platform}/{post.account}: {_publication_words(post)}" for post in job.publications
    )
    for name, value in rows.items():
        if value:
            table.add_row(name, str(value))
    return _table_text(table)


def _publication_words(post: PublicationView) -> str:
    when = f"at {_local_time(post.due_at)}" if post.state == "scheduled" else ""
    return "  ".join(filter(None, (post.state, when, post.url or post.error or "")))


def job_table(jobs: list[JobView]) -> str:
    """Return jobs as a table, one per row."""
    from rich import box
    from rich.table import Table

    if not jobs:
        return "no jobs"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("job", "story", "status", "priority", "attempts", "submitted", "progress"):
        table.add_column(name, no_wrap=name in ("job", "submitted"), overflow="fold")
    for job in jobs:
        table.add_row(
            job.job_id,
            job.story_id,
            state_of(job),
            job.priority,
            f"{job.attempts}/{job.max_attempts}",
            _local_time(job.created_at),
            _progress_text(job),
        )
    return _table_text(table)


def stats_table(stats: StatsReply) -> str:
    """Return a node's statistics as a table of two columns."""
    table = _job_table()
    table.add_row("slots", f"{stats.running} of {stats.slots} rendering")
    table.add_row("queue", f"{stats.queued:,} of {stats.max_queued:,}")
    for status, count in stats.jobs.items():
        table.add_row(status, f"{count:,}")
    table.add_row("uptime", f"{stats.uptime_seconds:,.0f} s")
    if stats.draining:
        table.add_row("draining", "accepts no new jobs")
    return _table_text(table)


def _job_table() -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _table_text(table: Table) -> str:
    """Return a table as text, as wide as the terminal."""
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    console = Console(
        file=io.StringIO(),
        width=Console().width if is_terminal else PLAIN_WIDTH,
        force_terminal=is_terminal,
        markup=False,
        highlight=False,
    )
    with console.capture() as capture:
        console.print(table, markup=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines() if line.strip())


def _display_name(job_id: str, names: Mapping[str, str]) -> str:
    return f"{job_id} {names[job_id]}" if job_id in names else job_id


def state_of(job: JobView) -> str:
    """Return a job's state in one word: its status, `scheduled` before its time, or `cancelling`."""
    if job.cancel_requested and not job.status.is_terminal:
        return "cancelling"
    waits = job.scheduled_for is not None and job.scheduled_for > datetime.now(UTC)
    return "scheduled" if waits and job.status is JobStatus.QUEUED else job.status.value


def _progress_text(job: JobView) -> str:
    if job.status is not JobStatus.PROCESSING or job.percent is None:
        return (job.stage or "") if job.status is JobStatus.QUEUED else ""
    details = {"stage": job.stage}
    speed, left = _number(job.fps, "{:.1f} fps"), _number(job.eta_seconds, "{:.0f} s left")
    return ", ".join(part for part in (_stage(details), f"{job.percent:.0f} %", speed, left) if part)


def _stage(details: Mapping[str, Any]) -> str:
    stage = str(details.get("stage") or "")
    return STAGE_WORDS.get(stage, stage)


def _number(value: Any, form: str) -> str:
    return form.format(value) if isinstance(value, int | float) else ""


def _local_time(when: datetime | None) -> str:
    return "" if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M:%S")
