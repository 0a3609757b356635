"""Number and cut the frames of a stream at an exact rate."""

from __future__ import annotations

from fractions import Fraction

from video_pipeline.filters.graph import Stream


def retime(stream: Stream, offset: int = 0, *, fps: Fraction) -> Stream:
    """Number frames from `offset` at `fps`, so that rounding in filters cannot accumulate."""
    expression = f"N+{offset}" if offset else "N"
    return stream.filter("settb", 1 / fps).filter("setpts", expression)


def trim(stream: Stream, start: int, stop: int, *, fps: Fraction) -> Stream:
    """Cut frames `start` to `stop` (exclusive) and number them from 0 at `fps`."""
    return retime(stream.filter("trim", start_frame=start, end_frame=stop), fps=fps)


def repeat(stream: Stream, count: int, *, fps: Fraction) -> Stream:
    """Show the only frame of a stream `count` times, numbered from 0 at `fps`."""
    if count > 1:
        stream = stream.filter("loop", loop=count - 1, size=1, start=0)
    return retime(stream, fps=fps)
