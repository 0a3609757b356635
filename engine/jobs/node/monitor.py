"""Between a node's loop and those who look at it: metrics and health, brought up to date at each turn."""

from __future__ import annotations

import contextlib
import importlib.util
from types import TracebackType
from typing import Self

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.ledger.errors import LedgerError
from video_pipeline.engine.jobs.model import Attempt
from video_pipeline.engine.jobs.node.http.metrics import Metrics
from video_pipeline.engine.jobs.node.http.server import Health, HealthServer, Readiness
from video_pipeline.engine.jobs.node.running_node import RunningNode
from video_pipeline.engine.jobs.node.scheduler import Ended
from video_pipeline.engine.jobs.node.server_process import ServerProcess

COUNT_SECONDS = 1.0


class Monitor:
    """Counts attempts, and serves what it counted where node.http_bind says so. A context manager.

    `started` and `ended` are for the scheduler; `tend` is called at each turn of the loop, in its thread.
    """

    def __init__(self, config: Config, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._count_at = 0.0
        self._node: RunningNode | None = None
        self.metrics = open_metrics()
        self.health = Health()
        bind = config.node.http_bind
        self.server = HealthServer(bind, metrics=self.metrics, health=self.health) if bind else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.server is not None:
            self.server.close()

    def started(self, attempt: Attempt) -> None:
        """An attempt has begun."""
        wait = None
        if attempt.number == 1 and self._node is not None:
            try:
                job = self._node.ledger.jobs.get(attempt.job_id)
            except LedgerError:
                job = None
            if job is not None and job.fence == 1:
                wait = self._clock.wall() - max(job.created_at, job.scheduled_for or 0.0)
        self.metrics.job_started(priority=attempt.priority, wait_seconds=wait)

    def ended(self, ended: Ended) -> None:
        """An attempt has ended."""
        result = ended.result or {}
        self.metrics.job_ended(
            outcome=ended.outcome,
            seconds=ended.seconds,
            error_type=ended.error_type,
            stages=result.get("timings"),
            encoder=result.get("encoder"),
            segments=result.get("segments", 0),
            segments_from_cache=result.get("segments_from_cache", 0),
        )

    def tend(self, node: RunningNode, front: ServerProcess) -> None:
        """Take over how node and front end are."""
        self._node = node
        reasons = []
        if node.scheduler.draining:
            reasons.append("the node goes down: it takes no new jobs")
        if node.trouble is not None:
            reasons.append(node.trouble)
        if not front.ready:
            reasons.append("the front end is not there")
        self.health.turned(Readiness(tuple(reasons)))
        now = self._clock.monotonic()
        if now < self._count_at:
            return
        self._count_at = now + COUNT_SECONDS
        self.metrics.ready(not reasons)
        self.metrics.slots(total=node.slots, warm=node.dispatcher.capacity)
        self.metrics.worker_starts(node.dispatcher.started_workers)
        self.metrics.commits(total=node.ledger.file.commits, seconds=node.ledger.file.commit_seconds)
        self.metrics.frontend_starts(front.restarts + 1)
        self.metrics.frontend_counters(front.counters)
        with contextlib.suppress(LedgerError):  # `trouble` tells of it
            self.metrics.queue({str(key): n for key, n in node.ledger.queue.length_by_priority().items()})


def open_metrics(*, slots: int = 0) -> Metrics:
    """Return metrics for Prometheus, or those that keep nothing where prometheus-client is not installed."""
    if importlib.util.find_spec("prometheus_client") is None:
        return Metrics()
    from video_pipeline.engine.jobs.node.http.prometheus import PrometheusMetrics

    return PrometheusMetrics(slots=slots)
