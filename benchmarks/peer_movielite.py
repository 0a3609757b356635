"""Render a workload with MovieLite: `peer_movielite.py JOB.json`, run by the Python of the peers' environment.

`benchmarks.peers.peer_job` defines the job's keys. Each picture is scaled to the frame's size and then zoomed
by the library's own effect; the later scene fades in over the earlier one. The library's CrossFade is not used,
because it fades both at once, which darkens the middle of the fade and costs more.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from movielite import ImageClip, TextClip, VideoQuality, VideoWriter, vfx  # type: ignore[import-not-found]
from movielite.core import video_writer  # type: ignore[import-not-found]
from pictex import Canvas  # type: ignore[import-not-found]


def fade_in(duration: float) -> Callable[[float], float]:
    """Return the opacity as a function of time."""

    def opacity(seconds: float) -> float:
        return min(1.0, seconds / duration)

    return opacity


def render(job: dict[str, Any]) -> None:
    """Render the job's scenes into its output."""
    width, height = job["size_px"]
    step = job["scene_seconds"] - job["fade_seconds"]
    length = step * len(job["pictures"]) + job["fade_seconds"]
    writer = VideoWriter(job["output"], fps=job["fps"], size=(width, height), duration=length)
    zoom = vfx.ZoomIn if job["zoom_per_second"] >= 0 else vfx.ZoomOut
    end_zoom = job["start_zoom"] + job["zoom_per_second"] * job["scene_seconds"]

    for index, picture in enumerate(job["pictures"]):
        clip = ImageClip(picture, start=index * step, duration=job["scene_seconds"])
        clip.set_size(width=width, height=height)
        clip.add_effect(zoom(job["scene_seconds"], from_scale=job["start_zoom"], to_scale=end_zoom))
        if index and job["fade_seconds"]:
            clip.set_opacity(fade_in(job["fade_seconds"]))
        writer.add_clip(clip)
    for index, caption in enumerate(job["captions"]):
        if caption:
            canvas = Canvas().font_family(job["font"]).font_size(job["font_size_px"]).font_weight(700)
            canvas = canvas.color("white").text_stroke(job["stroke_px"], "black", "outline").padding(8)
            text = TextClip(caption, start=index * step, duration=job["scene_seconds"], canvas=canvas)
            left = round((width - text.size[0]) / 2)
            writer.add_clip(text.set_position((left, round(height * job["caption_top"]))))

    if job["set_crf"]:
        video_writer._get_ffmpeg_libx264_crf = lambda quality: f"{job['crf']:g}"
    writer.write(processes=job["processes"], video_quality=VideoQuality[job["quality"]])


if __name__ == "__main__":
    render(json.loads(Path(sys.argv[1]).read_text()))
