"""Compare the HTTP interface of a node with its ZeroMQ one, in one run: submits a second, and bytes of a file.

    python -m benchmarks.http_interface [--seconds 3] [--megabytes 200] [--clients 1 8]

Both go to the same server process, its writer and its ledger, on this machine; no job is rendered. Repeated in turns,
so that other load hits both; the median and the range are printed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.support.finished_jobs import finished_job
from tests.support.server import STORY
from tests.support.web import WebNode, web_config
from video_pipeline.engine.jobs.client.client import NodeClient

TURNS = 3


def rate(make: Callable[[], Callable[[], object]], *, clients: int, seconds: float) -> float:
    """Return the calls a second of some clients at once, each in a thread of its own."""
    counts = [0] * clients
    begin = threading.Barrier(clients + 1)

    def work(number: int) -> None:
        call = make()
        begin.wait()
        while time.monotonic() < until:
            call()
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    until = time.monotonic() + seconds + 60
    for thread in threads:
        thread.start()
    begin.wait()
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def http_submit(node: WebNode) -> Callable[[], object]:
    """Return a call that submits a story over HTTP, on a connection that stays open."""
    client = http.client.HTTPConnection(
        "127.0.0.1", node.port, timeout=30
    )  # takes less time than other clients
    body = json.dumps({"story": STORY})

    def call() -> object:
        client.request("POST", "/jobs", body, {"Content-Type": "application/json"})
        reply = client.getresponse()
        assert reply.status == 201
        return reply.read()

    return call


def zeromq_submit(node: WebNode) -> Callable[[], object]:
    """Return a call that submits a story over ZeroMQ."""
    client = NodeClient(node.requests, timeout=30)
    return lambda: client.submit(STORY)


def processor_seconds(pid: int | None) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def http_file(node: WebNode, job_id: str, size: int) -> float:
    """Return the megabytes a second of a download over HTTP, without writing them."""
    began, got = time.monotonic(), 0
    with httpx.Client(base_url=node.url) as client, client.stream(
        "GET", f"/jobs/{job_id}/files/film.mp4"
    ) as response:  # fmt: skip
        for part in response.iter_raw():
            got += len(part)
    assert got == size
    return size / 1e6 / (time.monotonic() - began)


def zeromq_file(node: WebNode, job_id: str, size: int, folder: Path) -> float:
    """Return the megabytes a second of a fetch over ZeroMQ, which writes the file and checks its SHA-256."""
    began = time.monotonic()
    with NodeClient(node.requests) as client:
        client.fetch(job_id, folder, files=["video"])
    return size / 1e6 / (time.monotonic() - began)


def report(name: str, unit: str, over_http: list[float], zeromq: list[float]) -> None:
    """Print medians, ranges and the ratio."""
    middle = [statistics.median(each) for each in (over_http, zeromq)]
    print(
        f"{name:<28} HTTP {middle[0]:8.0f} {unit} ({min(over_http):.0f} to {max(over_http):.0f})   "
        f"ZeroMQ {middle[1]:8.0f} {unit} ({min(zeromq):.0f} to {max(zeromq):.0f})   ratio {middle[0] / middle[1]:.2f}"
    )


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    options = parser.parse_args()
    size = options.megabytes * 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        config = web_config(Path(folder) / "node", max_requests_per_second=1e9, max_queued=10_000_000)
        with WebNode(config) as node:
            with node.ledger() as ledger:
                job_id = finished_job(ledger, config.storage.output_path, size=size)
            for clients in options.clients:
                over_http, zeromq, spent = [], [], 0.0
                for _ in range(TURNS):
                    before = processor_seconds(node.web.pid)
                    over_http.append(
                        rate(lambda: http_submit(node), clients=clients, seconds=options.seconds)
                    )
                    spent += processor_seconds(node.web.pid) - before
                    zeromq.append(rate(lambda: zeromq_submit(node), clients=clients, seconds=options.seconds))
                report(f"submits, {clients} clients", "/s", over_http, zeromq)
                calls = sum(over_http) * options.seconds
                print(f"{'':<28} the HTTP process takes {spent / calls * 1e3:.2f} ms of a core for each")
            turns = range(TURNS)
            over_http = [http_file(node, job_id, size) for _ in turns]
            zeromq = [zeromq_file(node, job_id, size, Path(folder) / f"got{turn}") for turn in turns]
            report(f"a file of {options.megabytes} MB", "MB/s", over_http, zeromq)


if __name__ == "__main__":
    main()
