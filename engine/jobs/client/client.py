"""The blocking client of a render node; it retries and reconnects by itself."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Iterable, Iterator
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


class NodeClient:
    """A client of a render node.

    A request is sent again until it is answered or `timeout` seconds are over, on a new connection if needed; a submit
    always carries a key, so that it creates one job even if it is sent several times. Methods may be called from any
    threads at once; `close` (or the end of a `with` block) fails pending requests. Do not fork after the first use.

    Raises StoryError, ConfigError or InputError if the node rejects the input, JobNotFoundError,
    JobConflictError, AccessError (keys), UnreachableError (no answer), and NodeError for its other refusals.
    """

    def __init__(
        self, connect: str = "", *, transport: Transport | None = None, **options: Unpack[ConnectOptions]
    ) -> None:
        self._transport = (
            checked_transport(transport) if transport is not None else connect_to(connect, **options)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Fail pending requests and close the connection."""
        self._transport.close()

    def ping(self) -> Pong:
        """Return the node's version, protocols and limits."""
        return self._run(one(call("ping"), Pong))

    def stats(self) -> StatsReply:
        """Return the node's counts of jobs, its queue and its slots."""
        return self._run(one(call("stats"), StatsReply))

    def submit(
        self, story: StoryLike, config: JobConfig = None, **options: Unpack[SubmitOptions]
    ) -> Submitted:
        """Submit a story (data, a Story or a file) and return its job once it is on the node's disk.

        `config` holds sections of the configuration for this job; for the rest see SubmitOptions.
        """
        return self._run(submit_steps(submit_call(story, config, **options)))

    def status(self, job_id: str) -> JobView:
        """Return a job."""
        return self._run(one(call("status", job_id=job_id), JobView))

    def jobs(self, *, status: JobStatus | str | None = None) -> Iterator[JobView]:
        """Iterate over all jobs, the latest first."""
        return self._each(list_steps(status))

    def cancel(self, job_id: str) -> JobView:
        """Cancel a job that has not ended; return its new state."""
        return self._run(changing_steps("cancel", job_id))

    def retry(self, job_id: str) -> JobView:
        """Queue a failed or cancelled job again; return its new state."""
        return self._run(changing_steps("retry", job_id))

    def priority(self, job_id: str, priority: Priority) -> JobView:
        """Give a queued job another priority; return its new state."""
        return self._run(one(call("priority", job_id=job_id, priority=priority), JobView))

    def log(self, job_id: str, *, lines: int = 100) -> LogReply:
        """Return the last lines of the log of a job's latest attempt. For operators."""
        return self._run(one(call("log", job_id=job_id, lines=lines), LogReply))

    def machines(self) -> Machines:
        """Return the machines that render."""
        return self._run(one(call("machines"), Machines))

    def drain(self, machine: str | None = None, *, on: bool = True) -> Machines:
        """Let a machine start and accept no further jobs, with `on` False let it work again. For operators."""
        return self._run(one(call("drain", machine=machine, on=on), Machines))

    def publications(
        self, *, state: str | None = None, limit: int | None = None, before: int | None = None
    ) -> PublicationsReply:
        """Return a page of publications, the latest first."""
        return self._run(
            one(call("publications", state=state, limit=limit, before=before), PublicationsReply)
        )

    def resolve(
        self, number: int, *, post_id: str | None = None, url: str | None = None
    ) -> ListedPublication:
        """End the state unknown of a publication: its post was found, or without `post_id` it is missing.

        A missing one is published again.
        """
        outcome = "missing" if post_id is None else "found"
        return self._run(
            one(call("resolve", number=number, outcome=outcome, post_id=post_id, url=url), ListedPublication)
        )

    def letters(self, *, limit: int | None = None) -> DeadLetters:
        """Return notifications that could not be delivered, the latest first. For operators."""
        return self._run(one(call("letters", limit=limit), DeadLetters))

    def resend(self, number: int) -> DeadLetter:
        """Deliver a dead letter again. For operators."""
        return self._run(one(call("resend", number=number), DeadLetter))

    def wait(self, job_id: str, timeout: float | None = None) -> JobView:
        """Wait until a job has ended, at most `timeout` seconds, and return its state.

        After `timeout` seconds the current state is returned, which is then not a final one.
        `VideoGenerationPipeline.wait_for_job`, which returns a result, raises TimeoutError instead.
        """
        return self._run(wait_steps(job_id, timeout))

    def fetch(
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
        return self._run(fetch_steps(job_id, folder, files, on_progress))

    def events(self, after: int = 0, *, job_id: str | None = None, limit: int | None = None) -> EventsReply:
        """Return events with numbers above `after`, the oldest first."""
        return self._run(one(call("events", after=after, job_id=job_id, limit=limit), EventsReply))

    def watch(self, job_id: str | None = None, *, after: int | None = None) -> Iterator[EventView]:
        """Iterate over a job's events until its last one, or over all events without end.

        Events of a job start at its beginning, those of all jobs now, both after number `after` if it is given. No
        event that the ledger holds is missed, even if the network loses messages; see
        `video_pipeline.engine.jobs.client.watching`.
        """
        wakeup = threading.Event()
        with WatchState(self._transport, wakeup.set) as state:
            yield from self._each(watch_steps(state, job_id, after), wakeup)

    def _run(self, steps: Steps[Answer]) -> Answer:
        going = self._each(steps)
        try:
            while True:
                next(going)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        finally:
            steps.close()

    def _each(
        self, steps: Steps[Answer], wakeup: threading.Event | None = None
    ) -> Generator[Any, None, Answer]:
        """Run steps; yield the value of each Show step."""
        answer: Any = None
        failure: PipelineError | None = None
        while True:
            try:
                step = steps.throw(failure) if failure else steps.send(answer)
            except StopIteration as end:
                value: Answer = end.value
                return value
            answer = failure = None
            if isinstance(step, Show):
                yield step.value
            elif isinstance(step, Pause):
                answer = _pause(step, wakeup)
            else:
                try:
                    answer = self._do(step)
                except PipelineError as error:
                    failure = error

    def _do(self, step: Step) -> Any:
        if isinstance(step, InThread):
            return step.function()
        if isinstance(step, Begin):
            return self._transport.ask(step.call)
        assert not isinstance(step, Pause | Show)
        future = step.future if isinstance(step, Finish) else self._transport.ask(step)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C, for example
            raise


def _pause(step: Pause, wakeup: threading.Event | None) -> bool:
    if wakeup is None or not step.news:
        time.sleep(step.seconds)
        return False
    has_news = wakeup.wait(step.seconds)
    wakeup.clear()
    return has_news
