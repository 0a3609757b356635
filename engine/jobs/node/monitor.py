"""Metrics and health of a node, updated at each turn of its loop."""

from __future__ import annotations

import contextlib
import importlib.util
from types import TracebackType
from typing import Self

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.free_space import free_by_folder
from video_pipeline.engine.jobs.ledger.errors import LedgerError
from video_pipeline.engine.jobs.model import Attempt
from video_pipeline.engine.jobs.node.cache_check import CacheCheck
from video_pipeline.engine.jobs.node.http.metrics import Metrics
from video_pipeline.engine.jobs.node.http.server import Health, HealthServer, Readiness
from video_pipeline.engine.jobs.node.machine_report import MachineReport
from video_pipeline.engine.jobs.node.running_node import RunningNode
from video_pipeline.engine.jobs.node.scheduler import EndedAttempt
from video_pipeline.engine.jobs.node.server_process import ServerProcess
from video_pipeline.engine.jobs.node.web_process import WebProcess

COUNT_SECONDS = 1.0


class Monitor:
    """Counts attempts, and serves metrics and health at node.http_bind if that is set. A context manager.

    The scheduler calls `started` and `ended`; the loop calls `update` at each turn, in its thread.
    """

    def __init__(self, config: Config, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._config, self._clock = config, clock
        self._count_at = 0.0
        self._node: RunningNode | None = None
        self.metrics = open_metrics()
        self._report = MachineReport(config, clock=clock)
        self.health = Health()
        self._cache: CacheCheck | None = None
        with contextlib.suppress(ConfigError):  # no home folder: jobs have no cache
            self._cache = CacheCheck(config.cache_dir())
        bind = config.node.http_bind
        self.server = HealthServer(bind, metrics=self.metrics, health=self.health) if bind else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._report.close()
        if self._cache is not None:
            self._cache.close()
        if self.server is not None:
            self.server.close()

    def started(self, attempt: Attempt) -> None:
        """Count the start of an attempt."""
        wait = None
        if attempt.number == 1 and self._node is not None:
            try:
                job = self._node.ledger.jobs.get(attempt.job_id)
            except LedgerError:
                job = None
            if job is not None and job.fence == 1:
                wait = self._clock.wall() - max(job.created_at, job.scheduled_for or 0.0)
        self.metrics.job_started(priority=attempt.priority, wait_seconds=wait)

    def ended(self, ended: EndedAttempt) -> None:
        """Count the end of an attempt."""
        result = ended.result or {}
        self._report.count(result.get("segments", 0), result.get("segments_from_cache", 0))
        self.metrics.job_ended(
            outcome=ended.outcome,
            seconds=ended.seconds,
            error_type=ended.error_type,
            stages=result.get("timings"),
            encoder=result.get("encoder"),
            encoder_fallback=result.get("encoder_fallback"),
            encoder_sessions=result.get("encoder_sessions"),
            encoder_frames=result.get("encoder_frames"),
            segments=result.get("segments", 0),
            segments_from_cache=result.get("segments_from_cache", 0),
            segments_from_shared=result.get("segments_from_shared", 0),
        )

    def update(self, node: RunningNode, server: ServerProcess, web: WebProcess | None = None) -> None:
        """Read the state of the node, its server process and its HTTP process."""
        self._node = node
        reasons = []
        if node.scheduler.is_drained:
            reasons.append("the node is drained and accepts no new jobs")
        elif node.scheduler.draining:
            reasons.append("the node is shutting down and accepts no new jobs")
        if node.trouble is not None:
            reasons.append(node.trouble)
        if server.trouble is not None:
            reasons.append(server.trouble)
        fault = self._cache.fault if self._cache is not None else None
        warnings = [] if fault is None else [f"{fault}; jobs are rendered without it"]
        if web is not None and web.trouble is not None:
            warnings.append(web.trouble)
        self.health.update(Readiness(tuple(reasons), tuple(warnings)))
        now = self._clock.monotonic()
        if now < self._count_at:
            return
        self._count_at = now + COUNT_SECONDS
        self._report.write(node, reasons, warnings)
        self.metrics.ready(not reasons)
        self.metrics.cache_writable(self._cache is not None and fault is None)
        self.metrics.slots(total=node.slots, warm=node.dispatcher.capacity)
        self.metrics.worker_starts(node.dispatcher.started_workers)
        self.metrics.commits(total=node.ledger.file.commits, seconds=node.ledger.file.commit_seconds)
        self.metrics.server_starts(server.restarts + 1)
        self.metrics.publications(node.publications.counts())
        self.metrics.notifications(node.notifications.numbers())
        self.metrics.deleted(videos=node.retention.deleted_videos, size=node.retention.deleted_bytes)
        self.metrics.free_space(free_by_folder(self._config))
        self.metrics.server_counters(server.counters)
        if web is not None:
            self.metrics.web_starts(web.restarts + 1)
            self.metrics.web_counters(web.counters)
        with contextlib.suppress(LedgerError):  # reported by `trouble`
            self.metrics.queue_head(node.ledger.queue.head_seconds())
            self.metrics.queue({str(key): n for key, n in node.ledger.queue.length_by_priority().items()})


def open_metrics(*, slots: int = 0) -> Metrics:
    """Return Prometheus metrics, or metrics that do nothing if prometheus-client is not installed."""
    if importlib.util.find_spec("prometheus_client") is None:
        return Metrics()
    from video_pipeline.engine.jobs.node.http.prometheus import PrometheusMetrics

    return PrometheusMetrics(slots=slots)
