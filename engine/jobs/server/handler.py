"""Answer requests from the ledger, verb by verb. No sockets, so tests need none."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from video_pipeline.engine import __version__
from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs import messages as m
from video_pipeline.engine.jobs import node_messages as n
from video_pipeline.engine.jobs.free_space import FreeSpace
from video_pipeline.engine.jobs.ledger.errors import LedgerError
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.messages import LOCAL_USER
from video_pipeline.engine.jobs.model import TERMINAL, Job, JobEvent, JobStatus
from video_pipeline.engine.jobs.server.limits import HeldWait, HeldWaits, RateLimit
from video_pipeline.engine.jobs.server.node_requests import NodeRequests, OnDrain
from video_pipeline.engine.jobs.server.result_files import answer_read, file_read
from video_pipeline.engine.jobs.server.submit_check import SubmitCheck
from video_pipeline.engine.jobs.server.wire import (
    PROTOCOLS,
    EncodedReply,
    IncomingRequest,
    Limits,
    ReplyRoute,
    RequestError,
    read_request,
    reply_route,
)
from video_pipeline.engine.jobs.server.work import Work
from video_pipeline.engine.jobs.server.writes import (
    INTERNAL,
    STORAGE_RETRY_SECONDS,
    JobChange,
    LedgerWriter,
    not_found,
    sees_all,
    storage_reply,
    visible_job,
)
from video_pipeline.engine.jobs.views import event_view, job_view, moment, publication_view
from video_pipeline.engine.publish.job_publications import JobPublications
from video_pipeline.engine.publish.records import publications_path

logger = logging.getLogger(__name__)

PAGE_MAX_BYTES = 256 * 1024
"""Approximate size limit of a page of jobs or events, so that slow readers hold little memory."""
DRAINING_RETRY_SECONDS = 5.0


Reply = tuple[ReplyRoute, m.Message | EncodedReply]
"""The route of a reply, and the reply."""


WAITS_FOR_DISK = "waits for disk space"
"""The `stage` of queued jobs while a disk of the node is full."""


class RequestHandler:
    """Answers requests from the ledger. Not thread-safe; `begin` leaves writes and reads of files to others."""

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        *,
        slots: int,
        events: str = "",
        clock: Clock = SYSTEM_CLOCK,
        on_drain: OnDrain | None = None,
    ) -> None:
        """Use a ledger. `on_drain` is called when an operator drains a machine or lets it work again."""
        self._ledger = ledger
        self._config = config
        self._node = config.node
        self._slots = slots
        self._events = events
        self._clock = clock
        self._check = SubmitCheck(config)
        self._writer = LedgerWriter(ledger, config.node)
        self._rates = RateLimit(config.node.max_requests_per_second)
        self._waits = HeldWaits()
        self._space = FreeSpace(config, clock=clock)
        self._posts = JobPublications(publications_path(config))
        self._about = NodeRequests(ledger, config, self._posts, clock=clock, on_drain=on_drain)
        self._started = clock.monotonic()
        self.limits = Limits(int(config.node.max_message_mb * 1e6), config.node.max_parts)
        self.full = False
        self.counters: Counter[str] = Counter()

    @property
    def draining(self) -> bool:
        """Whether no jobs are accepted: the node ends, or an operator drains it."""
        return self._about.stopping or self._about.name in self._about.drained

    def stop(self) -> None:
        """Accept no jobs from now on: the node ends."""
        self._about.stopping = True

    def set_drained(self, machines: Iterable[str]) -> None:
        """Set which machines operators have drained."""
        self._about.drained = set(machines)

    # --- a batch ------------------------------------------------------------------------------------------

    def answer(self, batch: Sequence[IncomingRequest]) -> list[Reply]:
        """Return the replies to requests, after one commit has put all their writes on the disk."""
        works, writes = self._read_all(batch)
        answers = self._writer.write([work.write for work in writes if work.write]) if writes else ()
        for work, answer in zip(writes, answers, strict=True):
            work.reply = answer
        self._look_up_all(works)
        for work in works:
            if work.read is not None:
                work.reply = answer_read(work.read)
        return self.replies(works)

    def begin(
        self, batch: Sequence[IncomingRequest], *, busy: bool
    ) -> tuple[list[Reply], list[Work], list[Work]]:
        """Return the replies that are complete, and the requests that the caller must have written and read.

        Pass those to `replies` once they have their `reply`. With `busy`, the write queue is full and requests that
        write are refused.
        """
        works, writes = self._read_all(batch, busy=busy)
        self._look_up_all(works)
        return self.replies(works), writes, [work for work in works if work.read is not None]

    def replies(self, works: Iterable[Work]) -> list[Reply]:
        """Return the replies of the requests that have one, with their routes."""
        replies = []
        for work in works:
            if work.reply is not None:
                if work.write is not None and isinstance(work.request, m.Ping) and not _is_error(work.reply):
                    self._guarded(work, self._look_up)  # the writer's own answer to a ping is empty
                self._count(work.reply)
                replies.append((work.route, work.reply))
        return replies

    def _read_all(
        self, batch: Sequence[IncomingRequest], *, busy: bool = False
    ) -> tuple[list[Work], list[Work]]:
        """Return all requests, and those of them to write; their inline assets are then on the disk."""
        works = [self._read(incoming, busy=busy) for incoming in batch]
        try:
            self._check.sync()
        except RequestError as refusal:
            for work in works:
                if work.has_parts and work.reply is None:
                    work.reply = refusal.reply
        return works, [work for work in works if work.write is not None and work.reply is None]

    def _look_up_all(self, works: Sequence[Work]) -> None:
        for work in works:
            if work.reply is None and work.write is None:
                self._guarded(work, self._look_up)

    def _read(self, incoming: IncomingRequest, *, busy: bool) -> Work:
        route, frames = reply_route(incoming)
        client: str | bytes = incoming.routing_id if incoming.user == LOCAL_USER else incoming.user
        work = Work(incoming.user, client, route, incoming.size)

        def read(work: Work) -> None:
            if incoming.user != LOCAL_USER and incoming.routing_id[:1] != b"\0":
                # A chosen id could later be another client's, who would then get replies meant for this one.
                raise RequestError(
                    "BAD_REQUEST", "routing id: the node assigns it; do not set one", field="routing id"
                )
            wait = self._rates.take(client, self._clock.monotonic())
            if wait:
                raise RequestError(
                    "RATE_LIMITED",
                    f"more than {self._node.max_requests_per_second:g} requests a second",
                    retry_after=round(wait, 3),
                )
            request, parts = read_request(frames, incoming.size, self.limits)
            self.counters[f"requests_{request.VERB}"] += 1
            writes = isinstance(request, m.Submit | m.Cancel | m.Retry | n.ChangePriority)
            if busy and (writes or (isinstance(request, m.Ping) and request.writer)):
                raise RequestError("BUSY", "the write queue is full", retry_after=1.0)
            if isinstance(request, m.Submit):
                self._may_submit()
                work.has_parts = bool(parts)
                work.write = self._check.prepare(request, incoming.user, parts)
            elif isinstance(request, m.Cancel):
                work.write = JobChange("cancel", request.job_id, incoming.user)
            elif isinstance(request, m.Retry):
                work.write = JobChange("retry", request.job_id, incoming.user)
            elif isinstance(request, n.ChangePriority):
                work.write = JobChange("priority", request.job_id, incoming.user, request.priority)
            else:
                work.request = request
                if isinstance(request, m.Ping) and request.writer:
                    work.write = JobChange("ping", "", incoming.user)

        self._guarded(work, read)
        return work

    def _may_submit(self) -> None:
        if self.draining:
            raise RequestError(
                "DRAINING",
                "the node is shutting down and accepts no jobs"
                if self._about.stopping
                else "the node is drained and accepts no jobs",
                retry_after=DRAINING_RETRY_SECONDS,
            )
        shortage = self._space.shortage()
        if shortage:
            raise RequestError("STORAGE", shortage, retry_after=STORAGE_RETRY_SECONDS)

    def _guarded(self, work: Work, do: Callable[[Work], None]) -> None:
        """Run a step of a request; a failure becomes its reply."""
        try:
            do(work)
        except RequestError as refusal:
            work.reply = refusal.reply
        except LedgerError as error:
            logger.error("%s", error)
            work.reply = storage_reply(error)
        except Exception:
            logger.exception("a request failed")
            work.reply = INTERNAL

    def _count(self, answer: m.Message | EncodedReply) -> None:
        if isinstance(answer, m.ErrorReply | EncodedReply) and answer.code:
            self.counters[f"errors_{answer.code}"] += 1
        self.counters["replies"] += 1

    # --- verbs --------------------------------------------------------------------------------------------

    def _look_up(self, work: Work) -> None:
        request, user = work.request, work.user
        if isinstance(request, m.Status):
            work.reply = self._view(self._job(request.job_id, user), user)
        elif isinstance(request, m.Wait):
            work.reply = self._wait(request, work)
        elif isinstance(request, m.List):
            work.reply = self._list(request, user)
        elif isinstance(request, m.Events):
            work.reply = self._replay(request, user)
        elif isinstance(request, m.Files | m.Fetch):
            work.read = file_read(self._job(request.job_id, user), request)
        elif isinstance(request, m.Stats):
            work.reply = self._stats(user)
        elif isinstance(request, m.Ping):
            work.reply = self._pong(user)
        else:
            assert request is not None
            work.reply = self._about.answer(request, user)

    def _sees_all(self, user: str) -> bool:
        return sees_all(self._node, user)

    def _view(self, job: Job, user: str, *, is_listed: bool = False) -> m.JobView:
        view = job_view(job, in_full=self._sees_all(user))
        if not is_listed and job.result is not None and job.result.get("publish"):
            posts = self._posts.of_job(job.job_id)
            shown = tuple(publication_view(post, in_full=self._sees_all(user)) for post in posts)
            view = view.model_copy(update={"publications": shown})
        is_ready = job.status is JobStatus.QUEUED and (job.scheduled_for or 0) <= self._clock.wall()
        return view.model_copy(update={"stage": WAITS_FOR_DISK}) if self.full and is_ready else view

    def _job(self, job_id: str, user: str) -> Job:
        return visible_job(self._ledger, self._node, job_id, user)

    def _wait(self, request: m.Wait, work: Work) -> m.Message | None:
        job = self._job(request.job_id, work.user)
        if job.status in TERMINAL or request.timeout == 0:
            return self._view(job, work.user)
        until = self._clock.monotonic() + request.timeout
        if not self._waits.add(HeldWait(request.job_id, work.client, work.route, until, work.user)):
            raise RequestError(
                "BUSY", "too many wait requests are held; use the verb status", retry_after=1.0
            )
        return None

    def _list(self, request: m.List, user: str) -> m.Message:
        owner = request.user if self._sees_all(user) else user
        if request.before is not None:
            self._job(request.before, user)
        if request.user not in (None, owner):
            return m.Jobs(jobs=())
        jobs = self._ledger.jobs.page(
            owner=owner,
            status=JobStatus.QUEUED if request.status == "scheduled" else request.status,
            scheduled=request.status == "scheduled",
            limit=request.limit + 1,
            before=request.before,
        )
        views: list[m.JobView] = []
        size = 0
        for job in jobs[: request.limit]:
            size += 600 + _text_bytes(job)
            if views and size > PAGE_MAX_BYTES:
                break
            views.append(self._view(job, user, is_listed=True))
        more = len(views) < len(jobs)
        return m.Jobs.model_construct(jobs=tuple(views), before=views[-1].job_id if more and views else None)

    def _replay(self, request: m.Events, user: str) -> m.Message:
        if request.job_id is not None:
            self._job(request.job_id, user)
        last = self._ledger.events.last_seq()
        found = self._ledger.events.page(
            after=request.after,
            limit=request.limit + 1,
            owner=None if self._sees_all(user) else user,
            job_id=request.job_id,
        )
        views: list[m.EventView] = []
        size = 0
        for event in found[: request.limit]:
            size += 250 + sum(len(str(value)) for value in event.details.values())
            if views and size > PAGE_MAX_BYTES:
                break
            views.append(event_view(event, in_full=self._sees_all(user)))
        return m.EventsReply.model_construct(
            events=tuple(views), last=max(last, views[-1].seq if views else 0), more=len(views) < len(found)
        )

    def _stats(self, user: str) -> m.Message:
        all_jobs = self._ledger.jobs.counts()
        jobs = all_jobs if self._sees_all(user) else self._ledger.jobs.counts(user)
        return m.StatsReply.model_construct(
            jobs={status: jobs.get(status, 0) for status in JobStatus},
            queued=all_jobs.get(JobStatus.QUEUED, 0),
            max_queued=self._node.max_queued,
            slots=self._slots if (reported := self._about.slots()) is None else reported,
            running=all_jobs.get(JobStatus.PROCESSING, 0),
            draining=self.draining,
            uptime_seconds=round(self._clock.monotonic() - self._started, 3),
        )

    def _pong(self, user: str) -> m.Message:
        return m.Pong.model_construct(
            node="video-pipeline",
            version=__version__,
            protocols=PROTOCOLS,
            encodings=tuple(m.MARKS),
            user=user,
            time=moment(self._clock.wall()),
            events=self._events,
            last_event=self._ledger.events.last_seq(),
            max_message_bytes=self.limits.message_bytes,
            max_parts=self.limits.parts,
        )

    # --- held replies -------------------------------------------------------------------------------------

    @property
    def holds_replies(self) -> bool:
        """Whether any request waits for the end of a job."""
        return len(self._waits) > 0

    def wake(self, events: Iterable[JobEvent]) -> list[Reply]:
        """Return the held replies for the jobs that have ended according to these events."""
        if not len(self._waits):
            return []
        ended = {event.job_id for event in events if event.status in TERMINAL}
        return [reply for job_id in ended for reply in self._release(self._waits.pop_job(job_id))]

    def expired(self) -> list[Reply]:
        """Return the held replies that have timed out."""
        return self._release(self._waits.pop_expired(self._clock.monotonic())) if len(self._waits) else []

    def _release(self, held: Iterable[HeldWait]) -> list[Reply]:
        replies = []
        for one in held:
            work = Work(one.user, one.client, one.route)

            def read(work: Work, job_id: str = one.job_id) -> None:
                job = self._ledger.jobs.get(job_id)
                if job is None:
                    raise not_found(job_id)
                work.reply = self._view(job, work.user)

            self._guarded(work, read)
            assert work.reply is not None
            self._count(work.reply)
            replies.append((one.route, work.reply))
        return replies


def _is_error(reply: m.Message | EncodedReply) -> bool:
    return isinstance(reply, m.ErrorReply | EncodedReply) and bool(reply.code)


def _text_bytes(job: Job) -> int:
    """Return the approximate text size of a job in bytes."""
    text = sum(len(line) for line in job.log_tail) + len(job.error_message or "")
    return text + (len(str(job.result)) if job.result else 0)
