"""Fades: the level of every frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support.tolerances import FADE_LEVELS, assert_frames_equal
from tests.support.video import clip_of, compositor_of, draw, draw_stream, flat, planes, timeline_of
from video_pipeline.filters.color import scale_to_bt709
from video_pipeline.filters.fade import fade_in, fade_out, light
from video_pipeline.filters.graph import Stream, open_input

SIZE_PX = (64, 114)
BLACK = (16, 128, 128)
RATES = [Fraction(24), Fraction(30), Fraction(60), Fraction(30000, 1001)]


def expected(frame: int, length: int, fade_in_frames: int, fade_out_frames: int) -> float:
    """Return the share of the picture in a frame: 0 is black."""
    rising = frame / fade_in_frames if fade_in_frames else 1.0
    falling = (length - frame) / fade_out_frames if fade_out_frames else 1.0
    return min(1.0, rising) * min(1.0, falling)


@pytest.mark.parametrize(("fades_in", "fades_out"), [(8, 6), (1, 1), (0, 20), (0, 0), (15, 15), (40, 30)])
def test_the_light_of_each_frame_is_that_of_the_filters(fades_in: int, fades_out: int) -> None:
    for frame in range(20):
        assert light(frame, 20, fades_in, fades_out) == expected(frame, 20, fades_in, fades_out)


@pytest.mark.parametrize("fps", RATES, ids=str)
@pytest.mark.parametrize(("fades_in", "fades_out"), [(8, 6), (1, 1), (0, 20), (20, 0), (15, 15), (20, 20)])
def test_every_frame_of_a_fade_has_its_level(
    tmp_path: Path, fps: Fraction, fades_in: int, fades_out: int
) -> None:
    colour = flat(tmp_path / "c.png", (200, 90, 40), SIZE_PX)
    clip = clip_of(colour, 0, 20, fade_in_frames=fades_in, fade_out_frames=fades_out)
    compositor = compositor_of(timeline_of([clip], fps=fps, size_px=SIZE_PX))
    frames = draw(compositor)
    assert len(frames) == 20
    plain = draw(compositor_of(timeline_of([clip_of(colour, 0, 1)], fps=fps, size_px=SIZE_PX)))[0]
    full = [int(plane[0, 0]) for plane in planes(plain)]
    for number, frame in enumerate(frames):
        share = expected(number, 20, fades_in, fades_out)
        for plane, level, black in zip(planes(frame), full, BLACK, strict=True):
            assert plane.min() == plane.max()
            assert plane[0, 0] == pytest.approx(black + share * (level - black), abs=FADE_LEVELS), number
    for start, stop in ((0, 3), (2, 9), (9, 12), (13, 20), (19, 20)):
        assert_frames_equal(draw(compositor, start, stop), frames[start:stop])


def test_a_fade_of_opacity_leaves_the_colours_and_moves_the_alpha(tmp_path: Path) -> None:
    colour = flat(tmp_path / "c.png", (200, 90, 40), SIZE_PX)

    def faded(*, plane: str) -> np.ndarray:
        stream: Stream = open_input(colour.path, demuxer="png_pipe", framerate=30)
        stream = scale_to_bt709(stream, width_px=SIZE_PX[0], height_px=SIZE_PX[1], pix_fmt="yuva420p")
        stream = stream.filter("loop", loop=11, size=1).filter("settb", Fraction(1, 30)).filter("setpts", "N")
        stream = fade_in(stream, start=Fraction(0), duration=Fraction(4, 30), alpha=True)
        stream = fade_out(stream, start=Fraction(8, 30), duration=Fraction(4, 30), alpha=True)
        return draw_stream(stream.filter("extractplanes", plane).filter("format", "yuv420p"), SIZE_PX)[
            :, 0, 0
        ]

    shares = [0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]
    # Taken out as a picture, the full range of alpha becomes a limited range of grey.
    assert faded(plane="a").astype(int) == pytest.approx([16 + 219 * s for s in shares], abs=FADE_LEVELS)
    assert len(set(faded(plane="y").tolist())) == 1
