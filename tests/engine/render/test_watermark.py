"""The watermark on real frames, by every compositor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.tolerances import COMPOSITORS_DB, assert_colour, assert_frames_equal, psnr_db
from tests.support.video import (
    bt709,
    catalogue,
    clip_of,
    compositor_of,
    draw_range,
    flat,
    planes,
    timeline_of,
)
from video_pipeline import native
from video_pipeline.engine.assets.watermark import prepare_watermark
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config import load_config
from video_pipeline.engine.render.captions.draw import draw_captions
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.timeline import Caption, Timeline, Transition
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.text import TextStyle

SIZE_PX = (180, 320)
GREY = (60, 60, 60)
CORNERS = ("top_left", "top_right", "bottom_left", "bottom_right")
COMPOSITORS = [
    "ffmpeg",
    pytest.param(
        "native",
        marks=pytest.mark.skipif(not native.available(), reason="the native extension was not built"),
    ),
]


def timeline(folder: Path, **settings: object) -> Timeline:
    """Return a timeline of two joined clips under a disc of orange with soft edges."""
    y, x = np.mgrid[-1:1:240j, -1:1:240j]
    alpha = (np.clip((0.9 - np.hypot(x, y)) / 0.3, 0, 1) * 255).astype(np.uint8)
    pixels = np.dstack([np.full_like(alpha, c) for c in (255, 140, 0)] + [alpha])
    Image.fromarray(pixels).save(folder / "disc.png")
    given = {"image": str(folder / "disc.png"), "width": 0.3, "opacity": 0.6, **settings}
    mark = prepare_watermark(
        load_config({"watermark": given}, environ=False).watermark,
        frame_px=SIZE_PX,
        cache=ContentCache(folder / "cache"),
        max_megapixels=20,
    )
    clips = [clip_of(flat(folder / f"{n}.png", GREY), 8 * n, 8 * n + 12) for n in (0, 1)]
    joined = timeline_of(clips, transitions=[Transition("fade", 0, FrameRange(8, 12))])
    return replace(joined, watermark=mark)


def open_compositor(name: str, shown: Timeline, captions: tuple = ()) -> Compositor:  # type: ignore[type-arg]
    if name == "ffmpeg":
        return compositor_of(shown, captions=captions)
    from video_pipeline.engine.render.compositors.native import NativeCompositor

    return NativeCompositor(timeline=shown, captions=captions, graphs=compositor_of(shown))


@pytest.mark.parametrize("name", COMPOSITORS)
@pytest.mark.parametrize("corner", CORNERS)
def test_the_watermark_is_in_its_corner_of_every_frame_and_nowhere_else(
    tmp_path: Path, corner: str, name: str
) -> None:
    shown = timeline(tmp_path, corner=corner)
    frames = draw_range(open_compositor(name, shown))
    assert len(frames) == shown.frame_count == 20
    bare = draw_range(open_compositor(name, replace(shown, watermark=None)), 0, 1)[0]
    mark = shown.watermark
    assert mark is not None
    middle = (mark.x_px + mark.width_px // 2, mark.y_px + mark.height_px // 2)
    wanted = [0.6 * a + 0.4 * b for a, b in zip(bt709(255, 140, 0), bt709(*GREY), strict=True)]
    for frame in frames:
        y, u, v = planes(frame)
        column, row = middle
        pixel = (y[row, column], u[row // 2, column // 2], v[row // 2, column // 2])
        assert_colour(pixel, tuple(wanted))  # type: ignore[arg-type]
        changed = np.argwhere(y != planes(bare)[0])
        top, left = changed.min(axis=0)
        bottom, right = changed.max(axis=0)
        assert mark.x_px <= left <= right < mark.x_px + mark.width_px
        assert mark.y_px <= top <= bottom < mark.y_px + mark.height_px
        assert right - left > mark.width_px * 0.8
    assert (middle[0] < SIZE_PX[0] / 2) == corner.endswith("left")
    assert (middle[1] < SIZE_PX[1] / 2) == corner.startswith("top")


@pytest.mark.skipif(not native.available(), reason="the native extension was not built")
@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("opacity", [0.25, 0.6, 1.0])
def test_compositors_draw_the_watermark_at_the_same_place(
    tmp_path: Path, opacity: float, corner: str
) -> None:
    shown = timeline(tmp_path, corner=corner, opacity=opacity, width=0.31, margin=0.05)
    one, two = (draw_range(open_compositor(name, shown), 0, 1)[0] for name in ("ffmpeg", "native"))
    mark = shown.watermark
    assert mark is not None
    for step, (a, b) in zip((1, 2, 2), zip(planes(one), planes(two), strict=True), strict=True):
        rows = slice(mark.y_px // step, (mark.y_px + mark.height_px) // step)
        across = slice(mark.x_px // step, (mark.x_px + mark.width_px) // step)
        assert psnr_db(a[rows, across], b[rows, across]) >= COMPOSITORS_DB


@pytest.mark.parametrize("name", COMPOSITORS)
def test_the_watermark_is_above_captions_and_not_on_the_thumbnail(tmp_path: Path, name: str) -> None:
    shown = timeline(tmp_path, corner="bottom_right", opacity=1.0, width=0.9, margin=0.05)
    words = Caption("s0", "HHHH", FrameRange(0, 20), TextStyle(size_px=40), "NotoSans-Bold", animation="none")
    captioned = replace(shown, captions=(words,))
    art = draw_captions(captioned, fonts=catalogue(), cache=ContentCache(tmp_path / "cache"), drawtext=False)
    compositor = open_compositor(name, captioned, art)
    mark = shown.watermark
    assert mark is not None
    y, _, _ = planes(draw_range(compositor, 3, 4)[0])
    middle = (mark.y_px + mark.height_px // 2, mark.x_px + mark.width_px // 2)
    assert y[middle] == pytest.approx(bt709(255, 140, 0)[0], abs=2)
    bare = open_compositor(name, replace(shown, watermark=None))
    assert_frames_equal(draw_range(compositor.without_captions(), 3, 4), draw_range(bare, 3, 4))


@pytest.mark.parametrize("name", COMPOSITORS)
def test_any_range_of_frames_has_the_watermark(tmp_path: Path, name: str) -> None:
    compositor = open_compositor(name, timeline(tmp_path))
    whole = draw_range(compositor)
    for start, stop in ((0, 1), (7, 13), (19, 20)):
        assert_frames_equal(draw_range(compositor, start, stop), whole[start:stop])
