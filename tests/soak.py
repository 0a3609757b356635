"""Kill a render node and its parts again and again while it works, and audit what is left.

    python -m tests.soak --kills 200               also: make soak
    python -m tests.soak --kills 20 --seed 7 --folder /tmp/soak

A node renders short stories that several clients submit; some they submit twice, some they cancel. Meanwhile the node,
its server, its guard and its workers are killed at random moments or stopped for longer than their lease; the cache is
emptied; pictures, fonts and folders that stories name are replaced all the time, once in a while with a link out of
the asset root; rows of queued jobs are overwritten; and the state disk, a small one if this machine can mount it, is
full for seconds. In the end every acknowledged job must be in exactly one terminal state with at most one published
output, each key must have one job, each video must show the files that its manifest names, and no process or temporary
folder may be left. Exit status 1 if that does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.audit import assert_sound, processes_of
from tests.support.damage import SwappedFiles, damage_row, full_disk
from tests.support.disks import mounted
from tests.support.jobs import NodeProcess, node_settings, tiny_story
from tests.support.waiting import wait_until
from video_pipeline.engine.errors import PipelineError
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger

PARTS = {
    "server": "video_pipeline.engine.jobs.server.main",
    "guard": "video_pipeline.engine.jobs.dispatch.guard",
    "worker": "video_pipeline.engine.jobs.dispatch.worker",
}
VICTIMS = (
    *("node", "node", "server", "server", "guard", "worker", "worker", "worker"),
    *("stopped worker", "stopped server", "stopped guard", "cache", "row", "row", "full disk"),
)
"""Chosen from evenly: named more than once, more often."""
STATE_DISK_MB = 128
FULL_SECONDS = (0.5, 3.0)
SWAPPED_SHARE = 0.3
"""Share of the stories that use files which are swapped."""
LEASE_SECONDS = 3.0
CLIENTS = 3
QUEUE = 24
"""Jobs that clients keep waiting; the end takes as long as it takes to render these."""
END_SECONDS = 600.0


@dataclass
class Book:
    """The job that clients got for each key. A key must always get the same job.

    `swapped` are the jobs whose files are swapped, `damaged` those whose row was overwritten, and with what.
    """

    jobs: dict[str, str] = field(default_factory=dict)
    swapped: set[str] = field(default_factory=set)
    damaged: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledged(self, key: str, job_id: str) -> None:
        """Note an acknowledgement."""
        with self.lock:
            self.counts["acknowledgements"] += 1
            if self.jobs.setdefault(key, job_id) != job_id:
                self.faults.append(f"key {key}: acknowledged as {self.jobs[key]} and as {job_id}")


class Upstream(threading.Thread):
    """A client that submits stories, sometimes twice, and sometimes cancels one."""

    def __init__(
        self, url: str, book: Book, files: SwappedFiles, rng: random.Random, over: threading.Event
    ) -> None:
        super().__init__(daemon=True)
        self._url, self._book, self._files, self._rng, self._over = url, book, files, rng, over
        self.error: BaseException | None = None

    def run(self) -> None:
        """Submit stories until the soak ends."""
        try:
            with NodeClient(self._url, timeout=30, retries=60) as client:
                while not self._over.is_set():
                    with suppress(PipelineError):  # not acknowledged: nothing was promised
                        self._one(client)
                    self._over.wait(self._rng.uniform(0, 0.3))
        except BaseException as error:
            self.error = error

    def _one(self, client: NodeClient) -> None:
        if client.stats().queued >= QUEUE:
            self._over.wait(0.3)
            return
        key = f"key-{secrets.token_hex(8)}"
        swapped = self._rng.random() < SWAPPED_SHARE
        if swapped:
            story = self._files.story(f"s-{key[-6:]}")
        else:
            story = tiny_story(f"s-{key[-6:]}", seconds=self._rng.choice((0.3, 0.8, 2.0)), text=key[-6:])
        options: dict[str, Any] = {"key": key, "priority": self._rng.choice(("high", "normal", "low"))}
        for _ in range(self._rng.choice((1, 1, 2, 3))):
            told = client.submit(story, **options)
            self._book.acknowledged(key, told.job_id)
            if swapped:
                self._book.swapped.add(told.job_id)
        if self._rng.random() < 0.15:
            self._over.wait(self._rng.uniform(0, 2))
            client.cancel(told.job_id)
            self._book.counts["cancels that were answered"] += 1


class Soak:
    """A node, its clients, and the thread that kills them."""

    def __init__(
        self, folder: Path, *, seed: int, cache: Path | None = None, say: Callable[[str], None]
    ) -> None:
        self._rng = random.Random(seed)
        self._say = say
        settings = node_settings(
            folder,
            cache=cache,
            processing={"max_concurrent_jobs": 2, "retry_attempts": 6, "job_timeout": 60},
            node={
                "lease": LEASE_SECONDS,
                "bind": f"ipc://{folder / 'node.sock'}",
                "asset_roots": [str(folder / "assets")],
            },
        )
        self._over = threading.Event()
        self._files = SwappedFiles(
            folder / "assets", folder / "outside", seed=self._rng.randrange(1 << 32), over=self._over
        )
        self.node = NodeProcess(folder, settings)
        self.folders = Folders.of(self.node.config)
        self.book = Book()
        self.kills: Counter[str] = Counter()

    def run(self, kills: int) -> dict[str, Any]:
        """Kill the given number of times, let all jobs end, audit; return the figures. Raises AssertionError."""
        with mounted(self.folders.state, f"size={STATE_DISK_MB}m") as self._small:
            if not self._small:
                self._say("no small disk can be mounted here: the state disk is never full")
            return self._run(kills)

    def _run(self, kills: int) -> dict[str, Any]:
        began, over = time.monotonic(), self._over
        self.node.start()
        self._files.start()
        url = self.node.config.node.bind
        clients = [
            Upstream(url, self.book, self._files, random.Random(self._rng.random()), over)
            for _ in range(CLIENTS)
        ]
        try:
            with NodeClient(url, timeout=60, retries=100) as client:
                client.ping()
            for client_thread in clients:
                client_thread.start()
            while sum(self.kills.values()) < kills:
                time.sleep(self._rng.uniform(0.1, 4.0))
                self._kill_one()
            over.set()
            self._files.join(60)
            for client_thread in clients:
                client_thread.join(60)
                assert client_thread.error is None, client_thread.error
            rendered_until = time.monotonic()
            with self.node.ledger() as ledger:
                wait_until(lambda: self._all_ended(ledger), seconds=END_SECONDS, what="every job ended")
                states = Counter(str(ledger.jobs.get(job_id).status) for job_id in self.book.jobs.values())  # type: ignore[union-attr]
                attempts = Counter(ledger.jobs.get(job_id).fence for job_id in self.book.jobs.values())  # type: ignore[union-attr]
            self.node.wait_until_ready()
            self.node.signal(signal.SIGTERM)
            assert self.node.wait(seconds=60) == 0
        finally:
            over.set()
            self.node.kill()
        assert not self.book.faults, "\n".join(self.book.faults)
        assert_sound(self.folders, self.book.jobs.values(), damaged=self.book.damaged)
        shown = [
            (job_id, self.folders.published(job_id))
            for job_id in sorted(self.book.swapped)
            if self.folders.published(job_id).is_dir()
        ]
        faults = self._files.faults(iter(shown))
        assert not faults, "\n".join(faults)
        return {
            "kills": dict(self.kills),
            "acknowledged_jobs": len(self.book.jobs),
            **self.book.counts,
            "swaps": self._files.swaps,
            "videos of swapped files": len(shown),
            "damaged rows": self.book.damaged,
            "states": dict(states),
            "fences": {str(fence): count for fence, count in sorted(attempts.items())},
            "seconds": round(time.monotonic() - began, 1),
            "seconds_after_the_last_kill": round(time.monotonic() - rendered_until, 1),
        }

    def _all_ended(self, ledger: Ledger) -> bool:
        counts = ledger.jobs.counts()
        if not any(counts.get(status, 0) for status in ("queued", "processing")):
            return True
        time.sleep(0.2)
        return False

    def _kill_one(self) -> None:
        victim = self._rng.choice(VICTIMS)
        if victim == "node":
            self.node.kill()
            time.sleep(self._rng.choice((0.0, 0.0, 0.3)))
            self.node.start()
        elif victim == "cache":
            for place, _, names in os.walk(self.node.config.cache_dir()):  # a folder may be gone by now
                for name in names:
                    with suppress(OSError):
                        Path(place, name).unlink()
        elif victim == "row":
            if not self._damage_row():
                return
        elif victim == "full disk":
            if not self._small:
                return
            with full_disk(self.folders.state):
                time.sleep(self._rng.uniform(*FULL_SECONDS))
        else:
            part = PARTS[victim.removeprefix("stopped ")]
            found = [pid for pid, command in processes_of(self.folders.state).items() if part in command]
            if not found:
                return
            pid = self._rng.choice(found)
            number = signal.SIGSTOP if victim.startswith("stopped") else signal.SIGKILL
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
        self.kills[victim] += 1
        self._say(f"{sum(self.kills.values())}: {victim}; {len(self.book.jobs)} jobs acknowledged")

    def _damage_row(self) -> bool:
        with self.book.lock:
            open_jobs = sorted(set(self.book.jobs.values()) - self.book.damaged.keys())
        self._rng.shuffle(open_jobs)
        for job_id in open_jobs:
            if what := damage_row(self.folders.ledger, job_id, self._rng):
                self.book.damaged[job_id] = what
                return True
        return False


def main() -> int:
    """Soak and print the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    parser.add_argument("--folder", type=Path, help="default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print(f"seed {options.seed}", flush=True)
        soak = Soak(folder, seed=options.seed, say=lambda line: print(line, flush=True))
        try:
            figures = soak.run(options.kills)
        except AssertionError as error:
            print(soak.node.log.read_text(errors="replace")[-6000:], file=sys.stderr)
            print(f"seed {options.seed}: {error}", file=sys.stderr)
            return 1
    print(json.dumps({"seed": options.seed, **figures}, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
