"""The loudness of a sound file, as ffmpeg measures it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg


def loudness_of(path: Path) -> tuple[float, float]:
    """Return the integrated loudness (LUFS) and the true peak (dBTP)."""
    argv = [str(find_ffmpeg().path), "-hide_banner", "-nostats", "-i", str(path)]
    argv += ["-af", "ebur128=peak=true:framelog=quiet", "-f", "null", "-"]
    log = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stderr
    (lufs,), (peak,) = (
        re.findall(pattern, log) for pattern in (r"I:\s+(-?[\d.]+) LUFS", r"Peak:\s+(-?[\d.]+|-inf)")
    )
    return float(lufs), float(peak)
