"""Describe the machine of a benchmark: processor, memory, system and versions, without host names or paths."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("av", "numpy", "pillow", "imageio-ffmpeg")


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, {platform.system()} {platform.release()}, {platform.machine()}"


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_machine(ffmpeg: str, *, peers: tuple[str, ...] = ()) -> dict[str, Any]:
    """Describe this machine; `peers` are additional packages as 'name==version'."""
    from video_pipeline import native
    from video_pipeline.engine import __version__

    first_line = subprocess.run(
        [ffmpeg, "-version"], capture_output=True, text=True, check=True
    ).stdout.split("\n")[0]
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "system": _system(),
        "python": platform.python_version(),
        "native": native.target() if native.available() else None,
        "ffmpeg": first_line.partition(" Copyright")[0].removeprefix("ffmpeg version "),
        "packages": {
            "video-pipeline": __version__,
            **{name: metadata.version(name) for name in PACKAGES},
            **dict(peer.split("==", 1) for peer in peers),
        },
        "load_average_before": round(os.getloadavg()[0], 2),
    }
