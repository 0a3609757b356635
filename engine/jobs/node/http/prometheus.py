"""The metrics of a node for Prometheus. Four names are those of the high-level API; the others begin with
video_pipeline_."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from video_pipeline.engine import __version__
from video_pipeline.engine.events import FIRST_SEGMENT, StageName
from video_pipeline.engine.jobs.model import PRIORITIES
from video_pipeline.engine.jobs.node.http.metrics import Metrics, Outcome
from video_pipeline.engine.machine.gpu_load import gpu_loads

JOB_BUCKETS = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0)
WAIT_BUCKETS = (0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
STAGE_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0)
ERROR_TYPES_MAX = 64
"""Most error types with a label value of their own; others are counted as `other`."""
LOST_ERRORS = ("WorkerLost", "WorkerKilled", "MachineLost", "BridgeLost")
"""The error types of attempts that ended with their worker or machine."""

GAUGES = frozenset({"connections_open", "writes_waiting"})
"""The server's numbers that can also fall."""
WEB_GAUGES = frozenset({"connections_open", "streams_open", "downloads_open"})
"""Those of the HTTP process."""


class PrometheusMetrics(Metrics):
    """Keeps metrics in a registry of its own."""

    def __init__(self, *, slots: int = 0) -> None:
        self.registry = registry = CollectorRegistry()
        self._videos = Counter("videos_generated_total", "Videos published.", registry=registry)
        self._seconds = Histogram(
            "video_generation_duration_seconds",
            "Seconds of attempts, whatever their outcome.",
            buckets=JOB_BUCKETS,
            registry=registry,
        )
        self._active = Gauge("active_video_jobs", "Jobs being rendered.", registry=registry)
        self._errors = Counter(
            "video_generation_errors_total", "Attempts that failed.", ["error_type"], registry=registry
        )
        self._error_types: set[str] = set()
        self._attempts = Counter(
            "video_pipeline_attempts_total", "Attempts that ended.", ["outcome"], registry=registry
        )
        self._wait = Histogram(
            "video_pipeline_job_wait_seconds",
            "Seconds between a job being able to start and its first attempt.",
            ["priority"],
            buckets=WAIT_BUCKETS,
            registry=registry,
        )
        self._stages = Histogram(
            "video_pipeline_stage_seconds",
            "Seconds of each stage of finished videos; stages overlap.",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self._encoders = Counter(
            "video_pipeline_videos_encoded_total",
            "Finished videos by encoder.",
            ["encoder"],
            registry=registry,
        )
        self._fallbacks = Counter(
            "video_pipeline_encoder_fallbacks_total",
            "Finished videos that the CPU encoded since a GPU refused a session or failed.",
            ["kind"],
            registry=registry,
        )
        self._refused = Counter(
            "video_pipeline_encoder_refused_sessions_total",
            "NVENC sessions that the driver refused to finished videos.",
            registry=registry,
        )
        self._session_wait = Counter(
            "video_pipeline_encoder_session_wait_seconds_total",
            "Seconds that segments of finished videos waited for a session.",
            registry=registry,
        )
        self._lost_gpus = Counter(
            "video_pipeline_encoder_lost_gpus_total",
            "GPUs that failed during finished videos, whose segments others encoded.",
            registry=registry,
        )
        self._frames_in = Counter(
            "video_pipeline_encoder_segments_total",
            "Segments of finished videos that the cuda compositor drew for GPUs' encoders, by the memory of their frames.",
            ["memory"],
            registry=registry,
        )
        self._segments = Counter(
            "video_pipeline_segments_total",
            "Segments of finished videos, drawn or from the cache.",
            ["source"],
            registry=registry,
        )
        self._queue = Gauge("video_pipeline_queued_jobs", "Queued jobs.", ["priority"], registry=registry)
        self._queue_head = Gauge(
            "video_pipeline_queue_head_seconds",
            "Seconds since the next job of the queue could begin for the first time; 0 if none is ready.",
            registry=registry,
        )
        self._free = Gauge(
            "video_pipeline_free_bytes",
            "Free bytes of the disks of the node's folders.",
            ["folder"],
            registry=registry,
        )
        self._slots = Gauge("video_pipeline_slots", "Jobs that can be rendered at once.", registry=registry)
        self._warm = Gauge("video_pipeline_slots_warm", "Slots whose worker is warm.", registry=registry)
        self._worker_starts = _Total(
            registry, "video_pipeline_worker_starts_total", "Worker processes started."
        )
        self._commits = _Total(registry, "video_pipeline_commits_total", "Ledger commits by the scheduler.")
        self._commit_seconds = _Total(
            registry,
            "video_pipeline_commit_seconds_total",
            "Seconds of these commits, including fsync.",
        )
        self._server_starts = _Total(
            registry, "video_pipeline_frontend_starts_total", "Server processes started."
        )
        self._server_requests = Counter(
            "video_pipeline_frontend_requests_total", "Requests by verb.", ["verb"], registry=registry
        )
        self._server_errors = Counter(
            "video_pipeline_frontend_errors_total",
            "Requests refused, by error code.",
            ["code"],
            registry=registry,
        )
        self._server = Counter(
            "video_pipeline_frontend_total",
            "Other counters of the server: connections, messages, bytes, refusals.",
            ["what"],
            registry=registry,
        )
        self._server_gauges = Gauge(
            "video_pipeline_frontend_now", "Current values of the server.", ["what"], registry=registry
        )
        self._server_counts = _ProcessCounts(GAUGES)
        self._web_starts = _Total(registry, "video_pipeline_http_starts_total", "HTTP processes started.")
        self._web_requests = Counter(
            "video_pipeline_http_requests_total", "HTTP requests by status.", ["status"], registry=registry
        )
        self._web = Counter(
            "video_pipeline_http_total",
            "Other counters of HTTP: connections, bytes, refusals.",
            ["what"],
            registry=registry,
        )
        self._web_gauges = Gauge(
            "video_pipeline_http_now", "Open connections, streams and downloads.", ["what"], registry=registry
        )
        self._web_counts = _ProcessCounts(WEB_GAUGES)
        self._ready = Gauge(
            "video_pipeline_ready", "1 if the node accepts and renders jobs.", registry=registry
        )
        self._cache = Gauge(
            "video_pipeline_cache_writable", "1 if the cache can be written.", registry=registry
        )
        self._publications = Gauge(
            "video_pipeline_publications", "Publications by state.", ["state"], registry=registry
        )
        self._notifications = Gauge(
            "video_pipeline_notifications",
            "Notifications that wait or are dead letters.",
            ["state"],
            registry=registry,
        )
        self._oldest = Gauge(
            "video_pipeline_notifications_oldest_seconds",
            "Age of the oldest notification that waits.",
            registry=registry,
        )
        self._notified = _Total(
            registry, "video_pipeline_notifications_delivered_total", "Notifications of events delivered."
        )
        self._alerted = _Total(registry, "video_pipeline_alerts_sent_total", "Alerts delivered.")
        self._deleted = _Total(
            registry, "video_pipeline_deleted_videos_total", "Finished videos deleted to make room."
        )
        self._deleted_bytes = _Total(
            registry, "video_pipeline_deleted_video_bytes_total", "Bytes of these videos."
        )
        Info("video_pipeline", "This engine.", registry=registry).info({"version": __version__})
        registry.register(_GpuCollector())
        self._slots.set(slots)
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """Make the counts of known labels, so that the first event is an increase."""
        for outcome in get_args(Outcome):
            self._attempts.labels(outcome)
        for error_type in LOST_ERRORS:
            self._errors.labels(error_type)
        for kind in ("refused", "machine"):
            self._fallbacks.labels(kind)
        for source in ("drawn", "cache", "shared"):
            self._segments.labels(source)
        for memory in ("gpu", "host"):
            self._frames_in.labels(memory)
        for stage in (*get_args(StageName), FIRST_SEGMENT):
            self._stages.labels(stage)
        for priority in PRIORITIES:
            self._queue.labels(priority)
            self._wait.labels(priority)

    def job_started(self, *, priority: str, wait_seconds: float | None = None) -> None:
        """Count a started attempt."""
        self._active.inc()
        if wait_seconds is not None:
            self._wait.labels(priority).observe(max(0.0, wait_seconds))

    def job_ended(
        self,
        *,
        outcome: Outcome,
        seconds: float,
        error_type: str | None = None,
        stages: Mapping[str, float] | None = None,
        encoder: str | None = None,
        encoder_fallback: str | None = None,
        encoder_sessions: Mapping[str, Any] | None = None,
        encoder_frames: Mapping[str, Any] | None = None,
        segments: int = 0,
        segments_from_cache: int = 0,
        segments_from_shared: int = 0,
    ) -> None:
        """Count an ended attempt."""
        self._active.dec()
        self._seconds.observe(seconds)
        self._attempts.labels(outcome).inc()
        if error_type is not None:
            if error_type not in self._error_types and len(self._error_types) >= ERROR_TYPES_MAX:
                error_type = "other"
            self._error_types.add(error_type)
            self._errors.labels(error_type).inc()
        if outcome != "completed":
            return
        self._videos.inc()
        for stage, taken in (stages or {}).items():
            self._stages.labels(stage).observe(taken)
        if encoder:
            self._encoders.labels(encoder).inc()
        if encoder_fallback:
            self._fallbacks.labels(encoder_fallback).inc()
        if encoder_sessions:
            self._refused.inc(encoder_sessions["refused"])
            self._session_wait.inc(encoder_sessions["waited_seconds"])
            self._lost_gpus.inc(len(encoder_sessions["lost_gpus"]))
        if encoder_frames:
            self._frames_in.labels("gpu").inc(encoder_frames["segments_in_gpu_memory"])
            self._frames_in.labels("host").inc(encoder_frames["segments_in_host_memory"])
        self._segments.labels("cache").inc(max(0, segments_from_cache - segments_from_shared))
        self._segments.labels("shared").inc(segments_from_shared)
        self._segments.labels("drawn").inc(max(0, segments - segments_from_cache))

    def queue(self, depths: Mapping[str, int]) -> None:
        """Set the number of queued jobs per priority."""
        for priority, depth in depths.items():
            self._queue.labels(priority).set(depth)

    def queue_head(self, seconds: float) -> None:
        """Set the seconds that the next job has waited."""
        self._queue_head.set(seconds)

    def free_space(self, free: Mapping[str, int]) -> None:
        """Set the free bytes by folder."""
        for folder, size in free.items():
            self._free.labels(folder).set(size)

    def slots(self, *, total: int, warm: int) -> None:
        """Set the number of slots, total and warm."""
        self._slots.set(total)
        self._warm.set(warm)

    def worker_starts(self, total: int) -> None:
        """Set the total number of started worker processes."""
        self._worker_starts.set_total(total)

    def commits(self, *, total: int, seconds: float) -> None:
        """Set the total number of commits and their total seconds."""
        self._commits.set_total(total)
        self._commit_seconds.set_total(seconds)

    def publications(self, counts: Mapping[str, int]) -> None:
        """Set the number of publications by state."""
        for state, count in counts.items():
            self._publications.labels(state).set(count)

    def notifications(self, numbers: Mapping[str, float]) -> None:
        """Set the outbox's counts."""
        if not numbers:
            return
        for state in ("waiting", "dead"):
            self._notifications.labels(state).set(numbers[state])
        self._oldest.set(numbers["oldest_seconds"])
        self._notified.set_total(numbers["delivered"])
        self._alerted.set_total(numbers["alerts"])

    def deleted(self, *, videos: int, size: int) -> None:
        """Set the total number of deleted videos, and their bytes."""
        self._deleted.set_total(videos)
        self._deleted_bytes.set_total(size)

    def server_starts(self, total: int) -> None:
        """Set the total number of started server processes."""
        self._server_starts.set_total(total)

    def server_counters(self, counters: Mapping[str, float]) -> None:
        """Add the increments since the last call; counters that fell come from a new process."""
        for name, value in self._server_counts.changes(counters).items():
            if name in GAUGES:
                self._server_gauges.labels(name).set(value)
                continue
            group, _, rest = name.partition("_")
            families = {"requests": self._server_requests, "errors": self._server_errors}
            family = families.get(group) if rest else None
            counter = self._server.labels(name) if family is None else family.labels(rest)
            counter.inc(value)

    def web_starts(self, total: int) -> None:
        """Set the total number of started HTTP processes."""
        self._web_starts.set_total(total)

    def web_counters(self, counters: Mapping[str, float]) -> None:
        """Add the increments since the last call."""
        for name, value in self._web_counts.changes(counters).items():
            if name in WEB_GAUGES:
                self._web_gauges.labels(name).set(value)
            elif name.startswith("requests_"):
                self._web_requests.labels(name.removeprefix("requests_")).inc(value)
            else:
                self._web.labels(name).inc(value)

    def ready(self, ready: bool) -> None:
        """Set whether the node accepts and renders jobs."""
        self._ready.set(ready)

    def cache_writable(self, writable: bool) -> None:
        """Set whether the cache can be written."""
        self._cache.set(writable)

    def render(self) -> tuple[bytes, str]:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _Total:
    """A counter that follows a total kept elsewhere."""

    def __init__(self, registry: CollectorRegistry, name: str, help_text: str) -> None:
        self._counter = Counter(name, help_text, registry=registry)
        self._seen = 0.0

    def set_total(self, total: float) -> None:
        """Advance the counter to a total; a lower total means that its source restarted from 0."""
        self._counter.inc(total - self._seen if total >= self._seen else total)
        self._seen = total


class _ProcessCounts:
    """The counters that a process reports from its start on, as increments."""

    def __init__(self, gauges: frozenset[str]) -> None:
        self._gauges = gauges
        self._seen: dict[str, float] = {}

    def changes(self, counters: Mapping[str, float]) -> dict[str, float]:
        """Return what each counter has grown by since the last call, and the values of gauges.

        Counters that fell come from a new process, which counts from 0.
        """
        counted = {
            name: float(value)
            for name, value in counters.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        restarted = any(
            value < self._seen.get(name, 0) for name, value in counted.items() if name not in self._gauges
        )
        before = {} if restarted else self._seen
        self._seen = counted
        return {
            name: value if name in self._gauges else max(0.0, value - before.get(name, 0))
            for name, value in counted.items()
        }


class _GpuCollector(Collector):
    """Reads GPU load from NVML at each scrape; reports nothing if there is no NVML."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that NVML is not loaded before the first scrape."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return the load of every GPU."""
        with self._lock:
            loads = gpu_loads()
        if not loads:
            return
        for field, name, words in (
            ("utilization", "video_pipeline_gpu_utilization_ratio", "Share of time with work on the GPU."),
            ("encoder", "video_pipeline_nvenc_utilization_ratio", "Load of the GPU's video encoder."),
            ("sessions", "video_pipeline_nvenc_sessions", "Open NVENC sessions."),
            ("memory_used_bytes", "video_pipeline_gpu_memory_used_bytes", "GPU memory in use."),
            ("memory_bytes", "video_pipeline_gpu_memory_bytes", "GPU memory."),
        ):
            family = GaugeMetricFamily(name, words, labels=["gpu", "name"])
            for load in loads:
                value = getattr(load, field)
                if value is not None:
                    family.add_metric([str(load.index), load.name], float(value))
            yield family
