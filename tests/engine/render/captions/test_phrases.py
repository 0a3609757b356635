"""Captions in phrases, words and karaoke: where a text is divided, when each part is shown, and how it is drawn."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.word_times import TEXTS
from tests.support.video import (
    Frames,
    catalogue,
    clip_of,
    compositor_of,
    draw_range,
    flat,
    luma,
    planes,
    timeline_of,
)
from video_pipeline import native
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.word_times import shared_times, shown_times
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.captions import CaptionStyle
from video_pipeline.engine.common.spoken_words import words_of
from video_pipeline.engine.render.captions.draw import CaptionArt, draw_captions
from video_pipeline.engine.render.captions.phrases import MOST_WORDS, phrases, phrases_in
from video_pipeline.engine.timeline import Caption, CaptionColour, CaptionWord
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.text import TextStyle

needs_native = pytest.mark.skipif(not native.available(), reason="the native extension was not built")

FPS = Fraction(30)
GREY = (60, 60, 60)
SIZE_PX = (270, 480)
YELLOW = (255, 212, 0, 255)


def caption(
    text: str,
    *,
    shown_as: CaptionStyle = "phrases",
    frames_a_word: int = 10,
    pauses: dict[int, int] | None = None,
    first: int = 6,
    silent: bool = False,
    timed: bool = True,
    **fields: object,
) -> Caption:
    """Return a caption whose words are heard one after another; `pauses` are frames before words by their number."""
    words, at = [], first
    for number, (start, stop) in enumerate(words_of(text)):
        at += (pauses or {}).get(number, 0)
        words.append(CaptionWord(start, stop, FrameRange(at, at + frames_a_word)))
        at += frames_a_word
    given: dict[str, object] = {
        "text": text,
        "frames": FrameRange(0, at + 10),
        "style": TextStyle(size_px=14, stroke_px=1),
        "font": "NotoSans-Bold",
        "position": "center",
        "animation": "pop",
        "highlight": YELLOW,
        "spoken": None if silent else FrameRange(first, at),
        "words": () if silent or not timed else tuple(words),
        "shown_as": shown_as,
        **fields,
    }
    return Caption(scene_id="s", **given)  # type: ignore[arg-type]


def texts(shown: Caption) -> list[str]:
    return [phrase.text for phrase in phrases(shown, fps=FPS)]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_every_phrase_has_two_to_five_words_and_none_is_lost(text: str) -> None:
    found = phrases(caption(text), fps=FPS)
    assert " ".join(phrase.text for phrase in found).split() == text.split()
    counts = [len(phrase.text.split()) for phrase in found]
    assert min(counts) >= 2
    assert max(counts) <= MOST_WORDS


def test_phrases_end_at_clauses() -> None:
    text = "For forty years Dr. Elias Smith kept the lighthouse at Gull Point, and in all that time he never spoke of it."
    found = texts(caption(text))
    assert "at Gull Point," in found[3]
    assert not any("," in phrase[:-1] for phrase in found)
    assert not any(phrase.endswith("Dr.") for phrase in found), "a name stays with its title"


def test_a_measured_pause_ends_a_phrase_without_any_mark() -> None:
    text = "we went up the hill we saw the sea"
    for pause in (3, 4, 5, 6):
        found = texts(caption(text, pauses={pause: 15}))
        assert " ".join(text.split()[:pause]) in {" ".join(found[:number]) for number in range(len(found))}


def test_a_word_that_is_a_sentence_joins_its_neighbours_and_is_not_alone() -> None:
    assert texts(caption("Stop. Who goes there?")) == ["Stop. Who goes there?"]
    assert min(len(phrase.split()) for phrase in texts(caption("He waited for the morning train. Gone. Then it rained."))) >= 2  # fmt: skip
    assert texts(caption("Run!")) == ["Run!"]


def test_a_line_break_of_the_text_ends_a_phrase() -> None:
    assert texts(caption("roses are red\nviolets are blue")) == ["roses are red", "violets are blue"]


def test_a_phrase_begins_with_its_first_word_and_stays_until_the_next() -> None:
    shown = caption(TEXTS[0], first=30)
    found = phrases(shown, fps=FPS)
    assert found[0].frames.start == 30, "the voice begins a second later, and until then there is no phrase"
    for phrase, following in itertools.pairwise(found):
        assert phrase.frames.stop == following.frames.start == following.words[0].frames.start
        assert phrase.words[-1].frames.stop <= phrase.frames.stop
    assert phrases(caption(TEXTS[0], first=6), fps=FPS)[0].frames.start == 0, "a short lead is bridged"


def test_a_phrase_leaves_in_a_long_pause() -> None:
    found = phrases(caption("we went up the hill we saw the sea", pauses={5: 60}), fps=FPS)
    heard = found[0].words[-1].frames.stop
    assert found[0].frames.stop == heard + 15
    assert found[1].frames.start == heard + 60


def test_words_of_a_phrase_keep_their_places_and_times() -> None:
    shown = caption(TEXTS[1])
    heard = [(shown.text[word.start : word.stop], word.frames) for word in shown.words]
    assert heard == [
        (phrase.text[word.start : word.stop], word.frames)
        for phrase in phrases(shown, fps=FPS)
        for word in phrase.words
    ]


@pytest.mark.parametrize("shown_as", ["phrases", "word", "karaoke"])
def test_without_a_voice_phrases_share_the_time_by_their_letters(shown_as: CaptionStyle) -> None:
    shown = caption(TEXTS[0], silent=True, shown_as=shown_as)
    found = phrases(shown, fps=FPS)
    assert (found[0].frames.start, found[-1].frames.stop) == (shown.frames.start, shown.frames.stop)
    letters = sum(len(word) for word in shown.text.split())
    for phrase, following in itertools.pairwise(found):
        assert phrase.frames.stop == following.frames.start
    for phrase in found:
        share = len(shown.frames) * sum(len(word) for word in phrase.text.split()) / letters
        assert abs(len(phrase.frames) - share) <= 1
        assert (phrase.spoken, phrase.words) == (None, ())


def test_a_voice_whose_words_are_not_known_is_shared_by_letters() -> None:
    shown = caption(TEXTS[0], timed=False)
    assert shown.spoken is not None
    words = [word for phrase in phrases(shown, fps=FPS) for word in phrase.words]
    assert (words[0].frames.start, words[-1].frames.stop) == (shown.spoken.start, shown.spoken.stop)
    assert all(one.frames.stop == two.frames.start for one, two in itertools.pairwise(words))


def test_word_by_word_shows_each_alone_with_its_silent_marks() -> None:
    assert texts(caption("The sea - so calm - lay still .", shown_as="word", timed=False)) == [
        "The", "sea -", "so", "calm -", "lay", "still .",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("很久以前，海边有一座灯塔。守塔人从来不说话，只是看着大海。", 11),
        ("むかしむかし、あるところに、おじいさんとおばあさんがいました。", 13),
        ("กาลครั้งหนึ่งนานมาแล้วมีประภาคารอยู่ริมทะเล", 24),
        ("كان يا ما كان في قديم الزمان رجل يسكن في منارة على البحر", 40),
    ],
)
def test_scripts_without_blanks_are_divided_too(text: str, most: int) -> None:
    found = texts(caption(text))
    assert "".join("".join(found).split()) == "".join(text.split())
    assert len(found) > 1
    assert max(map(len, found)) <= most
    assert not any(phrase[0] in "，。、" for phrase in found)


def test_a_block_and_a_text_without_words_are_one_caption() -> None:
    block = caption(TEXTS[0], shown_as="block")
    assert phrases(block, fps=FPS) == [block]
    marks = caption("— … —", timed=False)
    assert phrases(marks, fps=FPS) == [marks]


def test_only_what_a_range_shows_is_divided() -> None:
    shown = caption(TEXTS[0])
    every = phrases(shown, fps=FPS)
    assert list(phrases_in([shown], None, fps=FPS)) == every
    assert list(phrases_in([shown], every[1].frames, fps=FPS)) == [every[1]]


# -- frames -----------------------------------------------------------------------------------------


def render(folder: Path, shown: Caption, **fades: int) -> tuple[Frames, tuple[CaptionArt, ...]]:
    from video_pipeline.engine.render.compositors.native import NativeCompositor

    source = flat(folder / "grey.png", GREY, SIZE_PX)
    timeline = timeline_of([clip_of(source, 0, shown.frames.stop, **fades)], size_px=SIZE_PX)
    timeline = replace(timeline, captions=(shown,))
    art = draw_captions(timeline, fonts=catalogue(), cache=ContentCache(folder / "cache"), drawtext=False)
    return draw_range(NativeCompositor(timeline=timeline, captions=art, graphs=compositor_of(timeline))), art


def yellow(frame: Frames) -> np.ndarray:
    """Return a mask of yellow pixels, by their chroma."""
    return planes(frame)[1] < 90


def ink(frame: Frames) -> np.ndarray:
    return luma(frame) > 120


def faded(white: float, share: float) -> float:
    """Return how bright letters are over GREY, both faded to a share of themselves."""
    return white * share + (1 - share) * share * 219 * GREY[0] / 255


@needs_native
def test_the_spoken_word_is_highlighted_in_its_frames(tmp_path: Path) -> None:
    shown = caption("HIHI HOHO HAHA", animation="none")
    frames, art = render(tmp_path, shown)
    assert len(art) == 1
    middles = []
    for word in shown.words:
        marks = [yellow(frames[at]).any(axis=0) for at in (word.frames.start, word.frames.stop - 1)]
        assert (marks[0] == marks[1]).all()
        middles.append(np.flatnonzero(marks[0]).mean())
    assert middles == sorted(middles)
    assert np.diff(middles).min() > 20
    assert not yellow(frames[0]).any()
    assert not yellow(frames[shown.words[-1].frames.stop]).any()


@needs_native
@pytest.mark.parametrize(("text", "leftward"), [("HIHI HOHO HAHA", False), ("שלום לכם רעים", True)])
def test_karaoke_runs_through_the_words_with_the_voice_and_stays(
    tmp_path: Path, text: str, leftward: bool
) -> None:
    shown = caption(text, shown_as="karaoke", animation="none", frames_a_word=12)
    frames, _ = render(tmp_path, shown)
    first, last = shown.words[0].frames.start, shown.words[-1].frames.stop
    swept = [yellow(frame) for frame in frames]
    counts = [int(mask.sum()) for mask in swept]
    assert counts[first - 1] == 0
    assert counts[first:last] == sorted(counts[first:last])
    assert counts[first + 6] > 0
    assert counts[last] == counts[last - 1] == max(counts)
    half = swept[(first + last) // 2].any(axis=0)
    whole = np.flatnonzero(swept[last].any(axis=0))
    middle = (whole[0] + whole[-1]) / 2
    assert bool(np.flatnonzero(half).mean() > middle) is leftward


@needs_native
def test_no_frame_between_phrases_is_without_words_and_each_pops(tmp_path: Path) -> None:
    shown = caption("we went up the hill and then we saw the wide blue sea", shown_as="phrases")
    frames, art = render(tmp_path, shown)
    assert len(art) >= 2
    for at in range(art[0].frames.start, art[-1].frames.stop):
        assert ink(frames[at]).sum() > 100, at
    start = art[1].frames.start
    widths = [np.ptp(np.flatnonzero(ink(frames[start + at]).any(axis=0))) for at in range(4)]
    assert widths[0] < 0.9 * widths[3]
    assert (frames[start + 3] == frames[start + 4]).all() or art[1].text is not None


@needs_native
def test_every_phrase_within_a_fade_of_the_clip_fades_with_it(tmp_path: Path) -> None:
    shown = caption(TEXTS[0], silent=True, animation="none", fade_in_frames=120, fade_out_frames=100)
    length = shown.frames.stop
    frames, art = render(tmp_path, shown, fade_in_frames=120, fade_out_frames=100)
    assert art[1].frames.stop < 120, "the fade reaches the second phrase"
    middle = range(120, length - 100, 10)
    full = min(np.percentile(luma(frames[at]), 99.9) for at in middle)
    assert full > 220, "no phrase between the fades fades"
    for at in (20, 60, 100, length - 80, length - 40, length - 10):
        share = min(at / 120, (length - at) / 100)
        seen = np.percentile(luma(frames[at]), 99.9) - 16
        assert seen == pytest.approx(faded(full - 16, share), rel=0.08), at


def test_the_ffmpeg_compositor_draws_still_phrases_at_the_same_times(tmp_path: Path) -> None:
    shown = caption("we went up the hill and then we saw the wide blue sea", fade_in_frames=90)
    source = flat(tmp_path / "grey.png", GREY, SIZE_PX)
    timeline = timeline_of([clip_of(source, 0, shown.frames.stop, fade_in_frames=90)], size_px=SIZE_PX)
    timeline = replace(timeline, captions=(shown,))
    art = draw_captions(timeline, fonts=catalogue(), cache=ContentCache(tmp_path / "cache"))
    assert [(one.animation, one.text) for one in art] == [("none", None)] * len(art)
    frames = draw_range(compositor_of(timeline, captions=art))
    for one in art:
        for at in (one.frames.start + 3, one.frames.stop - 1):
            assert luma(frames[at]).max() - 16 == pytest.approx(faded(219, min(1, at / 90)), abs=12), at


def coloured_columns(frame: Frames) -> tuple[list[int], list[int]]:
    """Return the columns that have red and blue letters, by their chroma."""
    _, u, v = planes(frame)
    return list(np.flatnonzero((v > 180).any(axis=0))), list(np.flatnonzero((u > 180).any(axis=0)))


@needs_native
@pytest.mark.parametrize("animation", ["none", "typewriter"])
@pytest.mark.parametrize("shown_as", ["block", "phrases", "karaoke"])
def test_words_of_two_speakers_in_one_phrase_have_their_colours(
    shown_as: CaptionStyle, animation: str, tmp_path: Path
) -> None:
    red, blue = (255, 0, 0, 255), (0, 0, 255, 255)
    shown = caption(
        "Where? Here.",
        shown_as=shown_as,
        style=TextStyle(size_px=14, color=red),
        colours=(CaptionColour(7, 12, blue),),
        highlight=None,
        animation=animation,
    )
    frames, art = render(tmp_path, shown)
    assert len(art) == 1
    reds, blues = coloured_columns(frames[-1])
    assert reds
    assert blues
    assert max(reds) < min(blues)
    # A spoken word is in the colour of speech, for every speaker; the other keeps its own.
    lit, _ = render(tmp_path, replace(shown, highlight=YELLOW))
    during_the_first, during_the_second = lit[10], lit[25]
    assert not coloured_columns(during_the_second)[1]
    assert yellow(during_the_second).any()
    if animation == "none":
        assert coloured_columns(during_the_first)[1] == blues
        assert (coloured_columns(during_the_second)[0] == reds) == (shown_as != "karaoke")


@needs_native
@pytest.mark.parametrize("shown_as", ["block", "phrases", "karaoke"])
def test_a_name_that_is_not_spoken_is_shown_and_not_coloured(shown_as: CaptionStyle, tmp_path: Path) -> None:
    shown = caption("Tom: Here.", shown_as=shown_as, animation="none")
    name, word = shown.words
    frames, _ = render(tmp_path, replace(shown, words=(replace(name, silent=True), word)))
    spoken, _ = render(tmp_path, shown)
    at = name.frames.start + 5
    assert ink(frames[at]).any()
    assert not yellow(frames[at]).any()
    assert yellow(spoken[at]).any()
    assert yellow(frames[word.frames.start + 5]).any()


def test_filter_graphs_draw_the_colours_of_speakers(tmp_path: Path) -> None:
    red, blue = (255, 0, 0, 255), (0, 0, 255, 255)
    style = TextStyle(size_px=14, color=red)
    shown = caption("Where? Here.", style=style, font="Noto Sans", highlight=None, animation="none")
    timeline = timeline_of([clip_of(flat(tmp_path / "grey.png", GREY, SIZE_PX), 0, 40)], size_px=SIZE_PX)
    found = []
    for colours in ((), (CaptionColour(7, 12, blue),)):
        with_words = replace(timeline, captions=(replace(shown, colours=colours),))
        art = draw_captions(with_words, fonts=catalogue(), cache=ContentCache(tmp_path / "cache"))
        found.append(coloured_columns(draw_range(compositor_of(with_words, captions=art))[20]))
    assert found[0][0]
    assert not found[0][1]
    assert max(found[1][0]) < min(found[1][1])


def test_a_bullet_is_shown_with_the_words_after_it() -> None:
    text = "Take:\n• 2 eggs\n• 1 cup of milk\n• salt\n•"
    words = [
        CaptionWord(*place, FrameRange(10 * n, 10 * n + 10))
        for n, place in enumerate(words_of(text))
        if text[place[0]] != "•"
    ]
    found = texts(replace(caption(text), words=tuple(words)))
    assert " ".join(found).split() == text.split()
    assert not any(phrase.endswith("•") for phrase in found[:-1]), found
    assert any(phrase.startswith("• 1 cup") for phrase in found), found


def test_phrases_keep_the_colours_of_their_words() -> None:
    text = "We saw the boat. Where is it now? Over there by the rocks, I think."
    at = text.index("Over")
    found = phrases(caption(text, colours=(CaptionColour(at, len(text), YELLOW),)), fps=FPS)
    coloured = [phrase.text[part.start : part.stop] for phrase in found for part in phrase.colours]
    assert " ".join(coloured) == text[at:]
    assert all(0 <= part.start < part.stop <= len(phrase.text) for phrase in found for part in phrase.colours)


def test_estimated_times_of_chinese_give_phrases_of_up_to_ten_letters_and_timed_words() -> None:
    text = "我有5个苹果，你有3个。他们一起去了很远的地方看海和山。"
    spoken = spoken_text(text, language="zh")
    words = shown_times(spoken, shared_times(spoken, np.full(48000, 9000, "<i2"), 8000))
    timed = tuple(
        CaptionWord(word.start, word.stop, FrameRange(round(word.begins * 30), max(1, round(word.ends * 30))))
        for word in words
    )
    shown = phrases(caption(text, words=timed, spoken=FrameRange(0, 180), frames=FrameRange(0, 190)), fps=FPS)
    assert "".join(phrase.text for phrase in shown) == text
    assert all(len(re.findall(r"\w", phrase.text)) <= 10 for phrase in shown)
    assert all(len(phrase.words) > 1 for phrase in shown)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        (
            "Siehe https://example.com/über/straße?x=1&y=2 für mehr",
            "https://example.com/über/straße?x=1&y=2",
        ),
        ("Voilà https://example.com/a-b/c déjà vu", "https://example.com/a-b/c"),
        ("Ein Über-Ich-Konflikt für alle", "Über-Ich-Konflikt"),
    ],
)
def test_text_without_a_blank_beside_accents_is_one_word(text: str, token: str) -> None:
    assert token in [text[start:stop] for start, stop in words_of(text)]
    assert token in [shown.text for shown in phrases(caption(text, shown_as="word"), fps=FPS)]


@pytest.mark.parametrize(
    ("text", "opening"),
    [
        ("Море шумело всю ночь. — Где ты сейчас? — спросила Мария.", "— Где"),
        ("The sea was loud that night. – Where are you now?", "– Where"),
        ("Il pleuvait toute la nuit. « Où es-tu donc » dit Marie.", "« Où"),
        ("We found the old lamp ( it was broken ) near the door.", "( it"),
    ],
)
def test_a_mark_that_opens_a_phrase_is_shown_with_the_word_after_it(text: str, opening: str) -> None:
    for silent in (False, True):
        shown = texts(caption(text, silent=silent))
        assert any(opening in phrase for phrase in shown), shown
        assert not any(phrase.endswith(opening[0]) for phrase in shown), shown


def test_a_dash_inside_a_sentence_stays_with_the_word_before_it() -> None:
    shown = texts(caption("The old man kept walking — slowly and alone — to the sea."))
    assert not any(phrase.startswith("—") for phrase in shown), shown


def test_no_phrase_has_words_of_two_rows() -> None:
    assert texts(caption("what, much\noil, 3 l\nbread, 2 kg")) == ["what, much", "oil, 3 l", "bread, 2 kg"]
