"""The colour grade on real frames, by every compositor: pictures and clips, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.tolerances import COLOUR_LEVELS, COMPOSITORS_DB, assert_frames_equal
from tests.support.video import (
    bt709,
    catalogue,
    clip_of,
    compositor_of,
    draw_range,
    flat,
    footage_of,
    middle_colour,
    run_ffmpeg,
    textured,
    timeline_of,
)
from video_pipeline import native
from video_pipeline.engine.assets.cube import cube_text, identity, mixed
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.render.captions.draw import draw_captions
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.timeline import Caption, Clip, Footage, Grade, Still, Timeline
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.geometry import Fit
from video_pipeline.filters.text import Box, TextStyle

SIZE_PX = (180, 320)
COLOUR = (200, 120, 40)
NATIVE = pytest.mark.skipif(not native.available(), reason="the native extension was not built")
COMPOSITORS = ["ffmpeg", pytest.param("native", marks=NATIVE)]


def swapped(folder: Path, strength: float = 1.0) -> Grade:
    """Return a grade that lifts black to a quarter and exchanges red and blue."""
    file = folder / f"swapped-{strength}.cube"
    file.write_text(cube_text(mixed(0.25 + 0.75 * identity(17)[..., ::-1], strength)))
    return Grade(file, "swapped.cube", "hash", strength)


def expected(strength: float) -> tuple[float, float, float]:
    own, new = np.array(COLOUR), 0.25 * 255 + 0.75 * np.array(COLOUR[::-1])
    red, green, blue = own + strength * (new - own)
    return bt709(red, green, blue)


def opened(name: str, shown: Timeline, captions: tuple = ()) -> Compositor:  # type: ignore[type-arg]
    if name == "ffmpeg":
        return compositor_of(shown, captions=captions)
    from video_pipeline.engine.render.compositors.native import NativeCompositor

    return NativeCompositor(timeline=shown, captions=captions, graphs=compositor_of(shown))


def clip_file(folder: Path) -> Footage:
    """Return a clip of one colour, tagged as BT.709."""
    path = folder / "clip.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=0x{:02x}{:02x}{:02x}:s=180x320:r=30:d=0.4".format(*COLOUR)),
        *("-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", "-c:v", "libx264", "-qp", "0"),
        *(
            "-colorspace",
            "bt709",
            "-color_primaries",
            "bt709",
            "-color_trc",
            "bt709",
            "-color_range",
            "tv",
            path,
        ),
    )
    return footage_of(path)


@pytest.mark.parametrize("name", COMPOSITORS)
@pytest.mark.parametrize("strength", [1.0, 0.5])
@pytest.mark.parametrize("kind", ["still", "clip"])
def test_a_picture_and_a_clip_have_the_colours_of_the_lut(
    tmp_path: Path, kind: str, strength: float, name: str
) -> None:
    source: Still | Footage = clip_file(tmp_path) if kind == "clip" else flat(tmp_path / "a.png", COLOUR)
    clip = clip_of(source, 0, 6, grade=swapped(tmp_path, strength))
    frames = draw_range(opened(name, timeline_of([clip])))
    for frame in frames:
        difference = np.abs(np.asarray(middle_colour(frame), float) - expected(strength))
        # Two conversions of eight bits lie between a clip's colour and the graded one.
        assert difference.max() <= COLOUR_LEVELS + (1 if kind == "clip" else 0)


@pytest.mark.parametrize("name", COMPOSITORS)
@pytest.mark.parametrize("kind", ["still", "clip"])
def test_the_black_beside_a_contained_picture_is_not_graded(tmp_path: Path, kind: str, name: str) -> None:
    wide = flat(tmp_path / "a.png", COLOUR, (320, 90))
    source: Still | Footage = replace(clip_file(tmp_path)) if kind == "clip" else wide
    clip = clip_of(source, 0, 2, fit="contain", grade=swapped(tmp_path))
    size = (320, 180) if kind == "clip" else SIZE_PX
    frame = draw_range(opened(name, timeline_of([clip], size_px=size)), 0, 1)[0]
    assert frame[0, 0] == 16
    assert abs(middle_colour(frame)[0] - expected(1)[0]) <= COLOUR_LEVELS + 1


@NATIVE
@pytest.mark.parametrize("fit", ["cover", "contain", "blur"])
def test_compositors_grade_alike(tmp_path: Path, fit: Fit) -> None:
    clip = clip_of(textured(tmp_path / "a.png", 5, (427, 240)), 0, 2, fit=fit, grade=swapped(tmp_path))
    shown = timeline_of([clip])
    one, other = (draw_range(opened(name, shown)) for name in ("native", "ffmpeg"))
    assert_frames_equal(one, other, min_psnr_db=COMPOSITORS_DB)


@pytest.mark.parametrize("name", COMPOSITORS)
def test_captions_keep_their_colours(tmp_path: Path, name: str) -> None:
    style = TextStyle(size_px=30, color=(255, 255, 255, 255), box=Box(color=(200, 20, 20, 255), radius_px=0))
    caption = Caption("a", "word", FrameRange(0, 4), style, "NotoSans-Bold", "center", "none")
    own = clip_of(flat(tmp_path / "a.png", (0, 0, 0)), 0, 4)

    def frame(clip: Clip) -> np.ndarray:  # type: ignore[type-arg]
        shown = replace(timeline_of([clip]), captions=(caption,))
        arts = draw_captions(
            shown, fonts=catalogue(), cache=ContentCache(tmp_path / "cache"), drawtext=name == "ffmpeg"
        )
        return draw_range(opened(name, shown, arts), 0, 1)[0]

    plain, graded = frame(own), frame(replace(own, grade=swapped(tmp_path)))
    box = plain[: SIZE_PX[1]] > 30
    assert box.sum() > 500
    inside = np.flatnonzero(box)[box.sum() // 2]
    assert plain.ravel()[inside] == graded.ravel()[inside]
    assert plain[4, 4] == 16
    assert graded[4, 4] > 60


def test_frames_are_the_same_from_one_compositor_to_the_next_opened(tmp_path: Path) -> None:
    clip = clip_of(textured(tmp_path / "a.png", 5), 0, 2, grade=swapped(tmp_path))
    name = "native" if native.available() else "ffmpeg"
    first, second = (draw_range(opened(name, timeline_of([clip]))) for _ in range(2))
    assert_frames_equal(first, second)
