"""The asyncio client of a render node, with the interface of the blocking one."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from video_pipeline.engine.errors import PipelineError
from video_pipeline.engine.jobs.client.connect import ConnectOptions, checked_transport, connect_to
from video_pipeline.engine.jobs.client.fetching import OnProgress, fetch_steps
from video_pipeline.engine.jobs.client.pack import JobConfig, StoryLike
from video_pipeline.engine.jobs.client.steps import (
    Begin,
    Finish,
    InThread,
    Pause,
    Show,
    Step,
    Steps,
    SubmitOptions,
    call,
    changing_steps,
    list_steps,
    one,
    submit_call,
    submit_steps,
    wait_steps,
)
from video_pipeline.engine.jobs.client.transport import Transport
from video_pipeline.engine.jobs.client.watching import WatchState, watch_steps
from video_pipeline.engine.jobs.messages import EventsReply, EventView, JobView, Pong, StatsReply, Submitted
from video_pipeline.engine.jobs.model import JobStatus, Priority
from video_pipeline.engine.jobs.node_messages import (
    DeadLetter,
    DeadLetters,
    ListedPublication,
    LogReply,
    Machines,
    PublicationsReply,
)

Answer = TypeVar("Answer")


class AsyncNodeClient:
    """A client of a render node.

    A request is sent again until it is answered or `timeout` seconds are over, on a new connection if needed; a submit
    always carries a key, so that it creates one job even if it is sent several times. Any number of tasks may use it
    at once, on any event loop of any thread. Cancelling one does not affect the others, because a thread of the
    client owns the sockets. `close` (or the end of an `async with` block) fails pending requests. Do not fork after
    the first use.

    Raises StoryError, ConfigError or InputError if the node rejects the input, JobNotFoundError,
    JobConflictError, AccessError (keys), UnreachableError (no answer), and NodeError for its other refusals.
    """

    def __init__(
        self, connect: str = "", *, transport: Transport | None = None, **options: Unpack[ConnectOptions]
    ) -> None:
        self._transport = (
            checked_transport(transport) if transport is not None else connect_to(connect, **options)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Fail pending requests and close the connection."""
        await asyncio.to_thread(self._transport.close)

    async def ping(self) -> Pong:
        """Return the node's version, protocols and limits."""
        return await self._run(one(call("ping"), Pong))

    async def stats(self) -> StatsReply:
        """Return the node's counts of jobs, its queue and its slots."""
        return await self._run(one(call("stats"), StatsReply))

    async def submit(
        self, story: StoryLike, config: JobConfig = None, **options: Unpack[SubmitOptions]
    ) -> Submitted:
        """Submit a story (data, a Story or a file) and return its job once it is on the node's disk.

        `config` holds sections of the configuration for this job; for the rest see SubmitOptions.
        """
        request = await asyncio.to_thread(submit_call, story, config, **options)
        return await self._run(submit_steps(request))

    async def status(self, job_id: str) -> JobView:
        """Return a job."""
        return await self._run(one(call("status", job_id=job_id), JobView))

    def jobs(self, *, status: JobStatus | str | None = None) -> AsyncIterator[JobView]:
        """Iterate over all jobs, the latest first."""
        return self._each(list_steps(status))

    async def cancel(self, job_id: str) -> JobView:
        """Cancel a job that has not ended; return its new state."""
        return await self._run(changing_steps("cancel", job_id))

    async def retry(self, job_id: str) -> JobView:
        """Queue a failed or cancelled job again; return its new state."""
        return await self._run(changing_steps("retry", job_id))

    async def priority(self, job_id: str, priority: Priority) -> JobView:
        """Give a queued job another priority; return its new state."""
        return await self._run(one(call("priority", job_id=job_id, priority=priority), JobView))

    async def log(self, job_id: str, *, lines: int = 100) -> LogReply:
        """Return the last lines of the log of a job's latest attempt. For operators."""
        return await self._run(one(call("log", job_id=job_id, lines=lines), LogReply))

    async def machines(self) -> Machines:
        """Return the machines that render."""
        return await self._run(one(call("machines"), Machines))

    async def drain(self, machine: str | None = None, *, on: bool = True) -> Machines:
        """Let a machine start and accept no further jobs, with `on` False let it work again. For operators."""
        return await self._run(one(call("drain", machine=machine, on=on), Machines))

    async def publications(
        self, *, state: str | None = None, limit: int | None = None, before: int | None = None
    ) -> PublicationsReply:
        """Return a page of publications, the latest first."""
        return await self._run(
            one(call("publications", state=state, limit=limit, before=before), PublicationsReply)
        )

    async def resolve(
        self, number: int, *, post_id: str | None = None, url: str | None = None
    ) -> ListedPublication:
        """End the state unknown of a publication: its post was found, or without `post_id` it is missing.

        A missing one is published again.
        """
        outcome = "missing" if post_id is None else "found"
        return await self._run(
            one(call("resolve", number=number, outcome=outcome, post_id=post_id, url=url), ListedPublication)
        )

    async def letters(self, *, limit: int | None = None) -> DeadLetters:
        """Return notifications that could not be delivered, the latest first. For operators."""
        return await self._run(one(call("letters", limit=limit), DeadLetters))

    async def resend(self, number: int) -> DeadLetter:
        """Deliver a dead letter again. For operators."""
        return await self._run(one(call("resend", number=number), DeadLetter))

    async def wait(self, job_id: str, timeout: float | None = None) -> JobView:
        """Wait until a job has ended, at most `timeout` seconds, and return its state; see NodeClient."""
        return await self._run(wait_steps(job_id, timeout))

    async def fetch(
        self,
        job_id: str,
        folder: str | os.PathLike[str],
        *,
        files: Iterable[str] | None = None,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Path]:
        """Fetch files of a completed job into a folder, made if needed, and return their paths by role (`video` …).

        `files` are roles or names, all by default. The files appear together at the end, checked by their SHA-256, and
        replace files of these names; a fetch that was interrupted or killed goes on where it ended. `on_progress` gets
        a FetchProgress now and then. Raises JobConflictError if the job is not completed or a file was changed,
        JobNotFoundError if the node no longer has the files, RenderingError if the disk fails.
        """
        return await self._run(fetch_steps(job_id, folder, files, on_progress))

    async def events(
        self, after: int = 0, *, job_id: str | None = None, limit: int | None = None
    ) -> EventsReply:
        """Return events with numbers above `after`, the oldest first."""
        return await self._run(one(call("events", after=after, job_id=job_id, limit=limit), EventsReply))

    def watch(self, job_id: str | None = None, *, after: int | None = None) -> AsyncIterator[EventView]:
        """Iterate over a job's events until its last one, or over all events without end.

        Events of a job start at its beginning, those of all jobs now, both after number `after` if it is given. No
        event that the ledger holds is missed, even if the network loses messages; see
        `video_pipeline.engine.jobs.client.watching`.
        """
        return self._watch(job_id, after)

    async def _watch(self, job_id: str | None, after: int | None) -> AsyncIterator[EventView]:
        wakeup, loop = asyncio.Event(), asyncio.get_running_loop()

        def notify() -> None:
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                loop.call_soon_threadsafe(wakeup.set)

        with WatchState(self._transport, notify) as state:
            async for event in self._each(watch_steps(state, job_id, after), wakeup):
                yield event

    async def _run(self, steps: Steps[Answer]) -> Answer:
        """Run steps and return their result."""
        answer: Any = None
        failure: PipelineError | None = None
        try:
            while True:
                step = steps.throw(failure) if failure else steps.send(answer)
                answer, failure = await self._do(step, None)
        except StopIteration as end:
            value: Answer = end.value
            return value
        finally:
            steps.close()

    async def _each(self, steps: Steps[None], wakeup: asyncio.Event | None = None) -> AsyncIterator[Any]:
        """Run steps; yield the value of each Show step."""
        answer: Any = None
        failure: PipelineError | None = None
        while True:
            try:
                step = steps.throw(failure) if failure else steps.send(answer)
            except StopIteration:
                return
            if isinstance(step, Show):
                answer = failure = None
                yield step.value
            else:
                answer, failure = await self._do(step, wakeup)

    async def _do(self, step: Step, wakeup: asyncio.Event | None) -> tuple[Any, PipelineError | None]:
        if isinstance(step, Pause):
            return await _pause(step, wakeup), None
        assert not isinstance(step, Show)
        try:
            if isinstance(step, InThread):
                return await _in_thread(step), None
            if isinstance(step, Begin):
                return self._transport.ask(step.call), None
            future = step.future if isinstance(step, Finish) else self._transport.ask(step)
            return await asyncio.wrap_future(future), None
        except PipelineError as error:
            return None, error


async def _in_thread(step: InThread) -> Any:
    """Call a step's function; if this task is cancelled, wait for its end first, so that nothing writes any more."""
    calling = asyncio.ensure_future(asyncio.to_thread(step.function))
    try:
        return await asyncio.shield(calling)
    except asyncio.CancelledError:
        with contextlib.suppress(BaseException):
            await calling
        raise


async def _pause(step: Pause, wakeup: asyncio.Event | None) -> bool:
    if wakeup is None or not step.news:
        await asyncio.sleep(step.seconds)
        return False
    try:
        await asyncio.wait_for(wakeup.wait(), step.seconds)
    except TimeoutError:
        return False
    wakeup.clear()
    return True
