"""Positions of letters in a layout, in every direction of writing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tests.support.video import catalogue
from video_pipeline.filters.text import TextStyle
from video_pipeline.filters.typeset import LetterBox, TextLayout, layout_text, rasterise
from video_pipeline.filters.typeset.characters import clusters
from video_pipeline.filters.typeset.letters import Drawn, letter_boxes
from video_pipeline.filters.typeset.shaping import make_piece

TEXTS = {
    "latin": "A fjord, an office, and naïve cafés",
    "arabic": "يحكى أن قاربا غادر لا ميناء",
    "hebrew and latin": "סירה hello world אחת 42 פעמים",
    "hindi": "नमस्ते दुनिया, कश्मीर की कहानी",
    "thai": "ภาษาไทยสวยงาม",
    "emoji": "go 👩‍👩‍👧 now",
}


def layout_of(text: str, width_px: int = 600) -> TextLayout:
    return layout_text(
        text,
        fonts=catalogue().resolve("NotoSans-Bold"),
        style=TextStyle(size_px=40),
        max_width_px=width_px,
        max_height_px=900,
    )


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("width_px", [600, 150])
def test_every_letter_that_is_not_a_blank_has_its_place_inside_its_line(name: str, width_px: int) -> None:
    layout = layout_of(TEXTS[name], width_px)
    shown = [part for line in layout.lines for part in clusters(line) if part.strip()]
    assert [letter.text for letter in layout.letters] == shown
    for letter in layout.letters:
        line = layout.text_lines[letter.line]
        assert line.left_px - 0.01 <= letter.left_px <= letter.right_px
        assert letter.right_px <= line.left_px + line.width_px + 0.01


@pytest.mark.parametrize("name", TEXTS)
def test_letters_fill_their_words_without_a_gap_and_never_overlap(name: str) -> None:
    layout = layout_of(TEXTS[name], 200)
    for word in layout.words:
        inside = [box for box in layout.letters if (box.word, box.line) == (word.index, word.line)]
        boxes = sorted(inside, key=lambda box: box.left_px)
        assert boxes[0].left_px == pytest.approx(word.left_px, abs=0.01)
        assert boxes[-1].right_px == pytest.approx(word.left_px + word.width_px, abs=0.01)
        for before, after in pairwise(boxes):
            assert before.right_px == pytest.approx(after.left_px, abs=0.01)


def test_letters_of_a_right_to_left_text_appear_from_the_right() -> None:
    def falls(letters: tuple[LetterBox, ...]) -> list[bool]:
        return [after.left_px < before.left_px for before, after in pairwise(letters)]

    assert all(falls(layout_of(TEXTS["arabic"], 2000).letters))
    assert not any(falls(layout_of(TEXTS["latin"], 2000).letters))
    mixed = layout_of("סירה hello", 2000).letters
    assert [box.text for box in sorted(mixed, key=lambda box: box.left_px)] == [*"hello", *reversed("סירה")]


def test_the_ink_of_a_letter_is_at_its_place() -> None:
    layout = layout_of("I I", 2000)
    raster = rasterise(layout)
    alpha = np.asarray(raster.image)[..., 3]
    columns = np.flatnonzero(alpha.any(axis=0)) + raster.left_px
    first, last = layout.letters
    gap = columns[np.flatnonzero(np.diff(columns) > 1)[0]]
    assert first.left_px <= columns[0] <= gap <= first.right_px
    assert last.left_px <= columns[-1] <= last.right_px


@pytest.mark.parametrize("rtl", [False, True], ids=["ltr", "rtl"])
def test_a_ligature_is_shared_by_its_letters(rtl: bool) -> None:
    fonts = catalogue().resolve("NotoSans-Bold")
    piece = make_piece("xyz", (int(rtl),) * 3, word=7, fonts=fonts)
    drawn = {0: Drawn(10, 30, rtl), 2: Drawn(0, 10, rtl) if rtl else Drawn(30, 40, rtl)}
    boxes = letter_boxes(piece, drawn, line=2)
    places = [(20, 30), (10, 20), (0, 10)] if rtl else [(10, 20), (20, 30), (30, 40)]
    assert [(box.left_px, box.right_px) for box in boxes] == places
    assert {(box.word, box.line) for box in boxes} == {(7, 2)}
