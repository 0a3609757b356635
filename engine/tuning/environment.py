"""What a run was made on: the machine, without host names and paths, and versions."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from video_pipeline import native
from video_pipeline.engine import __version__
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram
from video_pipeline.engine.machine.gpus import gpus
from video_pipeline.engine.render.segment_key import encoding_versions


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, memory, system, GPUs and the load before the run."""
    return {
        "cpu": _cpu_model(),
        "cores": cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "gpus": [f"{gpu.name}, driver {gpu.driver}" for gpu in gpus()[0]],
        "load_before": round(os.getloadavg()[0], 2),
    }


def describe_versions(encoders: Iterable[str], ffmpeg: FfmpegProgram | None) -> dict[str, Any]:
    """Return the versions that encoded bytes, speed and metrics depend on."""
    return {
        "video_pipeline": __version__,
        "python": platform.python_version(),
        "native": native.target() if native.available() else None,
        "ffmpeg": ffmpeg.version.partition(" Copyright")[0] if ffmpeg else None,
        "encoders": {name: encoding_versions(name) for name in encoders},
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
