"""What a child process on an emulated machine does: draw a timeline by the cuda and by the native compositor.

python -m tests.support.cuda_frames FOLDER MB     prints the outcome as JSON
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.support.video import catalogue, clip_of, numbered_clip, still, timeline_of
from video_pipeline.engine.assets.cube import cube_text
from video_pipeline.engine.assets.footage import probe_footage
from video_pipeline.engine.assets.grades import grade_table
from video_pipeline.engine.assets.progress_bar import prepare_progress
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.caption_looks import LOOKS
from video_pipeline.engine.config.progress_keys import ProgressKeys
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.render.captions.draw import draw_captions
from video_pipeline.engine.render.compositors.cuda import open_cuda
from video_pipeline.engine.render.compositors.native import open_native
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.cuda.painter import GpuPainter
from video_pipeline.engine.render.cuda.painters import GpuPainters
from video_pipeline.engine.story.model import VideoSpec
from video_pipeline.engine.timeline import Caption, Grade, Still, Timeline, Transition, Watermark
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.geometry import Camera, Rect, largest_rect, zoom_about
from video_pipeline.filters.text import Box, TextStyle
from video_pipeline.native import kernels

SIZE_PX = (118, 194)
"""Parts of tiles in both directions; the chroma's height is odd."""

NAMES = [name for name, _ in kernels.transition_records()]


def noisy(path: Path, seed: int, size_px: tuple[int, int]) -> Still:
    """Write a picture of grain over soft shapes."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 256, (9, 5, 3), np.uint8)).resize(
        size_px, Image.Resampling.BICUBIC
    )
    grain = rng.integers(-30, 31, (size_px[1], size_px[0], 3))
    return still(path, np.clip(np.asarray(soft).astype(int) + grain, 0, 255).astype(np.uint8))


def everything(folder: Path) -> Timeline:
    """Return a timeline with every kind of clip, caption, layer, grade and fade, and with every transition."""
    aspect = SIZE_PX[0] / SIZE_PX[1]
    whole = largest_rect(240 / 427, aspect)
    moving = numbered_clip(folder / "clip.mp4", times=[Fraction(number, 25) for number in range(60)])
    footage = probe_footage(moving, VideoSpec(path=str(moving), start=0.3)).footage
    lut = folder / "vivid.cube"
    lut.write_text(cube_text(grade_table("vivid")), encoding="ascii")
    grade = Grade(lut, "vivid", "vivid", 1.0)
    pictures = [noisy(folder / f"{number}.png", number, (240 + 60 * number, 427)) for number in range(4)]
    clips = [
        clip_of(
            pictures[0],
            0,
            30,
            camera=Camera(whole, zoom_about(whole, zoom=1.3, focus=(0.3, 0.7)), "ease_in_out"),
            fade_in_frames=8,
        ),
        clip_of(footage, 20, 60, fade_out_frames=4, grade=grade),
        clip_of(footage, 52, 80, fit="contain", grade=grade),
        clip_of(pictures[1], 80, 100, fit="blur", fade_out_frames=6, grade=grade),
        clip_of(pictures[2], 92, 112, fit="contain"),
    ]
    transitions = [
        Transition("circleopen", 0, FrameRange(20, 30)),
        Transition("hblur", 1, FrameRange(52, 60)),
        Transition("squeezeh", 3, FrameRange(92, 100)),
    ]
    start, closer = 112, Camera(Rect(0.1, 0.05, 0.8, 0.9), zoom_about(whole, zoom=3.1, focus=(0.5, 0.5)))
    clips.append(clip_of(pictures[3], start, start + 6, camera=closer))
    for number, name in enumerate(NAMES):
        begin = start + 4 * number + 3
        clips.append(clip_of(pictures[number % 4], begin, begin + 7, camera=closer if number % 2 else None))
        transitions.append(Transition(name, len(clips) - 2, FrameRange(begin, begin + 3)))
    style = TextStyle(size_px=16)
    boxed = replace(style, box=Box(color=(0, 0, 90, 128), padding_px=6, radius_px=3))
    font = "NotoSans-Bold"
    yellow = (255, 212, 0, 255)
    captions = (
        Caption("a", "pops up", FrameRange(2, 25), style, font, "center", "pop", fade_in_frames=8),
        Caption("b", "typed in a box", FrameRange(22, 58), boxed, font, "bottom", "typewriter"),
        Caption(
            "c",
            "word by word",
            FrameRange(60, 90),
            boxed,
            font,
            "top",
            "none",
            spoken=FrameRange(64, 86),
            highlight=yellow,
        ),
        Caption("d", "slides", FrameRange(90, 112), style, font, "bottom", "slide_up", fade_out_frames=5),
        Caption("e", "fades", FrameRange(112, clips[-1].frames.stop), style, font, "center", "fade"),
        *(
            Caption(
                shown_as,
                "One by one, the words come and go.",
                FrameRange(112 + 60 * number, 168 + 60 * number),
                style,
                font,
                "top",
                "pop",
                spoken=FrameRange(118 + 60 * number, 160 + 60 * number),
                highlight=yellow,
                shown_as=shown_as,
            )
            for number, shown_as in enumerate(LOOKS)
            if shown_as != "block"
        ),
    )
    mark = folder / "mark.png"
    Image.fromarray(np.random.default_rng(9).integers(0, 256, (21, 33, 4), np.uint8)).save(mark)
    timeline = timeline_of(clips, transitions=transitions, size_px=SIZE_PX)
    bar = ProgressKeys(show=True, color="#FF303090", position="top", height=40, segmented=True)
    return replace(
        timeline,
        captions=captions,
        progress=prepare_progress(bar, timeline, cache=ContentCache(folder / "bars")),
        watermark=Watermark(
            path=mark, name="mark.png", sha256="", x_px=71, y_px=5, width_px=33, height_px=21, opacity=0.6
        ),
    )


def main(folder: Path, megabytes: float) -> dict[str, Any]:
    """Draw the timeline both ways, on several threads at once, and compare."""
    timeline = everything(folder)
    cache = ContentCache(folder / "cache")
    art = draw_captions(timeline, fonts=catalogue(), cache=cache, drawtext=False)
    config = load_config({"video": {"compositor": "cuda"}}, environ=False)
    cuda = open_cuda(timeline, art, ffmpeg=find_ffmpeg(), config=config)
    if megabytes < config.video.gpu_memory_mb:  # also less than the configuration allows
        width, height = SIZE_PX
        device = cuda.painters.any().device
        painter = GpuPainter(device, width=width, height=height, bound=int(megabytes * 1e6))
        cuda.painters = GpuPainters(painter, open_device=lambda gpu: device, list_gpus=lambda: ())
    native = open_native(timeline, art, ffmpeg=find_ffmpeg(), config=config)

    def differing(frames: FrameRange) -> list[int]:
        pairs = zip(
            cuda.frames(frames, threads=1, children=Children()),
            native.frames(frames, threads=1, children=Children()),
            strict=True,
        )
        return [int((one != other).sum()) for one, other in pairs]

    def differing_on_gpu(frames: FrameRange) -> list[int]:
        with contextlib.ExitStack() as stack:
            drawn = cuda.gpu_frames(frames, gpu=0, held=1, children=Children(), stack=stack)
            pairs = zip(drawn, native.frames(frames, threads=1, children=Children()), strict=True)
            return [int((one.download() != other).sum()) for one, other in pairs]

    count = timeline.frame_count
    with ThreadPoolExecutor(3) as pool:
        ranges = [FrameRange(start, min(start + 23, count)) for start in range(0, count, 23)]
        wrong = [number for numbers in pool.map(differing, ranges) for number in numbers]
    # Frames that stay in the GPU's memory, which an encoder holds one after another.
    on_gpu = [number for frames in ranges for number in differing_on_gpu(frames)]
    # Ranges that are given up in the middle, and drawn by turns on one thread.
    for stop in (1, 9, 17):
        left = cuda.frames(FrameRange(0, 40), threads=1, children=Children())
        for _ in range(stop):
            next(left)
        left.close()
    by_turns = [
        cuda.frames(FrameRange(at, at + 20), threads=1, children=Children()) for at in (0, 50, 90, 130)
    ]
    kept = [
        hashlib.sha256(b"".join(frame.tobytes() for frame in each)).hexdigest()
        for each in zip(*by_turns, strict=True)
    ]
    again = [
        native.frames(FrameRange(at, at + 20), threads=1, children=Children()) for at in (0, 50, 90, 130)
    ]
    native_kept = [
        hashlib.sha256(b"".join(frame.tobytes() for frame in each)).hexdigest()
        for each in zip(*again, strict=True)
    ]
    bare = cuda.without_captions()
    return {
        "frames": count,
        "compared": len(wrong),
        "wrong": sum(number > 0 for number in wrong),
        "wrong_on_gpu": sum(number > 0 for number in on_gpu),
        "compared_on_gpu": len(on_gpu),
        "by_turns": kept == native_kept,
        "batch": cuda.painters.any().batch_frames,
        "identity": cuda.identity() == native.identity() and bare.identity() == native.identity(),
        "segments": cuda.segments() == native.segments(),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), float(sys.argv[2]))))
