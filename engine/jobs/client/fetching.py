"""Fetch a finished job's files from the node, in parts: bounded in memory, resumed after a crash, checked at the end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import Any, Final

from video_pipeline.engine.common.arguments import as_callable, as_path, wrong_type
from video_pipeline.engine.errors import InputError, JobConflictError, NodeError
from video_pipeline.engine.jobs.client.fetch_folder import FetchFolder
from video_pipeline.engine.jobs.client.steps import Begin, Finish, InThread, Steps, call
from video_pipeline.engine.jobs.messages import CHUNK_MAX_BYTES, FileChunk, JobFile, JobFiles, Message

WINDOW_MAX: Final = 4
"""Most requests of a fetch without a reply: 4 MiB, so that the network is busy while a part is written."""
QUICK_SECONDS, SLOW_SECONDS = 0.25, 1.0
"""One more request is sent ahead after a quick reply, half as many after a slow one."""
HOLDS_SECONDS: Final = 10.0
"""Additional seconds for a reply: a part takes that long at 100 kB/s."""
CHECKSUM_ATTEMPTS: Final = 2


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """How far a fetch is: the file, and the bytes of all files that are there, of how many."""

    job_id: str
    name: str
    done_bytes: int
    total_bytes: int


OnProgress = Callable[[FetchProgress], object]


def fetch_steps(
    job_id: str,
    folder: str | PathLike[str],
    files: Iterable[str] | None = None,
    on_progress: OnProgress | None = None,
) -> Steps[dict[str, Any]]:
    """Fetch files of a completed job into a folder and return their paths by role.

    Raises InputError for a folder or file that cannot be, JobNotFoundError if the job or its files are gone,
    JobConflictError if it is not completed or a file was changed, RenderingError if the disk fails.
    """
    path = as_path(folder, "folder")
    show = as_callable(on_progress, "on_progress") if on_progress is not None else _ignored
    chosen = _file_names(files)
    listing: JobFiles = yield call("files", job_id=job_id)
    wanted = _chosen(listing.files, chosen)
    disk: FetchFolder = yield InThread(partial(FetchFolder, path, job_id, wanted))
    total, before = sum(file.size for file in wanted), 0
    try:
        for file in wanted:

            def report(done: int, name: str = file.name, before: int = before) -> None:
                show(FetchProgress(job_id, name, before + done, total))

            for _ in range(CHECKSUM_ATTEMPTS):
                yield from _file_steps(disk, job_id, file, report)
                right: bool = yield InThread(partial(disk.is_whole, file))
                if right:
                    break
            else:
                raise NodeError(
                    f"{job_id}: {file.name} has another checksum than the node says; nothing of it is kept"
                )
            before += file.size
        paths: dict[str, Any] = yield InThread(disk.commit)
        return paths
    finally:
        disk.close()


def _file_steps(
    disk: FetchFolder, job_id: str, file: JobFile, report: Callable[[int], object]
) -> Steps[None]:
    """Receive what is missing of a file, with some requests sent ahead."""
    done: int = yield InThread(partial(disk.begin, file))
    report(done)
    asked, window = done, 1
    data: bytes | memoryview = b""
    ahead: deque[tuple[Future[Message], float]] = deque()
    try:
        while True:
            while asked < file.size and len(ahead) < window:
                length = min(CHUNK_MAX_BYTES, file.size - asked)
                request = call(
                    "fetch", job_id=job_id, name=file.name, offset=asked, length=length, holds=HOLDS_SECONDS
                )
                future: Future[Message] = yield Begin(request)
                ahead.append((future, time.monotonic()))
                asked += length
            if data:
                yield InThread(partial(disk.append, data))
                report(done)
            if not ahead:
                return
            future, began = ahead.popleft()
            chunk: FileChunk = yield Finish(future)
            data = chunk.data
            if (chunk.offset, chunk.file_size) != (done, file.size) or len(data) != min(
                CHUNK_MAX_BYTES, file.size - done
            ):
                raise JobConflictError(
                    f"{job_id}: {file.name} was changed while it was fetched", code="CONFLICT"
                )
            done += len(data)
            took = time.monotonic() - began
            if took < QUICK_SECONDS:
                window = min(window + 1, WINDOW_MAX)
            elif took > SLOW_SECONDS:
                window = max(1, window // 2)
    finally:
        for future, _ in ahead:
            future.cancel()


def _file_names(files: Any) -> tuple[str, ...] | None:
    if files is None:
        return None
    if isinstance(files, str | bytes) or not isinstance(files, Iterable):
        raise wrong_type(files, "files", "a list of names or roles, or None")
    return tuple(files)


def _chosen(listed: Sequence[JobFile], names: tuple[str, ...] | None) -> tuple[JobFile, ...]:
    """Return the files of some names or roles, all with None, in the node's order."""
    if names is None:
        return tuple(listed)
    for name in names or ("",):
        if not any(name in (file.role, file.name) for file in listed):
            allowed = ", ".join(file.role for file in listed)
            raise InputError(f"files: got {name!r}; allowed: {allowed}, or the files' names")
    return tuple(file for file in listed if file.role in names or file.name in names)


def _ignored(progress: FetchProgress) -> None:
    pass
