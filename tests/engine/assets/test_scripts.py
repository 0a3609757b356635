"""The letters that the fonts here lack, with the names of their scripts and of a font that has them."""

from __future__ import annotations

import pytest

from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.assets.scripts import find_missing

FONTS = FontCatalogue().resolve("Noto Sans")


@pytest.mark.parametrize(
    ("text", "scripts", "font"),
    [
        ("むかし、桃が", "Hiragana, Han", "such as Noto Sans JP"),
        ("漢字カナ", "Han, Katakana", "such as Noto Sans JP"),
        ("桃太郎", "Han", "such as Noto Sans SC"),
        ("안녕", "Hangul", "such as Noto Sans KR"),
        ("བོད་", "Tibetan", "such as Noto Serif Tibetan"),
        ("ᎠᏂ", "Cherokee", "such as Noto Sans Cherokee"),
        ("𐌀", "Old Italic", "see fonts.google.com/noto"),
    ],
)
def test_missing_letters_are_named_with_their_scripts_and_a_font(text: str, scripts: str, font: str) -> None:
    missing = find_missing(f"Words, {text}!", fonts=FONTS)
    assert missing.letters
    assert missing.others in ((), ("、",), ("་",))
    assert missing.describe().startswith(f"no font here has {missing.letters[0]}")
    assert f"({scripts}); name the file of a font that has them, {font}" in missing.describe()


def test_long_lists_are_cut() -> None:
    letters = "".join(chr(0x4E00 + number) for number in range(40))
    assert find_missing(letters, fonts=FONTS).describe().startswith("no font here has 一 丁 丂 七")
    assert "… (Han)" in find_missing(letters, fonts=FONTS).describe()


@pytest.mark.parametrize("text", ["Grüße, мир! ½ ① ☃", "नमस्ते שלום مرحبا สวัสดี", "", "\n\t", "e\u0301"])
def test_what_the_packaged_fonts_have_is_not_missing(text: str) -> None:
    missing = find_missing(text, fonts=FONTS)
    assert (missing.letters, missing.others) == ((), ())


def test_characters_of_no_script_are_told_apart_from_letters() -> None:
    missing = find_missing("a \ue000 \U0010fffd 桃", fonts=FONTS)
    assert (missing.letters, missing.others) == (("桃",), ("\ue000", "\U0010fffd"))
