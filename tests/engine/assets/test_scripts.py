"""The letters that the fonts here lack, with the names of their scripts and of a font that has them."""

from __future__ import annotations

import pytest

from video_pipeline.engine.assets import fonts
from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.assets.scripts import find_missing
from video_pipeline.filters.typeset import FontStack

EVERY_FONT = FontCatalogue().resolve("Noto Sans")
FONTS = FontStack(tuple(face for face in EVERY_FONT.faces if "CJK" not in face.path.name))


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


def test_the_letters_of_the_extra_are_not_missing_if_it_is_installed() -> None:
    text = "むかし、桃が。 漢字カナ 안녕 骨直令 ㄅㄆ"
    assert find_missing(text, fonts=EVERY_FONT).letters == ()
    assert find_missing(text, fonts=FONTS).letters != ()


def test_the_extra_is_named_if_its_fonts_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    advice = "install the extra `cjk` (pip install 'video-pipeline[cjk]'), or name the file of a font that has them, such as Noto Sans KR"
    assert advice not in find_missing("안녕", fonts=FONTS).describe(), "it is installed and lacks the letter"
    monkeypatch.setattr(fonts, "_CJK_PACKAGE", "no_such_package")
    assert advice in find_missing("안녕", fonts=FONTS).describe()
    assert "extra" not in find_missing("བོད་", fonts=FONTS).describe()


def test_long_lists_are_cut() -> None:
    letters = "".join(chr(0x4E00 + number) for number in range(40))
    assert find_missing(letters, fonts=FONTS).describe().startswith("no font here has 一 丁 丂 七")
    assert "… (Han)" in find_missing(letters, fonts=FONTS).describe()


@pytest.mark.parametrize("text", ["Grüße, мир! ½ ① ☃", "नमस्ते שלום مرحبا สวัสดี", "", "\n\t", "e\u0301"])
def test_letters_of_the_packaged_fonts_are_not_missing(text: str) -> None:
    missing = find_missing(text, fonts=FONTS)
    assert (missing.letters, missing.others) == ((), ())


def test_characters_of_no_script_are_distinguished_from_letters() -> None:
    missing = find_missing("a \ue000 \U0010fffd 桃", fonts=FONTS)
    assert (missing.letters, missing.others) == (("桃",), ("\ue000", "\U0010fffd"))
