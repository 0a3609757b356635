"""What can go wrong with the ledger.

PipelineError
└── LedgerError                base; nothing of the commit counts
    ├── LedgerRefusal                what was asked cannot be; nothing changed and the ledger is well
    │   ├── KeyConflict        the key was used for another job
    │   ├── QueueFull          no room for a job of this priority
    │   ├── WrongState         the job's state does not allow it
    │   └── UnknownJob         no job of that id
    ├── LedgerFull             disk full, read-only or failing; worth trying again later
    ├── LedgerBusy             another process holds it for too long; worth trying again
    └── LedgerCorrupt          the file is damaged, or no ledger; a person must look
"""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from video_pipeline.engine.errors import PipelineError
from video_pipeline.engine.jobs.model import JobStatus


class LedgerError(PipelineError):
    """The ledger could not do what was asked."""


class LedgerRefusal(LedgerError):  # noqa: N818 - these are the words of the protocol
    """What was asked cannot be. Nothing changed, and the rest of a group is as good as before."""


class KeyConflict(LedgerRefusal):
    """An idempotency key was used before for a job with other content."""

    def __init__(self, *, key: str, job_id: str) -> None:
        super().__init__(f"key: {key!r} was used for {job_id}, which has other content", job_id=job_id)
        self.job_id = job_id


class QueueFull(LedgerRefusal):
    """As many jobs wait as may; `retry_after` is in seconds."""

    def __init__(self, *, queued: int, allowed: int, retry_after: float) -> None:
        super().__init__(
            f"the queue is full: {queued} jobs wait, {allowed} may; try again in {retry_after:g} s",
            retry_after=retry_after,
        )
        self.retry_after = retry_after


class WrongState(LedgerRefusal):
    """A job's state does not allow what was asked."""

    def __init__(self, *, job_id: str, status: JobStatus, verb: str, allowed: tuple[JobStatus, ...]) -> None:
        super().__init__(f"{job_id} is {status}: {verb} needs {' or '.join(allowed)}", status=status)
        self.status = status


class UnknownJob(LedgerRefusal):
    """There is no job of that id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id}", job_id=job_id)
        self.job_id = job_id


class LedgerFull(LedgerError):  # noqa: N818
    """The disk is full, read-only or failing; nothing was written."""


class LedgerBusy(LedgerError):  # noqa: N818
    """Another process held the ledger for longer than one waits."""


class LedgerCorrupt(LedgerError):  # noqa: N818
    """The file is damaged, or is no ledger."""


_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def ledger_error(error: sqlite3.Error | OSError, path: Path) -> LedgerError:
    """Return the ledger's word for an error of SQLite or of the system."""
    if isinstance(error, OSError):
        what = error.strerror or str(error)
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}:
            return LedgerFull(f"the ledger {path} cannot be written: {what}")
        return LedgerError(f"the ledger {path} cannot be opened: {what}")
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if code == sqlite3.SQLITE_IOERR_CORRUPTFS or code & 0xFF in _CORRUPT:
        return LedgerCorrupt(
            f"the ledger {path} is damaged ({error}): stop the node, move the file and those beside it "
            f"({path.name}-wal, {path.name}-shm) away together, and start again with an empty one; "
            f"`sqlite3 {path.name} .recover` gets out of it what can still be read"
        )
    if code & 0xFF in _FULL:
        return LedgerFull(f"the ledger {path} cannot be written ({error}): is its disk full or read-only?")
    if code & 0xFF in _BUSY:
        return LedgerBusy(f"the ledger {path} is held by another process ({error}); try again")
    return LedgerError(f"the ledger {path} failed: {error}")
