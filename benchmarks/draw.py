"""Draw every frame of a story as the renderer does, without encoding.

One thread per core draws the timeline's segments in parallel. Prints JSON: frames, the seconds of drawing
(with picture decoding, without planning) and of the whole program.

    python -m benchmarks.draw STORY [--size 1080x1920] [--fps 30] [--compositor native]
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402 - the whole program's time counts
import contextlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from benchmarks.machine import cores  # noqa: E402
from benchmarks.planned import add_options, planned  # noqa: E402

if TYPE_CHECKING:
    from video_pipeline.engine.render.compositors.base import Compositor
    from video_pipeline.engine.timing import FrameRange


def draw_video(compositor: Compositor, *, workers: int, raw: Path | None = None) -> int:
    """Draw all segments, `workers` at a time, and return the number of frames drawn.

    If `raw` is given, the frames are written to that file in order, as yuv420p.
    """
    from video_pipeline.engine.render.compositors.raw_frames import Children

    segments = compositor.segments()
    workers = max(1, min(workers, len(segments)))
    threads = max(1, cores() // workers)
    children = Children()
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(workers, "draw") as pool:
        file = stack.enter_context(raw.open("wb")).fileno() if raw else None

        def draw(wanted: FrameRange) -> int:
            count = 0
            for frame in compositor.frames(wanted, threads=threads, children=children):
                if file is not None:
                    os.pwrite(file, frame.data, (wanted.start + count) * frame.nbytes)
                count += 1
            return count

        drawing = [pool.submit(draw, segment) for segment in segments]
        try:
            return sum(future.result() for future in drawing)
        except BaseException:
            children.stop()
            for future in drawing:
                future.cancel()
            raise


def main() -> int:
    """Draw a story and print the seconds it took."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.draw",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    parser.add_argument("--workers", type=int, default=cores(), help="segments at a time; default: the cores")
    parser.add_argument("--raw", type=Path, metavar="FRAMES.yuv", help="write frames here, raw yuv420p")
    parser.add_argument("--rounds", type=int, default=1, help="draw as often; the last time is told")
    options = parser.parse_args()
    from video_pipeline.engine.common.process import return_freed_memory

    return_freed_memory()
    with planned(options) as plan:
        for _ in range(options.rounds):
            started, cpu = time.perf_counter(), time.process_time()
            frames = draw_video(plan.frames.compositor, workers=options.workers, raw=options.raw)
            now, cpu = time.perf_counter(), time.process_time() - cpu
        if frames != plan.frames.timeline.frame_count:
            raise RuntimeError(f"{frames} frames were drawn; expected {plan.frames.timeline.frame_count}")
        result = {
            "compositor": plan.frames.compositor.name,
            "frames": frames,
            "workers": options.workers,
            "working_s": round(now - started, 4),
            "working_cpu_s": round(cpu, 4),
            "whole_s": round(now - STARTED, 4),
        }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
