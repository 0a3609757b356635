"""Carry a publication on, step by step, so that a process that is killed anywhere publishes nothing twice.

Each step is stored before the next one begins: the platform's handle before a byte is sent, and that the post is
committed before the request that publishes. Whoever finds a publication in one of these states asks the platform
first. A platform that cannot tell leaves it unknown, and a person decides.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.publish.base import OnSent, PlatformCalls, Published
from video_pipeline.engine.publish.not_published import NotPublishedError
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import Publications
from video_pipeline.engine.publish.states import ACTIVE, PublicationState

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS: Final = 15.0
LONGEST_WAIT_SECONDS: Final = 900.0
WORKING_SECONDS: Final = 60.0
"""How long a platform that processes a video is left alone: Instagram asks for one question a minute."""

LONGEST_ASKED_SECONDS: Final = 7 * 86_400.0
"""How long a post waits at most because a platform asks for it: then the platform is asked again."""

GIVE_UP_SECONDS: Final = 3 * 86_400.0
"""How long a platform may be down before a post is held, or its standing counts as unknown."""

_S = PublicationState


def is_open(publication: Publication) -> bool:
    """Return whether a publication is carried on without a person, now or later."""
    is_unfinished = publication.state is _S.CONFIRMED and not publication.is_complete
    return publication.state in ACTIVE or is_unfinished


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryOn:
    """How publications are carried on; an account begins at most `per_day` in 24 hours."""

    records: Publications
    per_day: int | None = None
    on_sent: OnSent = lambda sent, size: None

    def run(self, number: int, calls: PlatformCalls) -> Publication:
        """Do all steps of a publication that can be done now, and return how far it came.

        It returns early with a later `due_at` if the platform is busy. Raises PublicationConflictError if another process
        holds it.
        """
        with self.records.claim(number):
            publication = self.records.get(number)
            while self._is_due(publication):
                before = publication
                try:
                    publication = self._step(publication, calls)
                except NotPublishedError as error:
                    publication = self._not_published(self.records.get(number), error)
                except ServiceError as error:
                    publication = self._failed(self.records.get(number), error)
                if publication.state is not before.state:
                    logger.info("%s: %s", publication.name, publication.state)
            return publication

    def _is_due(self, publication: Publication) -> bool:
        return is_open(publication) and publication.due_at <= self.records.clock()

    def _step(self, publication: Publication, calls: PlatformCalls) -> Publication:
        """Do one step and return the publication in its next state."""
        if publication.state is _S.SCHEDULED:
            return self.records.move(publication, _S.PREPARED)
        if publication.state is _S.PREPARED:
            publication = self.records.begin(publication, per_day=self.per_day)
            if not self._is_due(publication):
                return publication
            handle = calls.prepare(publication.post)
            return self.records.move(publication, _S.SAVED, handle=handle)
        if publication.state is _S.CONFIRMED:
            assert publication.published is not None
            published = calls.complete(publication.post, publication.published)
            return self.records.set_complete(publication, published=published)
        assert publication.handle is not None
        if publication.state is _S.COMMITTED:
            return self._ask(publication, calls)
        return self._send_and_commit(publication, calls)

    def _send_and_commit(self, publication: Publication, calls: PlatformCalls) -> Publication:
        assert publication.handle is not None
        standing = calls.ask(publication.post, publication.handle)
        if isinstance(standing, Published):
            return self.records.move(publication, _S.CONFIRMED, published=standing)
        if standing == "unknown":
            return self._unknown(publication)
        if standing == "gone":
            return self._begin_again(publication)
        if standing in ("open", "uncounted"):
            standing = calls.send(publication.post, publication.handle, on_sent=self.on_sent) or "open"
        if standing == "working":
            return self.records.put_off(
                publication,
                until=self.records.clock() + WORKING_SECONDS,
                error=publication.error,
                waits="processing",
            )
        committed = self.records.move(publication, _S.COMMITTED)
        try:
            published = calls.commit(committed.post, publication.handle)
        except ServiceError as error:
            logger.warning("%s: the step that publishes: %s", committed.name, error)
            return self._after_error(committed, calls, error)
        if published is None:
            return self.records.put_off(committed, until=self.records.clock() + WORKING_SECONDS, error=None)
        return self.records.move(committed, _S.CONFIRMED, published=published)

    def _begin_again(self, publication: Publication) -> Publication:
        """Reserve another place for a post whose place is gone; a person sees to it if that goes on for too long."""
        now = self.records.clock()
        words = f"{publication.platform} no longer takes what was begun; it begins again"
        if now - (publication.failing_since or now) >= GIVE_UP_SECONDS:
            return self.records.move(publication, _S.HELD, error=words)
        due = now + (self._wait(publication.failures) if publication.failures else 0.0)
        return self.records.move(publication, _S.PREPARED, error=words, failed=True, due_at=due)

    def _unknown(self, publication: Publication) -> Publication:
        words = f"{publication.platform} cannot tell whether it was published, or as which post"
        return self.records.move(publication, _S.UNKNOWN, error=publication.error or words)

    def _after_error(self, committed: Publication, calls: PlatformCalls, error: ServiceError) -> Publication:
        """Ask what became of a post whose last step was answered by an error: it may be published all the same."""
        assert committed.handle is not None
        standing = calls.ask(committed.post, committed.handle)
        if isinstance(standing, Published):
            return self.records.move(committed, _S.CONFIRMED, published=standing)
        if standing == "open":
            return self._failed(self.records.move(committed, _S.SAVED, error=str(error)), error)
        return self.records.put_off(committed, until=self.records.clock() + WORKING_SECONDS, error=str(error))

    def _ask(self, publication: Publication, calls: PlatformCalls) -> Publication:
        """Find out whether a post that was committed was published."""
        assert publication.handle is not None
        standing = calls.ask(publication.post, publication.handle)
        if isinstance(standing, Published):
            return self.records.move(publication, _S.CONFIRMED, published=standing)
        if standing == "open":
            due = self.records.clock() + (self._wait(publication.failures) if publication.failures else 0.0)
            return self.records.move(publication, _S.SAVED, error=publication.error, failed=True, due_at=due)
        waited = self.records.clock() - (publication.committed_at or publication.updated_at)
        if standing in ("working", "uncounted") and waited < GIVE_UP_SECONDS:
            return self.records.put_off(publication, until=self.records.clock() + WORKING_SECONDS, error=None)
        return self._unknown(publication)

    def _not_published(self, publication: Publication, error: NotPublishedError) -> Publication:
        """Begin anew with a post that certainly was not published, or store why that is of no use."""
        if publication.state is _S.COMMITTED:
            publication = self.records.move(publication, _S.SAVED, error=str(error))
        now = self.records.clock()
        may_wait = now - (publication.failing_since or now) < GIVE_UP_SECONDS
        if not may_wait or (error.kind != "busy" and error.retry_after is None):
            return self._failed(publication, error)
        logger.warning("%s: begins anew: %s", publication.name, error)
        wait = self._wait_after(error, publication)
        return self.records.move(publication, _S.PREPARED, failed=True, error=str(error), due_at=now + wait)

    def _failed(self, publication: Publication, error: ServiceError) -> Publication:
        """Store what an error means: wait, let a person see to it, or fail."""
        logger.warning("%s: %s", publication.name, error)
        now = self.records.clock()
        if error.kind == "denied" and error.retry_after is not None:  # a quota, which is no failure
            return self.records.put_off(
                publication, until=now + self._wait_after(error, publication), error=str(error), waits="quota"
            )
        may_wait = now - (publication.failing_since or now) < GIVE_UP_SECONDS
        is_late = publication.state in (_S.COMMITTED, _S.CONFIRMED)
        if error.kind == "busy" or error.retry_after is not None or (is_late and error.kind == "denied"):
            wait = self._wait_after(error, publication)
            if may_wait:
                return self.records.put_off(publication, until=now + wait, error=str(error))
        if publication.state is _S.COMMITTED:
            return self.records.move(publication, _S.UNKNOWN, error=str(error))
        if publication.state is _S.CONFIRMED:
            return self.records.set_complete(publication, error=str(error))
        if error.kind == "rejected":
            return self.records.move(publication, _S.FAILED, error=str(error))
        return self.records.move(publication, _S.HELD, error=str(error))

    def _wait_after(self, error: ServiceError, publication: Publication) -> float:
        """Return how long to wait after an error, in seconds: as long as the platform asks for, but not for ever."""
        if error.retry_after is None:
            return self._wait(publication.failures)
        return min(LONGEST_ASKED_SECONDS, error.retry_after)

    def _wait(self, failures: int) -> float:
        return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(failures, 10))
