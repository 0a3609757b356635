"""The compositor: any range of a timeline, drawn by the real ffmpeg and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support.tolerances import assert_frames_equal
from tests.support.video import (
    Frames,
    catalogue,
    clip_of,
    compositor_of,
    draw,
    draw_stream,
    flat,
    luma,
    middle_colour,
    number_of,
    numbered_clip,
    run_ffmpeg,
    still,
    textured,
    timeline_of,
)
from video_pipeline.engine.assets.footage import probe_footage
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.render.captions.draw import draw_captions
from video_pipeline.engine.render.compositors.ffmpeg import FfmpegCompositor
from video_pipeline.engine.story.model import VideoSpec
from video_pipeline.engine.timeline import Caption, Footage, Timeline, Transition
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.geometry import Camera, Rect, largest_rect, zoom_about
from video_pipeline.filters.text import Box, Shadow, TextStyle

SIZE_PX = (108, 192)
RATES = [Fraction(24), Fraction(30), Fraction(60), Fraction(30000, 1001)]


def steady(count: int, fps: Fraction | int) -> list[Fraction]:
    return [Fraction(number) / fps for number in range(count)]


def footage_of(path: Path, *, start: float = 0, end: float | None = None) -> Footage:
    return probe_footage(path, VideoSpec(path=str(path), start=start, end=end)).footage


def numbers(frames: Frames) -> list[int]:
    return [number_of(frame) for frame in frames]


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


def test_a_camera_that_stands_still_shows_its_rectangle_from_the_first_frame_to_the_last(
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


# -- footage --------------------------------------------------------------------------------------


def is_shown_at(times: Sequence[Fraction], number: int, at: Fraction, fps: Fraction) -> bool:
    """Say whether a source frame may be seen at a time: it is on screen then, or within half a frame of it."""
    current = max((index for index, time in enumerate(times) if time <= at), default=0)
    return number == current or abs(times[number] - at) <= Fraction(501, 1000) / fps


VARIABLE = [
    Fraction(0),
    *(Fraction(ms, 1000) for ms in (40, 55, 200, 233, 266, 500, 505, 900, 1300, 1333, 1366, 1500, 2300)),
]
SOURCES = {
    "24": steady(60, 24),
    "25": steady(60, 25),
    "23.976": steady(60, Fraction(24000, 1001)),
    "29.97": steady(80, Fraction(30000, 1001)),
    "60": steady(150, 60),
    "variable": VARIABLE,
}


def timeline_with(clip: Footage, frames: int, fps: Fraction | int = 30) -> Timeline:
    return timeline_of([clip_of(clip, 0, frames)], fps=fps, size_px=SIZE_PX)


@pytest.mark.parametrize("fps", [30, Fraction(30000, 1001), 60], ids=str)
@pytest.mark.parametrize("rate", SOURCES)
@pytest.mark.parametrize("start", ["0", "0.517"])
def test_a_clip_of_any_rate_shows_the_frame_of_each_moment(
    tmp_path: Path, start: str, rate: str, fps: Fraction | int
) -> None:
    times = SOURCES[rate]
    path = numbered_clip(tmp_path / "f.mp4", times=times, last_frame=Fraction(1, 10))
    clip = footage_of(path, start=float(start))
    count = int((times[-1] - clip.start) * fps)
    seen = numbers(draw(compositor_of(timeline_with(clip, count, fps))))
    assert len(seen) == count
    for frame, number in enumerate(seen):
        at = clip.start + Fraction(frame) / fps
        assert is_shown_at(times, number, at, Fraction(fps)), f"frame {frame}: {number}"
    assert all(a <= b for a, b in pairwise(seen))


def test_a_clip_of_the_same_rate_is_shown_frame_by_frame(tmp_path: Path) -> None:
    path = numbered_clip(tmp_path / "f.mp4", times=steady(200, 30))
    compositor = compositor_of(timeline_with(footage_of(path, start=1.2), 140))
    assert numbers(draw(compositor)) == list(range(36, 176))
    assert numbers(draw(compositor, 97, 140)) == list(range(36 + 97, 176))


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("gop", [1, 50])
def test_ranges_of_a_clip_agree_in_every_container(tmp_path: Path, ending: str, gop: int) -> None:
    made = numbered_clip(tmp_path / "m.mp4", times=steady(200, 30), gop=gop)
    path = tmp_path / f"f.{ending}"
    if ending == "avi":
        run_ffmpeg("-i", made, "-c:v", "mjpeg", "-q:v", "2", path)
    else:
        run_ffmpeg("-i", made, "-c", "copy", path)
    compositor = compositor_of(timeline_with(footage_of(path, start=0.6), 170))
    frames = draw(compositor)
    assert numbers(frames) == list(range(18, 188))
    for start, stop in ((31, 40), (60, 61), (100, 170), (149, 151)):
        assert_frames_equal(draw(compositor, start, stop), frames[start:stop])


def test_the_end_of_a_cut_is_held_and_nothing_after_it_is_shown(tmp_path: Path) -> None:
    path = numbered_clip(tmp_path / "f.mp4", times=steady(100, 30))
    clip = footage_of(path, start=0.5, end=1.5)
    compositor = compositor_of(timeline_with(clip, 120))
    seen = numbers(draw(compositor))
    assert seen == [*range(15, 45), *[44] * 90]
    assert numbers(draw(compositor, 100, 120)) == [44] * 20
    assert numbers(draw(compositor, 25, 40)) == seen[25:40]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "gif"])
def test_a_last_frame_that_lasts_for_seconds_is_there_in_every_range(tmp_path: Path, ending: str) -> None:
    times = [*steady(15, 25), Fraction(3, 5)]
    path = numbered_clip(tmp_path / f"f.{ending}", times=times, last_frame=Fraction(6), bf="0")
    clip = footage_of(path)
    assert clip.duration > 6
    compositor = compositor_of(timeline_with(clip, 240))
    seen = numbers(draw(compositor))
    assert seen[18:] == [15] * 222
    assert numbers(draw(compositor, 150, 240)) == [15] * 90


def test_a_clip_with_one_frame_is_held(tmp_path: Path) -> None:
    path = numbered_clip(tmp_path / "f.mp4", times=[Fraction(0)], last_frame=Fraction(1, 25))
    assert numbers(draw(compositor_of(timeline_with(footage_of(path), 50)))) == [0] * 50


@pytest.mark.parametrize(("turn", "quarter"), [(90, 1), (180, 2), (270, 3)])
@pytest.mark.parametrize("fit", ["cover", "contain"])
def test_a_turned_clip_is_shown_upright(tmp_path: Path, turn: int, quarter: int, fit: str) -> None:
    coded = tmp_path / "c.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=160x90:r=30:d=0.3"),
        *("-vf", "drawbox=0:0:80:90:white:fill", "-c:v", "libx264", coded),
    )
    path = tmp_path / "f.mp4"
    run_ffmpeg("-display_rotation", str(turn), "-i", coded, "-c", "copy", path)
    clip = footage_of(path)
    upright = (90, 160) if quarter % 2 else (160, 90)
    assert (clip.width_px, clip.height_px) == upright
    y = luma(draw(compositor_of(timeline_of([clip_of(clip, 0, 3, fit=fit)], size_px=upright))))[1]
    bright = np.rot90(np.repeat(np.arange(160)[None] < 80, 90, axis=0), quarter)
    assert y[bright].mean() > 220
    assert y[~bright].mean() < 30


@pytest.mark.parametrize("fit", ["cover", "contain", "blur"])
def test_pixels_that_are_not_square_are_shown_in_their_shape(tmp_path: Path, fit: str) -> None:
    path = tmp_path / "f.mp4"
    # 180 x 160 coded pixels, each twice as wide as it is high: a ring that looks round is coded narrow.
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=180x160:r=30:d=0.2"),
        *(
            "-vf",
            "geq=lum='if(lt(hypot((X-90)*2,Y-80),60),235,16)':cb=128:cr=128,setsar=2",
            "-c:v",
            "libx264",
            path,
        ),
    )
    clip = footage_of(path)
    assert (clip.width_px, clip.height_px) == (360, 160)
    y = luma(draw(compositor_of(timeline_of([clip_of(clip, 0, 2, fit=fit)], size_px=(180, 180)))))[1]
    disc = y > 224 if fit == "blur" else y > 120  # the fill is darkened to 220
    across, down = disc.any(axis=0).sum(), disc.any(axis=1).sum()
    assert across == pytest.approx(down, abs=3)
    assert down == pytest.approx(120 * (180 / 160 if fit == "cover" else 0.5), abs=4)


def test_a_clip_fades_and_its_levels_are_right(tmp_path: Path) -> None:
    path = tmp_path / "f.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "color=white:s=96x170:r=25:d=2", "-c:v", "libx264", "-qp", "4", path)
    clip = clip_of(footage_of(path), 0, 60, fade_in_frames=10, fade_out_frames=20)
    frames = draw(compositor_of(timeline_of([clip], size_px=SIZE_PX)))
    levels = [middle_colour(frame)[0] for frame in frames]
    assert levels[0] == 16
    assert levels[5] == pytest.approx(16 + 219 / 2, abs=2)
    assert min(levels[10:41]) >= 234
    assert levels[50] == pytest.approx(16 + 219 / 2, abs=2)
    assert levels[59] == pytest.approx(16 + 219 / 20, abs=2)


def test_frames_flagged_interlaced_are_deinterlaced(tmp_path: Path) -> None:
    path = tmp_path / "f.mp4"
    # A bar that moves 8 pixels a field: woven, its edges are combs.
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=192x108:r=60:d=1"),
        *("-vf", "geq=lum='if(between(X,8*N,8*N+60),235,16)':cb=128:cr=128,interlace=lowpass=off"),
        *("-c:v", "libx264", "-flags", "+ilme+ildct", "-x264-params", "tff=1", "-qp", "4", path),
    )
    footage = footage_of(path)
    assert footage.interlaced
    timeline = timeline_of([clip_of(footage, 0, 15)], size_px=(192, 108))
    frames = luma(draw(compositor_of(timeline))).astype(int)

    def combing(frame: np.ndarray) -> float:
        return float(np.abs(frame[1:-1] - (frame[:-2] + frame[2:]) / 2).mean())

    woven = luma(
        draw(
            compositor_of(
                timeline_of(
                    [replace(timeline.clips[0], source=replace(footage, interlaced=False))],
                    size_px=(192, 108),
                )
            )
        )
    ).astype(int)
    assert combing(woven[7]) > 5
    assert combing(frames[7]) < combing(woven[7]) / 5


@pytest.mark.parametrize("suffix", ["gif", "mkv", "vp8.webm", "vp9.webm"])
@pytest.mark.parametrize("fit", ["cover", "contain"])
def test_a_transparent_clip_stands_on_black_as_a_still_does(tmp_path: Path, suffix: str, fit: str) -> None:
    picture, path = tmp_path / "p.png", tmp_path / f"f.{suffix}"
    pixels = np.zeros((96, 54, 4), np.uint8)
    pixels[:48] = (255, 255, 255, 0)
    pixels[48:] = (200, 200, 200, 255)
    image = Image.fromarray(pixels)
    image.save(picture)
    if suffix == "gif":
        image.save(path, save_all=True, append_images=[image] * 9, duration=100, disposal=2)
    else:
        coding = ("-c:v", "ffv1", "-pix_fmt", "bgra")
        if suffix.endswith("webm"):
            encoder = "libvpx" if suffix.startswith("vp8") else "libvpx-vp9"
            coding = ("-c:v", encoder, "-b:v", "2M", "-auto-alt-ref", "0", "-pix_fmt", "yuva420p")
        run_ffmpeg("-loop", "1", "-framerate", "10", "-t", "1", "-i", picture, *coding, path)
    footage = footage_of(path)
    assert footage.transparent
    y = luma(draw(compositor_of(timeline_of([clip_of(footage, 0, 3, fit=fit)], size_px=(54, 96)))))[1]
    assert y[:44].max() <= 18
    assert abs(int(y[70, 27]) - (16 + 200 * 219 / 255)) <= 2
