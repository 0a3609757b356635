"""Run a command and measure it: wall time, processor time and peak memory of its whole process tree."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SAMPLE_SECONDS = 0.1
TREE_SECONDS = 0.5
"""Interval for listing the process tree, which costs more than reading the sizes of its processes.

At half this interval the sampler took 2.6 % of a core from contenders that leave no core idle.
"""


COMPILED_KEPT = {
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(Path(__file__).resolve().parent.parent / "build" / "bench" / "compiled"),
}
"""Environment that keeps compiled modules between runs, as an installed package does."""


class CommandFailedError(RuntimeError):
    """A measured command failed with a non-zero exit code."""

    def __init__(self, argv: Sequence[str], returncode: int, stderr: str) -> None:
        last = "\n".join(stderr.strip().splitlines()[-15:])
        super().__init__(f"exit code {returncode} from {shlex.join(argv)}\n{last}")


@dataclass(frozen=True, slots=True)
class Measurement:
    """Time and memory of one run of a command.

    `cpu_s` is the user and system time of the command and its descendants. `peak_rss_bytes` is the largest
    sum of resident sizes over the process tree, sampled ten times a second; memory shared by several processes
    counts once for each.
    """

    wall_s: float
    cpu_s: float
    peak_rss_bytes: int
    stdout: str


def _descendants(root: int) -> list[int]:
    """Return the process ids of `root` and its descendants."""
    parents: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                # The process name in parentheses may itself contain spaces and parentheses.
                stat = Path(entry.path, "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    tree = [root]
    for process in tree:
        tree.extend(child for child, parent in parents.items() if parent == process)
    return tree


class _MemorySampler(threading.Thread):
    """Samples the resident size of a process tree until stop() is called."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._stopped = threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        tree: list[int] = []
        listed = float("-inf")
        while not self._stopped.wait(SAMPLE_SECONDS):
            if time.monotonic() - listed > TREE_SECONDS:
                tree, listed = _descendants(self._root), time.monotonic()
            self.peak_bytes = max(self.peak_bytes, sum(map(self._resident_bytes, tree)))

    @staticmethod
    def _resident_bytes(process: int) -> int:
        try:
            return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_BYTES
        except (OSError, IndexError):
            return 0

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def measure(argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Measurement:
    """Run `argv` and return its measurement; raise CommandFailedError with its last lines if it fails.

    `environment` is added to this process's environment.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, **COMPILED_KEPT, **(environment or {})},
            start_new_session=True,
        )
        sampler = _MemorySampler(process.pid)
        sampler.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - start
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
        finally:
            sampler.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        if process.returncode != 0:
            raise CommandFailedError(argv, process.returncode, err.read().decode(errors="replace"))
        out.seek(0)
        return Measurement(
            wall_s=wall_s,
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_rss_bytes=sampler.peak_bytes,
            stdout=out.read().decode(errors="replace"),
        )
