"""The native compositor: its frames against the camera's formula, and against ffmpeg's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.jitter import blob_centres, draw_blobs, follow, jitter_of
from tests.support.camera import place
from tests.support.tolerances import (
    BLURRED_FILL_DB,
    COMPOSITORS_DB,
    NATIVE_JITTER_PX,
    SUBPIXEL_PX,
    assert_colour,
    assert_frames_equal,
)
from tests.support.video import (
    Frames,
    blobs,
    bt709,
    catalogue,
    centroid,
    clip_of,
    compositor_of,
    draw_range,
    flat,
    luma,
    middle_colour,
    numbered_clip,
    still,
    textured,
    timeline_of,
)
from video_pipeline import native
from video_pipeline.engine.assets.footage import probe_footage
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.render.captions.draw import draw_captions
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.story.model import VideoSpec
from video_pipeline.engine.timeline import Caption, Clip, Still, Timeline, Transition
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.geometry import EASINGS, Camera, Easing, Fit, Rect, largest_rect, zoom_about
from video_pipeline.filters.text import Box, Shadow, TextStyle

pytestmark = pytest.mark.skipif(not native.available(), reason="the native extension was not built")

if native.available():
    from video_pipeline.engine.render.compositors.native import NativeCompositor
    from video_pipeline.engine.render.compositors.picture import load_picture, look_of

SIZE_PX = (108, 192)
ASPECT = SIZE_PX[0] / SIZE_PX[1]


def native_of(timeline: Timeline, captions: tuple = ()) -> NativeCompositor:  # type: ignore[type-arg]
    return NativeCompositor(timeline=timeline, captions=captions, graphs=compositor_of(timeline))


def smooth(path: Path, seed: int, size_px: tuple[int, int]) -> Still:
    """Write a picture of soft shapes without grain, which two good resamplers draw alike."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 5, 3), np.uint8))
    return still(path, np.asarray(small.resize(size_px, Image.Resampling.BICUBIC)))


# -- any range is a slice of the whole ---------------------------------------------------------------


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    """A timeline with every kind of clip and join, and captions."""
    folder = tmp_path_factory.mktemp("everything")
    whole = largest_rect(240 / 427, ASPECT)
    landscape = largest_rect(427 / 240, ASPECT, focus=(0.1, 0.5))
    moving = numbered_clip(folder / "f.mp4", times=[Fraction(number, 25) for number in range(60)])
    footage = probe_footage(moving, VideoSpec(path=str(moving), start=0.3)).footage
    clips = [
        clip_of(
            smooth(folder / "a.png", 1, (240, 427)),
            *(0, 40),
            camera=Camera(whole, zoom_about(whole, zoom=1.3, focus=(0.3, 0.7)), "ease_in_out"),
            fade_in_frames=8,
        ),
        clip_of(footage, 28, 100, fade_out_frames=4),
        clip_of(
            smooth(folder / "b.png", 2, (427, 240)),
            *(100, 130),
            camera=Camera(landscape, replace(landscape, x=0.6)),
            fade_out_frames=5,
        ),
        clip_of(smooth(folder / "c.png", 3, (300, 200)), 120, 150, fit="blur"),
        clip_of(
            smooth(folder / "d.png", 4, (240, 427)),
            *(144, 170),
            camera=Camera(zoom_about(whole, zoom=1.7, focus=(0.5, 0.5)), whole),
        ),
        clip_of(smooth(folder / "e.png", 5, (200, 300)), 170, 180, fit="contain", fade_out_frames=10),
    ]
    transitions = [
        Transition("circleopen", 0, FrameRange(28, 40)),
        Transition("fade", 2, FrameRange(120, 130)),
        Transition("slideleft", 3, FrameRange(144, 150)),
    ]
    soft = TextStyle(
        size_px=14, shadow=Shadow(dx_px=0, dy_px=1, blur_px=2), box=Box(color=(0, 0, 90, 120), radius_px=4)
    )
    captions = (
        Caption("b", "soft words", FrameRange(34, 100), soft, "NotoSans-Bold", "center", "fade"),
        Caption("d", "שלום", FrameRange(125, 160), soft, "NotoSans-Bold", "top", "fade_in"),
        Caption("e", "both", FrameRange(150, 180), soft, "NotoSans-Bold", "bottom", "none"),
    )
    return replace(timeline_of(clips, transitions=transitions, size_px=SIZE_PX), captions=captions)


@pytest.fixture(scope="module")
def drawn(
    everything: Timeline, tmp_path_factory: pytest.TempPathFactory
) -> tuple[NativeCompositor, Frames, Frames]:
    """The native compositor of that timeline, its frames, and ffmpeg's."""
    cache = ContentCache(tmp_path_factory.mktemp("cache"))
    art = draw_captions(everything, fonts=catalogue(), cache=cache, drawtext=False)
    compositor = native_of(everything, art)
    return compositor, draw_range(compositor), draw_range(compositor_of(everything, captions=art))


def test_every_frame_looks_as_ffmpegs_does(drawn: tuple[NativeCompositor, Frames, Frames]) -> None:
    _, frames, expected = drawn
    blurred = slice(120, 150)  # its fill is blurred by another Gaussian
    for part in (slice(0, 120), slice(150, 180)):
        assert_frames_equal(frames[part], expected[part], min_psnr_db=COMPOSITORS_DB)
    assert_frames_equal(frames[blurred], expected[blurred], min_psnr_db=BLURRED_FILL_DB)


@pytest.mark.parametrize("cut", [(0, 1), (20, 50), (28, 40), (33, 34), (95, 125), (120, 147), (149, 180)])
def test_any_range_is_a_slice_of_the_whole(
    drawn: tuple[NativeCompositor, Frames, Frames], cut: tuple[int, int]
) -> None:
    compositor, frames, _ = drawn
    assert_frames_equal(draw_range(compositor, *cut), frames[slice(*cut)])


def test_segments_are_short_and_hold_each_transition_whole(everything: Timeline) -> None:
    segments = native_of(everything).segments()
    assert [segment.start for segment in segments] == [0, *(segment.stop for segment in segments[:-1])]
    assert max(len(segment) for segment in segments) <= 2 * everything.fps + max(
        len(transition.frames) for transition in everything.transitions
    )
    for transition in everything.transitions:
        assert any(
            segment.start <= transition.frames.start and transition.frames.stop <= segment.stop
            for segment in segments
        )


def test_without_captions_the_same_pictures_are_drawn_bare(
    drawn: tuple[NativeCompositor, Frames, Frames], everything: Timeline
) -> None:
    compositor, frames, _ = drawn
    bare = compositor.without_captions()
    assert_frames_equal(draw_range(bare, 0, 30), frames[:30])
    assert not np.array_equal(draw_range(bare, 60, 61), frames[60:61])


def test_a_compositor_gets_its_captions_later(
    drawn: tuple[NativeCompositor, Frames, Frames], everything: Timeline
) -> None:
    compositor, frames, _ = drawn
    late = native_of(everything).with_captions(compositor.captions)
    assert_frames_equal(draw_range(late, 60, 61), frames[60:61])


def test_ranges_drawn_alternately_do_not_share_frames(
    drawn: tuple[NativeCompositor, Frames, Frames],
) -> None:
    compositor, frames, _ = drawn
    for _ in range(2):  # the second time in the frames of the first
        starts = (0, 20, 60)
        open_at_once = [
            compositor.frames(FrameRange(at, at + 10), threads=1, children=Children()) for at in starts
        ]
        for number, together in enumerate(zip(*open_at_once, strict=True)):
            for at, frame in zip(starts, together, strict=True):
                assert np.array_equal(frame, frames[at + number])


# -- positions of points --------------------------------------------------------------------------------


@pytest.mark.parametrize("easing", EASINGS)
@pytest.mark.parametrize("zoom", [1.2, 3.5])
def test_points_of_the_picture_are_drawn_where_the_camera_maps_them(
    tmp_path: Path, easing: Easing, zoom: float
) -> None:
    picture_px = (600, 1000)
    places = np.array([(250.3, 455.9), (350.6, 560.2)])
    source = still(tmp_path / "p.png", np.repeat(blobs(picture_px, places, 8)[..., None], 3, axis=2))
    whole = largest_rect(picture_px[0] / picture_px[1], 360 / 640)
    camera = Camera(whole, zoom_about(whole, zoom=zoom, focus=(0.5, 0.51)), easing)
    timeline = timeline_of([clip_of(source, 0, 31, camera=camera)], size_px=(360, 640))
    frames = luma(draw_range(native_of(timeline)))
    for number in (0, 7, 15, 22, 30):
        for point in places:
            expected = place(camera, point / picture_px, number, 31, (360, 640))
            found = centroid(frames[number], expected, round(24 * min(zoom, 1.6)), floor=24)
            assert np.abs(np.subtract(found, expected)).max() < SUBPIXEL_PX, (number, found, expected)


def zoom_at(rate: float, seconds: float) -> Callable[[Rect], Camera]:
    def camera(outer: Rect) -> Camera:
        inner = zoom_about(outer, zoom=1 + abs(rate) * seconds, focus=(0.5, 0.5))
        return Camera(outer, inner) if rate > 0 else Camera(inner, outer)

    return camera


def pan_at(px_per_second: float, seconds: float) -> Callable[[Rect], Camera]:
    def camera(outer: Rect) -> Camera:
        view = zoom_about(outer, zoom=1.2, focus=(0.3, 0.5))
        way = px_per_second * seconds / 1080 * view.width
        return Camera(view, replace(view, x=view.x + way, y=view.y + 0.3 * way))

    return camera


@pytest.mark.parametrize(
    "move",
    [zoom_at(0.01, 1.5), zoom_at(0.10, 1.5), zoom_at(-0.05, 1.5), pan_at(2, 1.5), pan_at(7.3, 1.5)],
    ids=["zoom in 1 %/s", "zoom in 10 %/s", "zoom out 5 %/s", "pan 2 px/s", "pan 7.3 px/s"],
)
def test_steady_moves_do_not_shake(tmp_path: Path, move: Callable[[Rect], Camera]) -> None:
    size_px, picture_px, count = (1080, 1920), (1620, 2880), 45
    centres = blob_centres(picture_px)
    light = draw_blobs(centres, size_px=picture_px, sigma_px=picture_px[0] / 180)
    source = still(tmp_path / "blobs.png", np.repeat(light[..., None], 3, axis=2), compress_level=1)
    camera = move(largest_rect(picture_px[0] / picture_px[1], size_px[0] / size_px[1]))
    timeline = timeline_of([clip_of(source, 0, count, camera=camera)], size_px=size_px)
    view = camera.start
    starts = (centres / picture_px - (view.x, view.y)) / (view.width, view.height) * size_px
    found = jitter_of(follow(luma(draw_range(native_of(timeline))), starts, window_px=80))
    assert found.rms_px <= NATIVE_JITTER_PX
    assert found.backward_steps == 0
    assert found.steps > 1000


def test_a_pan_ends_at_the_pictures_edge(tmp_path: Path) -> None:
    picture = np.zeros((200, 600, 3), np.uint8)
    picture[:, -20:] = 255
    start = largest_rect(3, ASPECT, focus=(0, 0.5))
    camera = Camera(start, replace(start, x=1 - start.width))
    timeline = timeline_of(
        [clip_of(still(tmp_path / "p.png", picture), 0, 20, camera=camera)], size_px=SIZE_PX
    )
    last = luma(draw_range(native_of(timeline), 19, 20))[0]
    white = int(20 / 200 * SIZE_PX[1])
    assert (last[:, -white + 3 :] > 230).all()
    assert (last[:, : -white - 3] < 20).all()


def test_a_long_move_ends_exactly_where_it_should(tmp_path: Path) -> None:
    source = textured(tmp_path / "t.png", 7)
    whole = largest_rect(240 / 427, ASPECT)
    camera = Camera(whole, zoom_about(whole, zoom=1.4, focus=(0.2, 0.9)))
    minutes = 30 * 60 * 5
    ends = [
        draw_range(
            native_of(timeline_of([clip_of(source, 0, count, camera=camera)], size_px=SIZE_PX)), count - 1
        )
        for count in (10, minutes)
    ]
    assert_frames_equal(*ends)


# -- stills of every size -----------------------------------------------------------------------------


@pytest.mark.parametrize("fit", ["cover", "contain", "blur"])
@pytest.mark.parametrize("size_px", [(1, 1), (2, 3), (3000, 30), (30, 3000), (640, 480)])
def test_stills_of_any_size_are_drawn(tmp_path: Path, fit: Fit, size_px: tuple[int, int]) -> None:
    source = flat(tmp_path / "p.png", (200, 60, 30), size_px)
    aspect = size_px[0] / size_px[1] if fit == "cover" else ASPECT
    whole = largest_rect(aspect, ASPECT)
    standing = timeline_of([clip_of(source, 0, 1, fit=fit)], size_px=SIZE_PX)
    found, expected = (
        middle_colour(draw_range(one)[0]) for one in (native_of(standing), compositor_of(standing))
    )
    assert abs(found[0] - expected[0]) <= 2  # chroma reaches further around a sliver of a picture
    camera = Camera(whole, zoom_about(whole, zoom=4, focus=(0.5, 0.5)))
    moving = timeline_of([clip_of(source, 0, 3, fit=fit, camera=camera)], size_px=SIZE_PX)
    frames = draw_range(native_of(moving))
    assert len(frames) == 3
    if fit == "cover":
        for frame in frames:
            assert_colour(middle_colour(frame), bt709(200, 60, 30))


def test_a_deep_zoom_is_sharp_at_its_end_and_smooth_at_its_start(tmp_path: Path) -> None:
    picture_px = (1080, 1920)
    fine = np.indices(picture_px[::-1]).sum(axis=0) % 2 * 255  # a chessboard of single pixels
    source = still(tmp_path / "c.png", np.repeat(fine[..., None], 3, axis=2).astype(np.uint8))
    whole = Rect(0, 0, 1, 1)
    camera = Camera(whole, zoom_about(whole, zoom=10, focus=(0.5, 0.5)))
    timeline = timeline_of([clip_of(source, 0, 11, camera=camera)], size_px=SIZE_PX)
    compositor = native_of(timeline)
    assert len(load_picture(look_of(timeline.clips[0], SIZE_PX)).levels) > 2
    frames = luma(draw_range(compositor)).astype(float)
    assert frames[0].std() < 3  # no moiré where ten pixels fall on one
    assert frames[-1].std() > 60


def test_a_large_jpeg_is_decoded_no_larger_than_needed_and_looks_the_same(tmp_path: Path) -> None:
    big = smooth(tmp_path / "big.png", 3, (1600, 2400))
    with Image.open(big.path) as image:
        image.save(tmp_path / "big.jpg", quality=97)
    jpeg = replace(big, path=tmp_path / "big.jpg", demuxer="jpeg_pipe")
    frames = [
        draw_range(native_of(timeline_of([clip_of(one, 0, 1)], size_px=SIZE_PX))) for one in (big, jpeg)
    ]
    assert_frames_equal(*frames, min_psnr_db=COMPOSITORS_DB)


def test_clips_of_one_look_share_one_picture(tmp_path: Path) -> None:
    source = textured(tmp_path / "t.png", 1)
    whole = largest_rect(240 / 427, ASPECT)
    there = Camera(whole, zoom_about(whole, zoom=1.3, focus=(0.2, 0.3)))
    back = Camera(there.end, there.start)
    clips: list[Clip] = [clip_of(source, 0, 5, camera=there), clip_of(source, 5, 10, camera=back)]
    compositor = native_of(timeline_of(clips, size_px=SIZE_PX))
    assert compositor.picture(clips[0]) is compositor.picture(clips[1])


def test_a_deleted_still_is_named(tmp_path: Path) -> None:
    source = textured(tmp_path / "t.png", 1)
    source.path.unlink()
    compositor = native_of(timeline_of([clip_of(source, 0, 5)], size_px=SIZE_PX))
    with pytest.raises(RenderingError, match=r"t\.png: cannot be decoded"):
        draw_range(compositor)


ENDS_WHILE_LOADING = """
import sys, time
from pathlib import Path
from video_pipeline.engine.render.compositors.native import NativeCompositor
from video_pipeline.engine.timing import FrameRange
from tests.support.video import Still, clip_of, compositor_of, timeline_of

path, seconds = Path(sys.argv[1]), float(sys.argv[2])
clips = [clip_of(Still(path, 2400, 3200, str(number), "jpeg_pipe"), number, number + 1) for number in range(20)]
timeline = timeline_of(clips, size_px=(1080, 1920))
drawn = NativeCompositor(timeline=timeline, captions=(), graphs=compositor_of(timeline))
drawn.prepare(FrameRange(0, 20))
time.sleep(seconds)
sys.exit(3)
"""


def test_a_process_that_ends_while_pictures_load_keeps_its_exit_status(tmp_path: Path) -> None:
    textured(tmp_path / "a.jpg", 1, (2400, 3200))
    for wait in np.linspace(0, 0.2, 11):
        command = [sys.executable, "-c", ENDS_WHILE_LOADING, str(tmp_path / "a.jpg"), str(wait)]
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)
        assert (done.returncode, done.stderr) == (3, b""), f"after {wait} s"
