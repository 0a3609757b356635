"""Encode raw frames from a file as the renderer does: one single-thread encoder per segment, joined into one MP4.

This is the time that a render would take if drawing cost nothing. Prints JSON: frames, the seconds of encoding
and joining (without planning) and of the whole program.

    python -m benchmarks.encode_segments STORY FRAMES.yuv -o OUT.mp4 [--preset veryfast] [--crf 21 | --bitrate 8000k]
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402 - the whole program's time counts
import json  # noqa: E402
from collections.abc import Generator  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from benchmarks.machine import cores  # noqa: E402
from benchmarks.planned import add_encoder_options, add_options, planned  # noqa: E402

if TYPE_CHECKING:
    from video_pipeline.engine.render.captions.draw import CaptionArt
    from video_pipeline.engine.render.compositors.base import Compositor
    from video_pipeline.engine.render.compositors.raw_frames import Children
    from video_pipeline.engine.render.planes import Buffer
    from video_pipeline.engine.timeline import Clip, Timeline
    from video_pipeline.engine.timing import FrameRange


@dataclass(frozen=True, slots=True)
class ReadyFrames:
    """A compositor that reads its frames from a yuv420p file, which may hold only the first ones."""

    drawn_by: Compositor
    raw: Path
    name: str = "ready"

    @property
    def timeline(self) -> Timeline:
        """The timeline that the frames show."""
        return self.drawn_by.timeline

    def with_timeline(self, timeline: Timeline) -> Compositor:
        """Return the original compositor of another timeline."""
        return self.drawn_by.with_timeline(timeline)

    def with_captions(self, captions: tuple[CaptionArt, ...]) -> Compositor:
        """Return the original compositor with these captions."""
        return self.drawn_by.with_captions(captions)

    def without_captions(self) -> Compositor:
        """Return the original compositor without captions."""
        return self.drawn_by.without_captions()

    @property
    def frame_bytes(self) -> int:
        """The size of a frame in bytes."""
        return self.timeline.width_px * self.timeline.height_px * 3 // 2

    def identity(self) -> dict[str, Any]:
        """Return a cache key; it is never used because no segment is cached."""
        return {"name": self.name}

    def segments(self) -> tuple[FrameRange, ...]:
        """Return the renderer's segments, cut off at the end of the file."""
        from video_pipeline.engine.timing import FrameRange

        ready = FrameRange(0, self.raw.stat().st_size // self.frame_bytes)
        return tuple(seen for segment in self.drawn_by.segments() if (seen := segment.intersection(ready)))

    def motion_of(self, clip: Clip) -> str | None:
        """Return the kind of motion that a clip's frames were drawn with."""
        return self.drawn_by.motion_of(clip)

    def prepare(self, frames: FrameRange) -> None:
        """Do nothing: the frames exist already."""

    def frames(
        self, wanted: FrameRange, *, threads: int, children: Children
    ) -> Generator[Buffer, None, None]:
        """Yield each frame of a range; all are read into the same array."""
        import numpy as np

        del threads, children
        frame = np.empty((self.timeline.height_px * 3 // 2, self.timeline.width_px), np.uint8)
        with self.raw.open("rb", buffering=0) as file:
            file.seek(wanted.start * self.frame_bytes)
            for number in range(wanted.start, wanted.stop):
                read = file.readinto(frame.data)
                if read != self.frame_bytes:
                    raise RuntimeError(
                        f"{self.raw}: {read} bytes of frame {number}; expected {self.frame_bytes}"
                    )
                yield frame


def main() -> int:
    """Encode the frames of a file and print the seconds it took."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.encode_segments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    parser.add_argument("raw", type=Path, metavar="FRAMES.yuv", help="the story's frames, raw yuv420p")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.mp4")
    parser.add_argument("--workers", type=int, default=cores(), help="segments at a time; default: the cores")
    add_encoder_options(parser)
    options = parser.parse_args()
    from video_pipeline.engine.common.process import return_freed_memory
    from video_pipeline.engine.render.mux import Mp4Writer
    from video_pipeline.engine.render.renderer import render_segments

    return_freed_memory()
    with planned(options) as plan:
        started = time.perf_counter()
        ready = ReadyFrames(plan.frames.compositor, options.raw)
        writer = Mp4Writer(
            options.output,
            fps=plan.frames.timeline.fps,
            title=plan.frames.timeline.title,
            chapters=(),
            audio=None,
        )
        with writer:
            report = render_segments(ready, plan.encoding.settings, writer, workers=options.workers)
        now = time.perf_counter()
        result = {
            "frames": sum(len(segment) for segment in report.segments),
            "segments": len(report.segments),
            "workers": report.workers,
            "working_s": round(now - started, 4),
            "whole_s": round(now - STARTED, 4),
        }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
