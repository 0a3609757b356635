"""Filters of ffmpeg that also draw on a GPU, timed on frames that stay there: what others would use for this work.

A peer is skipped, with the reason, if this ffmpeg lacks a filter or this machine the device.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SIZE_PX: Final = (1080, 1920)
SOURCE_PX: Final = (1166, 2074)
"""A step of 1.08 source pixels for each of the frame's, as in the workload."""

FRAMES: Final = (60, 660)
"""Two runs: the difference of their times is that of the frames alone."""

RUN_SECONDS: Final = 40.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A filter graph on a GPU: the filters that it needs, the options that open the device, and what differs from ours."""

    name: str
    filters: tuple[str, ...]
    device: tuple[str, ...]
    graph: str
    differs: str


def _still(size_px: tuple[int, int], pix_fmt: str, upload: str, source: str = "testsrc2") -> str:
    """Return a graph of one picture, uploaded once and repeated."""
    width, height = size_px
    picture = f"{source}=s={width}x{height}:r=30:d=0.03"
    return f"{picture},format={pix_fmt},{upload},loop=loop=-1:size=1:start=0,setpts=N/30/TB"


_CUDA: Final = ("-init_hw_device", "cuda=gpu", "-filter_hw_device", "gpu")
_VULKAN: Final = ("-init_hw_device", "vulkan=gpu", "-filter_hw_device", "gpu")
_SCALED: Final = f"{SIZE_PX[0]}:{SIZE_PX[1]}"

PEERS: Final = (
    Peer(
        "scale_cuda + overlay_cuda",
        ("scale_cuda", "overlay_cuda", "hwupload_cuda"),
        _CUDA,
        f"{_still(SOURCE_PX, 'yuv420p', 'hwupload_cuda')},scale_cuda={_SCALED}:interp_algo=bicubic[base];"
        f"{_still((900, 300), 'yuva420p', 'hwupload_cuda', 'color=c=black@0.5')}[over];"
        "[base][over]overlay_cuda=x=90:y=1440[out]",
        "a still scaled to the frame under a caption; no move, which scale_cuda cannot do in parts of a pixel",
    ),
    Peer(
        "xfade_vulkan",
        ("xfade_vulkan", "hwupload"),
        _VULKAN,
        f"{_still(SIZE_PX, 'yuv420p', 'hwupload')}[one];{_still(SIZE_PX, 'yuv420p', 'hwupload', 'testsrc')}[two];"
        "[one][two]xfade_vulkan=transition=fade:duration=600:offset=0[out]",
        "a fade of two pictures of the frame's size; nothing is scaled, no caption",
    ),
    Peer(
        "libplacebo",
        ("libplacebo", "hwupload"),
        _VULKAN,
        f"{_still(SOURCE_PX, 'yuv420p', 'hwupload')},"
        f"libplacebo=w={SIZE_PX[0]}:h={SIZE_PX[1]}:upscaler=catmull_rom:downscaler=catmull_rom:format=yuv420p[out]",
        "a still resampled to the frame, in floating point; no caption",
    ),
)


def time_peers(ffmpeg: Path) -> dict[str, dict[str, Any]]:
    """Return the frames a second of each peer, or why there is none."""
    command = (str(ffmpeg), "-hide_banner", "-filters")
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    known = {line.split()[1] for line in listed.splitlines() if len(line.split()) > 2}
    return {peer.name: {"differs": peer.differs, **_timed(peer, ffmpeg, known)} for peer in PEERS}


def _timed(peer: Peer, ffmpeg: Path, known: set[str]) -> dict[str, Any]:
    missing = [name for name in peer.filters if name not in known]
    if missing:
        return {"skipped": f"this ffmpeg has no {', '.join(missing)}"}
    seconds = []
    for frames in FRAMES:
        taken = _seconds(peer, ffmpeg, frames)
        if isinstance(taken, str):
            return {"skipped": taken}
        seconds.append(taken)
    return {"fps": round((FRAMES[1] - FRAMES[0]) / max(1e-6, seconds[1] - seconds[0]), 1)}


def _seconds(peer: Peer, ffmpeg: Path, frames: int) -> float | str:
    """Return the seconds of a run, or why it failed."""
    command: Sequence[str] = (
        *(str(ffmpeg), "-v", "error", "-nostdin", *peer.device, "-filter_complex", peer.graph),
        *("-map", "[out]", "-frames:v", str(frames), "-f", "null", "-"),
    )
    started = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"ffmpeg did not draw {frames} frames in {RUN_SECONDS:g} s"
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return lines[0] if lines else f"ffmpeg ended with status {done.returncode}"
    return time.perf_counter() - started
