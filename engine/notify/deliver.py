"""Deliver what is due: again after growing waits if that fails, and as a dead letter in the end."""

from __future__ import annotations

import fcntl
import logging
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError, PipelineError
from video_pipeline.engine.net.retry import RetryPolicy
from video_pipeline.engine.notify.outbox import DAY_SECONDS, Note, Outbox, OutboxError
from video_pipeline.engine.notify.target import NotDelivered, Target
from video_pipeline.engine.notify.targets import connect_target

logger = logging.getLogger(__name__)

WAITS: Final = RetryPolicy(first_wait=5.0, factor=2.0, longest_wait=3600.0)
LONGEST_RETRY_AFTER: Final = DAY_SECONDS
LEAST_ATTEMPTS: Final = 8
"""Attempts before a notification is given up for its age, which may be that of a node that did not run for days."""
DISABLED: Final = "the receiver answered 410 Gone earlier and gets nothing more; `webhooks resend` enables it"


class AlreadyDeliveringError(PipelineError):
    """Another process delivers from this outbox."""


def deliver_note(
    outbox: Outbox, note: Note, target: Target, *, give_up_days: float, share: float
) -> NotDelivered | None:
    """Try to deliver a notification once and store the outcome; `share` of 0 to 1 is the random part of the wait."""
    if outbox.is_disabled(target.name, target.address):
        outbox.failed(note, DISABLED, due_at=None)
        return NotDelivered(error=DISABLED, gone=True)
    try:
        failure = target.send(note)
    except Exception as error:  # one notification must not stop the others
        logger.exception("%s: %s", note.target, note.type)
        failure = NotDelivered(error=type(error).__name__)
    if failure is None:
        outbox.delivered(note)
        return None
    now = outbox.clock()
    if failure.gone:
        outbox.disable(target.name, target.address)
    number = note.attempts + 1
    wait = WAITS.wait_before(min(number, 30), share=share)
    wait = max(wait, min(failure.retry_after or 0.0, LONGEST_RETRY_AFTER))
    is_over = now + wait > note.began_at + give_up_days * DAY_SECONDS and number >= LEAST_ATTEMPTS
    is_over |= failure.gone or (target.attempts is not None and number >= target.attempts)
    outbox.failed(note, failure.error, due_at=None if is_over else now + wait, left=failure.left)
    level = logging.ERROR if is_over else logging.WARNING
    after = (
        "a dead letter: see `video-pipeline webhooks list --state dead`"
        if is_over
        else f"again in {wait:.0f} s"
    )
    logger.log(
        level,
        "%s: %s of %s was not delivered: %s; %s",
        note.target,
        note.type,
        note.subject,
        failure.error,
        after,
    )
    return failure


def deliver_to_target(
    outbox: Outbox, name: str, config: Config, *, stopped: Callable[[], bool] = lambda: False
) -> int:
    """Deliver everything that is due for one target; return how many were tried."""
    tried = 0
    try:
        target = connect_target(config, name)
    except ConfigError as error:
        why = str(error)

        def refuse(note: Note) -> NotDelivered:
            return NotDelivered(error=why)

        target = Target(name=name, address="", send=refuse)
    while not stopped() and (due := outbox.due(target=name)):
        for note in due:
            if stopped():
                break
            give_up = config.notifications.give_up_days
            deliver_note(outbox, note, target, give_up_days=give_up, share=random.random())
            tried += 1
    return tried


class Deliverers:
    """A thread for each target for which something is due, so that a slow one delays no other."""

    def __init__(self, config: Config, open_outbox: Callable[[], Outbox], stop: threading.Event) -> None:
        self._config, self._open, self._stop = config, open_outbox, stop
        self._threads: dict[str, threading.Thread] = {}

    @property
    def running(self) -> bool:
        """Whether any delivers."""
        return any(thread.is_alive() for thread in self._threads.values())

    def start(self, targets: set[str]) -> None:
        """Start a thread for each of the targets that has none."""
        for name in targets:
            if (thread := self._threads.get(name)) is None or not thread.is_alive():
                self._threads[name] = threading.Thread(target=self._run, args=(name,), name=name, daemon=True)
                self._threads[name].start()

    def join(self) -> None:
        """Wait for all threads."""
        for thread in self._threads.values():
            thread.join()

    def _run(self, name: str) -> None:
        try:
            outbox = self._open()
            try:
                deliver_to_target(outbox, name, self._config, stopped=self._stop.is_set)
            finally:
                outbox.close()
        except OutboxError as error:
            logger.error("%s", error)


@contextmanager
def delivering(outbox: Outbox) -> Iterator[None]:
    """Be the one process that delivers from an outbox; raise AlreadyDeliveringError if another one is."""
    descriptor = os.open(
        outbox.path.with_name(f"{outbox.path.name}-lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyDeliveringError(f"{outbox.path}: the node's process delivers right now") from error
        yield
    finally:
        os.close(descriptor)
