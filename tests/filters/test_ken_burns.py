"""The camera: light followed through drawn frames, against the formula u = z P - o."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.jitter import follow, jitter_of
from tests.support.camera import EASED, place
from tests.support.tolerances import JITTER_PX, PERSPECTIVE_PX, ZOOMPAN_SOFT_PX, assert_frames_equal, psnr_db
from tests.support.video import (
    Frames,
    Points,
    blobs,
    centroid,
    clip_of,
    compositor_of,
    draw,
    luma,
    planes,
    still,
    timeline_of,
)
from video_pipeline.engine.render.compositors.ffmpeg import FfmpegCompositor
from video_pipeline.engine.timeline import Still
from video_pipeline.filters.geometry import (
    EASINGS,
    Camera,
    Easing,
    Rect,
    largest_rect,
    widen_to_aspect,
    zoom_about,
)
from video_pipeline.filters.graph import Stream, filter_complex, open_input
from video_pipeline.filters.ken_burns import (
    EASING_EXPRESSIONS,
    MAX_PLANE,
    ZOOMPAN_MAX_ZOOM,
    perspective,
    plane_px,
    zoompan,
    zoompan_zoom,
)

SIZE_PX = (180, 320)
ASPECT = SIZE_PX[0] / SIZE_PX[1]
FRAMES = 17
OVERSAMPLE = 4
REACH_PX = 12

WHOLE = largest_rect(ASPECT, ASPECT)
WIDE = largest_rect(16 / 9, ASPECT)
PORTRAIT_PX, LANDSCAPE_PX = (360, 640), (640, 360)
MOVES: dict[str, tuple[tuple[int, int], Camera]] = {
    "zoom in": (PORTRAIT_PX, Camera(WHOLE, zoom_about(WHOLE, zoom=1.3, focus=(0.5, 0.5)))),
    "zoom to a corner": (PORTRAIT_PX, Camera(WHOLE, zoom_about(WHOLE, zoom=1.7, focus=(0.2, 0.1)))),
    "zoom out of an edge": (PORTRAIT_PX, Camera(zoom_about(WHOLE, zoom=1.4, focus=(1.0, 0.5)), WHOLE)),
    "pan right": (LANDSCAPE_PX, Camera(Rect(0, 0, WIDE.width, 1), Rect(1 - WIDE.width, 0, WIDE.width, 1))),
    "pan left": (LANDSCAPE_PX, Camera(Rect(0.5, 0, WIDE.width, 1), Rect(0.1, 0, WIDE.width, 1))),
    "up and in": (
        LANDSCAPE_PX,
        Camera(Rect(0.4, 0.2, WIDE.width * 0.8, 0.8), Rect(0.1, 0.05, WIDE.width * 0.55, 0.55)),
    ),
    "down a tall picture": (
        (180, 900),
        Camera(largest_rect(0.2, ASPECT, focus=(0.5, 0)), largest_rect(0.2, ASPECT, focus=(0.5, 1))),
    ),
}


def eased(camera: Camera, easing: Easing) -> Camera:
    return Camera(camera.start, camera.end, easing)


def spread(picture_px: tuple[int, int]) -> Points:
    """Return places of blobs, off the whole pixels, in pixels of the picture."""
    columns, rows = (7, 5) if picture_px[0] > picture_px[1] else (5, max(5, picture_px[1] // 120))
    rng = np.random.default_rng(4)
    grid = itertools.product(np.linspace(0.06, 0.94, columns), np.linspace(0.06, 0.94, rows))
    return np.array([(x * picture_px[0], y * picture_px[1]) for x, y in grid]) + rng.uniform(
        -2, 2, (columns * rows, 2)
    )


def blob_compositor(
    folder: Path, picture_px: tuple[int, int], camera: Camera, motion: str
) -> tuple[FfmpegCompositor, Points]:
    centres = spread(picture_px)
    pixels = np.repeat(blobs(picture_px, centres, sigma_px=3)[..., None], 3, axis=2)
    source = still(folder / "blobs.png", pixels)
    timeline = timeline_of([clip_of(source, 0, FRAMES, camera=camera)], size_px=SIZE_PX)
    return compositor_of(timeline, motion=motion, oversample=OVERSAMPLE), centres / picture_px


def errors(frames: Frames, points: Points, camera: Camera) -> tuple[Points, int]:
    """Return the distance of every blob that is wholly seen from its place, (n, 2), and the frames with one."""
    found, seen = [], 0
    for number, picture in enumerate(luma(frames)):
        count = len(found)
        for point in points:
            u = place(camera, point, number, FRAMES, SIZE_PX)
            if all(2 * REACH_PX < u[axis] < SIZE_PX[axis] - 2 * REACH_PX for axis in (0, 1)):
                measured = centroid(picture, u, REACH_PX, floor=40)
                found.append((measured[0] - u[0], measured[1] - u[1]))
        seen += len(found) > count
    return np.array(found), seen


@pytest.mark.parametrize(
    ("move", "easing"),
    [*((move, "linear") for move in MOVES), *(("up and in", easing) for easing in EASINGS[1:])],
)
def test_perspective_maps_every_point_as_the_formula_does(tmp_path: Path, move: str, easing: Easing) -> None:
    picture_px, camera = MOVES[move]
    camera = eased(camera, easing)
    compositor, points = blob_compositor(tmp_path, picture_px, camera, "perspective")
    frames = draw(compositor)
    found, seen = errors(frames, points, camera)
    assert seen == len(frames) == FRAMES
    assert np.abs(found).max() < PERSPECTIVE_PX
    assert_frames_equal(draw(compositor, 5, 11), frames[5:11])


@pytest.mark.parametrize("move", MOVES)
def test_zoompan_puts_every_point_within_a_step_of_the_formula(tmp_path: Path, move: str) -> None:
    picture_px, camera = MOVES[move]
    camera = eased(camera, "ease_in_out")
    compositor, points = blob_compositor(tmp_path, picture_px, camera, "zoompan")
    frames = draw(compositor)
    found, seen = errors(frames, points, camera)
    assert seen == len(frames) == FRAMES
    # One pixel of zoompan's input, on the screen: the input shows the whole way at `OVERSAMPLE` canvases.
    bounds = camera.bounds()
    aspect = picture_px[0] / picture_px[1]
    padded = max(bounds.width, bounds.height * ASPECT / aspect)
    step = padded / min(camera.start.width, camera.end.width) / OVERSAMPLE
    assert np.abs(found).max() < step + ZOOMPAN_SOFT_PX
    assert_frames_equal(draw(compositor, 5, 11), frames[5:11])


@pytest.mark.parametrize("move", MOVES)
def test_both_filters_number_frames_alike(tmp_path: Path, move: str) -> None:
    picture_px, camera = MOVES[move]
    first, _ = blob_compositor(tmp_path, picture_px, camera, "perspective")
    second, _ = blob_compositor(tmp_path, picture_px, camera, "zoompan")
    one, two = luma(draw(first)), luma(draw(second))
    for number in range(FRAMES):
        nearest = max(range(FRAMES), key=lambda other: psnr_db(one[number], two[other]))
        assert nearest == number


@pytest.mark.parametrize("motion", ["auto", "perspective", "zoompan"])
@pytest.mark.parametrize(
    ("picture_px", "along"), [(LANDSCAPE_PX, 0), ((180, 900), 1), ((1600, 100), 0), ((4000, 10), 0)], ids=str
)
def test_a_pan_starts_and_ends_at_the_edges_and_shows_nothing_beyond(
    tmp_path: Path, picture_px: tuple[int, int], along: int, motion: str
) -> None:
    width, height = picture_px
    pixels = np.full((height, width, 3), 128, np.uint8)
    edge = max(2, height // 20 if along == 0 else width // 20)
    first, last = ((slice(None), slice(0, edge)), (slice(None), slice(width - edge, width)))
    if along == 1:
        first, last = (slice(0, edge), slice(None)), (slice(height - edge, height), slice(None))
    pixels[first], pixels[last] = (60, 60, 255), (255, 60, 60)
    aspect = width / height
    ends = [largest_rect(aspect, ASPECT, focus=(at, at)) for at in (0.0, 1.0)]
    source = still(tmp_path / "p.png", pixels)
    timeline = timeline_of([clip_of(source, 0, FRAMES, camera=Camera(*ends))], size_px=SIZE_PX)
    frames = draw(compositor_of(timeline, motion=motion))
    y, u, v = planes(frames)
    assert y.min() > 60  # black is 16
    line = (slice(None), 0) if along == 0 else (0, slice(None))
    end = (slice(None), -1) if along == 0 else (-1, slice(None))
    assert u[0][line].min() > 170
    assert v[-1][end].min() > 170
    # Both edges have the width that they have in the picture, neither cut nor stretched.
    seen = edge * SIZE_PX[1 - along] / picture_px[1 - along]
    across = (u[0] > 160).any(axis=along), (v[-1] > 160).any(axis=along)
    for blue in across:
        assert 2 * blue.sum() == pytest.approx(seen, abs=4)


@pytest.mark.parametrize(
    ("picture_px", "camera"),
    [
        (PORTRAIT_PX, Camera(WHOLE, zoom_about(WHOLE, zoom=1.1, focus=(0.5, 0.5)))),
        (PORTRAIT_PX, Camera(zoom_about(WHOLE, zoom=1.1, focus=(0.2, 0.9)), WHOLE)),
        (LANDSCAPE_PX, Camera(Rect(0.3, 0, WIDE.width, 1), Rect(0.42, 0, WIDE.width, 1))),
    ],
    ids=["in", "out", "pan"],
)
def test_a_move_by_perspective_does_not_shake(
    tmp_path: Path, picture_px: tuple[int, int], camera: Camera
) -> None:
    count = 60
    centres = spread(picture_px)
    pixels = np.repeat(blobs(picture_px, centres, sigma_px=6)[..., None], 3, axis=2)
    source = still(tmp_path / "b.png", pixels)
    timeline = timeline_of([clip_of(source, 0, count, camera=camera)], size_px=SIZE_PX)
    compositor = compositor_of(timeline)
    assert compositor.motion_of(timeline.clips[0]) == "perspective"
    starts = np.array([place(camera, point, 0, count, SIZE_PX) for point in centres / picture_px])
    jitter = jitter_of(follow(luma(draw(compositor)), starts, window_px=40))
    print(jitter)
    assert jitter.blobs >= 5
    assert jitter.rms_px <= JITTER_PX
    assert jitter.backward_steps == 0


def test_auto_takes_perspective_unless_it_would_be_soft_or_zoompan_could_not(tmp_path: Path) -> None:
    def chosen(picture_px: tuple[int, int], camera: Camera) -> str | None:
        source = Still(tmp_path / "x.png", *picture_px, "")
        timeline = timeline_of([clip_of(source, 0, 9, camera=camera)], size_px=SIZE_PX)
        return compositor_of(timeline).motion_of(timeline.clips[0])

    assert chosen(PORTRAIT_PX, Camera(WHOLE, WHOLE)) is None
    assert chosen(PORTRAIT_PX, Camera(WHOLE, zoom_about(WHOLE, zoom=1.7, focus=(0.5, 0.5)))) == "perspective"
    assert chosen(PORTRAIT_PX, Camera(WHOLE, zoom_about(WHOLE, zoom=3, focus=(0.5, 0.5)))) == "zoompan"
    assert chosen(PORTRAIT_PX, Camera(WHOLE, zoom_about(WHOLE, zoom=12, focus=(0.5, 0.5)))) == "perspective"
    assert chosen(*MOVES["pan right"]) == "perspective"


@pytest.mark.parametrize("zoom", [3.0, 12.0])
def test_a_deep_zoom_ends_at_its_rectangle(tmp_path: Path, zoom: float) -> None:
    picture_px = (1440, 2560)
    end = zoom_about(WHOLE, zoom=zoom, focus=(0.3, 0.6))
    pixels = np.full((picture_px[1], picture_px[0], 3), 40, np.uint8)
    left, top = round(end.x * picture_px[0]), round(end.y * picture_px[1])
    pixels[top : top + round(end.height * picture_px[1]), left : left + round(end.width * picture_px[0])] = (
        200
    )
    source = still(tmp_path / "p.png", pixels)
    timeline = timeline_of([clip_of(source, 0, 12, camera=Camera(WHOLE, end))], size_px=SIZE_PX)
    y = luma(draw(compositor_of(timeline)))[-1]
    assert y[24:-24, 24:-24].min() > 180


# -- rectangles -----------------------------------------------------------------------------------

aspects = st.floats(min_value=0.05, max_value=20)
fractions = st.floats(min_value=0, max_value=1)


def inside(rect: Rect) -> bool:
    return (
        rect.x >= -1e-9
        and rect.y >= -1e-9
        and rect.x + rect.width <= 1 + 1e-9
        and rect.y + rect.height <= 1 + 1e-9
    )


def aspect_of(rect: Rect, picture_aspect: float) -> float:
    return rect.width / rect.height * picture_aspect


@given(picture=aspects, canvas=aspects, zoom=st.floats(min_value=1, max_value=4), x=fractions, y=fractions)
def test_rectangles_have_the_aspect_of_the_canvas_and_stay_inside_the_picture(
    picture: float, canvas: float, zoom: float, x: float, y: float
) -> None:
    for rect in (
        largest_rect(picture, canvas, zoom=zoom, focus=(x, y)),
        zoom_about(largest_rect(picture, canvas, focus=(x, y)), zoom=zoom, focus=(x, y)),
    ):
        assert inside(rect)
        assert aspect_of(rect, picture) == pytest.approx(canvas, rel=1e-6)


@given(picture=aspects, canvas=aspects, zoom=st.floats(min_value=1, max_value=4), x=fractions, y=fractions)
def test_a_zoom_keeps_its_point_at_the_same_place_of_the_screen(
    picture: float, canvas: float, zoom: float, x: float, y: float
) -> None:
    outer = largest_rect(picture, canvas)
    x, y = outer.x + x * outer.width, outer.y + y * outer.height
    inner = zoom_about(outer, zoom=zoom, focus=(x, y))
    assert (x - inner.x) / inner.width == pytest.approx((x - outer.x) / outer.width, abs=1e-6)
    assert (y - inner.y) / inner.height == pytest.approx((y - outer.y) / outer.height, abs=1e-6)


@given(
    picture=aspects,
    canvas=aspects,
    corners=st.tuples(fractions, fractions, fractions, fractions),
)
def test_a_widened_rectangle_contains_the_original_one_if_possible(
    picture: float, canvas: float, corners: tuple[float, float, float, float]
) -> None:
    x0, x1 = sorted(corners[:2])
    y0, y1 = sorted(corners[2:])
    assume(x1 - x0 > 0.01 and y1 - y0 > 0.01)
    rect = Rect(x0, y0, x1 - x0, y1 - y0)
    widened = widen_to_aspect(rect, picture, canvas)
    assert inside(widened)
    assert aspect_of(widened, picture) == pytest.approx(canvas, rel=1e-6)
    largest = largest_rect(picture, canvas)
    if rect.width <= largest.width + 1e-9 and rect.height <= largest.height + 1e-9:
        assert widened.x <= rect.x + 1e-6
        assert widened.y <= rect.y + 1e-6
        assert widened.x + widened.width >= rect.x + rect.width - 1e-6
        assert widened.y + widened.height >= rect.y + rect.height - 1e-6


@given(picture=aspects, size=st.floats(min_value=0.02, max_value=1), ends=st.tuples(fractions, fractions))
def test_the_plane_is_never_smaller_than_the_canvas_nor_without_bound(
    picture: float, size: float, ends: tuple[float, float]
) -> None:
    largest = largest_rect(picture, ASPECT, zoom=1 / size)
    rects = [largest_rect(picture, ASPECT, zoom=1 / size, focus=(at, 1 - at)) for at in ends]
    assert rects[0].width == pytest.approx(largest.width)
    camera = Camera(rects[0], rects[1])
    width, height = plane_px(camera, bounds=camera.bounds(), canvas_px=SIZE_PX)
    assert width % 2 == height % 2 == 0
    assert width >= SIZE_PX[0]
    assert height >= SIZE_PX[1]
    assert width * height <= 2 * MAX_PLANE * math.prod(SIZE_PX)


# -- the expressions ------------------------------------------------------------------------------


def value(expression: str, **variables: float) -> float:
    """Return the value that FFmpeg computes for an expression of these filters."""
    known: dict[str, object] = {
        "clip": lambda x, low, high: min(max(x, low), high),
        "floor": math.floor,
        "round": lambda x: math.floor(x + 0.5),
        "lt": lambda a, b: a < b,
        "choose": lambda condition, yes, no: yes if condition else no,
    }
    return float(eval(expression.replace("if(", "choose("), {"__builtins__": {}}, known | variables))


def options_of(stream: Stream, name: str, *, last: bool = False) -> list[str]:
    """Return positional values and `key=value` of a filter in a stream's graph."""
    links = [link for link in filter_complex([stream]).replace("\\", "").split(";") if f"]{name}=" in link]
    return links[-1 if last else 0].partition(f"{name}=")[2].rpartition("[")[0].split(":")


def opened() -> Stream:
    return open_input(Path("/p.png"), demuxer="png_pipe")


def test_the_expressions_of_the_easings_are_those_of_the_formula() -> None:
    for easing, text in EASING_EXPRESSIONS.items():
        for step in range(101):
            assert value(text.format(p=step / 100)) == pytest.approx(EASED[easing](step / 100), abs=1e-12)
    assert set(EASING_EXPRESSIONS) == set(EASINGS)


CROSSING = Camera(Rect(0.1, 0.2, 0.6, 0.4), Rect(0.5, 0.25, 0.3, 0.2), "ease_in_out")
BOUNDS = Rect(0.1, 0.2, 0.7, 0.4)
CANVAS_PX = (180, 120)


@pytest.mark.parametrize("first_frame", [0, 5])
def test_perspective_reads_the_corners_of_the_view_from_a_moving_window(first_frame: int) -> None:
    frames = 17
    plane = plane_px(CROSSING, bounds=BOUNDS, canvas_px=CANVAS_PX)
    assert plane == (210, 120)
    stream = perspective(
        opened(), CROSSING, bounds=BOUNDS, canvas_px=CANVAS_PX, first_frame=first_frame, frames=frames
    )
    width, height, x, y = options_of(stream, "crop")
    window = (int(width), int(height))
    assert window == (188, 120)
    corners = dict(option.split("=") for option in options_of(stream, "perspective"))
    assert (corners["eval"], corners["interpolation"]) == ("frame", "cubic")
    assert options_of(stream, "crop", last=True) == ["180", "120", "0", "0"]
    for number in range(frames - first_frame):
        crop = [value(x, n=number), value(y, n=number)]
        left, top, right, bottom = (value(corners[key], on=number + 1) for key in ("x0", "y0", "x1", "y2"))
        for name, same in (("x2", "x0"), ("x3", "x1"), ("y1", "y0"), ("y3", "y2")):
            assert corners[name] == corners[same]
        for axis, (near, far) in enumerate(((left, right), (top, bottom))):
            # The view in pixels of the plane, by the formula: its left end (u is 0) and its right one (u is the canvas).
            ends = [
                place(CROSSING, (at, at), number + first_frame, frames, (1, 1))[axis] for at in (0.0, 1.0)
            ]
            zoom = ends[1] - ends[0]
            start = (-ends[0] / zoom - (BOUNDS.x, BOUNDS.y)[axis]) / (BOUNDS.width, BOUNDS.height)[axis]
            step = plane[axis] / zoom / (BOUNDS.width, BOUNDS.height)[axis] / CANVAS_PX[axis]
            assert near + crop[axis] == pytest.approx(start * plane[axis] + step / 2 - 0.5, abs=1e-6)
            assert far - near == pytest.approx(window[axis] * step, abs=1e-6)
            assert crop[axis] % 2 == 0
            assert 0 <= crop[axis] <= plane[axis] - window[axis]
            if 0 < crop[axis] < plane[axis] - window[axis]:
                assert 3 < start * plane[axis] - crop[axis] <= 7, "the window begins a little before the view"


def test_perspective_needs_no_window_if_the_plane_is_the_canvas() -> None:
    camera = Camera(Rect(0, 0, 1, 1), Rect(0.1, 0.1, 0.8, 0.8))
    stream = perspective(
        opened(), camera, bounds=Rect(0, 0, 1, 1), canvas_px=CANVAS_PX, first_frame=0, frames=9,
        interpolation="linear",
    )  # fmt: skip
    text = filter_complex([stream])
    assert "crop" not in text
    assert "interpolation=linear" in text


def test_a_move_of_one_frame_stays_at_its_start() -> None:
    stream = perspective(opened(), CROSSING, bounds=BOUNDS, canvas_px=CANVAS_PX, first_frame=0, frames=1)
    corners = dict(option.split("=") for option in options_of(stream, "perspective"))
    assert value(corners["x0"], on=1) == pytest.approx(0.5 * 210 / 180 * 0.6 / 0.7 - 0.5)


def test_zoompan_is_given_zoom_and_corner_of_the_view() -> None:
    frames, first_frame = 17, 3
    stream = zoompan(
        opened(), CROSSING, bounds=BOUNDS, first_frame=first_frame, count=9, frames=frames,
        canvas_px=CANVAS_PX, fps=Fraction(30000, 1001),
    )  # fmt: skip
    options = dict(option.split("=") for option in options_of(stream, "zoompan"))
    assert (options["d"], options["s"], options["fps"]) == ("9", "180x120", "30000/1001")
    for number in range(9):
        ends = [place(CROSSING, (at, at), number + first_frame, frames, (1, 1)) for at in (0.0, 1.0)]
        zooms = [(ends[1][axis] - ends[0][axis]) for axis in (0, 1)]
        zoom = value(options["z"], on=number)
        assert zoom == pytest.approx(zooms[0] * BOUNDS.width, abs=1e-9)
        s = EASED["ease_in_out"]((number + first_frame) / (frames - 1))
        # Offsets are in widths of the bounds, on both axes: zoompan has one zoom, and pads below.
        near = (
            (CROSSING.start.x - BOUNDS.x) / 0.6,
            (CROSSING.start.y - BOUNDS.y) / BOUNDS.height * 0.7 / 0.6,
        )
        far = ((CROSSING.end.x - BOUNDS.x) / 0.3, (CROSSING.end.y - BOUNDS.y) / BOUNDS.height * 0.7 / 0.3)
        left, top = ((1 - s) * a + s * b for a, b in zip(near, far, strict=True))
        assert value(options["x"], on=number, iw=4000, zoom=zoom) == math.floor(4000 * left / zoom + 0.5)
        assert value(options["y"], on=number, ih=4000, zoom=zoom) == math.floor(4000 * top / zoom + 0.5)


def test_the_zoom_that_zoompan_needs_is_that_of_the_nearer_end() -> None:
    assert ZOOMPAN_MAX_ZOOM == 10, "as ffmpeg documents it"
    assert zoompan_zoom(CROSSING, bounds=BOUNDS) == pytest.approx(0.7 / 0.3)
    assert zoompan_zoom(Camera(CROSSING.end, CROSSING.start), bounds=BOUNDS) == pytest.approx(0.7 / 0.3)


@pytest.mark.parametrize(
    ("camera", "bounds", "size"),
    [
        (Camera(Rect(0, 0, 1, 1), Rect(0.2, 0.2, 0.5, 0.5)), Rect(0, 0, 1, 1), (180, 320)),
        (Camera(Rect(0, 0, 0.5, 1), Rect(0.5, 0, 0.5, 1)), Rect(0, 0, 1, 1), (360, 320)),
        (Camera(Rect(0, 0, 0.5, 1), Rect(0, 0, 0.25, 0.5)), Rect(0, 0, 0.5, 1), (180, 320)),
        (Camera(Rect(0, 0, 0.3, 1), Rect(0.7, 0, 0.3, 1)), Rect(0, 0, 1, 1), (600, 320)),
        (Camera(Rect(0, 0, 0.31, 1), Rect(0.69, 0, 0.31, 1)), Rect(0, 0, 1, 1), (580, 320)),
        # 40 canvases in all, and no side over 32768 px.
        (Camera(Rect(0, 0, 0.01, 1), Rect(0.99, 0, 0.01, 1)), Rect(0, 0, 1, 1), (11384, 320)),
        (Camera(Rect(0, 0, 0.1, 0.1), Rect(0.9, 0.9, 0.1, 0.1)), Rect(0, 0, 1, 1), (1138, 2024)),
        (Camera(Rect(0, 0, 0.001, 1), Rect(0.999, 0, 0.001, 1)), Rect(0, 0, 1, 1), (32768, 320)),
    ],
)
def test_the_plane_is_as_large_as_the_way_at_the_canvas_s_scale(
    camera: Camera, bounds: Rect, size: tuple[int, int]
) -> None:
    assert plane_px(camera, bounds=bounds, canvas_px=SIZE_PX) == size


@pytest.mark.parametrize(("frames", "last"), [(2, 1), (3, 2), (9, 8)])
def test_a_move_ends_with_its_last_frame_however_short_it_is(frames: int, last: int) -> None:
    stream = perspective(opened(), CROSSING, bounds=BOUNDS, canvas_px=CANVAS_PX, first_frame=0, frames=frames)
    corners = dict(option.split("=") for option in options_of(stream, "perspective"))
    still = perspective(
        opened(), CROSSING, bounds=BOUNDS, canvas_px=CANVAS_PX, first_frame=last, frames=frames
    )
    ended = dict(option.split("=") for option in options_of(still, "perspective"))
    assert value(corners["x0"], on=last + 1) == pytest.approx(value(ended["x0"], on=1))
    assert value(corners["x0"], on=last + 1) == pytest.approx(value(corners["x0"], on=last + 9))
