"""Fetch large videos from a node: speed beside a bare copy, memory, and how long other clients wait meanwhile.

python -m benchmarks.fetch                      a video of 1000 MB, and four at a time
python -m benchmarks.fetch --megabytes 100      smaller ones

A bare copy is a plain TCP connection over loopback between two processes: one reads the file and sends it, the other
writes, hashes and syncs it, as a client does.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import multiprocessing
import os
import shutil
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.farm import Node
from benchmarks.report import markdown_table
from video_pipeline.engine.jobs.client.client import NodeClient

STORY = {"title": "A light", "scenes": [{"scene_id": "a", "text": "The lamp is lit."}]}
SMALL = {
    "video": {"size": [160, 284], "fps": 24, "preset": "ultrafast", "crf": 30},
    "tts": {"service": "none"},
}
BLOCK_BYTES = 1 << 20
SUBMIT_EVERY_SECONDS = 0.01
FETCHES = 4


def grow_video(result: Mapping[str, Any], size: int) -> Path:
    """Replace the video of a finished job by random bytes, also in its manifest; return its path."""
    video, manifest = Path(result["video_path"]), Path(result["manifest_path"])
    digest = hashlib.sha256()
    with video.open("wb") as file:
        for start in range(0, size, BLOCK_BYTES):
            block = os.urandom(min(BLOCK_BYTES, size - start))
            file.write(block)
            digest.update(block)
    data = json.loads(manifest.read_text(encoding="utf-8"))
    for entry in data["outputs"]:
        if entry["name"] == video.name:
            entry.update(size=size, sha256=digest.hexdigest())
    manifest.write_text(json.dumps(data), encoding="utf-8")
    return video


def _send(port: int, path: Path) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock, path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            sock.sendall(block)


def _bare_copy(path: Path, target: Path) -> float:
    """Copy a file over a plain connection; return the seconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = multiprocessing.Process(target=_send, args=(server.getsockname()[1], path))
        sender.start()
        connection, _ = server.accept()
        began = time.perf_counter()
        digest, block = hashlib.sha256(), bytearray(BLOCK_BYTES)
        with connection, target.open("wb") as file:
            while count := connection.recv_into(block):
                part = memoryview(block)[:count]
                file.write(part)
                digest.update(part)
            file.flush()
            os.fsync(file.fileno())
        seconds = time.perf_counter() - began
        sender.join()
    target.unlink()
    return seconds


def _fetch(url: str, job_id: str, folder: Path, seconds: Any, peak: Any) -> None:
    with NodeClient(url, timeout=30) as client:
        client.ping()
        began = time.perf_counter()
        client.fetch(job_id, folder, files=["video"])
        seconds.value = time.perf_counter() - began
    peak.value = resident(os.getpid(), "VmHWM")


def _fetches(url: str, job_id: str, folder: Path, count: int) -> tuple[list[float], int]:
    """Fetch a video in several processes at a time; return the seconds of each and the largest resident memory."""
    spawn = multiprocessing.get_context("spawn")
    shared = [(spawn.Value("d", 0.0), spawn.Value("q", 0)) for _ in range(count)]
    folders = [folder / f"fetched-{number}" for number in range(count)]
    running = [
        spawn.Process(target=_fetch, args=(url, job_id, into, *values))
        for into, values in zip(folders, shared, strict=True)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert all(process.exitcode == 0 for process in running)
    for into in folders:
        shutil.rmtree(into)
    return [seconds.value for seconds, _ in shared], max(peak.value for _, peak in shared)


class _Submits:
    """Submits jobs for tomorrow one after the other, and measures how long each takes."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._latencies: list[float] = []

    def __enter__(self) -> _Submits:
        self._thread.start()
        return self

    def __exit__(self, *ending: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
        with NodeClient(self._url, timeout=30) as client:
            client.ping()
            while not self._stop.is_set():
                began = time.perf_counter()
                client.submit(STORY, scheduled_for=tomorrow)
                self._latencies.append(time.perf_counter() - began)
                time.sleep(SUBMIT_EVERY_SECONDS)

    def milliseconds(self) -> dict[str, float]:
        """Return the median and the 99th percentile."""
        cuts = statistics.quantiles(self._latencies, n=100)
        return {
            "submits": len(self._latencies),
            "p50_ms": round(1000 * cuts[49], 2),
            "p99_ms": round(1000 * cuts[98], 2),
        }


def _server_pid(url: str) -> int:
    """Return the process that listens at a URL."""
    port = int(url.rpartition(":")[2])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    inodes = {row[9] for row in rows if int(row[1].rpartition(":")[2], 16) == port and row[3] == "0A"}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                links = {os.readlink(link) for link in (entry / "fd").iterdir()}  # noqa: PTH115 - no path
            except OSError:
                continue
            if links & {f"socket:[{inode}]" for inode in inodes}:
                return int(entry.name)
    raise LookupError(f"no process listens at {url}")


def resident(pid: int, key: str) -> int:
    """Return the memory of a process in bytes: `VmRSS` now, `VmHWM` at most since its program started."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split(f"{key}:")[1].split()[0]) * 1024


def run(folder: Path, *, megabytes: int, rounds: int) -> dict[str, Any]:
    """Measure; return the figures."""
    with Node(folder) as node:
        with NodeClient(node.url, timeout=60) as client:
            job_id = client.submit(STORY, SMALL).job_id
            result = client.wait(job_id, 120).result
            assert result is not None
        video = grow_video(result, megabytes * 1_000_000)
        pid = _server_pid(node.url)
        quiet = resident(pid, "VmRSS")
        bare, fetched, peaks = [], [], []
        for _ in range(rounds):
            bare.append(_bare_copy(video, folder / "bare"))
            seconds, peak = _fetches(node.url, job_id, folder, 1)
            fetched += seconds
            peaks.append(peak)
        with _Submits(node.url) as alone:
            time.sleep(5.0)
        with _Submits(node.url) as beside:
            together, peak = _fetches(node.url, job_id, folder, FETCHES)
        return {
            "megabytes": megabytes,
            "bare_s": bare,
            "fetch_s": fetched,
            "ratio": statistics.median(b / f for b, f in zip(bare, fetched, strict=True)),
            "together_s": together,
            "client_peak_mb": round(max(*peaks, peak) / 1e6, 1),
            "server_quiet_mb": round(quiet / 1e6, 1),
            "server_peak_mb": round(resident(pid, "VmHWM") / 1e6, 1),
            "alone": alone.milliseconds(),
            "beside": beside.milliseconds(),
        }


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fetch", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=options.folder) as temporary:
        found = run(Path(temporary), megabytes=options.megabytes, rounds=options.rounds)
    megabytes = found["megabytes"]
    rows = [
        ("bare copy", f"{megabytes / statistics.median(found['bare_s']):.0f} MB/s"),
        ("fetch", f"{megabytes / statistics.median(found['fetch_s']):.0f} MB/s"),
        ("fetch beside bare copy, median of rounds", f"{100 * found['ratio']:.0f} %"),
        (f"{FETCHES} fetches at a time", f"{FETCHES * megabytes / max(found['together_s']):.0f} MB/s"),
        ("client, most memory", f"{found['client_peak_mb']} MB"),
        ("server before, most memory", f"{found['server_quiet_mb']} MB, {found['server_peak_mb']} MB"),
        ("submit alone, p50 and p99", f"{found['alone']['p50_ms']} ms, {found['alone']['p99_ms']} ms"),
        (
            f"submit beside {FETCHES} fetches, p50 and p99",
            f"{found['beside']['p50_ms']} ms, {found['beside']['p99_ms']} ms",
        ),
    ]
    print(json.dumps(found))
    print(markdown_table(("measure", "value"), rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
