"""Captions on real frames: their places, times and colours."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.tolerances import assert_colour, assert_frames_equal
from tests.support.video import (
    SIZE_PX,
    Frames,
    bt709,
    catalogue,
    clip_of,
    compositor_of,
    draw,
    flat,
    luma,
    planes,
    timeline_of,
)
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.captions import CaptionAnimation, CaptionPosition
from video_pipeline.engine.render.captions.draw import (
    ANIMATION_SECONDS,
    CaptionArt,
    draw_captions,
    in_range,
    safe_area,
)
from video_pipeline.engine.timeline import Caption
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.text import Box, Shadow, TextStyle

FRAMES = 60
START, STOP = 11, 47
ENTRANCE = round(ANIMATION_SECONDS * 30)
GREY = (60, 60, 60)
GREY_Y = 16 + 219 * 60 / 255

DRAWTEXT = TextStyle(size_px=28)
RASTER = TextStyle(size_px=28, shadow=Shadow(dx_px=0, dy_px=0, blur_px=0.01, color=(0, 0, 0, 0)))
FORMS = {"drawtext": ("Noto Sans", DRAWTEXT), "raster": ("NotoSans-Bold", RASTER)}


def caption(form: str, **fields: object) -> Caption:
    font, style = FORMS[form]
    given: dict[str, object] = {
        "text": "HIHI",
        "frames": FrameRange(START, STOP),
        "style": style,
        "animation": "none",
        "font": font,
        **fields,
    }
    return Caption(scene_id="s", **given)  # type: ignore[arg-type]


def render(
    folder: Path,
    *captions: Caption,
    size_px: tuple[int, int] = SIZE_PX,
    background: tuple[int, int, int] = GREY,
) -> tuple[Frames, tuple[CaptionArt, ...]]:
    source = flat(folder / "grey.png", background, size_px)
    timeline = timeline_of([clip_of(source, 0, FRAMES)], size_px=size_px)
    timeline = replace(timeline, captions=captions)
    art = draw_captions(timeline, fonts=catalogue(), cache=ContentCache(folder / "cache"))
    return draw(compositor_of(timeline, captions=art)), art


def ink(frames: Frames) -> np.ndarray:
    """Return how bright the words are, frame by frame, over the grey behind them."""
    return np.sort(luma(frames).reshape(len(frames), -1), axis=1)[:, -200:].mean(axis=1) - GREY_Y


def rows(frame: Frames) -> np.ndarray:
    return np.flatnonzero((luma(frame) > GREY_Y + 60).any(axis=1))


@pytest.mark.parametrize("form", FORMS)
def test_a_caption_is_seen_in_exactly_its_frames(tmp_path: Path, form: str) -> None:
    frames, art = render(tmp_path, caption(form))
    assert [one.drawn_by for one in art] == [form]
    seen = ink(frames) > 100
    assert np.flatnonzero(seen).tolist() == list(range(START, STOP))
    assert_frames_equal(frames[:START], np.repeat(frames[:1], START, axis=0))
    assert_frames_equal(frames[STOP:], np.repeat(frames[:1], FRAMES - STOP, axis=0))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("animation", ["fade_in", "fade", "slide_up"])
def test_an_animated_caption_appears_and_disappears_within_its_frames(
    tmp_path: Path, animation: CaptionAnimation, form: str
) -> None:
    frames, art = render(tmp_path, caption(form, animation=animation), size_px=(360, 640))
    assert [one.drawn_by for one in art] == [form]
    strength = ink(frames) / ink(frames).max()
    for frame in range(FRAMES):
        expected = 0.0
        if START <= frame < STOP:
            expected = min(1.0, (frame - START) / ENTRANCE)
            if animation == "fade":
                expected = min(expected, (STOP - frame) / ENTRANCE, 1.0)
        assert strength[frame] == pytest.approx(expected, abs=0.06), frame
    base = rows(frames[STOP - 13])
    heights = [rows(frame)[0] - base[0] for frame in frames[START + 5 : STOP - 12]]
    if animation == "slide_up":
        rise = art[0].rise_px
        for number, height in enumerate(heights, start=5):
            share = max(0.0, 1 - number / ENTRANCE)
            assert height == pytest.approx(
                rise * share**3, abs=2
            )  # overlay moves in steps of chroma, two pixels
        assert heights[0] > 0
        assert all(a >= b for a, b in itertools.pairwise(heights))
    else:
        assert set(heights) == {0}


@pytest.mark.parametrize("form", FORMS)
def test_a_caption_of_one_frame_and_one_of_three_are_seen(tmp_path: Path, form: str) -> None:
    one = caption(form, frames=FrameRange(20, 21))
    three = caption(form, frames=FrameRange(30, 33), animation="slide_up")
    frames, _ = render(tmp_path, one, three)
    seen = ink(frames) > 40
    assert seen[20]
    assert seen[32]
    assert not seen[:20].any()
    assert not seen[21:30].any()
    assert not seen[33:].any()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("position", ["top", "center", "bottom"])
@pytest.mark.parametrize("size_px", [(180, 320), (180, 180), (320, 180), (180, 226)], ids=str)
def test_words_stand_in_the_middle_of_the_width_inside_the_safe_area(
    tmp_path: Path, size_px: tuple[int, int], position: CaptionPosition, form: str
) -> None:
    text = "HOME HOME HOME HOME HOME HOME"
    style = replace(FORMS[form][1], size_px=16)
    frames, _ = render(tmp_path, caption(form, text=text, position=position, style=style), size_px=size_px)
    bright = luma(frames[START + 2]) > GREY_Y + 60
    columns, lines = np.flatnonzero(bright.any(axis=0)), np.flatnonzero(bright.any(axis=1))
    width, height = size_px
    area = safe_area(width, height)
    assert columns[0] >= width * area.side - 1
    assert columns[-1] <= width * (1 - area.side) + 1
    assert lines[0] >= height * area.top - 1
    assert lines[-1] <= height * (1 - area.bottom) + 1
    assert abs((columns[0] + columns[-1]) / 2 - (width - 1) / 2) <= 2
    middle = (lines[0] + lines[-1]) / 2 / height
    assert {"top": middle < 0.4, "center": 0.42 < middle < 0.58, "bottom": middle > 0.55}[position]


def test_both_forms_put_the_same_words_in_the_same_place(tmp_path: Path) -> None:
    drawn, first = render(tmp_path, caption("drawtext"))
    overlaid, second = render(tmp_path, caption("raster", font="Noto Sans"))
    assert [first[0].drawn_by, second[0].drawn_by] == ["drawtext", "raster"]
    one, two = luma(drawn[20]) > GREY_Y + 80, luma(overlaid[20]) > GREY_Y + 80
    for axis in (0, 1):
        a, b = np.flatnonzero(one.any(axis=axis)), np.flatnonzero(two.any(axis=axis))
        assert abs(a[0] - b[0]) <= 2
        assert abs(a[-1] - b[-1]) <= 2


@pytest.mark.parametrize(
    "text", ["%{localtime} %{pts}", "':x=0", "[0:v]", "a\\b\\\\c", "text='x':y=0", "50 % {x}"]
)
def test_words_of_any_kind_are_drawn_as_they_are_written(tmp_path: Path, text: str) -> None:
    style = replace(DRAWTEXT, size_px=12)
    drawn, first = render(tmp_path, caption("drawtext", text=text, style=style))
    assert first[0].drawn_by == "drawtext"
    overlaid, _ = render(
        tmp_path, caption("raster", text=text, font="Noto Sans", style=replace(RASTER, size_px=12))
    )
    one, two = luma(drawn[20]).astype(float) - GREY_Y, luma(overlaid[20]).astype(float) - GREY_Y
    assert one.sum() == pytest.approx(two.sum(), rel=0.12)
    spread = [np.flatnonzero((picture > 60).any(axis=0)) for picture in (one, two)]
    assert abs(spread[0][0] - spread[1][0]) <= 2
    assert abs(spread[0][-1] - spread[1][-1]) <= 2


@pytest.mark.parametrize(
    "colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (10, 200, 120)], ids=str
)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("part", ["letters", "box"])
def test_the_colours_of_a_caption_are_bt709(
    tmp_path: Path, part: str, form: str, colour: tuple[int, int, int]
) -> None:
    style = replace(FORMS[form][1], size_px=90)
    if part == "letters":
        style = replace(style, color=(*colour, 255))
    else:
        style = replace(style, size_px=24, box=Box(color=(*colour, 255), padding_px=20))
    frames, art = render(tmp_path, caption(form, text="I" if part == "letters" else "i", style=style))
    assert art[0].drawn_by == form
    frame = frames[START + 3]
    y, u, v = planes(frame)
    if part == "letters":
        changed = np.abs(y.astype(int) - round(GREY_Y)) > 6
        if not changed.any():
            changed = np.repeat(np.repeat(np.abs(v.astype(int) - 128) > 20, 2, axis=0), 2, axis=1)
        row, column = (int(np.median(index)) for index in np.nonzero(changed))
    else:
        box = (
            np.abs(v.astype(int) - 128) + np.abs(u.astype(int) - 128) + np.abs(y[::2, ::2].astype(int) - 66)
            > 12
        )
        lines, columns = np.flatnonzero(box.any(axis=1)), np.flatnonzero(box.any(axis=0))
        row, column = int(lines[0]) * 2 + 8, int(columns[0]) * 2 + 8
    pixel = (y[row, column], u[row // 2, column // 2], v[row // 2, column // 2])
    assert_colour(pixel, bt709(*colour))


def test_the_picture_shows_through_a_translucent_box(tmp_path: Path) -> None:
    for form in FORMS:
        style = replace(FORMS[form][1], size_px=24, box=Box(color=(0, 0, 0, 128), padding_px=20))
        frames, _ = render(tmp_path, caption(form, text="i", style=style), background=(200, 200, 200))
        y = luma(frames[20])
        behind = y[0, 0]
        plate = np.flatnonzero((y < behind - 20).any(axis=1))
        level = np.median(y[plate[0] + 4, :][y[plate[0] + 4, :] < behind - 20])
        assert level == pytest.approx(16 + (behind - 16) * (1 - 128 / 255), abs=2), form


def test_captions_that_overlap_in_time_are_both_drawn(tmp_path: Path) -> None:
    above = caption("raster", position="top", frames=FrameRange(5, 40))
    below = caption("drawtext", position="bottom", frames=FrameRange(20, 55))
    frames, _ = render(tmp_path, above, below)
    y = luma(frames) > GREY_Y + 80
    assert [bool(y[n, :160].any()) for n in (4, 10, 30, 45, 56)] == [False, True, True, False, False]
    assert [bool(y[n, 160:].any()) for n in (4, 10, 30, 45, 56)] == [False, False, True, True, False]


def test_words_without_ink_make_no_art(tmp_path: Path) -> None:
    frames, art = render(tmp_path, caption("drawtext", text=" \n\t \u200b"))
    assert art == ()
    assert len(frames) == FRAMES


def test_a_text_of_five_thousand_characters_stays_inside_the_frame(tmp_path: Path) -> None:
    frames, _ = render(tmp_path, caption("raster", text="word " * 1000))
    bright = luma(frames[20]) > GREY_Y + 60
    area = safe_area(*SIZE_PX)
    lines = np.flatnonzero(bright.any(axis=1))
    assert lines[0] >= SIZE_PX[1] * area.top - 1
    assert lines[-1] <= SIZE_PX[1] * (1 - area.bottom) + 1


def test_a_caption_is_drawn_once_and_then_cached(tmp_path: Path) -> None:
    _, first = render(tmp_path, caption("raster"), caption("drawtext"))
    written = {path: path.stat().st_ino for path in (tmp_path / "cache").rglob("*.*")}
    _, second = render(tmp_path, caption("raster"), caption("drawtext"))
    assert first == second
    assert {path: path.stat().st_ino for path in (tmp_path / "cache").rglob("*.*")} == written
    assert first[0].picture is not None
    with Image.open(first[0].picture) as picture:
        assert picture.mode == "RGBA"


@pytest.mark.parametrize("damage", ["cut off", "one bit", "no picture"])
@pytest.mark.parametrize("form", ["raster", "drawtext", "typed"])
def test_a_corrupt_cache_entry_is_made_again(tmp_path: Path, form: str, damage: str) -> None:
    given = caption("raster", animation="typewriter") if form == "typed" else caption(form)
    timeline = timeline_of([clip_of(flat(tmp_path / "grey.png", GREY, SIZE_PX), 0, FRAMES)])
    timeline, cache = replace(timeline, captions=(given,)), ContentCache(tmp_path / "cache")

    def drawn() -> tuple[CaptionArt, ...]:
        return draw_captions(timeline, fonts=catalogue(), cache=cache, drawtext=form != "typed")

    (art,) = drawn()
    path = art.picture or Path(str(art.lines[0]["textfile"]))
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    path.write_bytes(
        {"cut off": whole[: len(whole) // 2], "one bit": bytes(flipped), "no picture": b"words"}[damage]
    )
    assert drawn() == (art,)
    assert path.read_bytes() == whole


def test_captions_in_a_range_are_those_that_share_a_frame_with_it(tmp_path: Path) -> None:
    _, art = render(
        tmp_path, caption("raster", frames=FrameRange(5, 10)), caption("raster", frames=FrameRange(10, 20))
    )
    assert in_range(art, FrameRange(0, 5)) == []
    assert in_range(art, FrameRange(9, 10)) == [art[0]]
    assert in_range(art, FrameRange(9, 11)) == list(art)


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(60), Fraction(30000, 1001)], ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_frames_of_a_caption_are_exact_at_every_rate(tmp_path: Path, form: str, fps: Fraction) -> None:
    source = flat(tmp_path / "grey.png", GREY, SIZE_PX)
    words = caption(form, frames=FrameRange(7, 33), animation="fade")
    timeline = replace(timeline_of([clip_of(source, 0, 40)], fps=fps), captions=(words,))
    art = draw_captions(timeline, fonts=catalogue(), cache=ContentCache(tmp_path / "cache"))
    compositor = compositor_of(timeline, captions=art)
    frames = draw(compositor)
    seen = np.flatnonzero(ink(frames) > 3)
    assert (seen[0], seen[-1]) == (8, 32)  # on frame 7 its opacity is still 0
    for start, stop in ((0, 8), (8, 20), (31, 34)):
        assert_frames_equal(draw(compositor, start, stop), frames[start:stop])
