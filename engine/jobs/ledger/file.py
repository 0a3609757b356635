"""The ledger's file: one connection, its transactions and groups of them, the write lock, the file's size."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from video_pipeline.engine.jobs.ledger.errors import (
    LedgerBusy,
    LedgerError,
    LedgerMoved,
    LedgerRefusal,
    ledger_error,
)
from video_pipeline.engine.jobs.ledger.local_disk import network_type
from video_pipeline.engine.jobs.ledger.lock import WriteLock
from video_pipeline.engine.jobs.ledger.rows import Row
from video_pipeline.engine.jobs.ledger.schema import (
    BUSY_TIMEOUT_SECONDS,
    connect,
    is_current,
    migrate,
    recount,
)

_VACUUM_PAGES = 4000
"""Pages that one transaction frees: about 16 MB, so that no other writer waits long."""


class LedgerFile:
    """One thread's connection to a ledger's file. A write counts once its commit has returned."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._grouped = False
        self._miscounted = False
        self._group_error: LedgerError | None = None
        self._seen_version: int | None = None
        self._committed = True
        self.commits, self.commit_seconds = 0, 0.0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if share := network_type(self.path.parent):
                raise LedgerError(
                    f"the ledger {self.path} is on a network share ({share}), which would damage it sooner or "
                    "later: set node.state_path to a folder on a local disk"
                )
            self._lock = WriteLock(self.path)
        except OSError as error:
            raise ledger_error(error, self.path) from error
        try:
            self._db = self._open()
            self._identity = _identity(self.path)
        except BaseException:
            self._lock.close()
            raise

    def _open(self) -> sqlite3.Connection:
        self._take_lock()
        try:
            _create(self.path)
            database = connect(self.path)
            try:
                if not is_current(database):
                    database.execute("BEGIN IMMEDIATE")
                    migrate(database, self.path)
                    database.execute("COMMIT")
            except BaseException:
                database.close()
                raise
            return database
        except (sqlite3.Error, OSError) as error:
            raise ledger_error(error, self.path) from error
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the connection; drop what was not committed."""
        # The last connection to close copies the log into the file, which is a write and needs the lock.
        with suppress(LedgerError, ValueError):
            self._take_lock()
        self._db.close()
        self._lock.close()

    @contextmanager
    def group(self) -> Iterator[None]:
        """Make all writes inside the block one durable commit, which is done when the block has ended.

        A call that raises a LedgerRefusal has changed nothing: catch it inside the block, and the group goes on. The
        whole group is undone, and the error raised at its end, if a call raises any other LedgerError (caught or
        not), if an error leaves the block, or if the commit fails.
        """
        if self._grouped:
            raise RuntimeError("group() was called inside a group: groups cannot be nested")
        self._grouped, self._group_error = True, None
        try:
            yield
            if self._group_error is not None:
                raise self._group_error
            if self._db.in_transaction:
                self._commit()
        finally:
            self._grouped = False
            self._rollback()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a transaction: the group's, or one that commits at the end of the block."""
        if not self._grouped:
            try:
                self._begin()
                yield self._db
                self._commit()
            except sqlite3.Error as error:
                self._look_at(error)
                raise ledger_error(error, self.path) from error
            finally:
                self._rollback()
            return
        if self._group_error is not None:
            raise self._group_error
        before = self._db.total_changes
        try:
            if not self._db.in_transaction:
                self._begin()
            yield self._db
        except LedgerRefusal:
            raise
        except sqlite3.Error as error:
            self._look_at(error)
            self._group_error = ledger_error(error, self.path)
            raise self._group_error from error
        except LedgerError as error:
            self._group_error = error
            raise
        except BaseException as error:
            if self._db.total_changes != before:
                self._group_error = LedgerError(f"a call of the group failed half-way: {error!r}")
            raise

    @property
    def in_place(self) -> bool:
        """Whether the open file is the one at the ledger's path: it may have been moved, deleted or replaced."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def _check_place(self) -> None:
        if not self.in_place:
            raise LedgerMoved(
                f"the ledger {self.path} was moved, deleted or replaced while the node was running: move it back, "
                "or restart the node"
            )

    def _begin(self) -> None:
        self._check_place()
        self._take_lock()
        self._db.execute("BEGIN IMMEDIATE")
        if self._miscounted:
            recount(self._db)
            self._miscounted = False

    def _look_at(self, error: sqlite3.Error) -> None:
        """Count the jobs anew in the next transaction if this one failed because of damaged counts."""
        self._miscounted |= isinstance(error, sqlite3.IntegrityError) and "tallies" in str(error)

    def _commit(self) -> None:
        began = time.perf_counter()
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise ledger_error(error, self.path) from error
        # Writes to a file that was moved away succeed but are never read again, so they are not acknowledged.
        self._check_place()
        self.commits += 1
        self.commit_seconds += time.perf_counter() - began
        self._committed = True
        self._lock.release()

    def _rollback(self) -> None:
        """Undo what is not committed, and release the lock."""
        if self._db.in_transaction:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
        self._lock.release()

    def _take_lock(self) -> None:
        try:
            taken = self._lock.acquire(BUSY_TIMEOUT_SECONDS)
        except OSError as error:
            raise ledger_error(error, self.path) from error
        if not taken:
            raise LedgerBusy(
                f"another process has locked the ledger {self.path} for {BUSY_TIMEOUT_SECONDS:g} s; try again"
            )

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a SELECT."""
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise ledger_error(error, self.path) from error

    def changed(self) -> bool:
        """Return whether this or any other connection has committed since the last call.

        It takes microseconds, so that processes can poll it.
        """
        version = self.rows("PRAGMA data_version")[0][0]
        changed = self._committed or version != self._seen_version
        self._seen_version, self._committed = version, False
        return bool(changed)

    def vacuum(self) -> None:
        """Return the space of purged jobs to the disk, a part at a time, and empty the write-ahead log."""
        while free := self.rows("PRAGMA freelist_count")[0][0]:
            with self.writing() as db:
                # fetchall steps the statement through all its pages; a single step frees only one page.
                db.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
            if self.rows("PRAGMA freelist_count")[0][0] >= free:
                break
        self._take_lock()
        try:
            self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._lock.release()


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise ledger_error(error, path) from error
    return found.st_dev, found.st_ino


def _create(path: Path) -> None:
    """Create the file, if it does not exist, readable by its owner alone; SQLite's files beside it inherit that.

    An existing file is not opened: closing it would drop the locks that other connections of this process hold on it
    (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
