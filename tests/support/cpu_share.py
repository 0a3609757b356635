"""Cores, and shares of a core, for the programs of the machines of a fleet on one computer."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

CONTROLLER: Final = Path("/sys/fs/cgroup/cpu")
"""CPU bandwidth of control groups, version 1."""

PERIOD_US: Final = 10_000


def on_a_core(number: int) -> tuple[str, ...]:
    """Return how the commands of a machine begin that has a core of its own, as long as there are enough."""
    cores = sorted(os.sched_getaffinity(0))
    return ("taskset", "-c", str(cores[number % len(cores)]))


@contextmanager
def cpu_share(name: str, share: float) -> Iterator[tuple[str, ...]]:
    """Give the beginning of commands that take `share` of a core together; raise OSError where that cannot be.

    At the end of the block nothing that was started so may run any more.
    """
    group = CONTROLLER / name
    group.mkdir()
    try:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(round(share * PERIOD_US)))
        yield ("sh", "-c", f'echo 0 > {group}/cgroup.procs && exec "$@"', "sh")
    finally:
        for _ in range(300):  # processes that were killed take a moment to leave it
            with suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)
