"""Fetch the files of a node's job for the commands `fetch`, `submit` and `submit-many`, with progress."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from video_pipeline.engine.cli.job_display import LINE_EVERY_SECONDS
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.client.fetching import FetchProgress, OnProgress

MB = 1e6


def fetch_files(
    client: NodeClient, job_id: str, folder: Path, *, files: Iterable[str] | None = None, as_json: bool
) -> None:
    """Fetch files of a job and print the path of each: as lines, or as JSON with its role."""
    with _progress() as show:
        paths = client.fetch(job_id, folder, files=files, on_progress=show)
    for role, path in paths.items():
        if as_json:
            fields = {"job_id": job_id, "role": role, "path": str(path), "size": path.stat().st_size}
            print(json.dumps(fields, ensure_ascii=False), flush=True)
        else:
            print(path, flush=True)


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """Yield what shows progress: a bar if the error output is a terminal, otherwise a line every few seconds."""
    if not sys.stderr.isatty():
        yield _FetchLines().show
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("", total=None)

        def show(progress: FetchProgress) -> None:
            bar.update(
                task,
                description=progress.name,
                completed=progress.done_bytes,
                total=progress.total_bytes,
            )

        yield show


class _FetchLines:
    """Prints how much is there, every few seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def show(self, progress: FetchProgress) -> None:
        """Print a line, unless the last one is recent."""
        now = time.monotonic()
        if now - self._last >= LINE_EVERY_SECONDS:
            self._last = now
            done, total = progress.done_bytes / MB, progress.total_bytes / MB
            print(
                f"{progress.job_id}  {progress.name}  {done:.0f} of {total:.0f} MB",
                file=sys.stderr,
                flush=True,
            )
