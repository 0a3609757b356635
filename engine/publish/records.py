"""The file of publications: one row for each video on an account, durable before each step that it allows.

A row is claimed by a lock that the system frees when its process ends, so that one process at a time carries a
publication on and a killed one holds none. The file has handles, which are secrets, and is readable by its owner alone.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.publish.base import Handle, Post, Published
from video_pipeline.engine.publish.publication import COLUMNS, DamagedRowError, Publication, publication_of
from video_pipeline.engine.publish.schema import DUE, PublicationsError, open_records
from video_pipeline.engine.publish.states import (
    CHANGEABLE,
    FOLLOWING,
    REOPENED,
    PublicationState,
)

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

RECORDS_FILE: Final = "publications.sqlite3"
DAY_SECONDS: Final = 86_400.0
LARGEST_NUMBER: Final = (1 << 63) - 1
"""SQLite's largest integer."""

DAMAGED_SECONDS: Final = 3600.0
"""How long a row that cannot be read is left alone."""

WaitsFor = Literal["processing", "quota"]


def publications_path(config: Config) -> Path:
    """Return the file of publications of a node or user."""
    return config.state_dir() / RECORDS_FILE


class PublicationConflictError(InputError):
    """The publication's state does not allow what was asked, or another process works on it."""


class Publications:
    """The file of publications, for one thread. `clock` is in seconds since 1970."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.clock = clock
        self._db = open_records(path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a transaction, which is durable when the block has ended."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._writing() as db:
                yield db
        except sqlite3.Error as error:
            raise PublicationsError(f"{self.path}: cannot be written: {error}") from error

    def _select(self, where: str, values: Sequence[Any] = ()) -> list[Publication]:
        found = self._rows(f"SELECT {COLUMNS} FROM publications {where}", values)
        try:
            return [publication_of(row) for row in found]
        except DamagedRowError as error:
            raise PublicationsError(f"{self.path}: {error}") from error

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise PublicationsError(f"{self.path}: cannot be read: {error}") from error

    def get(self, number: int) -> Publication:
        """Return a publication; raise InputError if there is none of this number."""
        found = self._select("WHERE number = ?", (number,)) if 0 < number <= LARGEST_NUMBER else []
        if not found:
            raise InputError(f"publication: got {number}; there is none of this number")
        return found[0]

    def find(self, *, sha256: str, platform: str, account: str) -> Publication | None:
        """Return the publication of a video on an account, or None."""
        found = self._select("WHERE sha256 = ? AND platform = ? AND account = ?", (sha256, platform, account))
        return found[0] if found else None

    def listed(
        self, *, state: PublicationState | None = None, job_id: str | None = None
    ) -> list[Publication]:
        """Return publications in the order in which they are due."""
        where = [("state = ?", str(state))] if state else []
        where += [("job_id = ?", job_id)] if job_id else []
        clause = f"WHERE {' AND '.join(part for part, _ in where)} " if where else ""
        return self._select(f"{clause}ORDER BY due_at, number", [value for _, value in where])

    def page(
        self, *, state: PublicationState | None, owner: str | None, limit: int, before: int | None
    ) -> list[Publication]:
        """Return up to `limit` publications of a state and an owner, the latest first, with numbers below `before`."""
        given = {"state = ?": state and str(state), "owner = ?": owner, "number < ?": before}
        where = {term: value for term, value in given.items() if value is not None}
        clause = f"WHERE {' AND '.join(where)} " if where else ""
        return self._select(f"{clause}ORDER BY number DESC LIMIT ?", [*where.values(), limit])

    def counts(self) -> dict[str, int]:
        """Return the number of publications in each state."""
        rows = self._rows("SELECT state, count(*) FROM publications GROUP BY state")
        found: dict[str, int] = {str(state): 0 for state in PublicationState}
        return found | {row[0]: row[1] for row in rows}

    def delivered_jobs(self) -> set[str]:
        """Return the ids of the jobs whose posts are all confirmed, but for cancelled ones, with nothing left to add."""
        rows = self._rows(
            "SELECT job_id FROM publications WHERE job_id IS NOT NULL AND state != 'cancelled' GROUP BY job_id "
            "HAVING sum(state = 'confirmed' AND is_complete) = count(*)"
        )
        return {row[0] for row in rows}

    def needed_videos(self) -> set[Path]:
        """Return the videos of publications that are neither cancelled nor confirmed with all that belongs to them."""
        rows = self._rows(
            "SELECT DISTINCT json_extract(post, '$.video') FROM publications "
            "WHERE state != 'cancelled' AND NOT (state = 'confirmed' AND is_complete)"
        )
        return {Path(row[0]) for row in rows if row[0]}

    def due(self, *, now: float, limit: int = 100) -> list[Publication]:
        """Return publications that are to be carried on by now, those longest due first.

        Rows that cannot be read are logged and left alone for an hour, so that they hold up no other.
        """
        rows = self._rows(
            f"SELECT {COLUMNS} FROM publications WHERE {DUE} AND due_at <= ? ORDER BY due_at, number LIMIT ?",
            (now, limit),
        )
        found = []
        for row in rows:
            try:
                found.append(publication_of(row))
            except DamagedRowError as error:
                logger.error("%s: %s", self.path, error)
                with self._changing() as db:
                    db.execute(
                        "UPDATE publications SET due_at = ? WHERE number = ?",
                        (now + DAMAGED_SECONDS, row["number"]),
                    )
        return found

    def next_due(self) -> float | None:
        """Return when the next publication is due, in seconds since 1970; None if none is open."""
        found: float | None = self._rows(f"SELECT min(due_at) FROM publications WHERE {DUE}")[0][0]
        return found

    def add(
        self,
        post: Post,
        *,
        platform: str,
        account: str,
        owner: str = "",
        job_id: str | None = None,
        due_at: float | None = None,
    ) -> Publication:
        """Store a publication and return it; for a video that the account has, return what is stored already.

        One that failed or was cancelled, of which nothing was published, begins again with the new post.
        """
        now = self.clock()
        state = PublicationState.PREPARED if due_at is None else PublicationState.SCHEDULED
        with self._changing() as db:
            stored = self.find(sha256=post.sha256, platform=platform, account=account)
            if stored is None:
                db.execute(
                    "INSERT INTO publications (sha256, platform, account, owner, job_id, state, post, due_at, "
                    "created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        post.sha256,
                        platform,
                        account,
                        owner,
                        job_id,
                        str(state),
                        post.model_dump_json(),
                        now if due_at is None else due_at,
                        now,
                        now,
                    ),
                )
            elif stored.state in REOPENED - {PublicationState.HELD}:
                db.execute(
                    "UPDATE publications SET state = ?, post = ?, owner = ?, job_id = coalesce(?, job_id), due_at = ?, handle = NULL, "
                    "failures = 0, failing_since = NULL, error = NULL, updated_at = ? WHERE number = ?",
                    (
                        str(state),
                        post.model_dump_json(),
                        owner,
                        job_id,
                        now if due_at is None else due_at,
                        now,
                        stored.number,
                    ),
                )
        found = self.find(sha256=post.sha256, platform=platform, account=account)
        assert found is not None
        return found

    def move(
        self,
        publication: Publication,
        state: PublicationState,
        *,
        handle: Handle | None = None,
        published: Published | None = None,
        error: str | None = None,
        failed: bool = False,
        due_at: float | None = None,
    ) -> Publication:
        """Store the next state of a publication, durably, and return it; with `failed` it counts as a failure.

        Raises PublicationConflictError if it is in another state by now, or if the two may not follow each other.
        """
        if state not in FOLLOWING[publication.state]:
            raise PublicationConflictError(
                f"{publication.name}: is {publication.state} and cannot be {state}"
            )
        now = self.clock()
        with self._changing() as db:
            done = db.execute(
                "UPDATE publications SET state = ?, handle = CASE WHEN ? THEN ? ELSE handle END, "
                "remote_id = coalesce(?, remote_id), url = coalesce(?, url), note = coalesce(?, note), "
                "files = coalesce(?, files), error = ?, "
                "failures = CASE WHEN ? THEN 0 ELSE failures + ? END, "
                "failing_since = CASE WHEN ? THEN NULL WHEN ? THEN coalesce(failing_since, ?) ELSE failing_since END, "
                "committed_at = CASE WHEN ? THEN ? ELSE committed_at END, due_at = ?, updated_at = ? "
                "WHERE number = ? AND state = ?",
                (
                    str(state),
                    handle is not None or state is PublicationState.PREPARED,
                    handle.model_dump_json() if handle else None,
                    published.remote_id if published else None,
                    published.url if published else None,
                    published.note if published else None,
                    json.dumps(dict(published.files)) if published and published.files else None,
                    error,
                    state is PublicationState.CONFIRMED,
                    failed,
                    state is PublicationState.CONFIRMED,
                    failed,
                    now,
                    state is PublicationState.COMMITTED,
                    now,
                    now if due_at is None else due_at,
                    now,
                    publication.number,
                    str(publication.state),
                ),
            ).rowcount
            if not done:
                raise PublicationConflictError(f"{publication.name}: is no longer {publication.state}")
        return self.get(publication.number)

    def begin(self, publication: Publication, *, per_day: int | None) -> Publication:
        """Store that a post begins, and return it; if its account began `per_day` in the last 24 hours, put it off.

        A post that began less than a day ago and begins again does not count twice.
        """
        now = self.clock()
        with self._changing() as db:
            began = [
                row[0]
                for row in db.execute(
                    "SELECT began_at FROM publications WHERE platform = ? AND account = ? AND began_at > ? "
                    "AND number != ? ORDER BY began_at DESC LIMIT ?",
                    (
                        publication.platform,
                        publication.account,
                        now - DAY_SECONDS,
                        publication.number,
                        per_day or 0,
                    ),
                )
            ]
            if per_day is not None and len(began) >= per_day:
                db.execute(
                    "UPDATE publications SET due_at = ?, error = ?, updated_at = ? WHERE number = ?",
                    (
                        began[-1] + DAY_SECONDS,
                        f"waits: the account has begun {per_day} in the last 24 hours (posts_per_day)",
                        now,
                        publication.number,
                    ),
                )
            else:
                db.execute(
                    "UPDATE publications SET began_at = CASE WHEN began_at > ? THEN began_at ELSE ? END "
                    "WHERE number = ?",
                    (now - DAY_SECONDS, now, publication.number),
                )
        return self.get(publication.number)

    def put_off(
        self, publication: Publication, *, until: float, error: str | None, waits: WaitsFor | None = None
    ) -> Publication:
        """Store when a publication is carried on, and the error that is the reason; its state stays.

        What it `waits` for is no failure. While it is processed, what is known of earlier failures stays.
        """
        now = self.clock()
        keeps, failed = waits == "processing", error is not None and waits is None
        with self._changing() as db:
            db.execute(
                "UPDATE publications SET due_at = ?, error = ?, failures = failures + ?, "
                "failing_since = CASE WHEN ? THEN failing_since WHEN ? THEN coalesce(failing_since, ?) END, "
                "updated_at = ? WHERE number = ?",
                (until, error, failed, keeps, failed, now, now, publication.number),
            )
        return self.get(publication.number)

    def doubt_due(self, *, but: Sequence[str] = ()) -> int:
        """Make every publication unknown that may have been published without this file knowing; return how many.

        Call it on a file that was restored from a backup. Platforms in `but` find a post that is there already.
        """
        now = self.clock()
        with self._changing() as db:
            return db.execute(
                "UPDATE publications SET state = 'unknown', updated_at = ?1, "
                "error = 'restored from a backup: it may have been published since; look, then `publish resolve`' "
                "WHERE (state IN ('prepared', 'saved', 'committed') OR (state = 'scheduled' AND due_at <= ?1)) "
                "AND platform NOT IN (SELECT value FROM json_each(?2))",
                (now, json.dumps(list(but))),
            ).rowcount

    def set_complete(
        self, publication: Publication, *, published: Published | None = None, error: str | None = None
    ) -> Publication:
        """Store that a confirmed post has all that belongs to it, with what is known only now, or why a part is missing."""
        more = published or Published(remote_id="")
        with self._changing() as db:
            db.execute(
                "UPDATE publications SET is_complete = 1, url = coalesce(?, url), note = coalesce(?, note), error = ?, "
                "updated_at = ? WHERE number = ?",
                (more.url, more.note, error, self.clock(), publication.number),
            )
        return self.get(publication.number)

    def change(self, number: int, *, post: Post | None = None, due_at: float | None = None) -> Publication:
        """Change a publication of which nothing was published; its state begins anew.

        Raises PublicationConflictError if it may be published already.
        """
        found = self.get(number)
        if found.state not in CHANGEABLE:
            raise PublicationConflictError(f"{found.name}: is {found.state} and can no longer be changed")
        state = PublicationState.PREPARED if due_at is None else PublicationState.SCHEDULED
        now = self.clock()
        with self.claim(number), self._changing() as db:
            done = db.execute(
                "UPDATE publications SET state = ?, post = ?, due_at = ?, handle = NULL, error = NULL, failures = 0, "
                "failing_since = NULL, updated_at = ? WHERE number = ? AND state = ?",
                (
                    str(state),
                    (post or found.post).model_dump_json(),
                    now if due_at is None else due_at,
                    now,
                    number,
                    str(found.state),
                ),
            ).rowcount
            if not done:
                raise PublicationConflictError(f"{found.name}: is no longer {found.state}")
        return self.get(number)

    def cancel(self, number: int) -> Publication:
        """Cancel a publication of which nothing was published; raise PublicationConflictError otherwise.

        One that was scheduled keeps its time, for `resume`.
        """
        with self.claim(number):
            found = self.get(number)
            if found.state is PublicationState.CANCELLED:
                return found
            if found.state not in CHANGEABLE:
                raise PublicationConflictError(
                    f"{found.name}: is {found.state} and can no longer be cancelled"
                )
            due_at = found.due_at if found.state is PublicationState.SCHEDULED else None
            return self.move(found, PublicationState.CANCELLED, due_at=due_at)

    def resume(self, number: int) -> Publication:
        """Carry a publication on that is held, failed or cancelled; raise PublicationConflictError for another.

        One that was cancelled before its time is scheduled for that time again.
        """
        with self.claim(number):
            found = self.get(number)
            if found.state not in REOPENED:
                raise PublicationConflictError(
                    f"{found.name}: is {found.state}; only held, failed and cancelled ones are resumed"
                )
            if found.state is PublicationState.CANCELLED and found.due_at > self.clock():
                return self.move(found, PublicationState.SCHEDULED, due_at=found.due_at)
            return self.move(found, PublicationState.PREPARED)

    def resolve(self, number: int, published: Published | None) -> Publication:
        """End the state unknown: a person found the post on the platform, or that it is not there (None).

        Without a post the video is published anew.
        """
        with self.claim(number):
            found = self.get(number)
            if found.state is not PublicationState.UNKNOWN:
                raise PublicationConflictError(
                    f"{found.name}: is {found.state}; only unknown ones are resolved"
                )
            if published is None:
                return self.move(found, PublicationState.PREPARED)
            return self.move(found, PublicationState.CONFIRMED, published=published)

    @contextmanager
    def claim(self, number: int) -> Iterator[None]:
        """Hold a publication for the block; raise PublicationConflictError if another process or thread holds it.

        Raises PublicationsError if the folder of the locks cannot be used.
        """
        if sys.platform == "win32":
            yield
            return
        folder = self.path.with_name(f"{self.path.name}-claims")
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PublicationsError(f"{folder}: cannot be used: {error.strerror}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PublicationConflictError(
                    f"publication {number}: another process works on it; try again"
                ) from error
            yield
        finally:
            os.close(descriptor)
