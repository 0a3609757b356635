"""The compositor: any range of a timeline, drawn by the real ffmpeg and decoded."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.tolerances import assert_frames_equal
from tests.support.video import (
    Frames,
    catalogue,
    clip_of,
    compositor_of,
    draw,
    draw_stream,
    flat,
    footage_of,
    luma,
    numbered_clip,
    run_ffmpeg,
    steady,
    still,
    textured,
    timeline_of,
)
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.render.captions.draw import draw_captions
from video_pipeline.engine.render.compositors.ffmpeg import FfmpegCompositor
from video_pipeline.engine.timeline import Caption, Transition
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.geometry import Camera, Rect, largest_rect, zoom_about
from video_pipeline.filters.text import Box, Shadow, TextStyle

SIZE_PX = (108, 192)
RATES = [Fraction(24), Fraction(30), Fraction(60), Fraction(30000, 1001)]


# -- any range is a slice of the whole ---------------------------------------------------------------


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[FfmpegCompositor, Frames]:
    """A timeline with every kind of clip, caption and join, and all of its frames."""
    folder = tmp_path_factory.mktemp("everything")
    whole = largest_rect(240 / 427, SIZE_PX[0] / SIZE_PX[1])
    landscape = largest_rect(427 / 240, SIZE_PX[0] / SIZE_PX[1], focus=(0.1, 0.5))
    clips = [
        clip_of(
            textured(folder / "a.png", 1),
            *(0, 40),
            camera=Camera(whole, zoom_about(whole, zoom=1.3, focus=(0.3, 0.7)), "ease_in_out"),
            fade_in_frames=8,
        ),
        clip_of(footage_of(numbered_clip(folder / "f.mp4", times=steady(60, 25)), start=0.3), 28, 100),
        clip_of(
            textured(folder / "b.png", 2, (427, 240)),
            *(100, 130),
            camera=Camera(landscape, replace(landscape, x=0.6)),
            fade_out_frames=5,
        ),
        clip_of(textured(folder / "c.png", 3, (300, 200)), 120, 150, fit="blur"),
        clip_of(
            textured(folder / "d.png", 4),
            *(144, 170),
            camera=Camera(zoom_about(whole, zoom=2.5, focus=(0.5, 0.5)), whole),
        ),
        clip_of(textured(folder / "e.png", 5, (200, 300)), 170, 180, fit="contain", fade_out_frames=10),
    ]
    transitions = [
        Transition("circleopen", 0, FrameRange(28, 40)),
        Transition("fade", 2, FrameRange(120, 130)),
        Transition("slideleft", 3, FrameRange(144, 150)),
    ]
    timeline = timeline_of(clips, transitions=transitions, size_px=SIZE_PX)
    hard = TextStyle(size_px=14, stroke_px=1, stroke_color=(0, 0, 0, 255))
    soft = TextStyle(
        size_px=14, shadow=Shadow(dx_px=0, dy_px=1, blur_px=2), box=Box(color=(0, 0, 90, 120), radius_px=4)
    )
    captions = (
        Caption("a", "plain words", FrameRange(3, 34), hard, "Noto Sans", "bottom", "slide_up"),
        Caption("b", "soft words", FrameRange(34, 100), soft, "NotoSans-Bold", "center", "fade"),
        Caption("c", "drawn", FrameRange(100, 125), hard, "Noto Sans", "top", "fade"),
        Caption("d", "שלום", FrameRange(125, 160), soft, "NotoSans-Bold", "top", "slide_up"),
        Caption("e", "both", FrameRange(150, 180), soft, "NotoSans-Bold", "bottom", "fade_in"),
    )
    timeline = replace(timeline, captions=captions)
    art = draw_captions(timeline, fonts=catalogue(), cache=ContentCache(folder / "cache"))
    assert [one.drawn_by for one in art] == ["drawtext", "raster", "drawtext", "raster", "raster"]
    compositor = compositor_of(timeline, captions=art)
    frames = draw(compositor)
    assert len(frames) == timeline.frame_count == 180
    return compositor, frames


def test_every_segment_is_its_slice_of_the_whole(everything: tuple[FfmpegCompositor, Frames]) -> None:
    compositor, frames = everything
    segments = compositor.timeline.segments(max_frames=25)
    assert len(segments) > 7
    for segment in segments:
        assert_frames_equal(
            draw(compositor, segment.start, segment.stop), frames[segment.start : segment.stop]
        )


@example(cut=(29, 30))
@example(cut=(39, 41))
@example(cut=(99, 101))
@example(cut=(125, 146))
@example(cut=(179, 180))
@given(cut=st.tuples(st.integers(0, 179), st.integers(1, 180)).filter(lambda cut: cut[0] < cut[1]))
@settings(deadline=None, max_examples=15)
def test_any_range_is_its_slice_of_the_whole(
    everything: tuple[FfmpegCompositor, Frames], cut: tuple[int, int]
) -> None:
    compositor, frames = everything
    assert_frames_equal(draw(compositor, *cut), frames[slice(*cut)])


def test_one_graph_of_all_segments_draws_the_same_frames(everything: tuple[FfmpegCompositor, Frames]) -> None:
    compositor, frames = everything
    assert_frames_equal(draw_stream(compositor.whole(), SIZE_PX), frames)


def test_the_number_of_filter_threads_changes_no_pixel(everything: tuple[FfmpegCompositor, Frames]) -> None:
    compositor, frames = everything
    command = compositor.frames_command(FrameRange(20, 50), threads=3)
    assert_frames_equal(
        np.frombuffer(run_ffmpeg(*command[1:]), np.uint8).reshape(-1, *frames.shape[1:]), frames[20:50]
    )


@pytest.mark.parametrize("fps", RATES, ids=str)
def test_the_frames_are_counted_exactly_at_every_rate(tmp_path: Path, fps: Fraction) -> None:
    first, second = textured(tmp_path / "a.png", 1), textured(tmp_path / "b.png", 2)
    clip = footage_of(numbered_clip(tmp_path / "f.mp4", times=steady(30, 25)))
    whole = largest_rect(240 / 427, SIZE_PX[0] / SIZE_PX[1])
    camera = Camera(whole, zoom_about(whole, zoom=1.2, focus=(0.5, 0.5)))
    timeline = timeline_of(
        [clip_of(first, 0, 23, camera=camera), clip_of(second, 14, 61), clip_of(clip, 50, 90)],
        fps=fps,
        size_px=SIZE_PX,
        transitions=[
            Transition("wipeleft", 0, FrameRange(14, 23)),
            Transition("fade", 1, FrameRange(50, 61)),
        ],
    )
    compositor = compositor_of(timeline)
    assert len(draw(compositor)) == 90
    assert len(draw_stream(compositor.whole(), SIZE_PX)) == 90
    for start, stop in ((0, 1), (13, 24), (14, 15), (22, 60), (61, 90)):
        assert len(draw(compositor, start, stop)) == stop - start


def test_the_same_picture_in_many_segments_and_scenes_is_drawn_in_one_graph(tmp_path: Path) -> None:
    picture = textured(tmp_path / "a.png", 1)
    timeline = timeline_of(
        [clip_of(picture, 0, 500), clip_of(picture, 490, 520), clip_of(picture, 520, 530)],
        size_px=SIZE_PX,
        transitions=[Transition("fade", 0, FrameRange(490, 500))],
    )
    compositor = compositor_of(timeline)
    assert len(timeline.segments()) > 3
    assert len(draw_stream(compositor.whole(), SIZE_PX)) == 530


def test_many_scenes_make_one_graph(tmp_path: Path) -> None:
    picture = textured(tmp_path / "a.png", 1)
    clips = [clip_of(picture, 3 * number, 3 * number + 4) for number in range(40)]
    joins = [Transition("fade", number, FrameRange(3 * number + 3, 3 * number + 4)) for number in range(39)]
    compositor = compositor_of(timeline_of(clips, transitions=joins, size_px=(32, 56)))
    assert len(draw_stream(compositor.whole(), (32, 56))) == 121


# -- stills ---------------------------------------------------------------------------------------


def test_a_still_camera_shows_its_rectangle_in_every_frame(
    tmp_path: Path,
) -> None:
    pixels = np.full((300, 300, 3), 40, np.uint8)
    pixels[100:260, 30:120] = 200
    rect = Rect(30 / 300, 100 / 300, 90 / 300, 160 / 300)
    source = still(tmp_path / "p.png", pixels)
    y = luma(draw(compositor_of(timeline_of([clip_of(source, 0, 3, camera=Camera(rect, rect))]))))
    assert y.min() > 180
    assert np.array_equal(y[0], y[2])


@pytest.mark.parametrize("fit", ["contain", "blur"])
def test_the_camera_moves_over_a_picture_that_was_fitted_first(tmp_path: Path, fit: str) -> None:
    source = flat(tmp_path / "p.png", (200, 200, 200), (400, 300))
    whole = Rect(0, 0, 1, 1)
    camera = Camera(whole, zoom_about(whole, zoom=1.5, focus=(0.5, 0.5)))
    timeline = timeline_of([clip_of(source, 0, 10, camera=camera, fit=fit)])
    y = luma(draw(compositor_of(timeline)))
    rows = [(frame[:, 90] > 180).sum() for frame in y]
    assert rows[0] == pytest.approx(135, abs=2)
    assert rows[-1] == pytest.approx(135 * 1.5, abs=3)
    assert all(a <= b for a, b in pairwise(rows))
