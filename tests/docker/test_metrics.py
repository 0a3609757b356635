"""The dashboard and the alerts: each query is asked of a real Prometheus that scrapes a real node."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import yaml

from tests.support.emulator import EmulatedDriver
from tests.support.jobs import job_of, node_process, submit, tiny_story
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.prometheus_server import MISSING, PrometheusServer, prometheus_program, selectors
from tests.support.receiver import SECRET, receiver
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline.engine.errors import PipelineError
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.messages import ErrorReply
from video_pipeline.engine.jobs.node.http.metrics import Outcome
from video_pipeline.engine.jobs.node.http.prometheus import LOST_ERRORS, PrometheusMetrics
from video_pipeline.engine.notify.outbox import NoteState
from video_pipeline.engine.publish.states import PublicationState

RECORDING, ALERTS = (ROOT / "docker/prometheus" / f"{name}.yaml" for name in ("recording", "alerts"))
DASHBOARD = ROOT / "docker/grafana/video-pipeline.json"

needs_prometheus = pytest.mark.skipif(prometheus_program() is None, reason=MISSING)
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason=MISSING)


def rules(path: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def dashboard_queries() -> list[str]:
    """Return the dashboard's queries, for every machine."""
    queries = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [query.replace("$instance", ".*") for query in queries]


def all_queries() -> list[str]:
    return [*dashboard_queries(), *(rule["expr"] for path in (RECORDING, ALERTS) for rule in rules(path))]


def of_gpus(metric: str) -> bool:
    return re.match(r"video_pipeline_(gpu|nvenc)_", metric) is not None


@pytest.fixture
def scraped(
    tmp_path: Path, session_cache: Path, request: pytest.FixtureRequest
) -> Iterator[PrometheusServer]:
    """A Prometheus that has seen a node render, fail, publish, tell and answer; with an emulated GPU if there is one."""
    try:
        driver: EmulatedDriver | None = request.getfixturevalue("driver")
    except pytest.skip.Exception:
        driver = None
    health, web = free_port(), free_port()
    share, secret = tmp_path / "share", tmp_path / "secret"
    share.mkdir()
    secret.write_text(SECRET)
    with (
        receiver() as shop,
        node_process(
            tmp_path,
            environ=driver.environment(cards=1) if driver else None,
            node={"http_bind": f"127.0.0.1:{health}"},
            web={"enabled": True, "port": web},
            video={"codec": "libx264"},
            publishing={"accounts": {"folder": {"default": {"path": str(share)}}}},
            notifications={
                "webhooks": {"shop": {"url": shop.url, "secret_file": str(secret), "allow_private": True}}
            },
        ) as node,
        node.ledger() as ledger,
        PrometheusServer(
            tmp_path / "prometheus", target=f"127.0.0.1:{health}", rules=[RECORDING, ALERTS]
        ) as prometheus,
    ):
        node.wait_until_ready()
        wait_until(lambda: prometheus.series("video_pipeline_ready == 1"), what="a scrape")
        wrong = {**tiny_story("wrong"), "scenes": [{"scene_id": "a", "text": "A", "image": "/no/such.png"}]}
        published = {**tiny_story("shown"), "publish": [{"platform": "folder", "title": "A light"}]}
        jobs = [
            submit(ledger, published),
            submit(ledger, tiny_story("again")),
            submit(ledger, tiny_story("again")),
            submit(ledger, wrong, max_attempts=1),
        ]
        for job_id in jobs:
            wait_until(
                lambda job_id=job_id: job_of(ledger, job_id).status.is_terminal, seconds=120, what="the end"
            )
        assert [job_of(ledger, job_id).status for job_id in jobs] == ["completed"] * 3 + ["failed"]
        with NodeClient(str(node.config.node.bind), timeout=2 * FAST_SECONDS) as client:
            client.stats()
            with pytest.raises(PipelineError):
                client.submit(wrong)
        wait_until(lambda: answers(f"http://127.0.0.1:{web}/v1/jobs"), what="an answer by HTTP")
        gpus = ("video_pipeline_gpu_memory_bytes",) if driver else ()
        for name in ("video_pipeline_publications", "video_pipeline_frontend_errors_total", *gpus):
            wait_until(lambda name=name: prometheus.series(name), what=name)
        wait_until(lambda: prometheus.series("video_pipeline:failed:ratio15m > 0"), what="the rules")
        yield prometheus


def answers(url: str) -> bool:
    """Return whether there is an HTTP server that answers, whatever it says."""
    try:
        httpx.get(url, timeout=FAST_SECONDS)
    except httpx.TransportError:
        return False
    return True


def without_series(scraped: PrometheusServer, *, has_gpu: bool) -> list[str]:
    """Return the queries of the dashboard, the recorded names and the selectors of alerts that return nothing now."""
    missing = []
    for query in dashboard_queries():
        if has_gpu or not any(of_gpus(name) for name, _ in selectors(query)):
            missing += [] if scraped.series(query) else [query]
    for rule in rules(RECORDING):
        missing += [] if scraped.series(rule["record"]) else [rule["record"]]
    for rule in rules(ALERTS):
        scraped.series(rule["expr"])  # it is understood
        for name, matchers in selectors(rule["expr"]):
            if has_gpu or not of_gpus(name):
                missing += [] if scraped.series(f"{name}{matchers}") else [f"{name}{matchers}"]
    return missing


@needs_prometheus
def test_every_query_of_the_dashboard_and_of_the_rules_returns_series_of_a_real_node(
    scraped: PrometheusServer,
) -> None:
    has_gpu = bool(scraped.series("video_pipeline_gpu_memory_bytes"))
    # These begin with the first fault.
    late = {
        'video_pipeline_frontend_errors_total{code=~"INTERNAL|STORAGE"}',
        'video_pipeline_publications{state="unknown"}',
    }
    # A rate is of two scrapes, and a rule of what was scraped before it.
    until = time.monotonic() + FAST_SECONDS
    while not set(missing := without_series(scraped, has_gpu=has_gpu)) <= late and time.monotonic() < until:
        time.sleep(0.2)
    assert set(missing) <= late
    assert scraped.series('ALERTS{alertstate="firing"}') == []


def test_every_label_value_in_the_queries_is_one_that_the_engine_gives() -> None:
    known = {
        "outcome": set(get_args(Outcome)),
        "state": {str(state) for state in PublicationState} | set(get_args(NoteState)),
        "kind": {"refused", "machine"},
        "source": {"drawn", "cache"},
        "error_type": set(LOST_ERRORS),
        "code": set(get_args(ErrorReply.model_fields["code"].annotation)),
        "what": {"connections_open"},
        "job": {"video-pipeline"},
        "instance": {".*"},
    }
    for query in all_queries():
        for _, matchers in selectors(query):
            for label, values in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
                assert set(values.split("|")) <= known[label], f"{query}: {label}"
    for query in all_queries():
        for labels in re.findall(r"\bby \(([^)]*)\)", query):
            for label in re.findall(r"\w+", labels):
                assert label in {*known, "le", "priority", "stage", "encoder", "verb", "status"}, query


def test_every_metric_in_the_queries_is_one_that_a_node_has() -> None:
    text = PrometheusMetrics().render()[0].decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    names = set(kinds) | {
        f"{name}_{part}"
        for name, kind in kinds.items()
        if kind == "histogram"
        for part in ("bucket", "sum", "count")
    }
    names |= {rule["record"] for rule in rules(RECORDING)} | {"up"}
    documented = (ROOT / "docs/node.md").read_text(encoding="utf-8")
    for query in all_queries():
        for name, _ in selectors(query):
            gpu = of_gpus(name) and f"`{name}" in documented
            assert name in names or gpu, f"{query}: {name}"


def test_every_panel_has_its_place_and_an_id_of_its_own() -> None:
    found = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    taken: set[tuple[int, int]] = set()
    for panel in found:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["targets"], panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)


@needs_promtool
def test_the_rules_and_the_settings_of_prometheus_are_right() -> None:
    subprocess.run(["promtool", "check", "rules", RECORDING, ALERTS], check=True, capture_output=True)
    subprocess.run(
        ["promtool", "check", "config", ROOT / "docker/prometheus/prometheus.yaml"],
        check=True,
        capture_output=True,
    )


@needs_promtool
def test_each_alert_fires_in_its_case_and_none_while_all_is_well(tmp_path: Path) -> None:
    cases = Path(__file__).with_name("alerts.test.yaml").read_text(encoding="utf-8")
    file = tmp_path / "cases.yaml"
    file.write_text(cases.replace("[RECORDING, ALERTS]", json.dumps([str(RECORDING), str(ALERTS)])))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    fired = set(re.findall(r'alertname="(\w+)"', cases))
    assert fired == {rule["alert"] for rule in rules(ALERTS)}


def test_every_command_that_an_alert_names_exists() -> None:
    from video_pipeline.engine.cli.main import COMMANDS

    for rule in rules(ALERTS):
        assert {"summary", "action"} == set(rule["annotations"])
        for words in re.findall(r"`video-pipeline (\w[\w-]*)", rule["annotations"]["action"]):
            assert words in COMMANDS, rule["alert"]
