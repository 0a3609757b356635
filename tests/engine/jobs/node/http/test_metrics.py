"""The metrics of a node in Prometheus' format."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from video_pipeline.engine.jobs.node.http.metrics import Metrics
from video_pipeline.engine.jobs.node.http.prometheus import ERROR_TYPES_MAX, PrometheusMetrics
from video_pipeline.engine.jobs.node.monitor import open_metrics
from video_pipeline.engine.machine.gpu_load import gpu_loads


def values(metrics: Metrics) -> dict[str, float]:
    """Return every sample by its name and labels, as the text format writes them."""
    body, kind = metrics.render()
    assert kind.startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_the_original_counters_exist_before_the_first_job() -> None:
    found = values(PrometheusMetrics(slots=2))
    assert found["videos_generated_total"] == 0
    assert found["video_generation_duration_seconds_count"] == 0
    assert found["active_video_jobs"] == 0
    assert found["video_pipeline_slots"] == 2
    assert found['video_pipeline_queued_jobs{priority="high"}'] == 0


def test_a_finished_job_is_counted_once_everywhere() -> None:
    metrics = PrometheusMetrics()
    metrics.job_started(priority="high", wait_seconds=0.5)
    assert values(metrics)["active_video_jobs"] == 1
    metrics.job_ended(
        outcome="completed",
        seconds=4.0,
        stages={"render": 3.0, "sound": 0.5},
        encoder="libx264",
        segments=5,
        segments_from_cache=2,
    )
    found = values(metrics)
    assert found["active_video_jobs"] == 0
    assert found["videos_generated_total"] == 1
    assert found["video_generation_duration_seconds_sum"] == 4
    assert found['video_pipeline_job_wait_seconds_sum{priority="high"}'] == 0.5
    assert found['video_pipeline_stage_seconds_sum{stage="render"}'] == 3
    assert found['video_pipeline_videos_encoded_total{encoder="libx264"}'] == 1
    assert found['video_pipeline_segments_total{source="cache"}'] == 2
    assert found['video_pipeline_segments_total{source="drawn"}'] == 3
    assert found['video_pipeline_attempts_total{outcome="completed"}'] == 1


def test_a_failed_attempt_is_an_error_of_its_type_and_no_video() -> None:
    metrics = PrometheusMetrics()
    for outcome in ("retrying", "failed"):
        metrics.job_started(priority="normal")
        metrics.job_ended(outcome=outcome, seconds=1, error_type="WorkerKilled")  # type: ignore[arg-type]
    found = values(metrics)
    assert found["videos_generated_total"] == 0
    assert found["video_generation_duration_seconds_count"] == 2
    assert found['video_generation_errors_total{error_type="WorkerKilled"}'] == 2
    assert found['video_pipeline_attempts_total{outcome="retrying"}'] == 1


def test_error_types_without_end_share_a_line() -> None:
    metrics = PrometheusMetrics()
    for number in range(ERROR_TYPES_MAX + 10):
        metrics.job_started(priority="low")
        metrics.job_ended(outcome="failed", seconds=1, error_type=f"Error{number}")
    found = values(metrics)
    assert found['video_generation_errors_total{error_type="other"}'] == 10


def test_the_servers_counters_continue_after_a_restart() -> None:
    metrics = PrometheusMetrics()
    metrics.server_counters({"requests_submit": 5, "errors_BUSY": 1, "bytes_in": 100, "connections_open": 3})
    metrics.server_counters({"requests_submit": 8, "errors_BUSY": 1, "bytes_in": 150, "connections_open": 2})
    metrics.server_starts(1)
    metrics.server_counters({"requests_submit": 2, "connections_open": 1})
    metrics.server_starts(2)
    found = values(metrics)
    assert found['video_pipeline_frontend_requests_total{verb="submit"}'] == 10
    assert found['video_pipeline_frontend_errors_total{code="BUSY"}'] == 1
    assert found['video_pipeline_frontend_total{what="bytes_in"}'] == 150
    assert found['video_pipeline_frontend_now{what="connections_open"}'] == 1
    assert found["video_pipeline_frontend_starts_total"] == 2


def test_totals_counted_by_the_server_process_are_adopted() -> None:
    metrics = PrometheusMetrics()
    for total in (3, 3, 7):
        metrics.commits(total=total, seconds=total / 100)
        metrics.worker_starts(total)
    metrics.queue({"high": 1, "normal": 2, "low": 0})
    metrics.slots(total=2, warm=1)
    metrics.ready(True)
    found = values(metrics)
    assert found["video_pipeline_commits_total"] == 7
    assert found["video_pipeline_commit_seconds_total"] == pytest.approx(0.07)
    assert found["video_pipeline_worker_starts_total"] == 7
    assert found['video_pipeline_queued_jobs{priority="normal"}'] == 2
    assert found["video_pipeline_slots_warm"] == 1
    assert found["video_pipeline_ready"] == 1


def test_two_nodes_of_one_process_do_not_share_metrics() -> None:
    first, second = PrometheusMetrics(), PrometheusMetrics()
    first.job_started(priority="high")
    assert values(second)["active_video_jobs"] == 0


def test_a_machine_without_a_gpu_reports_none_and_no_error() -> None:
    loads = gpu_loads()
    found = values(PrometheusMetrics())
    named = [name for name in found if name.startswith(("video_pipeline_gpu", "video_pipeline_nvenc"))]
    assert bool(named) == bool(loads)


def test_without_prometheus_everything_is_taken_and_nothing_kept() -> None:
    code = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("prometheus_client", "zmq", "msgpack"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Gone())
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "prometheus_client" else find(name, *rest)
from video_pipeline.engine.jobs.node.monitor import open_metrics
metrics = open_metrics(slots=2)
metrics.job_started(priority="high"); metrics.job_ended(outcome="completed", seconds=1)
metrics.queue({"high": 1}); metrics.server_counters({"x": 1}); metrics.ready(True)
assert metrics.render()[0] == b""
import video_pipeline.engine.jobs.embedded.node
assert not {"prometheus_client", "zmq", "msgpack"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_prometheus_is_used_if_it_is_installed() -> None:
    opened: Any = open_metrics(slots=3)
    assert values(opened)["video_pipeline_slots"] == 3


def test_sessions_and_gpus_of_finished_videos_are_counted() -> None:
    metrics = PrometheusMetrics()
    sessions = {"refused": 3, "waited_seconds": 1.5, "by_gpu": {"1": 4}, "lost_gpus": {"0": "gone"}}
    frames = {"segments_in_gpu_memory": 3, "segments_in_host_memory": 1, "reasons": {"little memory": 1}}
    for encoder, fallback, given in (("h264_nvenc", None, sessions), ("libx264", "refused", None)):
        metrics.job_started(priority="normal")
        metrics.job_ended(
            outcome="completed",
            seconds=1,
            encoder=encoder,
            encoder_fallback=fallback,
            encoder_sessions=given,
            encoder_frames=frames if given else None,
        )
    found = values(metrics)
    assert found["video_pipeline_encoder_refused_sessions_total"] == 3
    assert found["video_pipeline_encoder_session_wait_seconds_total"] == 1.5
    assert found["video_pipeline_encoder_lost_gpus_total"] == 1
    assert found['video_pipeline_encoder_fallbacks_total{kind="refused"}'] == 1
    assert found['video_pipeline_encoder_segments_total{memory="gpu"}'] == 3
    assert found['video_pipeline_encoder_segments_total{memory="host"}'] == 1


def test_counters_of_the_http_process_go_on_after_its_restart() -> None:
    metrics = PrometheusMetrics()
    metrics.web_starts(1)
    metrics.web_counters({"requests_200": 5, "requests_404": 1, "bytes_out": 100, "streams_open": 3})
    metrics.web_counters({"requests_200": 7, "requests_404": 1, "bytes_out": 150, "streams_open": 2})
    metrics.web_starts(2)
    metrics.web_counters({"requests_200": 1, "bytes_out": 10, "streams_open": 0})
    found = values(metrics)
    assert found['video_pipeline_http_requests_total{status="200"}'] == 8
    assert found['video_pipeline_http_requests_total{status="404"}'] == 1
    assert found['video_pipeline_http_total{what="bytes_out"}'] == 160
    assert found['video_pipeline_http_now{what="streams_open"}'] == 0
    assert found["video_pipeline_http_starts_total"] == 2


def test_notifications_are_shown_as_the_outbox_counts_them() -> None:
    metrics = PrometheusMetrics()
    metrics.notifications({})
    assert "video_pipeline_notifications_oldest_seconds" in values(metrics)
    metrics.notifications({"waiting": 2, "dead": 1, "oldest_seconds": 7.5, "delivered": 5, "alerts": 3})
    found = values(metrics)
    assert found["video_pipeline_notifications_oldest_seconds"] == 7.5
    assert found["video_pipeline_notifications_delivered_total"] == 5
    assert found["video_pipeline_alerts_sent_total"] == 3


def test_the_head_of_the_queue_and_the_free_space_are_gauges() -> None:
    metrics = PrometheusMetrics()
    assert values(metrics)["video_pipeline_queue_head_seconds"] == 0
    metrics.queue_head(12.5)
    metrics.free_space({"state": 5_000_000_000})
    found = values(metrics)
    assert found["video_pipeline_queue_head_seconds"] == 12.5
    assert found['video_pipeline_free_bytes{folder="state"}'] == 5e9


def test_counts_of_faults_begin_at_0_so_that_the_first_is_an_increase() -> None:
    found = values(PrometheusMetrics())
    assert found['video_pipeline_attempts_total{outcome="failed"}'] == 0
    assert found['video_generation_errors_total{error_type="MachineLost"}'] == 0
    assert found['video_pipeline_encoder_fallbacks_total{kind="machine"}'] == 0
