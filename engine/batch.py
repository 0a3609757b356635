"""Render many videos from one template and a table, and resume where an earlier run ended."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from video_pipeline.engine import __version__
from video_pipeline.engine.common.documents import json_text
from video_pipeline.engine.common.files import sync_folder
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import InputError, PipelineError
from video_pipeline.engine.events import OnEvent
from video_pipeline.engine.outputs.overwrite import check_inputs_kept, files_read
from video_pipeline.engine.outputs.paths import OutputPaths
from video_pipeline.engine.pipeline import render_story
from video_pipeline.engine.story.batch import BatchRow, read_batch

if sys.platform != "win32":
    import fcntl

JOURNAL: Final = "batch.jsonl"
"""The file in a batch's folder that has a line for each row that ended."""


@dataclass(frozen=True, slots=True)
class RowResult:
    """How a row ended: `rendered`, `unchanged` (its video was there already) or `failed` with its error."""

    row: int
    name: str
    status: Literal["rendered", "unchanged", "failed"]
    key: str
    video: str
    seconds: float = 0.0
    error: str | None = None


def render_many(
    table: str | os.PathLike[str],
    template: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    config: Config | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    name: str | None = None,
    again: bool = False,
    use_cache: bool = True,
    workers: int | None = None,
    on_row: Callable[[RowResult], object] | None = None,
    on_event: OnEvent | None = None,
) -> tuple[RowResult, ...]:
    """Render a video into `folder` for each row of a table; return how each row ended, in the table's order.

    `table` is CSV, TSV or JSON Lines; `template` a story whose texts name columns as `{{column}}`, with paths relative to
    its file. All rows are checked before the first is rendered. A row that fails does not stop the others. A row whose
    video is there is left as it is, unless `again` is set, or its story, its files (by size and time of change), the
    configuration or this package's version have changed. `name` is a pattern of the videos' names, as in `read_batch`;
    `on_row` is called after each row and `on_event` as by `render_story`. Raises InputError for a wrong table, template
    or configuration, and if another process renders into the folder.
    """
    table, template, folder = Path(table), Path(template), Path(folder)
    config = load_config(config)
    rows = read_batch(table, template, name=name)
    base = template.parent
    read = {"the table": table, "the template": template}
    for row in rows:
        sources = [*read.items(), *files_read(row.story, config, base=base)]
        check_inputs_kept(OutputPaths(folder / f"{row.name}.mp4").by_role().values(), sources)
    results = []
    with _journal(folder) as (ended, write):
        for row in rows:
            output = folder / f"{row.name}.mp4"
            key = _row_key(row, config, base)
            if not again and ended.get(row.name) == key and output.is_file():
                result = RowResult(row.row.number, row.name, "unchanged", key, str(output))
            else:
                result = _render_row(
                    row,
                    output,
                    key,
                    lambda row=row, output=output: render_story(  # type: ignore[misc]
                        row.story,
                        output,
                        config=config,
                        base=base,
                        sources=read,
                        use_cache=use_cache,
                        workers=workers,
                        on_event=on_event,
                    ),
                )
                write(result)
            results.append(result)
            if on_row is not None:
                on_row(result)
    return tuple(results)


def _render_row(row: BatchRow, output: Path, key: str, render: Callable[[], object]) -> RowResult:
    began = time.monotonic()
    error: str | None = None
    try:
        render()
    except OSError as fault:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # the next rows would fail alike
        error = str(fault)
    except PipelineError as fault:
        error = str(fault)
    seconds = round(time.monotonic() - began, 3)
    status: Literal["rendered", "failed"] = "rendered" if error is None else "failed"
    return RowResult(row.row.number, row.name, status, key, str(output), seconds, error)


def _row_key(row: BatchRow, config: Config, base: Path) -> str:
    """Return what a row's video is made from, as a hash."""
    settings = config.model_dump(mode="json", exclude={"storage", "processing"})
    files: list[list[str | int]] = []
    for field, path in files_read(row.story, config, base=base):
        try:
            found = path.stat()
        except OSError:  # missing, or an address on the web
            files.append([field, str(path)])
        else:
            files.append([field, str(path), found.st_size, found.st_mtime_ns])
    return row.digest(config=settings, files=files, version=__version__)


@contextmanager
def _journal(folder: Path) -> Iterator[tuple[dict[str, str], Callable[[RowResult], None]]]:
    """Yield the keys of the rows that a folder's journal has as rendered, and a function that adds a result.

    Raises InputError if another process has the journal open.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / JOURNAL).open("a+b") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"output {folder}: another process renders a batch into it") from error
        file.seek(0)
        lines = file.read().split(b"\n")
        if lines[-1]:  # a line that a killed process left unfinished
            file.truncate(sum(len(line) + 1 for line in lines[:-1]))
        ended = _ended(lines[:-1])

        def write(result: RowResult) -> None:
            file.write(json_text(asdict(result)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

        sync_folder(folder)
        yield ended, write


def _ended(lines: Sequence[bytes]) -> dict[str, str]:
    ended: dict[str, str] = {}
    for line in lines:
        try:
            entry = json.loads(line)
            name, status, key = entry["name"], entry["status"], entry["key"]
        except (ValueError, TypeError, KeyError):  # not a line of ours; its row is rendered again
            continue
        ended.pop(name, None)
        if status == "rendered":
            ended[name] = key
    return ended
