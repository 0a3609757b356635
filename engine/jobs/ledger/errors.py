"""Errors of the ledger.

PipelineError
└── LedgerError                base; the whole commit is undone
    ├── LedgerRefusal          the call is not allowed; nothing changed, and the ledger works
    │   ├── KeyConflict        the key was used for a job with other content
    │   ├── QueueFull          the queue has no place for a job of this priority
    │   ├── WrongState         the job's state does not allow the call
    │   ├── DamagedJob         the job's row is damaged, so it cannot run again
    │   └── UnknownJob         there is no job of that id
    ├── LedgerFull             the disk is full, read-only or failing; try again later
    ├── LedgerBusy             another process held the write lock for too long; try again
    ├── LedgerMoved            the file is no longer at its path; move it back or restart the node
    ├── LedgerCorrupt          the file is damaged, or not a ledger; a person must look at it
    └── LedgerTooNew           a newer program has written the file
"""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from video_pipeline.engine.errors import PipelineError
from video_pipeline.engine.jobs.model import JobStatus


class LedgerError(PipelineError):
    """The ledger could not carry out a call."""


class LedgerRefusal(LedgerError):  # noqa: N818 - named after the protocol's replies
    """A call that is not allowed. It has changed nothing, and a group around it goes on."""


class KeyConflict(LedgerRefusal):
    """An idempotency key was used for a job with other content."""

    def __init__(self, *, key: str, job_id: str) -> None:
        super().__init__(f"key: {key!r} was used for {job_id}, which has other content", job_id=job_id)
        self.job_id = job_id


class QueueFull(LedgerRefusal):
    """The queue is at its limit; `retry_after`: seconds after which a place may be free."""

    def __init__(self, *, queued: int, allowed: int, retry_after: float) -> None:
        super().__init__(
            f"the queue is full: {queued} jobs wait, the limit is {allowed}",
            retry_after=retry_after,
        )
        self.retry_after = retry_after


class WrongState(LedgerRefusal):
    """A job's state does not allow a call."""

    def __init__(self, *, job_id: str, status: JobStatus, verb: str, allowed: tuple[JobStatus, ...]) -> None:
        super().__init__(f"{job_id} is {status}: {verb} needs {' or '.join(allowed)}", status=status)
        self.status = status


class DamagedJob(LedgerRefusal):
    """A job's row is damaged."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"{job_id} cannot be retried: its row in the ledger is damaged; submit the story again"
        )
        self.job_id = job_id


class UnknownJob(LedgerRefusal):
    """There is no job of that id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id}", job_id=job_id)
        self.job_id = job_id


class LedgerFull(LedgerError):  # noqa: N818
    """The disk is full, read-only or failing; nothing was written."""


class LedgerBusy(LedgerError):  # noqa: N818
    """Another process held the write lock for longer than the timeout."""


class LedgerMoved(LedgerError):  # noqa: N818
    """The file was moved, deleted or replaced while it was open."""


class LedgerCorrupt(LedgerError):  # noqa: N818
    """The file is damaged, or not a ledger."""

    @property
    def exit_status(self) -> int:
        """2: it stays so until a person has done something."""
        return 2


class LedgerTooNew(LedgerError):  # noqa: N818
    """A newer program has written the file."""

    @property
    def exit_status(self) -> int:
        """2: it stays so until a person has done something."""
        return 2


SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What calls of sqlite3 raise: it cannot decode a message of SQLite that quotes damaged text."""

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def ledger_error(error: sqlite3.Error | UnicodeDecodeError | OSError, path: Path) -> LedgerError:
    """Convert an error of SQLite or of the operating system to a LedgerError."""
    if isinstance(error, OSError):
        what = error.strerror or str(error)
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}:
            return LedgerFull(f"the ledger {path} cannot be written: {what}")
        return LedgerError(f"the ledger {path} cannot be opened: {what}")
    if isinstance(error, UnicodeDecodeError):
        return corrupt_error("its tables are not readable", path)
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if is_corruption(error):
        return corrupt_error(str(error), path)
    if code & 0xFF in _FULL:
        return LedgerFull(
            f"the ledger {path} cannot be written ({error}): check whether its disk is full or read-only"
        )
    if code & 0xFF in _BUSY:
        return LedgerBusy(f"another process has locked the ledger {path} ({error}); try again")
    return LedgerError(f"the ledger {path} failed: {error}")


def is_corruption(error: sqlite3.Error | UnicodeDecodeError) -> bool:
    """Return whether an error means that the file is damaged."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code == sqlite3.SQLITE_IOERR_CORRUPTFS or code & 0xFF in _CORRUPT


def corrupt_error(what: str, path: Path) -> LedgerCorrupt:
    """Return the error for a damaged file, which says what to do."""
    return LedgerCorrupt(
        f"the ledger {path} is damaged ({what}): stop the node, move {path.parent} away, and make it anew from a backup "
        "(`video-pipeline restore`); without one, move the file away together with "
        f"{path.name}-wal and {path.name}-shm, and start the node with an empty ledger; "
        f"`sqlite3 {path.name} .recover` extracts what is still readable"
    )
