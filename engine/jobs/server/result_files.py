"""Read the files of completed jobs for clients: only files that a job's result names, never through a link."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.jobs import messages as m
from video_pipeline.engine.jobs.model import Job, JobStatus
from video_pipeline.engine.jobs.server.wire import RequestError
from video_pipeline.engine.storage.local import result_files

logger = logging.getLogger(__name__)

MANIFEST_MAX_BYTES: Final = 64 * 1024 * 1024
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class FileRead:
    """A read of a completed job's files, which lie in `folder` under `names` (by role)."""

    request: m.Files | m.Fetch
    folder: Path
    names: Mapping[str, str]


def file_read(job: Job, request: m.Files | m.Fetch) -> FileRead:
    """Return the read that a request asks for; raise RequestError if the job has no such file."""
    if job.status is not JobStatus.COMPLETED:
        kind = f" ({job.error_type})" if job.error_type else ""
        raise RequestError(
            "CONFLICT",
            f"{job.job_id} has the status {job.status.value}{kind}; only a completed job has files",
            field="job_id",
        )
    paths = result_files(job.result or {})
    if not paths:
        raise RequestError("NOT_FOUND", f"the result of {job.job_id} names no files", field="job_id")
    names = {role: path.name for role, path in paths.items()}
    if isinstance(request, m.Fetch) and request.name not in names.values():
        raise RequestError(
            "NOT_FOUND",
            f"name: got {request.name!r}; allowed: {', '.join(names.values())}",
            field="name",
            allowed=tuple(names.values()),
        )
    return FileRead(request, next(iter(paths.values())).parent, names)


def answer_read(read: FileRead) -> m.Message:
    """Read from the disk and return the reply, which is an ErrorReply if that fails."""
    try:
        return _listing(read) if isinstance(read.request, m.Files) else _chunk(read, read.request)
    except RequestError as refusal:
        return refusal.reply
    except OSError as error:
        logger.error("%s: cannot read a job's files: %s", read.folder, error)
        reason = f"the node cannot read the files of {read.request.job_id}: {error.strerror}"
        return m.ErrorReply(code="STORAGE", message=reason, retry_after=2.0)


def _listing(read: FileRead) -> m.JobFiles:
    job_id = read.request.job_id
    manifest = read.names.get("manifest", "")
    with _opened_file(read, manifest) as (descriptor, size):
        text = os.pread(descriptor, min(size, MANIFEST_MAX_BYTES), 0)
    try:
        listed: dict[str, Any] = {str(entry["name"]): entry for entry in json.loads(text)["outputs"]}
        files = []
        for role, name in read.names.items():
            with _opened_file(read, name) as (_, size):
                known = (
                    (len(text), hashlib.sha256(text).hexdigest())
                    if name == manifest
                    else (listed[name]["size"], listed[name]["sha256"])
                )
            if size != known[0]:
                raise _changed(job_id, name, f"it has {size} bytes, and its manifest says {known[0]}")
            files.append(m.JobFile(name=name, role=role, size=size, sha256=known[1]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _changed(job_id, manifest, "it does not list the job's files") from error
    return m.JobFiles(job_id=job_id, files=tuple(files))


def _chunk(read: FileRead, request: m.Fetch) -> m.FileChunk:
    with _opened_file(read, request.name) as (descriptor, size):
        data = os.pread(descriptor, request.length, request.offset)
    return m.FileChunk.model_construct(offset=request.offset, file_size=size, data=data)


@contextmanager
def _opened_file(read: FileRead, name: str) -> Iterator[tuple[int, int]]:
    """Open a file of a job's folder; yield its descriptor and size. Raises RequestError if it is gone or no file."""
    try:
        folder = os.open(read.folder, _FOLDER_FLAGS)
        try:
            descriptor = os.open(name, _FILE_FLAGS, dir_fd=folder)
        finally:
            os.close(folder)
    except FileNotFoundError as error:
        what = name if read.folder.is_dir() else "all its files"
        raise RequestError(
            "NOT_FOUND", f"{read.request.job_id}: the node no longer has {what}", field="job_id"
        ) from error
    except OSError as error:
        if not (read.folder.is_symlink() or (read.folder / name).is_symlink()):
            raise
        raise _changed(read.request.job_id, name, "a link has replaced it or its folder") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _changed(read.request.job_id, name, "it is no regular file")
        yield descriptor, status.st_size
    finally:
        os.close(descriptor)


def _changed(job_id: str, name: str, how: str) -> RequestError:
    return RequestError("CONFLICT", f"{job_id}: {name} was changed after the job: {how}", field="job_id")
