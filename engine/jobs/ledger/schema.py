"""The ledger's tables, and the migrations that create them.

    jobs         one row for each job, without its story: small, so that listing is fast
    payloads     story and configuration of each job that has not completed, as the client sent them
    events       one row for each change of a job's state and each progress report; `seq` never repeats
    tallies      number of jobs by state, priority and owner; kept by triggers
    queue_clock  one row: the queue's time, see queue.py

A migration is a tuple of statements; `PRAGMA user_version` counts the migrations that a file has had.
"""

from __future__ import annotations

import sqlite3
from functools import cache, partial
from pathlib import Path

from video_pipeline.engine.jobs.ledger.errors import LedgerCorrupt, LedgerError, LedgerTooNew, corrupt_error

APPLICATION_ID = 0x56504C47
"""`VPLG`: marks the file as a ledger in its header."""

BUSY_TIMEOUT_SECONDS = 10.0

# SQLite before 3.37 has no strict tables; the ledger works without them.
_STRICT = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""
_STRICT_KEYED = f"WITHOUT ROWID{', STRICT' if _STRICT else ''}"

_TALLY = (
    "INSERT INTO tallies VALUES ({row}.status, {row}.priority, {row}.owner, {step}) "
    "ON CONFLICT DO UPDATE SET n = n + {step};"
)
_COUNT_UP = _TALLY.format(row="new", step=1)
_COUNT_DOWN = _TALLY.format(row="old", step=-1)

_FIRST = (
    f"""CREATE TABLE jobs (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        key TEXT,
        digest TEXT NOT NULL,
        story_id TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('queued', 'processing', 'completed', 'failed', 'cancelled')),
        priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 2),
        ageing_us INTEGER NOT NULL,
        order_key INTEGER NOT NULL,
        due_wall REAL,
        due_monotonic REAL,
        retry_in REAL,
        attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
        max_attempts INTEGER NOT NULL,
        interruptions INTEGER NOT NULL DEFAULT 0,
        requeues INTEGER NOT NULL DEFAULT 0,
        fence INTEGER NOT NULL DEFAULT 0,
        publishing INTEGER NOT NULL DEFAULT 0 CHECK (publishing = 0 OR status = 'processing'),
        cancel_requested INTEGER NOT NULL DEFAULT 0,
        created_at REAL NOT NULL,
        scheduled_for REAL,
        started_at REAL,
        finished_at REAL,
        stage TEXT,
        percent REAL,
        fps REAL,
        eta_seconds REAL,
        error_type TEXT,
        error_message TEXT,
        log_tail TEXT,
        result TEXT
    ) {_STRICT}""",
    "CREATE UNIQUE INDEX jobs_key ON jobs (owner, key) WHERE key IS NOT NULL",
    """CREATE INDEX jobs_ready ON jobs (order_key)
       WHERE status = 'queued' AND due_wall IS NULL AND due_monotonic IS NULL""",
    "CREATE INDEX jobs_due_wall ON jobs (due_wall) WHERE due_wall IS NOT NULL",
    "CREATE INDEX jobs_due_monotonic ON jobs (due_monotonic) WHERE due_monotonic IS NOT NULL",
    "CREATE INDEX jobs_processing ON jobs (cancel_requested) WHERE status = 'processing'",
    "CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL",
    "CREATE INDEX jobs_status ON jobs (status)",
    "CREATE INDEX jobs_owner ON jobs (owner)",
    "CREATE INDEX jobs_owner_status ON jobs (owner, status)",
    f"""CREATE TABLE payloads (
        position INTEGER PRIMARY KEY,
        story TEXT NOT NULL,
        config TEXT NOT NULL
    ) {_STRICT}""",
    f"""CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        position INTEGER NOT NULL,
        owner TEXT NOT NULL,
        kind TEXT NOT NULL,
        status TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        details TEXT NOT NULL
    ) {_STRICT}""",
    "CREATE INDEX events_position ON events (position)",
    "CREATE INDEX events_owner ON events (owner)",
    f"""CREATE TABLE tallies (
        status TEXT NOT NULL,
        priority INTEGER NOT NULL,
        owner TEXT NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (status, priority, owner)
    ) {_STRICT_KEYED}""",
    f"CREATE TRIGGER jobs_added AFTER INSERT ON jobs BEGIN {_COUNT_UP} END",
    f"CREATE TRIGGER jobs_removed AFTER DELETE ON jobs BEGIN {_COUNT_DOWN} END",
    f"""CREATE TRIGGER jobs_moved AFTER UPDATE OF status ON jobs WHEN old.status <> new.status
        BEGIN {_COUNT_DOWN} {_COUNT_UP} END""",
    f"CREATE TABLE queue_clock (queue_us INTEGER NOT NULL, monotonic_us INTEGER NOT NULL) {_STRICT}",
    "INSERT INTO queue_clock VALUES (0, 0)",
)

_TITLES = ("ALTER TABLE jobs ADD COLUMN title TEXT NOT NULL DEFAULT ''",)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _TITLES)


def connect(path: Path) -> sqlite3.Connection:
    """Open a ledger's file with durable commits; the caller begins and ends its transactions.

    Raise sqlite3.Error, and LedgerError if the file system does not support a write-ahead log.
    """
    database = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, cached_statements=256
    )
    # One damaged byte in a text must not make the row unreadable.
    database.text_factory = partial(str, encoding="utf-8", errors="replace")
    try:
        if database.execute("PRAGMA page_count").fetchone()[0] == 0:
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        mode = database.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise LedgerError(
                f"the ledger {path} needs a local disk: its file system does not support a write-ahead log"
            )
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA temp_store = MEMORY")
        database.execute("PRAGMA cache_size = -16000")
        # Pages after which a commit copies the log into the file: more pages make longer but rarer pauses.
        database.execute("PRAGMA wal_autocheckpoint = 2000")
        database.execute(f"PRAGMA journal_size_limit = {32 << 20}")
    except BaseException:
        database.close()
        raise
    return database


def migrate(database: sqlite3.Connection, path: Path) -> None:
    """Run the migrations that a file lacks; call it in a transaction, with the write lock held."""
    found = database.execute("PRAGMA user_version").fetchone()[0]
    if found == len(MIGRATIONS) and _application_id(database) == APPLICATION_ID:
        return
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if _application_id(database) != APPLICATION_ID and (tables or found):
        raise LedgerCorrupt(
            f"{path} is a database of another program, not a ledger: choose another state folder"
        )
    if found > len(MIGRATIONS):
        raise LedgerTooNew(
            f"the ledger {path} has version {found}, but this program supports versions up to {len(MIGRATIONS)}: "
            "use the program that wrote it, or a newer one"
        )
    for statements in MIGRATIONS[found:]:
        for statement in statements:
            database.execute(statement)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def check_schema(database: sqlite3.Connection, path: Path) -> None:
    """Raise LedgerCorrupt if a table, index or trigger is not as the migrations make it.

    A changed byte in its text would be a rule that other jobs break.
    """
    found = _definitions(database)
    damaged = [name for name, sql in _expected_definitions().items() if found.get(name) != sql]
    if damaged:
        raise corrupt_error(f"the definition of {', '.join(damaged)} was changed", path)


@cache
def _expected_definitions() -> dict[str, str]:
    database = sqlite3.connect(":memory:")
    try:
        for statements in MIGRATIONS:
            for statement in statements:
                database.execute(statement)
        return _definitions(database)
    finally:
        database.close()


def _definitions(database: sqlite3.Connection) -> dict[str, str]:
    """Return the SQL of each table, index and trigger, the same for SQLite with and without strict tables."""
    rows = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: str(sql).replace(", STRICT", "").replace("STRICT", "").rstrip() for name, sql in rows}


def recount(database: sqlite3.Connection) -> None:
    """Recount the jobs by state, priority and owner, and restore a missing queue clock; call it in a transaction."""
    database.execute("INSERT INTO queue_clock SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM queue_clock)")
    database.execute("DELETE FROM tallies")
    database.execute(
        "INSERT INTO tallies SELECT status, priority, owner, count(*) FROM jobs "
        "WHERE typeof(owner) = 'text' AND typeof(priority) = 'integer' AND typeof(status) = 'text' GROUP BY 1, 2, 3"
    )


def is_current(database: sqlite3.Connection) -> bool:
    """Return whether a file has had every migration."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    return bool(version == len(MIGRATIONS)) and _application_id(database) == APPLICATION_ID


def _application_id(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA application_id").fetchone()[0])
