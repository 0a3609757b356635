"""The tables of the file of publications, and its format's versions."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from video_pipeline.engine.common.wal_file import open_wal_file
from video_pipeline.engine.errors import PipelineError
from video_pipeline.engine.publish.states import ACTIVE

BUSY_SECONDS: Final = 10.0

DUE: Final = (
    f"(state IN ({', '.join(repr(str(state)) for state in sorted(ACTIVE))}) "
    "OR (state = 'confirmed' AND is_complete = 0))"
)
"""The condition of a publication that is carried on."""

_FIRST: Final = (
    """CREATE TABLE publications (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        sha256 TEXT NOT NULL,
        platform TEXT NOT NULL,
        account TEXT NOT NULL,
        owner TEXT NOT NULL,
        job_id TEXT,
        state TEXT NOT NULL,
        post TEXT NOT NULL,
        handle TEXT,
        remote_id TEXT,
        url TEXT,
        note TEXT,
        is_complete INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        failing_since REAL,
        committed_at REAL,
        error TEXT,
        due_at REAL NOT NULL,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        UNIQUE (sha256, platform, account)
    )""",
    "CREATE INDEX publications_state ON publications (state)",
    f"CREATE INDEX publications_due ON publications (due_at) WHERE state IN "
    f"({', '.join(repr(str(state)) for state in sorted(ACTIVE))}) OR (state = 'confirmed' AND is_complete = 0)",
)

_MIGRATIONS: Final = (
    _FIRST,
    (
        "ALTER TABLE publications ADD COLUMN began_at REAL",
        "ALTER TABLE publications ADD COLUMN files TEXT",
        "CREATE INDEX publications_job ON publications (job_id) WHERE job_id IS NOT NULL",
    ),
)
"""The statements of each version of the format, from the first on."""


class PublicationsError(PipelineError):
    """The file of publications cannot be used."""


def open_records(path: Path) -> sqlite3.Connection:
    """Open the file of publications, or make it, readable by its owner alone; commits are durable.

    Raises PublicationsError.
    """
    try:
        database = open_wal_file(path, busy_seconds=BUSY_SECONDS)
        try:
            _migrate(database, path)
        except BaseException:
            database.close()
            raise
    except (OSError, sqlite3.Error) as error:
        raise PublicationsError(f"{path}: the file of publications cannot be used: {error}") from error
    return database


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        found = database.execute("PRAGMA user_version").fetchone()[0]
        newest = len(_MIGRATIONS)
        if found > newest:
            raise PublicationsError(
                f"{path}: was written by a newer version (format {found}; this one reads {newest})"
            )
        for statements in _MIGRATIONS[found:]:
            for statement in statements:
                database.execute(statement)
        if found < newest:
            database.execute(f"PRAGMA user_version = {newest}")
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")
