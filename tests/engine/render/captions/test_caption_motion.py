"""Typed, popping and highlighted captions on real frames."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support.tolerances import assert_frames_equal
from tests.support.video import (
    Frames,
    catalogue,
    clip_of,
    compositor_of,
    draw,
    draw_range,
    flat,
    luma,
    planes,
    timeline_of,
)
from video_pipeline import native
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.render.captions.draw import (
    ANIMATION_SECONDS,
    CaptionArt,
    draw_captions,
    plainer_captions,
)
from video_pipeline.engine.render.captions.lettering import LETTERS_A_SECOND, parts_at
from video_pipeline.engine.timeline import Caption, CaptionWord
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.text import Box, Shadow, TextStyle

needs_native = pytest.mark.skipif(not native.available(), reason="the native extension was not built")

SIZE_PX = (360, 640)
FRAMES = 60
START, STOP = 4, 56
GREY = (60, 60, 60)
GREY_Y = 16 + 219 * 60 / 255
YELLOW = (255, 212, 0, 255)
ENTRANCE = round(ANIMATION_SECONDS * 30)
STYLE = TextStyle(size_px=30)
ROUND = replace(STYLE, stroke_px=3, shadow=Shadow(dx_px=0, dy_px=2, blur_px=4, color=(0, 0, 0, 160)))


def caption(text: str = "HI HO HA", **fields: object) -> Caption:
    given: dict[str, object] = {
        "text": text,
        "frames": FrameRange(START, STOP),
        "style": STYLE,
        "font": "NotoSans-Bold",
        "position": "center",
        "animation": "none",
        **fields,
    }
    return Caption(scene_id="s", **given)  # type: ignore[arg-type]


def art_of(folder: Path, words: Caption, *, drawtext: bool = False) -> CaptionArt:
    source = flat(folder / "grey.png", GREY, SIZE_PX)
    timeline = replace(timeline_of([clip_of(source, 0, FRAMES)], size_px=SIZE_PX), captions=(words,))
    cache = ContentCache(folder / "cache")
    return draw_captions(timeline, fonts=catalogue(), cache=cache, drawtext=drawtext)[0]


def render(folder: Path, words: Caption) -> tuple[Frames, CaptionArt]:
    from video_pipeline.engine.render.compositors.native import NativeCompositor

    art = art_of(folder, words)
    source = flat(folder / "grey.png", GREY, SIZE_PX)
    timeline = timeline_of([clip_of(source, 0, FRAMES)], size_px=SIZE_PX)
    compositor = NativeCompositor(timeline=timeline, captions=(art,), graphs=compositor_of(timeline))
    return draw_range(compositor), art


def bright(frame: Frames) -> np.ndarray:
    """Return a mask of white or yellow letters."""
    return luma(frame) > GREY_Y + 60


def columns(mask: np.ndarray) -> tuple[int, int]:
    found = np.flatnonzero(mask.any(axis=0))
    return int(found[0]), int(found[-1])


def letters(frame: Frames) -> int:
    """Return the number of stretches of ink: the number of letters if none touch."""
    ink = bright(frame).any(axis=0)
    return int(np.count_nonzero(ink[1:] & ~ink[:-1]))


# -- typewriter -------------------------------------------------------------------------------------


@needs_native
def test_letters_are_typed_at_a_steady_pace_without_narration(tmp_path: Path) -> None:
    frames, _ = render(tmp_path, caption("LILTFLETIL", animation="typewriter"))
    whole = frames[STOP - 1]
    assert letters(whole) == 10
    for at in range(STOP - START):
        frame = frames[START + at]
        count = sum(30 * letter // LETTERS_A_SECOND <= at for letter in range(10))
        assert letters(frame) == count, at
        # Letters that are shown are at their final place: nothing moves.
        assert not (bright(frame) & ~bright(whole)).any()
    assert letters(frames[START - 1]) == 0
    assert letters(frames[STOP]) == 0


@needs_native
def test_letters_are_typed_while_they_are_spoken(tmp_path: Path) -> None:
    spoken = FrameRange(START + 10, START + 40)
    frames, _ = render(tmp_path, caption("LILTFLETIL", animation="typewriter", spoken=spoken))
    assert letters(frames[START + 9]) == 0
    for at in range(30):
        assert letters(frames[START + 10 + at]) == 1 + at // 3
    assert_frames_equal(
        frames[START + 40 : STOP], np.repeat(frames[STOP - 1 : STOP], STOP - START - 40, axis=0)
    )


@needs_native
def test_the_whole_text_ends_as_it_is_drawn_without_animation(tmp_path: Path) -> None:
    text = "Typing a gauzy quip over two lines, jumpy gym"
    box = Box(color=(0, 0, 90, 128), padding_px=10, radius_px=6)
    for style in (ROUND, replace(ROUND, box=box)):
        typed, art = render(tmp_path, caption(text, animation="typewriter", style=style))
        plain, _ = render(tmp_path, caption(text, style=style))
        assert (art.plate is not None) == (style.box is not None)
        difference = np.abs(typed[STOP - 1].astype(int) - plain[STOP - 1].astype(int))
        # The box is a separate picture under the letters: two roundings instead of one.
        assert difference.max() <= (2 if style.box else 0)


@needs_native
def test_a_long_text_is_typed_before_its_caption_ends(tmp_path: Path) -> None:
    words = caption("LITTLE " * 20, animation="typewriter", style=replace(STYLE, size_px=20))
    frames, art = render(tmp_path, words)
    assert art.text is not None
    assert max(letter.first_frame for letter in art.text.letters) < len(words.frames) * 4 / 5
    assert_frames_equal(frames[STOP - 10 : STOP - 9], frames[STOP - 1 : STOP])


@needs_native
def test_a_text_from_right_to_left_is_typed_from_the_right(tmp_path: Path) -> None:
    spoken = FrameRange(START, START + 40)
    frames, _ = render(tmp_path, caption("בדיקה חדשה", animation="typewriter", spoken=spoken))
    left, right = columns(bright(frames[STOP - 1]))
    reached = []
    for at in range(5, 36, 5):
        first, last = columns(bright(frames[START + at]))
        assert last == right
        reached.append(first)
    assert reached == sorted(reached, reverse=True)
    assert reached[0] > (left + right) / 2
    assert len(set(reached)) == len(reached)


@needs_native
def test_words_of_both_directions_are_typed_in_the_order_they_are_read(tmp_path: Path) -> None:
    spoken = FrameRange(START, START + 45)
    frames, _ = render(tmp_path, caption("אבגד abcd", animation="typewriter", spoken=spoken))
    left, right = columns(bright(frames[STOP - 1]))
    early, late = bright(frames[START + 18]), bright(frames[START + 30])
    assert columns(early)[0] > (left + right) / 2
    # The Latin word is on the left.
    assert columns(late)[0] == left
    middle = late[:, (left + right) * 5 // 12 : (left + right) // 2]
    assert not middle.any()


# -- highlight --------------------------------------------------------------------------------------


def lit(frame: Frames) -> np.ndarray:
    """Return a mask, of luma's size, of the pixels with the highlight's chroma."""
    _, u, _ = planes(frame)
    return np.repeat(np.repeat(u < 90, 2, axis=0), 2, axis=1)


@needs_native
def test_each_word_is_lit_while_its_letters_share_of_the_time_lasts(tmp_path: Path) -> None:
    # 2 + 4 + 4 letters over 40 frames: 8, 16 and 16 frames.
    spoken = FrameRange(START + 6, START + 46)
    frames, _ = render(tmp_path, caption("HI HOHO HAHA", highlight=YELLOW, spoken=spoken))
    plain, _ = render(tmp_path, caption("HI HOHO HAHA"))
    ink = bright(plain[STOP - 1]).any(axis=0)
    starts = np.flatnonzero(ink[1:] & ~ink[:-1]) + 1
    edges = [starts[0] - 4, starts[2] - 4, starts[6] - 4, np.flatnonzero(ink)[-1] + 5]
    for at in range(STOP - START):
        word = next((n for n, (a, b) in enumerate(((6, 14), (14, 30), (30, 46))) if a <= at < b), None)
        found = lit(frames[START + at])
        if word is None:
            assert_frames_equal(frames[START + at], plain[START + at])
            continue
        first, last = columns(found)
        assert edges[word] <= first < edges[word] + 14, at
        assert edges[word + 1] - 22 < last <= edges[word + 1], at
        # Beside the word nothing differs from the plain caption.
        outside = np.ones(SIZE_PX[0], bool)
        outside[edges[word] : edges[word + 1] + 1] = False
        assert np.array_equal(luma(frames[START + at])[:, outside], luma(plain[START + at])[:, outside])


@needs_native
def test_a_lit_word_looks_as_if_the_caption_had_that_colour(tmp_path: Path) -> None:
    spoken = FrameRange(START, STOP)
    one, _ = render(tmp_path, caption("GAUZY", style=ROUND, highlight=YELLOW, spoken=spoken))
    two, _ = render(tmp_path, caption("GAUZY", style=replace(ROUND, color=YELLOW)))
    assert_frames_equal(one, two)


@needs_native
def test_a_word_is_lit_while_it_is_typed(tmp_path: Path) -> None:
    spoken = FrameRange(START, START + 40)
    words = caption("HIHI HOHO", animation="typewriter", highlight=YELLOW, spoken=spoken)
    frames, _ = render(tmp_path, words)
    for at, count, first in ((12, 3, 0), (32, 7, 4)):
        frame = frames[START + at]
        ink = bright(frame).any(axis=0)
        starts = np.flatnonzero(ink[1:] & ~ink[:-1]) + 1
        assert len(starts) == count
        assert abs(columns(lit(frame))[0] - starts[first]) <= 2
    assert not lit(frames[START + 41]).any()


def test_letters_and_words_follow_the_times_of_the_words(tmp_path: Path) -> None:
    text = "HI $9 🎉 HAHA"
    words = tuple(
        CaptionWord(start, stop, FrameRange(*frames))
        for start, stop, frames in ((0, 2, (6, 10)), (3, 5, (10, 40)), (8, 12, (44, 52)))
    )
    spoken = FrameRange(6, 52)
    art = art_of(
        tmp_path, caption(text, animation="typewriter", highlight=YELLOW, spoken=spoken, words=words)
    )
    assert art.text is not None
    assert [(word.first_frame, word.stop_frame) for word in art.text.words] == [(2, 6), (6, 36), (40, 48)]
    # The emoji is silent: it appears with the word after it.
    assert [letter.first_frame for letter in art.text.letters] == [2, 4, 6, 21, 40, 40, 42, 44, 46]


def test_words_that_are_not_spoken_are_not_highlighted(tmp_path: Path) -> None:
    art = art_of(tmp_path, caption(highlight=YELLOW))
    assert (art.spoken, art.text) == (None, None)


def test_typed_parts_of_a_caption_never_overlap_and_cover_it_at_the_end(tmp_path: Path) -> None:
    spoken = FrameRange(START + 5, STOP - 5)
    text = "Two lines of words, שלום and hello, one under the other"
    words = caption(text, style=ROUND, animation="typewriter", highlight=YELLOW, spoken=spoken)
    art = art_of(tmp_path, words)
    assert art.text is not None
    before = np.zeros((art.text.rows[-1], art.text.width_px), int)
    for at in range(len(words.frames)):
        seen = np.zeros_like(before)
        for part in parts_at(art.text, at):
            seen[part.top : part.bottom, part.left : part.right] += 1
        assert seen.max() <= 1
        assert (seen >= before).all()
        before = seen
    assert before.all()


# -- pop --------------------------------------------------------------------------------------------


@needs_native
def test_pop_grows_past_its_size_and_comes_back(tmp_path: Path) -> None:
    frames, art = render(tmp_path, caption("HOHOHO", animation="pop", highlight=None))
    full = columns(bright(frames[STOP - 1]))
    width = full[1] - full[0] + 1
    sizes = []
    for at in range(3, ENTRANCE + 3):
        mask = luma(frames[START + at]) > GREY_Y + 25
        first, last = columns(mask)
        scale = art.scale(at, fps=Fraction(30))
        sizes.append(scale)
        assert (last - first + 1) / width == pytest.approx(scale, abs=0.03), at
        assert (first + last) / 2 == pytest.approx(sum(full) / 2, abs=1.5), at
    assert art.scale(0, fps=Fraction(30)) == pytest.approx(0.6)
    assert sizes[0] < 0.95
    assert 1.02 < max(sizes) < 1.08
    assert sizes[-3:] == [1, 1, 1]
    strength = [luma(frames[START + at]).max() - GREY_Y for at in range(ENTRANCE)]
    assert strength[0] < 5
    assert strength[ENTRANCE // 4] == pytest.approx(strength[-1] / 2, rel=0.15)
    plain, _ = render(tmp_path, caption("HOHOHO"))
    assert_frames_equal(frames[START + ENTRANCE : STOP], plain[START + ENTRANCE : STOP])


@needs_native
def test_a_word_is_lit_while_the_caption_pops_up(tmp_path: Path) -> None:
    words = caption("HIHI HOHO", animation="pop", highlight=YELLOW, spoken=FrameRange(START, STOP))
    frames, _ = render(tmp_path, words)
    for at in range(6, ENTRANCE):
        first, last = columns(bright(frames[START + at]))
        found = columns(lit(frames[START + at]))
        assert abs(found[0] - first) <= 3
        assert found[1] < (first + last) / 2 + 4


@needs_native
def test_slide_up_comes_to_rest_without_a_jump(tmp_path: Path) -> None:
    frames, art = render(tmp_path, caption("HHH", animation="slide_up", style=replace(STYLE, size_px=60)))
    lines = np.arange(SIZE_PX[1])

    def middle(frame: Frames) -> float:
        light = np.maximum(luma(frame).astype(float) - GREY_Y - 3, 0).sum(axis=1)
        return float(light @ lines / light.sum())

    at_rest = middle(frames[STOP - 1])
    for at in range(5, ENTRANCE + 2):
        _, rise = art.entrance(at, fps=Fraction(30))
        assert middle(frames[START + at]) - at_rest == pytest.approx(rise, abs=0.12), at


# -- ffmpeg -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", [STYLE, ROUND], ids=["drawtext", "raster"])
@pytest.mark.parametrize("animation", ["pop", "typewriter"])
def test_ffmpeg_draws_fade_in_and_plain_words_instead(
    tmp_path: Path, animation: str, style: TextStyle
) -> None:
    spoken = FrameRange(START, STOP)
    wanted = caption("HI HO", style=style, animation=animation, highlight=YELLOW, spoken=spoken)
    plain = caption("HI HO", style=style, animation="fade_in")
    drawn = []
    for words in (wanted, plain):
        art = art_of(tmp_path, words, drawtext=True)
        assert art.animation == "fade_in"
        source = flat(tmp_path / "grey.png", GREY, SIZE_PX)
        timeline = timeline_of([clip_of(source, 0, FRAMES)], size_px=SIZE_PX)
        drawn.append(draw(compositor_of(timeline, captions=[art]), START, START + 20))
    assert_frames_equal(*drawn)


def test_a_warning_names_each_kind_of_thing_that_ffmpeg_leaves_out_once(tmp_path: Path) -> None:
    spoken = FrameRange(START, STOP)
    words = (
        replace(caption(animation="pop"), scene_id="a"),
        replace(caption(animation="typewriter", highlight=YELLOW, spoken=spoken), scene_id="b"),
        replace(caption(animation="pop", highlight=YELLOW), scene_id="c"),
        replace(caption(animation="fade"), scene_id="d"),
    )
    source = flat(tmp_path / "grey.png", GREY, SIZE_PX)
    timeline = replace(timeline_of([clip_of(source, 0, FRAMES)], size_px=SIZE_PX), captions=words)
    assert plainer_captions(timeline) == [
        "animation 'pop' of scenes 'a', 'c' needs the native or cuda compositor; fade_in is drawn instead",
        "animation 'typewriter' of scene 'b' needs the native or cuda compositor; fade_in is drawn instead",
        "highlight of scene 'b' needs the native or cuda compositor; its words are drawn in one colour",
    ]
