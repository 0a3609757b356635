"""Measure the interpreter's share of the rendering stage's wall time.

Only one thread at a time runs Python, so the processor time of all Python code, over all threads, is the time for
which the interpreter lock was held. This benchmark finds an upper bound for it without instrumenting the code: it
renders the same story with frames of SMALL_PX and x264's SMALL_PRESET, through the same segments, kernels, encoder
calls and joining. Python does as much for a small frame as for a large one, while the work on pixels and bits nearly
vanishes. All processor time of that render counts as Python's; it includes the fixed cost per frame of the kernels,
x264 and the muxer, so the true share is smaller. It runs on one thread, which spends no time on lock handover.

    share = processor seconds of the small render / wall seconds of the real one

The pictures are decoded before both measurements, because that is native work which grows with the photographs.
Start-up and planning come before the stage and appear in the table of stages.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import Settings
from benchmarks.planned import planned
from benchmarks.workload import Workload

if TYPE_CHECKING:
    from video_pipeline.engine.plan import VideoPlan

SMALL_PX, SMALL_PRESET = (16, 16), "ultrafast"


def shrunk(plan: VideoPlan) -> VideoPlan:
    """Return the plan of the same story with frames of SMALL_PX and its captions unchanged."""
    from video_pipeline.engine.render.compositors.choice import load_compositor

    width, height = SMALL_PX
    frames, settings = plan.frames, plan.encoding.settings
    timeline = replace(frames.timeline, width_px=width, height_px=height)
    compositor = load_compositor(frames.compositor.name).open(
        timeline, frames.captions, ffmpeg=frames.ffmpeg, config=frames.config
    )
    return replace(
        plan,
        frames=replace(frames, timeline=timeline, compositor=compositor),
        encoding=replace(
            plan.encoding,
            settings=replace(
                settings,
                width_px=width,
                height_px=height,
                options={**settings.options, "preset": SMALL_PRESET},
            ),
        ),
    )


def _render(plan: VideoPlan, target: Path, *, workers: int | None = None) -> tuple[float, float]:
    """Render a plan without sound; return the stage's wall and processor seconds."""
    from video_pipeline.engine.outputs.thumbnail import FrameWatch
    from video_pipeline.engine.render.mux import Mp4Writer
    from video_pipeline.engine.render.renderer import render_segments

    writer = Mp4Writer(
        target,
        fps=plan.frames.timeline.fps,
        title=plan.frames.timeline.title,
        chapters=(),
        audio=None,
    )
    wall, processor = time.perf_counter(), time.process_time()
    with writer:
        render_segments(
            plan.frames.compositor,
            plan.encoding.settings,
            writer,
            progress=lambda done, total: None,
            on_frame=FrameWatch(()),
            workers=workers,
        )
    return time.perf_counter() - wall, time.process_time() - processor


def measure_python(work: Workload, settings: Settings, *, repeats: int) -> dict[str, Any]:
    """Return both times of each round and the share computed from their medians."""
    options = argparse.Namespace(
        story=work.story,
        size=f"{work.size_px[0]}x{work.size_px[1]}",
        fps=work.fps,
        compositor="auto",
        preset=settings.preset,
        crf=settings.crf,
        bitrate=settings.bitrate,
    )
    walls, small = [], []
    with tempfile.TemporaryDirectory(prefix="video-pipeline-") as folder, planned(options) as plan:
        target = Path(folder, "out.mp4")
        small_plan = shrunk(plan)
        for number in range(repeats + 1):
            wall = _render(plan, target)[0]
            processor = _render(small_plan, target, workers=1)[1]
            if number:  # the first round decodes the pictures
                walls.append(round(wall, 4))
                small.append(round(processor, 4))
        frames = plan.frames.timeline.frame_count
        return {
            "compositor": plan.frames.compositor.name,
            "frames": frames,
            "small_px": SMALL_PX,
            "wall_s": walls,
            "python_s": small,
            "python_us_a_frame": round(1e6 * statistics.median(small) / frames, 1),
            "share": round(statistics.median(small) / statistics.median(walls), 5),
        }
