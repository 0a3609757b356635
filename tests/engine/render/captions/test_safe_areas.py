"""Captions keep clear of what each platform lays over a tall video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tests.support.video import catalogue, clip_of, compositor_of, draw_range, flat, timeline_of
from video_pipeline import native
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.captions import CaptionPosition, CaptionStyle, Platform
from video_pipeline.engine.render.captions.draw import draw_captions
from video_pipeline.engine.render.captions.safe_areas import MARGINS, PLATFORM_AREAS, safe_area
from video_pipeline.engine.timeline import Caption
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.text import Box, Shadow, TextStyle

SIZE_PX = (216, 384)
LOOKS: dict[str, TextStyle] = {
    "stroke": TextStyle(size_px=18, stroke_px=2),
    "shadow": TextStyle(
        size_px=10, stroke_px=1, shadow=Shadow(dx_px=0, dy_px=2, blur_px=3, color=(0, 0, 0, 255))
    ),
    "box": TextStyle(size_px=10, box=Box(color=(0, 0, 0, 255), padding_px=6, radius_px=3)),
}


def test_every_platform_has_an_area_with_its_source() -> None:
    assert set(PLATFORM_AREAS) == set(get_args(Platform))
    for area in PLATFORM_AREAS.values():
        assert area.source
        assert min(area.left, area.right, area.top, area.bottom) > 0.03
    generic = PLATFORM_AREAS["generic"]
    for area in PLATFORM_AREAS.values():
        for edge in ("left", "right", "top", "bottom"):
            assert getattr(generic, edge) >= getattr(area, edge) - 1e-9, "generic is clear of all"


def test_a_platform_matters_only_in_tall_frames() -> None:
    assert safe_area(1080, 1920, "reels") == PLATFORM_AREAS["reels"]
    for size_px in ((1920, 1080), (1080, 1080), (1080, 1350)):
        assert safe_area(*size_px, "reels") == MARGINS


@pytest.mark.skipif(not native.available(), reason="the native extension was not built")
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("platform", get_args(Platform))
def test_no_pixel_of_a_caption_is_under_a_platforms_buttons_and_texts(
    tmp_path: Path, platform: Platform, look: str
) -> None:
    """All frames of moving captions at each position; a pixel differs from the plain picture only inside the area."""
    from video_pipeline.engine.render.compositors.native import NativeCompositor

    source = flat(tmp_path / "grey.png", (128, 128, 128), SIZE_PX)
    text = "Wherever the lighthouse keeper looked, there was gjpqy water and WATER and water."
    cases: list[tuple[CaptionPosition, CaptionStyle, str]] = [
        ("bottom", "block", "slide_up"),
        ("bottom", "block", "pop"),
        ("top", "block", "pop"),
        ("center", "phrases", "pop"),
        ("top", "phrases", "pop"),
        ("bottom", "karaoke", "pop"),
    ]
    width, height = SIZE_PX
    area = PLATFORM_AREAS[platform]
    timeline = timeline_of([clip_of(source, 0, 24)], size_px=SIZE_PX)
    graphs = compositor_of(timeline)
    plain = draw_range(NativeCompositor(timeline=timeline, captions=(), graphs=graphs), 0, 1)[0]
    for position, shown_as, animation in cases:
        shown = Caption(
            "s",
            text,
            FrameRange(0, 24),
            LOOKS[look],
            "NotoSans-Bold",
            position,
            animation,  # type: ignore[arg-type]
            shown_as=shown_as,
            platform=platform,
        )
        art = draw_captions(
            replace(timeline, captions=(shown,)),
            fonts=catalogue(),
            cache=ContentCache(tmp_path / "cache"),
            drawtext=False,
        )
        frames = draw_range(NativeCompositor(timeline=timeline, captions=art, graphs=graphs))
        drawn = (np.abs(frames[:, :height].astype(int) - plain[:height]) > 1).any(axis=0)
        rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
        assert drawn.sum() > 500
        where = (position, shown_as, animation)
        assert columns[0] >= int(width * area.left), where
        assert columns[-1] < width * (1 - area.right), where
        assert rows[0] >= int(height * area.top), where
        assert rows[-1] < height * (1 - area.bottom) + 1, where
        assert abs((columns[0] + columns[-1] + 1) / 2 - width / 2) <= 3, "on the middle of the frame"
