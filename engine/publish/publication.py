"""One row of the file of publications, read."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from video_pipeline.engine.publish.base import Handle, Post, Published
from video_pipeline.engine.publish.states import PublicationState

COLUMNS: Final = (
    "number, sha256, platform, account, owner, job_id, state, post, handle, remote_id, url, note, files, is_complete, "
    "failures, failing_since, committed_at, error, due_at, created_at, updated_at"
)


class DamagedRowError(Exception):
    """A row of the file of publications cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One video on one account. Times are in seconds since 1970; `due_at` is when it is carried on next."""

    number: int
    platform: str
    account: str
    owner: str
    job_id: str | None
    state: PublicationState
    post: Post
    handle: Handle | None
    published: Published | None
    is_complete: bool
    failures: int
    failing_since: float | None
    committed_at: float | None
    error: str | None
    due_at: float
    created_at: float
    updated_at: float

    @property
    def name(self) -> str:
        """What errors and logs call it."""
        return f"publication {self.number} ({self.platform}, account {self.account})"

    def as_dict(self) -> dict[str, Any]:
        """Return what people and programs may see: all but the handle."""
        return {
            "number": self.number,
            "platform": self.platform,
            "account": self.account,
            "job_id": self.job_id,
            "state": str(self.state),
            "title": self.post.title,
            "video": str(self.post.video),
            "sha256": self.post.sha256,
            "publish_at": self.post.publish_at.isoformat() if self.post.publish_at else None,
            "due_at": _iso_time(self.due_at),
            "remote_id": self.published.remote_id if self.published else None,
            "url": self.published.url if self.published else None,
            "note": self.published.note if self.published else None,
            "files": dict(self.published.files) if self.published else {},
            "is_complete": self.is_complete,
            "failures": self.failures,
            "error": self.error,
            "created_at": _iso_time(self.created_at),
            "updated_at": _iso_time(self.updated_at),
        }


def _iso_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def publication_of(row: sqlite3.Row) -> Publication:
    """Return the publication of a row; raise DamagedRowError, which shows nothing of its handle."""
    try:
        return _row_values(row)
    except (ValueError, TypeError) as error:  # ValidationError and JSONDecodeError are ValueErrors
        raise DamagedRowError(
            f"publication {row['number']}: its row is damaged ({type(error).__name__}); restore the file from a backup"
        ) from None


def _row_values(row: sqlite3.Row) -> Publication:
    published = None
    if row["remote_id"] is not None:
        files = json.loads(row["files"]) if row["files"] else {}
        published = Published(remote_id=row["remote_id"], url=row["url"], note=row["note"], files=files)
    return Publication(
        number=row["number"],
        platform=row["platform"],
        account=row["account"],
        owner=row["owner"],
        job_id=row["job_id"],
        state=PublicationState(row["state"]),
        post=Post.model_validate_json(row["post"]),
        handle=Handle.model_validate(json.loads(row["handle"])) if row["handle"] else None,
        published=published,
        is_complete=bool(row["is_complete"]),
        failures=row["failures"],
        failing_since=row["failing_since"],
        committed_at=row["committed_at"],
        error=row["error"],
        due_at=row["due_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
