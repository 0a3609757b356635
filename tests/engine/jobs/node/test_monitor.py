"""A node in operation, seen through its port of health."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.engine.jobs.node.test_cache_check import point
from tests.support.jobs import is_rendering, job_of, long_story, node_process, submit, tiny_story
from tests.support.ports import free_port
from tests.support.process_state import has_ended, stop
from tests.support.server import children_of
from tests.support.waiting import FAST_SECONDS, wait_until

LEASE = 8.0
"""Seconds of silence after which the server is killed: several more than those after which the node is not ready."""


def ask(port: int, path: str) -> tuple[int, str]:
    """Return status and body of a page; status 0 if no server listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=FAST_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def sample(port: int, name: str, **labels: str) -> float:
    """Return the value of one sample, or -1 if it is missing."""
    for family in text_string_to_metric_families(ask(port, "/metrics")[1]):
        for found in family.samples:
            if found.name == name and labels.items() <= found.labels.items():
                return float(found.value)
    return -1.0


def wait_for_sample(value: float, port: int, name: str, **labels: str) -> None:
    """Wait until one sample has a value."""
    wait_until(lambda: sample(port, name, **labels) == value, what=f"{name} {labels} is {value:g}")


def wait_until_gone(*pids: int) -> None:
    wait_until(lambda: all(map(has_ended, pids)), what=f"{pids} have ended")


def test_a_node_reports_its_metrics_health_and_readiness(tmp_path: Path, session_cache: Path) -> None:
    port = free_port()
    with node_process(
        tmp_path, cache=session_cache, node={"http_bind": f"127.0.0.1:{port}", "drain_timeout": 120}
    ) as node:
        wait_until(lambda: ask(port, "/readyz") == (200, '{"ready": true, "reasons": []}\n'), what="ready")
        assert ask(port, "/healthz") == (200, '{"alive": true}\n')
        with node.ledger() as ledger:
            good = submit(ledger, tiny_story())
            bad = submit(ledger, {**tiny_story("bad"), "scenes": [{"scene_id": "a", "font": "No Such Font"}]})
            wait_until(
                lambda: job_of(ledger, good).status.is_terminal and job_of(ledger, bad).status.is_terminal
            )
            for value, name, labels in (
                (1, "videos_generated_total", {}),
                (1, "video_pipeline_attempts_total", {"outcome": "failed"}),
                (1, "video_generation_errors_total", {"error_type": "StoryError"}),
                (2, "video_generation_duration_seconds_count", {}),
                (0, "active_video_jobs", {}),
                (1, "video_pipeline_stage_seconds_count", {"stage": "render"}),
                (1, "video_pipeline_videos_encoded_total", {"encoder": "libx264"}),
                (2, "video_pipeline_job_wait_seconds_count", {"priority": "normal"}),
                (1, "video_pipeline_slots", {}),
                (1, "video_pipeline_slots_warm", {}),
            ):
                wait_for_sample(value, port, name, **labels)
            wait_until(lambda: sample(port, "video_pipeline_segments_total", source="drawn") >= 0)
            wait_until(lambda: sample(port, "video_pipeline_commits_total") >= 5)
            assert 0 < sample(port, "video_pipeline_commit_seconds_total") < 30
            long = submit(ledger, long_story(seconds=600), config={"video": {"compositor": "ffmpeg"}})
            waiting = submit(ledger, tiny_story("waiting"), priority="low")
            wait_for_sample(1, port, "active_video_jobs")
            wait_for_sample(1, port, "video_pipeline_queued_jobs", priority="low")
            wait_until(lambda: is_rendering(ledger, long))
            node.signal(signal.SIGTERM)
            wait_until(lambda: "shutting down" in (told := ask(port, "/readyz"))[1] and told[0] == 503)
            assert ask(port, "/healthz")[0] == 200
            node.signal(signal.SIGTERM)
            node.wait()
            assert job_of(ledger, waiting).status == "queued"
        assert ask(port, "/healthz")[0] == 0


def test_a_restarted_server_is_counted(tmp_path: Path, session_cache: Path) -> None:
    port = free_port()
    with node_process(tmp_path, cache=session_cache, node={"http_bind": f"127.0.0.1:{port}"}) as node:
        wait_until(lambda: ask(port, "/readyz")[0] == 200, what="ready")
        wait_for_sample(1, port, "video_pipeline_frontend_starts_total")
        for starts, writer_alone in ((2, False), (3, True)):
            (server,) = [pid for pid in _server_processes(tmp_path) if children_of(pid)]
            (writer,) = children_of(server)
            os.kill(writer if writer_alone else server, signal.SIGKILL)
            wait_for_sample(starts, port, "video_pipeline_frontend_starts_total")
            wait_until(lambda: ask(port, "/readyz")[0] == 200, what="ready again")
            wait_until_gone(server, writer)
        node.signal(signal.SIGTERM)
        assert node.wait() == 0


@pytest.mark.parametrize("writer_alone", [False, True], ids=["server", "writer"])
def test_a_server_that_hangs_is_reported_and_replaced(
    tmp_path: Path, session_cache: Path, writer_alone: bool
) -> None:
    port = free_port()
    with node_process(
        tmp_path, cache=session_cache, node={"http_bind": f"127.0.0.1:{port}", "lease": LEASE}
    ) as node:
        wait_until(lambda: ask(port, "/readyz")[0] == 200, what="ready")
        (first,) = [pid for pid in _server_processes(tmp_path) if children_of(pid)]
        (writer,) = children_of(first)
        stop(writer if writer_alone else first)
        # It says so only before it kills them.
        wait_until(
            lambda: "the server has not answered" in (told := ask(port, "/readyz"))[1] and told[0] == 503
        )
        wait_for_sample(2, port, "video_pipeline_frontend_starts_total")
        wait_until(lambda: ask(port, "/readyz")[0] == 200, what="ready again")
        wait_until_gone(first, writer)
        assert "killing the server process" in node.log.read_text()
        node.signal(signal.SIGTERM)
        assert node.wait() == 0


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    port = free_port()
    good, bad, disk = tmp_path / "good", tmp_path / "bad", tmp_path / "disk"
    good.mkdir()
    bad.write_text("no folder")
    point(disk, good)
    cache = disk / "cache"
    with node_process(
        tmp_path, environ={"CACHE_PATH": str(cache)}, node={"http_bind": f"127.0.0.1:{port}"}
    ) as node:
        wait_until(lambda: ask(port, "/readyz")[0] == 200, what="ready")
        wait_for_sample(1, port, "video_pipeline_cache_writable")
        point(disk, bad)
        told: list[str] = []

        def is_told() -> bool:
            status, page = ask(port, "/readyz")
            told[:] = json.loads(page).get("warnings", []) if status == 200 else []
            return bool(told)

        wait_until(is_told, what="a warning of a node that is ready")
        (warning,) = told
        assert warning.startswith(f"storage.cache_path: {cache} cannot be written: ")
        wait_for_sample(0, port, "video_pipeline_cache_writable")
        point(disk, good)
        wait_until(lambda: "warnings" not in (page := ask(port, "/readyz")[1]) and page, what="no warning")
        node.signal(signal.SIGTERM)
        assert node.wait() == 0


def _server_processes(folder: Path) -> list[int]:
    """Return the server process of a node and the one that writes its ledger."""
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"video_pipeline.engine.jobs.server.main" in _read(path)
        and str(folder).encode() in _read(path.parent / "environ")
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_port_that_is_taken_ends_the_node_with_its_reason(tmp_path: Path, session_cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bind = f"127.0.0.1:{listener.getsockname()[1]}"
        with node_process(tmp_path, cache=session_cache, node={"http_bind": bind}) as node:
            assert node.wait() == 2
            assert "node.http_bind" in node.log.read_text()
