"""The ledger's file: opened, read, written in durable commits that may be grouped, shrunk, closed."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.jobs.ledger.errors import LedgerBusy, LedgerError, LedgerRefusal, ledger_error
from video_pipeline.engine.jobs.ledger.local_disk import network_type
from video_pipeline.engine.jobs.ledger.lock import WriteLock
from video_pipeline.engine.jobs.ledger.rows import Row
from video_pipeline.engine.jobs.ledger.schema import BUSY_TIMEOUT_SECONDS, connect, is_current, migrate

_VACUUM_PAGES = 4000
"""Pages that are given back in one transaction: about 16 MB, so that no writer waits long."""


class LedgerFile:
    """A connection of one thread to a ledger. Nothing counts before its commit has returned."""

    def __init__(self, path: str | os.PathLike[str], *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.path = Path(path)
        self._clock = clock
        self._grouped = False
        self._spoiled: LedgerError | None = None
        self._seen_version: int | None = None
        self._committed = True
        self.commits, self.commit_seconds = 0, 0.0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if share := network_type(self.path.parent):
                raise LedgerError(
                    f"the ledger {self.path} is on a network share ({share}), where it would be damaged sooner or "
                    "later: set node.state_path to a folder on a local disk"
                )
            self._lock = WriteLock(self.path)
        except OSError as error:
            raise ledger_error(error, self.path) from error
        try:
            self._db = self._open()
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        # The last one to close copies the log into the file: a write as any other.
        with suppress(LedgerError, ValueError):
            self._take_lock()
        self._db.close()
        self._lock.close()

    @contextmanager
    def group(self) -> Iterator[None]:
        """Make everything inside one durable commit, which has happened when the block has ended.

        A call inside that raises a LedgerRefusal has changed nothing and spoils nothing: catch it there. Any other
        LedgerError of a call, caught or not, any error that leaves the block, and a failing commit undo the whole
        group and are raised at its end.
        """
        if self._grouped:
            raise RuntimeError("a group in a group")
        self._grouped, self._spoiled = True, None
        try:
            yield
            if self._spoiled is not None:
                raise self._spoiled
            if self._db.in_transaction:
                self._commit()
        finally:
            self._grouped = False
            self._abandon()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside a transaction of one's own, or a part of the group's."""
        if not self._grouped:
            try:
                self._begin()
                yield self._db
                self._commit()
            except sqlite3.Error as error:
                raise ledger_error(error, self.path) from error
            finally:
                self._abandon()
            return
        if self._spoiled is not None:
            raise self._spoiled
        before = self._db.total_changes
        try:
            if not self._db.in_transaction:
                self._begin()
            yield self._db
        except LedgerRefusal:
            raise
        except sqlite3.Error as error:
            self._spoiled = ledger_error(error, self.path)
            raise self._spoiled from error
        except LedgerError as error:
            self._spoiled = error
            raise
        except BaseException as error:
            if self._db.total_changes != before:
                self._spoiled = LedgerError(f"a call failed half-way: {error!r}")
            raise

    def _begin(self) -> None:
        self._take_lock()
        self._db.execute("BEGIN IMMEDIATE")

    def _commit(self) -> None:
        began = time.perf_counter()
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise ledger_error(error, self.path) from error
        self.commits += 1
        self.commit_seconds += time.perf_counter() - began
        self._committed = True
        self._lock.release()

    def _abandon(self) -> None:
        """Undo what is not committed, and give the lock back."""
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
                f"the ledger {self.path} has been held by another process for {BUSY_TIMEOUT_SECONDS:g} s; "
                "try again"
            )

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise ledger_error(error, self.path) from error

    def changed(self) -> bool:
        """Return whether anything was committed, here or elsewhere, since one asked last. Costs microseconds."""
        version = self._rows("PRAGMA data_version")[0][0]
        changed = self._committed or version != self._seen_version
        self._seen_version, self._committed = version, False
        return bool(changed)

    def vacuum(self) -> None:
        """Give the room of purged jobs back to the disk, a piece at a time, and shorten the log."""
        while free := self._rows("PRAGMA freelist_count")[0][0]:
            with self._writing() as db:
                # Stepped to the end, one row a page: a statement that is not stepped gives back one page.
                db.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
            if self._rows("PRAGMA freelist_count")[0][0] >= free:
                break
        self._take_lock()
        try:
            self._rows("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._lock.release()


def _create(path: Path) -> None:
    """Make the file, if it is not there, for its owner alone; SQLite gives those beside it the same permissions.

    A file that is there is not opened: to close it again would take away the locks that other connections of this
    process have on it (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
