"""Measure the quality of an encoded clip with the ffmpeg program: VMAF, XPSNR, SSIM and PSNR against its frames."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.errors import RenderingError, SubprocessError, UnavailableError
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram, ffmpeg_programs
from video_pipeline.engine.tuning.material import RawClip
from video_pipeline.filters.color import tag_bt709
from video_pipeline.filters.graph import Stream, argv, merge, open_input

Metric = Literal["vmaf", "xpsnr", "ssim", "psnr"]
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)

FILTERS: Final[dict[Metric, str]] = {"vmaf": "libvmaf", "xpsnr": "xpsnr", "ssim": "ssim", "psnr": "psnr"}

MODELS: Final = "version=vmaf_v0.6.1:name=vmaf|version=vmaf_v0.6.1:name=phone:enable_transform=true"
"""VMAF for a screen, and for a phone's: the same model with its score transformed."""

EQUAL_DB: Final = 100.0
"""XPSNR and PSNR of equal frames, which have no finite one."""

LOG: Final = "vmaf.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The quality of an encoded clip; None for what was not asked for. Names as in records.Measurement."""

    vmaf: float | None = None
    vmaf_harmonic: float | None = None
    vmaf_p1: float | None = None
    vmaf_phone: float | None = None
    xpsnr_y: float | None = None
    ssim: float | None = None
    psnr_y: float | None = None
    worst_frame: int | None = None


def find_measuring_ffmpeg(metrics: Sequence[Metric], memory: ContentCache | None = None) -> FfmpegProgram:
    """Return the newest ffmpeg program that has the filters of all metrics; raise UnavailableError."""
    programs = ffmpeg_programs(memory)
    wanted = {FILTERS[metric] for metric in metrics}
    usable = [program for program in programs if wanted <= program.filters]
    if usable:
        return max(usable, key=lambda program: program.release)
    lacks = "; ".join(f"{each.path} lacks {', '.join(sorted(wanted - each.filters))}" for each in programs)
    raise UnavailableError(
        f"no ffmpeg program measures {', '.join(metrics)}: {lacks or 'none was found'}; "
        "`pip install imageio-ffmpeg` brings one that does"
    )


def measure_quality(
    ffmpeg: FfmpegProgram, encoded: Path, clip: RawClip, *, metrics: Sequence[Metric], every: int = 1
) -> Quality:
    """Compare an encoded clip with its frames in one run of ffmpeg.

    VMAF is that of every `every`-th frame; the other metrics, which cost little, are of all. Raises RenderingError if the
    video has another number of frames, and SubprocessError.
    """
    if not metrics:
        return Quality()
    with tempfile.TemporaryDirectory(prefix="video-pipeline-") as folder:
        command = _measuring_command(ffmpeg.path, encoded, clip, metrics=metrics, every=every)
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SubprocessError(
                f"clip {clip.name!r}: its quality could not be measured",
                argv=command,
                returncode=done.returncode,
                stderr=done.stderr,
            )
        if compared := re.findall(r"frame= *(\d+)", done.stderr):
            _check_count(clip, int(compared[-1]))
        scores = json.loads(Path(folder, LOG).read_text()) if "vmaf" in metrics else None
    return _quality_in(done.stderr, scores)


def _measuring_command(
    program: Path, encoded: Path, clip: RawClip, *, metrics: Sequence[Metric], every: int
) -> list[str]:
    main = _numbered(open_input(encoded, demuxer="mov"), clip)
    size = f"{clip.width_px}x{clip.height_px}"
    raw = open_input(clip.path, demuxer="rawvideo", s=size, pixel_format="yuv420p", framerate=clip.fps)
    references = _numbered(raw, clip).split(len(metrics))
    for metric, reference in zip(metrics, references, strict=True):
        if metric == "vmaf":
            main = merge(
                "libvmaf",
                (main, reference),
                model=MODELS,
                log_fmt="json",
                log_path=LOG,
                n_subsample=every,
                n_threads=cpu_count(),
            )
        else:
            main = merge(FILTERS[metric], (main, reference))
    quiet = ("-hide_banner", "-nostdin", "-nostats", "-stats_period", "3600", "-v", "info")
    return argv(program, [main], "-", global_options=quiet, f="null", fps_mode="passthrough")


def _numbered(stream: Stream, clip: RawClip) -> Stream:
    """Return a stream whose time stamps count its frames, so that the frames of both sides meet by number."""
    return tag_bt709(stream.filter("settb", 1 / clip.fps).filter("setpts", "N"))


def _check_count(clip: RawClip, frames: int) -> None:
    if frames != clip.frames:
        raise RenderingError(f"clip {clip.name!r}: the encoded video has {frames} frames, not {clip.frames}")


def _quality_in(log: str, scores: dict[str, Any] | None) -> Quality:
    """Return what the lines of a log and the frames of VMAF's say."""
    quality = Quality(
        xpsnr_y=_decibels(log, r"XPSNR +y: *(\S+)"),
        ssim=_last_number(log, r"SSIM .*All:(\S+)"),
        psnr_y=_decibels(log, r"PSNR y:(\S+)"),
    )
    if scores is None:
        return quality
    frames = {frame["frameNum"]: frame["metrics"] for frame in scores["frames"]}
    vmaf = {number: float(of_frame["vmaf"]) for number, of_frame in frames.items()}
    return replace(
        quality,
        vmaf=statistics.fmean(vmaf.values()),
        # libvmaf's harmonic mean, which a score of 0 does not end.
        vmaf_harmonic=len(vmaf) / sum(1 / (score + 1) for score in vmaf.values()) - 1,
        vmaf_p1=percentile(sorted(vmaf.values()), 0.01),
        vmaf_phone=statistics.fmean(float(of_frame["phone"]) for of_frame in frames.values()),
        worst_frame=min(vmaf, key=lambda number: (vmaf[number], number)),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which a share of sorted values lies, between two of them in proportion."""
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def _last_number(log: str, pattern: str) -> float | None:
    found = re.findall(pattern, log)
    return float(found[-1]) if found else None


def _decibels(log: str, pattern: str) -> float | None:
    value = _last_number(log, pattern)
    return value if value is None else min(value, EQUAL_DB)
