"""A real Prometheus for tests, if it is installed (Debian's package `prometheus`)."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from tests.support.ports import free_port
from tests.support.waiting import FAST_SECONDS

MISSING = "prometheus is not installed (Debian's package prometheus)"
WORDS = frozenset(
    [
        "abs",
        "absent",
        "and",
        "avg",
        "bool",
        "by",
        "clamp_max",
        "clamp_min",
        "count",
        "histogram_quantile",
        "ignoring",
        "increase",
        "max",
        "min",
        "offset",
        "on",
        "or",
        "predict_linear",
        "rate",
        "sum",
        "topk",
        "unless",
        "vector",
        "without",
    ]
)
"""Functions, operators and keywords of PromQL in the queries of docker/."""


def prometheus_program() -> str | None:
    """Return the program, None if it is not installed."""
    return shutil.which("prometheus")


def selectors(query: str) -> list[tuple[str, str]]:
    """Return the metric and the matchers, `{…}` or empty, of every selector in a query."""
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", query)
    found = re.findall(
        r"\b([a-zA-Z_][\w:]*)\b(?!\s*\()\s*(\{[^}]*\})?", re.sub(r"\[\w+\]", "", _no_text(bare))
    )
    texts = re.findall(r"\{[^}]*\}", bare)
    pairs, number = [], 0
    for name, braces in found:
        matchers = ""
        if braces:
            matchers, number = texts[number], number + 1
        if name not in WORDS and not name.isdigit():
            pairs.append((name, matchers))
    return pairs


def _no_text(query: str) -> str:
    """Return a query whose matchers are empty."""
    return re.sub(r"\{[^}]*\}", "{}", query)


class PrometheusServer:
    """A context manager that scrapes one address each second and evaluates rules."""

    def __init__(self, folder: Path, *, target: str, rules: Sequence[Path]) -> None:
        self._folder = folder
        folder.mkdir()
        self._port = free_port()
        settings: Mapping[str, Any] = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [{"job_name": "video-pipeline", "static_configs": [{"targets": [target]}]}],
        }
        self._file = folder / "prometheus.yaml"
        self._file.write_text(yaml.safe_dump(settings))

    def __enter__(self) -> Self:
        program = prometheus_program()
        assert program is not None
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(program, f"--config.file={self._file}", f"--storage.tsdb.path={self._folder / 'data'}"),
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + FAST_SECONDS
        while time.monotonic() < until:
            try:
                if httpx.get(f"http://127.0.0.1:{self._port}/-/ready", timeout=1).status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.05)
        self.close()
        raise AssertionError((self._folder / "log").read_text(errors="replace")[-4000:])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(timeout=FAST_SECONDS)

    def series(self, query: str) -> list[dict[str, Any]]:
        """Return the series that a query returns now; raise AssertionError with Prometheus' words if it is wrong."""
        got = httpx.get(
            f"http://127.0.0.1:{self._port}/api/v1/query", params={"query": query}, timeout=FAST_SECONDS
        ).json()
        assert got["status"] == "success", f"{query}: {got.get('error')}"
        found: list[dict[str, Any]] = got["data"]["result"]
        return found
