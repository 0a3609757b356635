"""Answer requests about a node besides its jobs: logs, machines, publications, dead letters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from video_pipeline.engine.common.clock import Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.jobs import messages as m
from video_pipeline.engine.jobs import node_messages as n
from video_pipeline.engine.jobs.folders import Folders, tail
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.machines import MachinesFile, machine_name
from video_pipeline.engine.jobs.server.wire import RequestError
from video_pipeline.engine.jobs.server.writes import STORAGE_RETRY_SECONDS, sees_all, visible_job
from video_pipeline.engine.jobs.verbs import Request
from video_pipeline.engine.jobs.views import listed_publication, without_paths
from video_pipeline.engine.notify.outbox import Note, Outbox, OutboxError, outbox_path
from video_pipeline.engine.publish.base import Published
from video_pipeline.engine.publish.job_publications import JobPublications
from video_pipeline.engine.publish.schema import PublicationsError

GONE_SECONDS: Final = 15.0
"""A machine that has reported nothing for this long is gone."""

LOG_BYTES: Final = 128 * 1024
"""Most that is read of a log."""

LINE_MAX: Final = 2000

OnDrain = Callable[[str, bool], None]
"""Gets the name of a machine, and whether it starts no further jobs."""


class NodeRequests:
    """Answers requests for users. `stopping`: the node ends; `drained`: machines that operators let start no jobs."""

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        posts: JobPublications,
        *,
        clock: Clock,
        on_drain: OnDrain | None,
    ) -> None:
        self._ledger, self._node, self._posts, self._clock = ledger, config.node, posts, clock
        self._folders = Folders.of(config)
        self._machines = MachinesFile(self._folders.machines)
        self._outbox_path = outbox_path(config)
        self._on_drain = on_drain
        self.name = machine_name()
        self.stopping = False
        self.drained: set[str] = set()

    def answer(self, request: Request, user: str) -> m.Message:
        """Return the reply to a request; raise RequestError."""
        match request:
            case n.ReadLog():
                return self._log(request, user)
            case n.ListMachines():
                return self._list_machines(user)
            case n.Drain():
                return self._drain(request, user)
            case n.ListPublications():
                return self._publications(request, user)
            case n.Resolve():
                return self._resolve(request, user)
            case n.ListLetters():
                self._check_operator("letters", user)
                return self._letters(request)
            case n.Resend():
                self._check_operator("resend", user)
                return self._resend(request)
        raise AssertionError(request)

    def _check_operator(self, verb: str, user: str) -> None:
        if not sees_all(self._node, user):
            raise RequestError(
                "FORBIDDEN", f"{verb}: is for operators; {user} is not one of node.operators", field=None
            )

    # --- logs and machines --------------------------------------------------------------------------------

    def _log(self, request: n.ReadLog, user: str) -> m.Message:
        self._check_operator("log", user)
        job = visible_job(self._ledger, self._node, request.job_id, user)
        lines: tuple[str, ...] = ()
        if job.fence:
            path = self._folders.log(job.job_id, job.fence)
            lines = tail(path, lines=request.lines, most_bytes=LOG_BYTES) or job.log_tail
        shown = tuple(line[:LINE_MAX] for line in lines[-request.lines :])
        return n.LogReply(job_id=job.job_id, attempt=job.fence, lines=shown)

    def _list_machines(self, user: str) -> n.Machines:
        return n.Machines(machines=tuple(self._shown(each, user) for each in self._machines.read()))

    def _shown(self, machine: n.MachineView, user: str) -> n.MachineView:
        now = self._clock.wall()
        state = machine.state
        if machine.name in self.drained:
            state = "draining"  # the node has yet to report it; its last report may be a second old
        if now - machine.seen_at.timestamp() > GONE_SECONDS:
            state = "gone"
        if sees_all(self._node, user):
            return machine.model_copy(update={"state": state})
        jobs = tuple(job_id for job_id in machine.jobs if self._is_own(job_id, user))
        reasons = tuple(map(without_paths, machine.reasons))
        return machine.model_copy(update={"state": state, "jobs": jobs, "reasons": reasons})

    def _is_own(self, job_id: str, user: str) -> bool:
        job = self._ledger.jobs.get(job_id)
        return job is not None and job.owner == user

    def _drain(self, request: n.Drain, user: str) -> m.Message:
        self._check_operator("drain", user)
        names = [machine.name for machine in self._machines.read()]
        name = request.machine or self.name
        if name not in (self.name, *names):
            raise RequestError(
                "NOT_FOUND",
                f"machine: got {request.machine!r}; allowed: {', '.join(names) or 'none has reported yet'}",
                field="machine",
                allowed=tuple(names),
            )
        if self._on_drain is None:
            raise RequestError(
                "CONFLICT", "drain: this node is part of a program, which decides what it starts"
            )
        if self.stopping:
            raise RequestError("DRAINING", "the node is shutting down", retry_after=5.0)
        (self.drained.add if request.on else self.drained.discard)(name)
        self._on_drain(name, request.on)
        return n.Machines(
            machines=tuple(
                # The machine reports within a second that it works again.
                each.model_copy(update={"state": "ready"})
                if each.name == name and each.state == "draining" and not request.on
                else each
                for each in self._list_machines(user).machines
            )
        )

    # --- publications -------------------------------------------------------------------------------------

    def _publications(self, request: n.ListPublications, user: str) -> m.Message:
        in_full = sees_all(self._node, user)
        try:
            found = self._posts.page(
                state=request.state,
                owner=None if in_full else user,
                limit=request.limit + 1,
                before=request.before,
            )
        except PublicationsError as error:
            raise _storage_reply_of(error) from error
        shown = found[: request.limit]
        return n.PublicationsReply(
            publications=tuple(listed_publication(each, in_full=in_full) for each in shown),
            before=shown[-1].number if len(found) > len(shown) else None,
        )

    def _resolve(self, request: n.Resolve, user: str) -> m.Message:
        in_full = sees_all(self._node, user)
        try:
            found = self._posts.get(request.number)
            if found is None or not (in_full or found.owner == user):
                raise RequestError("NOT_FOUND", f"there is no publication {request.number}", field="number")
            post = None
            if request.post_id is not None:
                post = Published(remote_id=request.post_id, url=request.url)
            return listed_publication(self._posts.resolve(request.number, post), in_full=in_full)
        except PublicationsError as error:
            raise _storage_reply_of(error) from error
        except InputError as error:  # its state, or a process that works on it
            raise RequestError("CONFLICT", str(error), field="number") from error

    # --- dead letters -------------------------------------------------------------------------------------

    def _letters(self, request: n.ListLetters) -> m.Message:
        if not self._outbox_path.exists():
            return n.DeadLetters(letters=())
        try:
            outbox = Outbox(self._outbox_path)
            try:
                found = outbox.listed(state="dead", limit=request.limit)
            finally:
                outbox.close()
        except OutboxError as error:
            raise _storage_reply_of(error) from error
        return n.DeadLetters(letters=tuple(_letter(note) for note in reversed(found)))

    def _resend(self, request: n.Resend) -> m.Message:
        missing = RequestError("NOT_FOUND", f"there is no notification {request.number}", field="number")
        if not self._outbox_path.exists():
            raise missing
        try:
            outbox = Outbox(self._outbox_path)
            try:
                outbox.get(request.number)
            except InputError as error:
                outbox.close()
                raise missing from error
            try:
                return _letter(outbox.resend(request.number))
            finally:
                outbox.close()
        except OutboxError as error:
            raise _storage_reply_of(error) from error
        except InputError as error:
            raise RequestError("CONFLICT", str(error), field="number") from error


def _storage_reply_of(error: Exception) -> RequestError:
    return RequestError("STORAGE", str(error), retry_after=STORAGE_RETRY_SECONDS)


def _letter(note: Note) -> n.DeadLetter:
    known = note.as_dict()
    shown = {name: known[name] for name in n.DeadLetter.model_fields}
    times = {name: datetime.fromisoformat(shown[name]) for name in ("created_at", "updated_at")}
    return n.DeadLetter(**(shown | times))
