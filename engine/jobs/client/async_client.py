"""The client of a render node for asyncio: the same as `video_pipeline.engine.jobs.client.client`, with calls to be awaited."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from video_pipeline.engine.errors import PipelineError
from video_pipeline.engine.jobs.client.connect import ConnectOptions, connect_to
from video_pipeline.engine.jobs.client.steps import (
    Pause,
    Show,
    Steps,
    StoryLike,
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
from video_pipeline.engine.jobs.model import JobStatus

Answer = TypeVar("Answer")


class AsyncNodeClient:
    """Talks to a render node.

    A request is sent until it is answered, on new connections where needed, for `timeout` seconds in all; a submit
    always carries a key, so that it makes one job however often it is sent. Any number of tasks may use it at once,
    on any event loop of any thread; one that is cancelled takes nothing from the others, for the sockets belong to a
    thread of the client's own. `close` (or the end of an `async with` block) fails what is under way. It must be
    first used after a fork.

    Raises StoryError, ConfigError or InputError where the node finds the input wrong, JobNotFoundError,
    JobConflictError, AccessError (keys), UnreachableError (no answer), and NodeError for its other refusals.
    """

    def __init__(
        self, connect: str = "", *, transport: Transport | None = None, **options: Unpack[ConnectOptions]
    ) -> None:
        self._transport: Transport = transport or connect_to(connect, **options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Fail what is under way and close the connection."""
        await asyncio.to_thread(self._transport.close)

    async def ping(self) -> Pong:
        """Return what the node is and speaks."""
        return await self._run(one(call("ping"), Pong))

    async def stats(self) -> StatsReply:
        """Return how the node is doing."""
        return await self._run(one(call("stats"), StatsReply))

    async def submit(
        self, story: StoryLike, config: Mapping[str, Any] | None = None, **options: Unpack[SubmitOptions]
    ) -> Submitted:
        """Hand in a story (data, a Story or a file) and return its job once that is on the node's disk.

        `config` holds sections of the configuration for this job; for the rest see SubmitOptions.
        """
        asking = await asyncio.to_thread(submit_call, story, config, **options)
        return await self._run(submit_steps(asking))

    async def status(self, job_id: str) -> JobView:
        """Return a job."""
        return await self._run(one(call("status", job_id=job_id), JobView))

    def jobs(self, *, status: JobStatus | str | None = None) -> AsyncIterator[JobView]:
        """Iterate over all jobs, the latest first."""
        return self._each(list_steps(status))

    async def cancel(self, job_id: str) -> JobView:
        """Cancel a job that has not ended; return it as it then is."""
        return await self._run(changing_steps("cancel", job_id))

    async def retry(self, job_id: str) -> JobView:
        """Queue a failed or cancelled job again; return it as it then is."""
        return await self._run(changing_steps("retry", job_id))

    async def wait(self, job_id: str, timeout: float | None = None) -> JobView:
        """Wait until a job has ended, at most `timeout` seconds, and return it as it then is."""
        return await self._run(wait_steps(job_id, timeout))

    async def events(
        self, after: int = 0, *, job_id: str | None = None, limit: int | None = None
    ) -> EventsReply:
        """Return events with numbers above `after`, the oldest first."""
        return await self._run(one(call("events", after=after, job_id=job_id, limit=limit), EventsReply))

    def watch(self, job_id: str | None = None, *, after: int | None = None) -> AsyncIterator[EventView]:
        """Iterate over a job's events until its last one, or over all events without end.

        A job is shown from its beginning, all jobs from now on, and both from `after` where it is given. No event
        of the ledger is left out, whatever the network loses; see `video_pipeline.engine.jobs.client.watching`.
        """
        return self._watch(job_id, after)

    async def _watch(self, job_id: str | None, after: int | None) -> AsyncIterator[EventView]:
        bell, loop = asyncio.Event(), asyncio.get_running_loop()

        def ring() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(bell.set)

        with WatchState(self._transport, ring) as stand:
            async for event in self._each(watch_steps(stand, job_id, after), bell):
                yield event

    async def _run(self, steps: Steps[Answer]) -> Answer:
        """Do what the steps ask for and return what they end with."""
        answer: Any = None
        failure: PipelineError | None = None
        while True:
            try:
                step = steps.throw(failure) if failure else steps.send(answer)
            except StopIteration as end:
                value: Answer = end.value
                return value
            answer, failure = await self._do(step, None)

    async def _each(self, steps: Steps[None], bell: asyncio.Event | None = None) -> AsyncIterator[Any]:
        """Do what the steps ask for, handing on what they show."""
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
                answer, failure = await self._do(step, bell)

    async def _do(self, step: Any, bell: asyncio.Event | None) -> tuple[Any, PipelineError | None]:
        if isinstance(step, Pause):
            return await _pause(step, bell), None
        try:
            return await asyncio.wrap_future(self._transport.ask(step)), None
        except PipelineError as error:
            return None, error


async def _pause(step: Pause, bell: asyncio.Event | None) -> bool:
    if bell is None or not step.news:
        await asyncio.sleep(step.seconds)
        return False
    try:
        await asyncio.wait_for(bell.wait(), step.seconds)
    except TimeoutError:
        return False
    bell.clear()
    return True
