"""The outbox: notifications that are to be delivered, have been, or could not be.

It is one SQLite file of the state folder. How far the events of jobs were read is stored in the same transaction as the
notifications that they give, so a killed process loses none and adds none twice.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from video_pipeline.engine.common.wal_file import open_wal_file
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError, PipelineError

OUTBOX_FILE: Final = "notifications.sqlite3"
VERSION: Final = 1
BUSY_SECONDS: Final = 10.0
DAY_SECONDS: Final = 86_400.0

NoteState = Literal["waiting", "delivered", "dead"]

_SCHEMA: Final = (
    """CREATE TABLE notes (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        message_id TEXT NOT NULL,
        target TEXT NOT NULL,
        type TEXT NOT NULL,
        subject TEXT NOT NULL,
        body TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
        attempts INTEGER NOT NULL DEFAULT 0,
        due_at REAL NOT NULL,
        began_at REAL NOT NULL,
        error TEXT,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        UNIQUE (message_id, target)
    )""",
    "CREATE INDEX notes_waiting ON notes (target, subject, number) WHERE state = 'waiting'",
    "CREATE INDEX notes_due ON notes (due_at) WHERE state = 'waiting'",
    "CREATE INDEX notes_dead ON notes (number) WHERE state = 'dead'",
    "CREATE INDEX notes_updated ON notes (updated_at) WHERE state <> 'waiting'",
    "CREATE TABLE positions (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    "CREATE TABLE publication_states (number INTEGER PRIMARY KEY, state TEXT NOT NULL)",
    "CREATE TABLE disabled (target TEXT PRIMARY KEY, address TEXT NOT NULL)",
    "CREATE TABLE totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    """CREATE TABLE causes (
        cause TEXT PRIMARY KEY,
        active INTEGER NOT NULL,
        told INTEGER NOT NULL,
        told_at REAL NOT NULL,
        suppressed INTEGER NOT NULL
    )""",
)

_COLUMNS: Final = "number, message_id, target, type, subject, body, state, attempts, due_at, began_at, error, created_at, updated_at"
_DUE: Final = "state = 'waiting' AND (due_at <= :now OR updated_at > :now)"
"""A notification that was stored later than now is due at once: the clock was wrong, and its time may be years away."""
_FIRST_OF_SUBJECT: Final = (
    "NOT EXISTS (SELECT 1 FROM notes AS e WHERE e.state = 'waiting' AND e.target = notes.target "
    "AND e.subject = notes.subject AND e.number < notes.number)"
)


def outbox_path(config: Config) -> Path:
    """Return the outbox of a node."""
    return config.state_dir() / OUTBOX_FILE


class OutboxError(PipelineError):
    """The outbox cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNote:
    """A notification for one target. Those of one target and subject are delivered in order."""

    message_id: str
    target: str
    type: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A notification of the outbox. Times are in seconds since 1970; `began_at`: when its attempts began."""

    number: int
    message_id: str
    target: str
    type: str
    subject: str
    body: str
    state: NoteState
    attempts: int
    due_at: float
    began_at: float
    error: str | None
    created_at: float
    updated_at: float

    def as_dict(self, *, with_body: bool = False) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "number": self.number,
            "id": self.message_id,
            "target": self.target,
            "type": self.type,
            "subject": self.subject,
            "state": self.state,
            "attempts": self.attempts,
            "due_at": _iso(self.due_at) if self.state == "waiting" else None,
            "error": self.error,
            "created_at": _iso(self.created_at),
            "updated_at": _iso(self.updated_at),
            **({"body": self.body} if with_body else {}),
        }


class Outbox:
    """The outbox, for one thread. `clock` is in seconds since 1970."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path, self.clock = path, clock
        try:
            self._db = open_wal_file(path, busy_seconds=BUSY_SECONDS)
            if self._version() != VERSION:
                with self.writing() as db:
                    self._migrate(db)
        except (OSError, sqlite3.Error) as error:
            raise OutboxError(f"{path}: the outbox cannot be used: {error}") from error

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _migrate(self, db: sqlite3.Connection) -> None:
        found = self._version()
        if found > VERSION:
            raise OutboxError(
                f"{self.path}: was written by a newer version (format {found}; this one reads {VERSION})"
            )
        if found < VERSION:
            for statement in _SCHEMA:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a transaction, which is durable when the block has ended; raise OutboxError."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise OutboxError(f"{self.path}: cannot be written: {error}") from error

    def rows(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a SELECT; raise OutboxError."""
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise OutboxError(f"{self.path}: cannot be read: {error}") from error

    # ---- what was read

    def position(self, name: str) -> int | None:
        """Return how far a source was read, None if it never was."""
        found = self.rows("SELECT value FROM positions WHERE name = ?", (name,))
        return int(found[0][0]) if found else None

    def set_position(self, name: str, value: int | None, db: sqlite3.Connection) -> None:
        """Store how far a source was read, inside a transaction; None forgets it."""
        db.execute("DELETE FROM positions WHERE name = ?", (name,))
        if value is not None:
            db.execute("INSERT INTO positions VALUES (?, ?)", (name, value))

    def add(self, notes: Sequence[NewNote], db: sqlite3.Connection) -> None:
        """Add notifications inside a transaction; those that are there already stay as they are."""
        now = self.clock()
        db.executemany(
            "INSERT OR IGNORE INTO notes (message_id, target, type, subject, body, due_at, began_at, created_at, updated_at) "
            # Not before an earlier one of its subject.
            "SELECT ?1, ?2, ?3, ?4, ?5, max(?6, coalesce(max(due_at), 0)), ?6, ?6, ?6 FROM notes "
            "WHERE state = 'waiting' AND target = ?2 AND subject = ?4",
            [
                (
                    n.message_id,
                    n.target,
                    n.type,
                    without_surrogates(n.subject),
                    without_surrogates(n.body),
                    now,
                )
                for n in notes
            ],
        )

    # ---- what is delivered

    def due(self, *, target: str | None = None, limit: int = 50) -> list[Note]:
        """Return notifications that are due, the first of each target and subject."""
        where = _DUE + (" AND target = :target" if target else "")
        values = {"now": self.clock(), "target": target, "limit": limit}
        return self._notes(
            f"WHERE {where} AND {_FIRST_OF_SUBJECT} ORDER BY due_at, number LIMIT :limit", values
        )

    def due_targets(self) -> set[str]:
        """Return the targets for which something is due."""
        found = self.rows(f"SELECT DISTINCT target FROM notes WHERE {_DUE}", {"now": self.clock()})
        return {row[0] for row in found}

    def next_due(self) -> float | None:
        """Return when the next notification is due, in seconds since 1970; None if none waits."""
        now = self.clock()
        if self.rows("SELECT 1 FROM notes WHERE state = 'waiting' AND updated_at > ? LIMIT 1", (now,)):
            return now
        found: float | None = self.rows("SELECT min(due_at) FROM notes WHERE state = 'waiting'")[0][0]
        return found

    def delivered(self, note: Note) -> None:
        """Store that a notification was delivered."""
        with self.writing() as db:
            changed = db.execute(
                "UPDATE notes SET state = 'delivered', attempts = attempts + 1, error = NULL, updated_at = ? "
                "WHERE number = ? AND state = 'waiting'",
                (self.clock(), note.number),
            ).rowcount
            kind = "alerts" if note.target.startswith("alert/") else "delivered"
            db.execute(
                "INSERT INTO totals VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (kind, changed),
            )

    def failed(self, note: Note, error: str, *, due_at: float | None, left: str | None = None) -> None:
        """Store why a notification was not delivered and when it is tried again; without `due_at` it is dead.

        `left` is its body from now on, if a part of it was accepted.
        """
        with self.writing() as db:
            db.execute(
                "UPDATE notes SET state = ?, attempts = attempts + 1, error = ?, due_at = coalesce(?, due_at), "
                "body = coalesce(?, body), updated_at = ? WHERE number = ? AND state = 'waiting'",
                (
                    "dead" if due_at is None else "waiting",
                    without_surrogates(error),
                    due_at,
                    left,
                    self.clock(),
                    note.number,
                ),
            )
            if due_at is not None:
                db.execute(
                    "UPDATE notes SET due_at = max(due_at, ?) WHERE state = 'waiting' AND target = ? AND subject = ? "
                    "AND number > ?",
                    (due_at, note.target, note.subject, note.number),
                )

    def disable(self, target: str, address: str) -> None:
        """Store that a target wants nothing more at this address."""
        with self.writing() as db:
            db.execute("INSERT OR REPLACE INTO disabled VALUES (?, ?)", (target, address))

    def enable(self, target: str) -> None:
        """Forget that a target wanted nothing more."""
        with self.writing() as db:
            db.execute("DELETE FROM disabled WHERE target = ?", (target,))

    def is_disabled(self, target: str, address: str) -> bool:
        """Return whether a target wanted nothing more at this address."""
        return bool(self.rows("SELECT 1 FROM disabled WHERE target = ? AND address = ?", (target, address)))

    def resend(self, number: int) -> Note:
        """Make a dead or delivered notification due again, with the same id; raise InputError if it waits anyway."""
        note = self.get(number)
        if note.state == "waiting":
            raise InputError(
                f"notification {number}: waits to be delivered; only dead and delivered ones are resent"
            )
        now = self.clock()
        with self.writing() as db:
            db.execute("DELETE FROM disabled WHERE target = ?", (note.target,))
            db.execute(
                "UPDATE notes SET state = 'waiting', attempts = 0, due_at = ?, began_at = ?, updated_at = ? "
                "WHERE number = ?",
                (now, now, now, number),
            )
        return self.get(number)

    def forget(self, *, days: float) -> int:
        """Delete delivered and dead notifications that are older; return how many."""
        with self.writing() as db:
            return db.execute(
                "DELETE FROM notes WHERE state <> 'waiting' AND updated_at < ?",
                (self.clock() - days * DAY_SECONDS,),
            ).rowcount

    # ---- what people see

    def get(self, number: int) -> Note:
        """Return a notification; raise InputError if there is none of this number."""
        found = self._notes("WHERE number = ?", (number,))
        if not found:
            raise InputError(f"notification: got {number}; there is none of this number")
        return found[0]

    def listed(self, *, state: str | None = None, limit: int = 100) -> list[Note]:
        """Return the latest notifications, oldest first."""
        where, values = ("WHERE state = ? ", [state]) if state else ("", [])
        return self._notes(f"{where}ORDER BY number DESC LIMIT ?", (*values, limit))[::-1]

    def numbers(self) -> Mapping[str, float]:
        """Return counts: `waiting`, `dead`, `oldest_seconds` (of those that wait), and the totals of what was sent."""
        waiting, oldest = self.rows("SELECT count(*), min(created_at) FROM notes WHERE state = 'waiting'")[0]
        dead = self.rows("SELECT count(*) FROM notes WHERE state = 'dead'")[0][0]
        totals = {"delivered": 0.0, "alerts": 0.0} | {
            row[0]: float(row[1]) for row in self.rows("SELECT name, value FROM totals")
        }
        age = 0.0 if oldest is None else max(0.0, self.clock() - oldest)
        return {"waiting": waiting, "dead": dead, "oldest_seconds": age, **totals}

    def _notes(self, where: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Note]:
        return [Note(**dict(row)) for row in self.rows(f"SELECT {_COLUMNS} FROM notes {where}", values)]


def without_surrogates(text: str) -> str:
    """Return a text without halves of surrogate pairs, which come from names of files and cannot be stored or sent."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
