"""The processors that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

_most_cores: int | None = None


def limit_cores(count: int) -> None:
    """Limit how many processors this process uses, because several rendering processes share the machine."""
    global _most_cores  # noqa: PLW0603 - one limit for the process
    if count < 1:
        raise ValueError(f"cores: got {count}; allowed: at least 1")
    _most_cores = count


def usable_cores() -> tuple[int, ...]:
    """Return the numbers of the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def cpu_count(*, limited: bool = True) -> int:
    """Return the number of processors that this process may use (affinity, cgroup quota and limit counted).

    Without `limited`, return those that it shares with other rendering processes.
    """
    count = len(usable_cores())
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            count = min(count, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return max(1, min(count, (_most_cores if limited else None) or count))
