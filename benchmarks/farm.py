"""Measure a render node: how fast it accepts jobs and answers queries, and what it adds to a render.

Every section starts its own node (`video-pipeline serve`, SQLite with synchronous=FULL) in a new folder.

    python -m benchmarks.farm                            every section, into benchmarks/results/farm.*
    python -m benchmarks.farm --sections submit queue    some of them
    python -m benchmarks.farm --quick --keep build/farm  fewer requests, results elsewhere
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import zmq

from benchmarks.farm_load import Clients, Load, fsync_ms, submit_body
from benchmarks.machine import describe_machine
from benchmarks.measure import COMPILED_KEPT, measure
from benchmarks.photographs import photographs
from benchmarks.report import machine_lines, markdown_table
from benchmarks.workload import BUILD
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.model import JobStatus

RESULTS = Path(__file__).resolve().parent / "results"
CLIENTS = 16
STORY_BYTES = 4000
SUBSCRIBERS = 100
VIDEO = {"preset": "veryfast", "crf": 21}


def _free_port() -> int:
    """Return a free port below the range that the system uses for outgoing connections."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Node:
    """A context manager that runs a node in its own process, with all its folders below `folder`."""

    def __init__(self, folder: Path, *, slots: int = 1, prefix: Sequence[str] = (), **node: Any) -> None:
        self.folder, self.slots, self._prefix = folder, slots, tuple(prefix)
        self.port, self.events_port = _free_port(), _free_port()
        self.url = f"tcp://127.0.0.1:{self.port}"
        self.events_url = f"tcp://127.0.0.1:{self.events_port}"
        self._config = folder / "node.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "node": {
                "bind": self.url,
                "events_bind": self.events_url,
                "http_bind": None,
                "state_path": str(folder / "state"),
                "asset_roots": [str(folder)],
                "max_queued": 1_000_000,
                "max_requests_per_second": 1_000_000,
                "min_free_mb": 1,
                **node,
            },
            "storage": {"output_path": str(folder / "videos"), "cache_path": str(folder / "cache")},
        }
        self._config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start the node; return the seconds until it answered, whether or not its workers are ready."""
        started = time.perf_counter()
        with (self.folder / "node.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._prefix,
                    *(sys.executable, "-m", "video_pipeline.engine.cli.main", "serve"),
                    *("--config", str(self._config), "--slots", str(self.slots)),
                ],
                env={**os.environ, **COMPILED_KEPT},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        with NodeClient(self.url, timeout=60, retries=200) as client:
            client.ping()
        return time.perf_counter() - started

    def kill(self) -> None:
        """Kill the node's main process with SIGKILL, as a power cut would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Node:
        self.start()
        return self

    def __exit__(self, *ending: object) -> None:
        assert self._process is not None
        for _ in range(2):  # a second SIGTERM stops the node without waiting for its jobs
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _submits(count: int, *, first: int = 0) -> list[bytes]:
    return [submit_body(STORY_BYTES, first + number) for number in range(count)]


def _latencies(load: Load) -> dict[str, float]:
    return {
        "requests": len(load.latencies_s),
        "refused": load.refused,
        "per_second": round(load.per_second, 1),
        "p50_ms": round(load.quantile_ms(0.5), 2),
        "p99_ms": round(load.quantile_ms(0.99), 2),
    }


def submit_section(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Submit as fast as sixteen clients can, then at half that rate; measure the disk's fsyncs for comparison."""
    disk = fsync_ms(folder / "fsync")
    count = 4000 if quick else 20000
    with Node(folder / "submit") as node:
        clients = Clients(node.url, CLIENTS)
        clients.run(b"submit", _submits(500))
        fast = clients.run(b"submit", _submits(count, first=1000))
        half = fast.per_second / 2
        paced = clients.run(b"submit", _submits(int(half * (3 if quick else 10)), first=100_000), rate=half)
        goal = clients.run(b"submit", _submits(3000 if quick else 10000, first=200_000), rate=1000)
        clients.close()
    after = fsync_ms(folder / "fsync")
    both = sorted(disk + after)
    return {
        "clients": CLIENTS,
        "story_bytes": STORY_BYTES,
        "fsync_per_second": round(1000 / statistics.mean(both), 1),
        "fsync_p50_ms": round(both[len(both) // 2], 3),
        "fsync_p99_ms": round(both[int(0.99 * len(both))], 3),
        "as_fast_as_they_can": _latencies(fast),
        "at_half_of_that": _latencies(paced),
        "at_1000_a_second": _latencies(goal),
    }


def queue_section(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Queue 10,000 jobs, then time `status` requests and a restart after SIGKILL."""
    with Node(folder / "queue") as node:
        clients = Clients(node.url, CLIENTS)
        queued = clients.run(b"submit", _submits(10_000))
        clients.close()
        ids = [json.loads(body)["job_id"] for body in queued.answers]
        one = Clients(node.url, 1)
        asks = [json.dumps({"job_id": job_id}).encode() for job_id in ids[:: 20 if quick else 4]]
        looked_up = one.run(b"status", asks)
        listed = one.run(b"list", [b'{"limit": 100}'] * 200)
        one.close()
        starts = []
        for _ in range(3):
            node.kill()
            starts.append(node.start())
        with NodeClient(node.url) as client:
            left = client.stats().queued
    return {
        "queued": left,
        "status": _latencies(looked_up),
        "list_100": _latencies(listed),
        "start_s": [round(seconds, 2) for seconds in starts],
    }


class Subscribers:
    """Sockets that count events and measure their delay, and one socket that never reads."""

    def __init__(self, url: str, count: int) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, count + 16)
        self._poller = zmq.Poller()
        self.seen = dict.fromkeys(range(count), 0)
        self.delays_s: list[float] = []
        self._number = {}
        for number in range(count):
            subscriber = self._context.socket(zmq.SUB)
            subscriber.linger = 0
            subscriber.subscribe(b"")
            subscriber.connect(url)
            self._number[subscriber] = number
            self._poller.register(subscriber, zmq.POLLIN)
        self._stalled = self._context.socket(zmq.SUB)
        self._stalled.rcvhwm = 1
        self._stalled.subscribe(b"")
        self._stalled.connect(url)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._over.is_set():
            for subscriber, _ in self._poller.poll(100):
                for _ in range(100):
                    try:
                        frames = subscriber.recv_multipart(zmq.NOBLOCK)
                    except zmq.Again:
                        break
                    number = self._number[subscriber]
                    self.seen[number] += 1
                    if number == 0:
                        at = datetime.datetime.fromisoformat(json.loads(frames[2])["at"])
                        self.delays_s.append(time.time() - at.timestamp())

    def close(self) -> None:
        """Stop reading and close the sockets."""
        self._over.set()
        self._thread.join()
        self._context.destroy(0)


def events_section(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Submit jobs while a hundred subscribers read the events and one more never reads."""
    count, rate = (500 if quick else 3000), 200.0
    with Node(folder / "events") as node:
        clients = Clients(node.url, CLIENTS)
        alone = clients.run(b"submit", _submits(count), rate=rate)
        subscribers = Subscribers(node.events_url, SUBSCRIBERS)
        time.sleep(2)
        watched = clients.run(b"submit", _submits(count, first=count), rate=rate)
        deadline = time.monotonic() + 20
        while min(subscribers.seen.values()) < count and time.monotonic() < deadline:
            time.sleep(0.1)
        subscribers.close()
        clients.close()
    delays = sorted(subscribers.delays_s)
    return {
        "subscribers": SUBSCRIBERS,
        "stalled": 1,
        "events": count,
        "events_a_second": rate,
        "least_seen": min(subscribers.seen.values()),
        "delay_p50_ms": round(1000 * delays[len(delays) // 2], 1),
        "delay_p99_ms": round(1000 * delays[int(0.99 * len(delays))], 1),
        "submits_alone": _latencies(alone),
        "submits_with_subscribers": _latencies(watched),
    }


def _story(folder: Path, pictures: Sequence[Path], name: str) -> dict[str, Any]:
    """Return a story of two photographs; its name is in its captions, so no cache holds its segments."""
    return {
        "id": name,
        "title": name,
        "metadata": {"language": "en"},
        "scenes": [
            {
                "scene_id": f"s{index}",
                "text": f"{name}, picture {index}",
                "narration": "",
                "image": str(picture),
                "duration": 5.0,
            }
            for index, picture in enumerate(pictures)
        ],
    }


def _pictures(folder: Path, source: Path | None) -> list[Path]:
    return list(photographs(folder / "pictures", count=2, size_px=(1620, 2880), source=source))


def _wait(client: NodeClient, job_id: str) -> None:
    job = client.wait(job_id, timeout=600)
    if job.status is not JobStatus.COMPLETED:
        raise RuntimeError(f"{job_id} is {job.status}: {job.error_message}")


def overhead_section(folder: Path, *, quick: bool, source: Path | None) -> dict[str, Any]:
    """Measure what a node adds to a job: render similar stories in turn by the command and through a node."""
    pictures = _pictures(folder, source)
    by_command: list[float] = []
    by_node: list[float] = []
    inside: list[float] = []
    home = folder / "overhead"
    with Node(home, slots=1, asset_roots=[str(folder)]) as node, NodeClient(node.url, timeout=60) as client:
        for turn in range(3 if quick else 5):
            story = home / f"hand-{turn}.json"
            story.write_text(json.dumps(_story(folder, pictures, f"hand-{turn}")), encoding="utf-8")
            done = measure(
                [
                    *(sys.executable, "-m", "video_pipeline.engine.cli.main", "render", str(story), "-q"),
                    *("-o", str(home / f"video-{turn}.mp4"), "--preset", "veryfast", "--crf", "21"),
                ],
                environment={**COMPILED_KEPT, "CACHE_PATH": str(home / "cache")},
            )
            started = time.perf_counter()
            submitted = client.submit(_story(folder, pictures, f"node-{turn}"), {"video": VIDEO})
            _wait(client, submitted.job_id)
            seconds = time.perf_counter() - started
            if turn:  # the first render of each kind fills the caches
                by_command.append(done.wall_s)
                by_node.append(seconds)
                result = client.status(submitted.job_id).result or {}
                inside.append(sum(result.get("timings", {}).get(name, 0.0) for name in TIMED))
    extra = [node_s - hand_s for node_s, hand_s in zip(by_node, by_command, strict=True)]
    return {
        "turns": len(extra),
        "by_hand_s": [round(seconds, 3) for seconds in by_command],
        "through_node_s": [round(seconds, 3) for seconds in by_node],
        "stages_inside_the_worker_s": [round(seconds, 3) for seconds in inside],
        "overhead_s": round(statistics.median(extra), 3),
        "overhead_share": round(statistics.median(extra) / statistics.median(by_command), 4),
        "beyond_the_stages_s": round(
            statistics.median(a - b for a, b in zip(by_node, inside, strict=True)), 3
        ),
    }


TIMED = ("check", "assets", "compose", "captions", "render", "outputs")
"""Stages of a render that run one after another."""


def slots_section(folder: Path, *, quick: bool, source: Path | None) -> dict[str, Any]:
    """Render the same number of jobs with one slot on one core, one slot on all cores, and two slots, in turn."""
    pictures = _pictures(folder, source)
    jobs = 4
    pinned = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    kinds: Mapping[str, tuple[int, list[str]]] = {
        "one slot, one core": (1, pinned),
        "one slot, all cores": (1, []),
        "two slots": (2, []),
    }
    per_minute: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(1 if quick else 2):
        for name, (slots, prefix) in kinds.items():
            home = folder / f"slots-{turn}-{name.replace(' ', '-').replace(',', '')}"
            with (
                Node(home, slots=slots, prefix=prefix, asset_roots=[str(folder)]) as node,
                NodeClient(node.url, timeout=60) as client,
            ):
                for warm in [client.submit(_story(folder, pictures, f"warm-{n}")) for n in range(slots)]:
                    _wait(client, warm.job_id)
                started = time.perf_counter()
                submitted = [
                    client.submit(_story(folder, pictures, f"{turn}-{number}"), {"video": VIDEO})
                    for number in range(jobs)
                ]
                for one in submitted:
                    _wait(client, one.job_id)
                per_minute[name].append(60 * jobs / (time.perf_counter() - started))
    medians = {name: statistics.median(values) for name, values in per_minute.items()}
    return {
        "jobs": jobs,
        "jobs_a_minute": {name: [round(v, 2) for v in values] for name, values in per_minute.items()},
        "two_slots_against_one_on_one_core": round(medians["two slots"] / medians["one slot, one core"], 2),
        "two_slots_against_one_on_all_cores": round(medians["two slots"] / medians["one slot, all cores"], 2),
    }


Section = Callable[..., dict[str, Any]]
SECTIONS: Mapping[str, Section] = {
    "submit": submit_section,
    "queue": queue_section,
    "events": events_section,
    "overhead": overhead_section,
    "slots": slots_section,
}
RENDERING = ("overhead", "slots")


def _rows(results: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the report's rows: what was measured, the figure, and the target."""
    if found := results.get("submit"):
        fast, half, goal = (
            found[key] for key in ("as_fast_as_they_can", "at_half_of_that", "at_1000_a_second")
        )
        yield "durable submits a second, 16 clients", f"{fast['per_second']:.0f}", "≥ 2000"
        yield "acknowledged within, p99, at half that pace", f"{half['p99_ms']} ms", "≤ 25 ms"
        yield "the same at 1000 a second", f"{goal['p99_ms']} ms", "≤ 25 ms"
        yield "the disk's own fsyncs a second, one after the other", f"{found['fsync_per_second']:.0f}", ""
    if found := results.get("queue"):
        yield f"`status` with {found['queued']} queued, p99", f"{found['status']['p99_ms']} ms", "≤ 5 ms"
        yield "start with them, after SIGKILL", f"{statistics.median(found['start_s'])} s", "≤ 2 s"
    if found := results.get("events"):
        yield (
            f"events seen by each of {found['subscribers']} subscribers, one more stalled",
            f"{found['least_seen']} of {found['events']}",
            "all",
        )
        yield "an event's way to a subscriber, p99", f"{found['delay_p99_ms']} ms", ""
        alone, watched = found["submits_alone"], found["submits_with_subscribers"]
        yield (
            "acknowledged within, p99, without and with subscribers",
            f"{alone['p99_ms']}, {watched['p99_ms']} ms",
            "",
        )
    if found := results.get("overhead"):
        share = 100 * found["overhead_share"]
        yield (
            "a job through the node beside `render` by hand",
            f"{1000 * found['overhead_s']:+.0f} ms ({share:+.1f} %)",
            "≤ 150 ms or 3 %",
        )
        yield (
            "a job's time beyond the stages of its render",
            f"{1000 * found['beyond_the_stages_s']:.0f} ms",
            "",
        )
    if found := results.get("slots"):
        yield (
            "two slots against one with one core",
            f"{found['two_slots_against_one_on_one_core']} ×",
            "≥ 1.6 ×",
        )
        yield (
            "two slots against one with both cores",
            f"{found['two_slots_against_one_on_all_cores']} ×",
            "",
        )


def report(results: Mapping[str, Any]) -> str:
    """Return the results as Markdown."""
    return "\n\n".join(
        [
            "# Benchmark: farm",
            f"Measured on {results['date']} by `{results['command']}`; docs/measuring.md says how.",
            machine_lines(results["machine"]),
            markdown_table(("", "measured", "aim"), list(_rows(results))) + "\n",
        ]
    )


def main() -> int:
    """Measure the chosen sections, print the report and write it to files."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.farm", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--sections", nargs="+", choices=tuple(SECTIONS), default=tuple(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="fewer requests and jobs")
    parser.add_argument("--photographs", metavar="DIR", type=Path, help="folder of photographs to render")
    parser.add_argument("--keep", metavar="DIR", type=Path, default=RESULTS, help="folder for the results")
    options = parser.parse_args()
    import imageio_ffmpeg

    folder = BUILD / "farm"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    results: dict[str, Any] = {
        "name": "farm",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": "python -m benchmarks.farm" + (" --quick" if options.quick else ""),
        "machine": describe_machine(imageio_ffmpeg.get_ffmpeg_exe()),
    }
    for name in options.sections:
        more = {"source": options.photographs} if name in RENDERING else {}
        results[name] = SECTIONS[name](folder, quick=options.quick, **more)
        print(name, json.dumps(results[name], indent=1), flush=True)
    options.keep.mkdir(parents=True, exist_ok=True)
    (options.keep / "farm.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (options.keep / "farm.md").write_text(report(results), encoding="utf-8")
    print(report(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
