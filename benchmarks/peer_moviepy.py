"""Render a workload with MoviePy 2: `peer_moviepy.py JOB.json`, run by the Python of the peers' environment.

`benchmarks.peers.peer_job` defines the job's keys. Each picture is scaled to the frame's size and then zoomed
by a function of time, as in MoviePy's documentation; the scenes overlap and the later one fades in over the
earlier one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from moviepy import CompositeVideoClip, ImageClip, TextClip, vfx  # type: ignore[import-not-found]


def render(job: dict[str, Any]) -> None:
    """Render the job's scenes into its output."""
    width, height = job["size_px"]
    step = job["scene_seconds"] - job["fade_seconds"]
    layers: list[Any] = []

    def zoom(seconds: float) -> float:
        return float(job["start_zoom"] + job["zoom_per_second"] * seconds)

    for index, picture in enumerate(job["pictures"]):
        clip = ImageClip(picture, duration=job["scene_seconds"]).resized((width, height))
        clip = clip.resized(zoom).with_position("center")
        if index and job["fade_seconds"]:
            # The mask of CrossFadeIn does not grow with the picture, so the zoom is cropped to the frame first.
            clip = CompositeVideoClip([clip], size=(width, height), bg_color=(0, 0, 0))
            clip = clip.with_effects([vfx.CrossFadeIn(job["fade_seconds"])])
        layers.append(clip.with_start(index * step))
    for index, caption in enumerate(job["captions"]):
        if caption:
            text = TextClip(
                font=job["font"],
                text=caption,
                font_size=job["font_size_px"],
                color="white",
                stroke_color="black",
                stroke_width=job["stroke_px"],
                margin=(8, 16),
            )
            text = text.with_duration(job["scene_seconds"]).with_start(index * step)
            layers.append(text.with_position(("center", round(height * job["caption_top"]))))

    video = CompositeVideoClip(layers, size=(width, height), bg_color=(0, 0, 0))
    constant_quality = [] if job["bitrate"] else ["-crf", str(job["crf"])]
    video.write_videofile(
        job["output"],
        fps=job["fps"],
        codec="libx264",
        preset=job["preset"],
        bitrate=job["bitrate"],
        ffmpeg_params=[*constant_quality, "-g", str(job["gop_frames"]), "-movflags", "+faststart"],
        audio=False,
        logger=None,
    )


if __name__ == "__main__":
    render(json.loads(Path(sys.argv[1]).read_text()))
