"""Handwritten FFmpeg filter graphs, the common way to make such videos, as a baseline for the engine.

They do not use `filters`, because `filters` is part of what is measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workload import CAPTION_SIZE_PX, CAPTION_STROKE_PX, CAPTION_TOP, Workload, caption_font

RAW = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1")


@dataclass(frozen=True, slots=True)
class Move:
    """A steady camera move that starts at the centre of the picture.

    The scale starts at `start_zoom` (1 fills the frame) and grows by `zoom_per_second` about the centre; the
    view moves right by `pan_px_per_second` frame pixels a second.
    """

    start_zoom: float = 1.0
    zoom_per_second: float = 0.0
    pan_px_per_second: float = 0.0

    @classmethod
    def of(cls, work: Workload) -> Move:
        """Return the zoom that every scene of a workload has."""
        return cls(work.start_zoom, work.zoom_per_second)

    def zoom(self, fps: int, *, counter: str = "on") -> str:
        """Return the FFmpeg expression for the scale at a frame."""
        return f"({self.start_zoom}+{self.zoom_per_second}*{counter}/{fps})"

    def pan(self, fps: int, *, counter: str = "on") -> str:
        """Return the FFmpeg term, with its sign, for the pan at a frame; empty for a pure zoom."""
        return f"+{self.pan_px_per_second}*{counter}/{fps}" if self.pan_px_per_second else ""

    def left(self, time_s: float, *, width_px: int) -> float:
        """Return the view's left edge after `seconds`, as a fraction of the picture's width."""
        zoom = self.start_zoom + self.zoom_per_second * time_s
        return 0.5 - 0.5 / zoom + self.pan_px_per_second * time_s / (width_px * zoom)


def _zoompan(move: Move, *, frames: int, size_px: tuple[int, int], fps: int, oversample: int = 1) -> str:
    width, height = size_px
    pan = f"{move.pan(fps)}*{oversample}/zoom" if move.pan_px_per_second else ""
    return (
        f"zoompan=z='{move.zoom(fps)}':x='iw/2-iw/zoom/2{pan}':y='ih/2-ih/zoom/2'"
        f":d={frames}:s={width}x{height}:fps={fps}"
    )


def zoompan_argv(
    ffmpeg: str, work: Workload, *, oversample: int, pix_fmt: str, move: Move | None = None
) -> list[str]:
    """Return the command that draws a move with zoompan on a picture `oversample` times the frame's size."""
    width, height = work.size_px
    zoompan = _zoompan(
        move or Move.of(work), frames=work.frames, size_px=work.size_px, fps=work.fps, oversample=oversample
    )
    graph = f"scale={width * oversample}:{height * oversample}:flags=bicubic,format={pix_fmt},{zoompan}"
    return _filter_argv(ffmpeg, work, graph)


def perspective_argv(ffmpeg: str, work: Workload, *, pix_fmt: str, move: Move | None = None) -> list[str]:
    """Return the command that draws a move with the perspective filter (cubic) on a picture of the frame's size."""
    move = move or Move.of(work)
    width, height = work.size_px
    zoom = move.zoom(work.fps)
    way = f"{move.pan(work.fps)}/{zoom}" if move.pan_px_per_second else ""
    left, right = f"W/2-W/2/{zoom}{way}", f"W/2+W/2/{zoom}{way}"
    top, bottom = f"H/2-H/2/{zoom}", f"H/2+H/2/{zoom}"
    graph = (
        f"loop=-1:1,scale={width}:{height}:flags=bicubic,format={pix_fmt},perspective=eval=frame:interpolation=cubic"
        f":x0='{left}':y0='{top}':x1='{right}':y1='{top}':x2='{left}':y2='{bottom}':x3='{right}':y3='{bottom}'"
    )
    return _filter_argv(ffmpeg, work, graph)


def _filter_argv(ffmpeg: str, work: Workload, graph: str) -> list[str]:
    first = ("-i", str(work.pictures[0]), "-vf", graph, "-frames:v", str(work.frames))
    return [ffmpeg, "-v", "error", "-nostdin", *first, *RAW]


def quoted(value: object) -> str:
    """Escape a value for a filter option, then quote it for the filter graph."""
    return "'" + re.sub(r"([\\':])", r"\\\1", str(value)).replace("'", r"'\''") + "'"


def zoompan_video_argv(ffmpeg: str, work: Workload, folder: Path) -> tuple[str, ...]:
    """Return the command, without its output, that draws a workload with zoompan, drawtext and xfade.

    Each photograph is scaled to the frame's size and moved, and its caption is drawn on every frame. The
    caption files are written into `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    width, height = work.size_px
    scene_frames = round(work.scene_seconds * work.fps)
    zoompan = _zoompan(Move.of(work), frames=scene_frames, size_px=work.size_px, fps=work.fps)
    chains: list[str] = []
    for number, caption in enumerate(work.captions):
        text = folder / f"caption_{number:03d}.txt"
        text.write_text(caption)
        chains.append(
            f"[{number}:v]scale={width}:{height}:flags=bicubic,setsar=1,format=yuv420p,{zoompan},"
            f"drawtext=textfile={quoted(text)}:expansion=none:fontfile={quoted(caption_font())}"
            f":fontsize={CAPTION_SIZE_PX}:fontcolor=white:borderw={CAPTION_STROKE_PX}:bordercolor=black"
            f":x=(w-text_w)/2:y=h*{CAPTION_TOP}[s{number}]"
        )
    shown = "s0"
    for number in range(1, len(work.captions)):
        offset = number * (work.scene_seconds - work.fade_seconds)
        chains.append(
            f"[{shown}][s{number}]xfade=transition=fade:duration={work.fade_seconds:g}:offset={offset:g}[x{number}]"
        )
        shown = f"x{number}"
    inputs = [argument for picture in work.pictures for argument in ("-i", str(picture))]
    graph = ("-filter_complex", ";".join(chains), "-map", f"[{shown}]")
    return (ffmpeg, "-v", "error", "-nostdin", *inputs, *graph)
