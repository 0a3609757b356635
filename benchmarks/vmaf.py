"""VMAF of a video against raw frames, by the ffmpeg program's libvmaf."""

from __future__ import annotations

import json
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Final

FEATURES: Final = (
    "integer_adm2",
    *(f"integer_vif_scale{scale}" for scale in range(4)),
    "integer_motion2",
)
"""What VMAF combines, by its names in libvmaf's log."""

TAGS: Final = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
"""Equal colour tags: ffmpeg would convert one of two inputs whose tags differ, and the scores would be too low."""


def ffmpeg_with_libvmaf() -> Path | None:
    """Return the first ffmpeg program with the filter libvmaf, None if there is none."""
    from video_pipeline.engine.machine.ffmpeg_program import ffmpeg_programs

    return next((program.path for program in ffmpeg_programs() if "libvmaf" in program.filters), None)


def measure_vmaf(
    video: Path, raw: Path, *, size_px: tuple[int, int], fps: Fraction, every: int = 1
) -> list[dict[str, float]]:
    """Return libvmaf's log of every n-th frame of a video: its number, the features, and `vmaf`.

    `raw` has the frames before encoding as yuv420p. Raises RuntimeError without libvmaf.
    """
    program = ffmpeg_with_libvmaf()
    if program is None:
        raise RuntimeError("no ffmpeg program has the filter libvmaf; imageio-ffmpeg 0.8.1 has one that does")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log.json")
        same = f"settb={fps.denominator}/{fps.numerator},setpts=N,{TAGS}"
        graph = f"[0:v]{same}[a];[1:v]{same}[b];[a][b]libvmaf=n_threads=1:n_subsample={every}:log_fmt=json"
        size = f"{size_px[0]}x{size_px[1]}"
        rate = f"{fps.numerator}/{fps.denominator}"
        command: list[str | Path] = [
            *(program, "-v", "error", "-threads", "1", "-i", video),
            *("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", rate, "-i", raw),
            *("-filter_complex_threads", "1", "-lavfi", f"{graph}:log_path={log}", "-f", "null", "-"),
        ]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        frames = json.loads(log.read_text())["frames"]
    return [
        {"frame": frame["frameNum"], **{name: frame["metrics"][name] for name in (*FEATURES, "vmaf")}}
        for frame in frames
    ]
