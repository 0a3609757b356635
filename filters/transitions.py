"""Transitions between two scenes: every name of FFmpeg's xfade filter.

xfade's progress runs from 1 (the first scene alone) to 0; over `n` frames, frame j shows progress 1 - j/n.
"""

from __future__ import annotations

from fractions import Fraction

from video_pipeline.filters.graph import Stream, merge

CUT = "cut"
"""The name for no transition: the next scene starts when the one before ends."""

XFADE_NAMES: tuple[str, ...] = (
    *("fade", "fadefast", "fadeslow", "fadeblack", "fadewhite", "fadegrays"),
    *(
        f"{kind}{side}"
        for kind in ("wipe", "slide", "smooth", "cover", "reveal")
        for side in ("left", "right", "up", "down")
    ),
    *("wipetl", "wipetr", "wipebl", "wipebr"),
    *("circleopen", "circleclose", "circlecrop", "rectcrop"),
    *("vertopen", "vertclose", "horzopen", "horzclose"),
    *("diagtl", "diagtr", "diagbl", "diagbr"),
    *("hlslice", "hrslice", "vuslice", "vdslice"),
    *("hlwind", "hrwind", "vuwind", "vdwind"),
    *("radial", "distance", "dissolve", "pixelize", "hblur"),
    *("squeezeh", "squeezev", "zoomin"),
)

TRANSITION_NAMES: tuple[str, ...] = (CUT, *XFADE_NAMES)


def progress(frame: int, frames: int) -> float:
    """Return a transition's progress at frame 0 to `frames`: 1 (the first scene alone) to 0, float32 as in xfade."""
    import numpy as np  # imported here, because most importers need only the names

    return float(np.float32(1) - np.float32(frame) / np.float32(frames))


def xfade(first: Stream, second: Stream, *, name: str, frames: int, fps: Fraction) -> Stream:
    """Blend two streams of exactly `frames` frames each by a transition; raise ValueError for an unknown name."""
    if name not in XFADE_NAMES:
        raise ValueError(f"transition: got {name!r}; allowed: {', '.join(TRANSITION_NAMES)}")
    seconds = float(frames / fps)
    return merge("xfade", (first, second), transition=name, duration=seconds, offset=0)
