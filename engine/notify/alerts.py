"""Alerts: one for a cause in an hour, with the number of those that were left out, and one when it works again."""

from __future__ import annotations

import json
import secrets
import socket
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from video_pipeline.engine.notify.outbox import NewNote, Note, Outbox, without_surrogates

RAISED: Final = "alert.raised"
RECOVERED: Final = "alert.recovered"


def alert_body(
    *, message_id: str, cause: str, title: str, text: str, now: float, suppressed: int = 0, kind: str = RAISED
) -> str:
    """Return the body of an alert as JSON."""
    return json.dumps(
        {
            "id": message_id,
            "type": kind,
            "timestamp": datetime.fromtimestamp(now, UTC).isoformat(),
            "data": {
                "cause": cause,
                "title": title,
                "text": text,
                "suppressed": suppressed,
                "host": socket.gethostname(),
            },
        },
        ensure_ascii=False,
    )


def alert_notes(
    targets: Sequence[str],
    *,
    cause: str,
    title: str,
    detail: str,
    now: float,
    suppressed: int = 0,
    kind: str = RAISED,
) -> list[NewNote]:
    """Return an alert's notifications, one for each target."""
    message_id = f"msg_{secrets.token_hex(16)}"
    lines = [f"{title} ({socket.gethostname()})", detail]
    if suppressed:
        lines.append(f"{suppressed} more of this kind were not sent")
    text = "\n".join(line for line in lines if line)
    body = alert_body(
        message_id=message_id, cause=cause, title=title, text=text, now=now, suppressed=suppressed, kind=kind
    )
    return [
        NewNote(message_id=message_id, target=target, type=kind, subject=cause, body=body)
        for target in targets
    ]


def note_of(new: NewNote, *, now: float) -> Note:
    """Return a notification that is in no outbox, such as a test."""
    return Note(
        number=0, message_id=new.message_id, target=new.target, type=new.type, subject=new.subject, body=new.body,
        state="waiting", attempts=0, due_at=now, began_at=now, error=None, created_at=now, updated_at=now,
    )  # fmt: skip


class AlertBook:
    """Decides which alerts are sent. Its calls belong inside a transaction of the outbox."""

    def __init__(self, outbox: Outbox, targets: Sequence[str], *, repeat_after: float) -> None:
        self._outbox, self._targets, self._repeat_after = outbox, tuple(targets), repeat_after

    def happened(self, cause: str, detail: str, db: sqlite3.Connection) -> None:
        """Tell of something that happens again and again, such as a failed job."""
        now, cause = self._outbox.clock(), without_surrogates(cause)
        found = db.execute("SELECT told_at, suppressed FROM causes WHERE cause = ?", (cause,)).fetchone()
        if found is not None and 0 <= now - found["told_at"] < self._repeat_after:
            db.execute("UPDATE causes SET active = 1, suppressed = suppressed + 1 WHERE cause = ?", (cause,))
            return
        suppressed = found["suppressed"] if found else 0
        db.execute("INSERT OR REPLACE INTO causes VALUES (?, 1, 1, ?, 0)", (cause, now))
        self._add(db, cause=cause, title=cause, detail=detail, now=now, suppressed=suppressed)

    def ended(self, cause: str, db: sqlite3.Connection) -> None:
        """Tell that a cause has ended, if it was told that it began."""
        found = db.execute(
            "SELECT told, suppressed FROM causes WHERE cause = ? AND active", (cause,)
        ).fetchone()
        if found is None:
            return
        db.execute("UPDATE causes SET active = 0, told = 0, suppressed = 0 WHERE cause = ?", (cause,))
        if found["told"]:
            title = f"works again: {cause}"
            self._add(
                db,
                cause=cause,
                title=title,
                detail="",
                now=self._outbox.clock(),
                suppressed=found["suppressed"],
                kind=RECOVERED,
            )

    def active(self, prefix: str, db: sqlite3.Connection) -> list[str]:
        """Return the active causes that begin with `prefix`."""
        rows = db.execute(
            "SELECT cause FROM causes WHERE active AND substr(cause, 1, ?) = ?", (len(prefix), prefix)
        )
        return [row[0] for row in rows]

    def stands(self, prefix: str, causes: Mapping[str, str], db: sqlite3.Connection) -> None:
        """Tell what has changed among the causes that begin with `prefix`: `causes` are those of now, with details."""
        causes = {without_surrogates(cause): detail for cause, detail in causes.items()}
        active = self.active(prefix, db)
        for cause, detail in causes.items():
            if cause not in active or self._is_untold(cause, db):
                self.happened(cause, detail, db)
        for cause in active:
            if cause not in causes:
                self.ended(cause, db)

    def _is_untold(self, cause: str, db: sqlite3.Connection) -> bool:
        """Return whether a cause came again too early to be told, and may be told now."""
        now = self._outbox.clock()
        found = db.execute(
            "SELECT 1 FROM causes WHERE cause = ? AND NOT told AND NOT (told_at > ? AND told_at <= ?)",
            (cause, now - self._repeat_after, now),
        ).fetchone()
        return found is not None

    def _add(
        self,
        db: sqlite3.Connection,
        *,
        cause: str,
        title: str,
        detail: str,
        now: float,
        suppressed: int,
        kind: str = RAISED,
    ) -> None:
        notes = alert_notes(
            self._targets, cause=cause, title=title, detail=detail, now=now, suppressed=suppressed, kind=kind
        )
        self._outbox.add(notes, db)
