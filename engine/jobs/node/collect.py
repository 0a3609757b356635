"""Read what has happened to jobs and publications, and put notifications of it into the outbox.

Notifications and how far was read are one transaction. The ids of notifications follow from the events, so an event that
is read twice gives the same ones.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.model import EventKind, JobEvent
from video_pipeline.engine.jobs.views import event_view, job_view
from video_pipeline.engine.notify.alerts import AlertBook
from video_pipeline.engine.notify.outbox import NewNote, Outbox, OutboxError, outbox_path
from video_pipeline.engine.notify.targets import alert_targets, event_targets
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import Publications, publications_path

PAGE: Final = 200
LEDGER: Final = "ledger"
PUBLICATIONS: Final = "publications"
PUBLICATION_EVENTS: Final = {
    "confirmed": "published",
    "held": "publication_held",
    "unknown": "publication_unknown",
    "failed": "publication_failed",
}
ENDS: Final[frozenset[EventKind]] = frozenset({"completed", "failed"})


def notifies(config: Config) -> bool:
    """Return whether a node has anybody to tell."""
    return config.notifications.tells_events or bool(alert_targets(config))


def wanted_kinds(config: Config) -> frozenset[EventKind]:
    """Return the kinds of job events that somebody is told of, or that alerts follow from."""
    wanted = {name for names in event_targets(config).values() for name in names}
    kinds: set[Any] = wanted - set(PUBLICATION_EVENTS.values())
    return frozenset(kinds | (ENDS if alert_targets(config) else frozenset()))


def begin_reading(ledger: Ledger, outbox: Outbox, config: Config) -> None:
    """Begin with what happens from now on, if nothing was read before or if the ledger is an older copy.

    Without anybody to tell, forget how far was read.
    """
    position, last = outbox.position(LEDGER), ledger.events.last_seq()
    with outbox.writing() as db:
        if not notifies(config):
            outbox.set_position(LEDGER, None, db)
            outbox.set_position(PUBLICATIONS, None, db)
            db.execute("DELETE FROM publication_states")
            return
        if position is None or position > last:
            outbox.set_position(LEDGER, last, db)
    if outbox.position(PUBLICATIONS) is None:
        collect_publications(outbox, config)


def read_before_purge(ledger: Ledger, config: Config) -> int | None:
    """Read the events of jobs that may be deleted; return the last `seq` that was read, None if nobody is told.

    Raises OutboxError if the notifications cannot be stored.
    """
    if not notifies(config):
        return None
    outbox = Outbox(outbox_path(config))
    try:
        collect_events(ledger, outbox, config)
        return outbox.position(LEDGER)
    finally:
        outbox.close()


def collect_events(ledger: Ledger, outbox: Outbox, config: Config) -> int:
    """Put notifications of all events that were not read into the outbox; return how many events there were."""
    targets = event_targets(config)
    book = AlertBook(outbox, alert_targets(config), repeat_after=config.notifications.alerts.repeat_after)
    read = 0
    while True:
        position = outbox.position(LEDGER)
        after = ledger.events.last_seq() if position is None else position
        events = ledger.events.page(after=after, limit=PAGE)
        wanted = [event for event in events if event.kind in wanted_kinds(config)]
        notes = [note for event in wanted for note in _event_notes(ledger, event, targets)]
        if events or position is None:
            with outbox.writing() as db:
                # Another process may have read them meanwhile: then the alerts were told.
                if outbox.position(LEDGER) == position:
                    outbox.add(notes, db)
                    for event in wanted:
                        _follow_job(book, ledger, event, db)
                    outbox.set_position(LEDGER, events[-1].seq if events else after, db)
        read += len(events)
        if len(events) < PAGE:
            return read


def _event_notes(ledger: Ledger, event: JobEvent, targets: dict[str, frozenset[str]]) -> Iterable[NewNote]:
    names = [name for name, wanted in targets.items() if event.kind in wanted]
    if not names:
        return
    job = ledger.jobs.get(event.job_id)
    message_id = _message_id("job", event.job_id, event.seq, event.kind, event.at)
    data = {
        "event": event_view(event, in_full=False).model_dump(mode="json"),
        "job": job_view(job, in_full=False).model_dump(mode="json") if job else None,
        "owner": event.owner,
    }
    kind = f"job.{event.kind}"
    body = _body(message_id, kind, event.at, data)
    for name in names:
        yield NewNote(message_id=message_id, target=name, type=kind, subject=event.job_id, body=body)


def _follow_job(book: AlertBook, ledger: Ledger, event: JobEvent, db: sqlite3.Connection) -> None:
    """Tell of failed jobs by the type of their error, and of GPUs that were lost; a job that completes ends these causes."""
    job = ledger.jobs.get(event.job_id)
    if event.kind == "failed":
        error = str(event.details.get("error_type") or (job.error_type if job else None) or "unknown")
        message = (job.error_message if job else None) or ""
        book.happened(f"jobs fail: {error}", f"{event.job_id}: {message[:500]}", db)
        return
    if event.kind != "completed":
        return
    for cause in book.active("jobs fail: ", db):
        book.ended(cause, db)
    result = (job.result if job else None) or {}
    sessions = result.get("encoder_sessions") or {}
    if lost := sessions.get("lost_gpus"):
        book.happened("GPU lost", f"{event.job_id}: {', '.join(map(str, lost))}"[:500], db)
    elif result.get("encoder_fallback") == "machine":
        book.happened("GPU lost", f"{event.job_id}: no GPU is left; encoded by {result.get('encoder')}", db)
    elif "nvenc" in str(result.get("encoder")):
        book.ended("GPU lost", db)


def collect_publications(outbox: Outbox, config: Config) -> int:
    """Put notifications of publications whose state has changed into the outbox; return how many have changed.

    The first time, what is there already is only remembered.
    """
    path = publications_path(config)
    found: list[Publication] = []
    if path.exists():
        records = Publications(path)
        try:
            found = records.listed()
        finally:
            records.close()
    targets = event_targets(config)
    with outbox.writing() as db:
        is_first = outbox.position(PUBLICATIONS) is None
        known = {row[0]: row[1] for row in db.execute("SELECT number, state FROM publication_states")}
        changed = [each for each in found if known.get(each.number) != str(each.state)]
        for each in changed:
            if not is_first:
                outbox.add(list(_publication_notes(each, targets)), db)
            db.execute(
                "INSERT OR REPLACE INTO publication_states VALUES (?, ?)", (each.number, str(each.state))
            )
        if is_first:
            outbox.set_position(PUBLICATIONS, 1, db)
    return len(changed)


def _publication_notes(publication: Publication, targets: dict[str, frozenset[str]]) -> Iterable[NewNote]:
    event = PUBLICATION_EVENTS.get(str(publication.state))
    kind = f"publication.{publication.state}"
    message_id = _message_id("publication", publication.number, kind, publication.updated_at)
    body = _body(message_id, kind, publication.updated_at, {"publication": publication.as_dict()})
    for name, wanted in targets.items():
        if event in wanted:
            subject = f"publication {publication.number}"
            yield NewNote(message_id=message_id, target=name, type=kind, subject=subject, body=body)


def _message_id(*parts: object) -> str:
    return f"msg_{hashlib.sha256('/'.join(map(str, parts)).encode()).hexdigest()[:32]}"


def _body(message_id: str, kind: str, at: float, data: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(at, UTC).isoformat()
    return json.dumps({"id": message_id, "type": kind, "timestamp": when, "data": data}, ensure_ascii=False)


def forget_old(outbox: Outbox, config: Config) -> None:
    """Delete notifications that are older than notifications.keep_days."""
    with suppress(OutboxError):
        outbox.forget(days=config.notifications.keep_days)
