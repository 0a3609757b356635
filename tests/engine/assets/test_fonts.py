"""Font names resolve to existing faces at the weight asked for; errors explain unknown names."""

from __future__ import annotations

import shutil
from pathlib import Path

import manimgx_fonts
import pytest

from video_pipeline.engine.assets.fonts import WEIGHTS, FontCatalogue, UnknownFontError
from video_pipeline.filters.typeset import FontFace, TextStyle, layout_text, static_instance

FONTS = Path(manimgx_fonts.__file__).parent
CATALOGUE = FontCatalogue()


@pytest.mark.parametrize(
    ("name", "file", "weight"),
    [
        ("Noto Sans", "NotoSans", 400),
        ("NotoSans-Bold", "NotoSans", 700),
        ("Arial", "NotoSans", 400),
        ("Arial-Bold", "NotoSans", 700),
        ("Helvetica Bold", "NotoSans", 700),
        ("helvetica neue medium", "NotoSans", 500),
        ("sans", "NotoSans", 400),
        ("sans-serif", "NotoSans", 400),
        ("bold", "NotoSans", 700),
        ("Bold Italic", "NotoSans-Italic", 700),
        ("NotoSans-SemiBoldItalic", "NotoSans-Italic", 600),
        ("Noto Sans 500", "NotoSans", 500),
        ("Noto Sans Thai SemiBold", "NotoSansThai", 600),
        ("Arial Black", "NotoSans", 700),
        ("Noto Emoji Light", "NotoEmoji", 300),
    ],
)
def test_a_name_leads_to_its_face_and_weight(name: str, file: str, weight: int) -> None:
    first = CATALOGUE.resolve(name).faces[0]
    assert first.path.name == f"{file}[wght].ttf"
    assert first.weight == weight


@pytest.mark.parametrize("word", WEIGHTS)
def test_every_weight_is_understood(word: str) -> None:
    assert CATALOGUE.resolve(f"Arial {word}").faces[0].weight == min(max(WEIGHTS[word], 400), 700)


def test_every_stack_ends_with_the_other_scripts_at_the_same_weight() -> None:
    for name in ("Arial-Bold", "Noto Sans Thai Bold", "BoldItalic"):
        stack = CATALOGUE.resolve(name)
        assert {face.weight for face in stack.faces} == {700}
        assert [face.path.name for face in stack.faces[-2:]] == [
            "NotoEmoji[wght].ttf",
            "NotoSansSymbols[wght].ttf",
        ]
        layout = layout_text(
            "Aя שלום سلام हिन्दी ไทย ქართ 🚀 ⚙",
            fonts=stack,
            style=TextStyle(),
            max_width_px=2000,
            max_height_px=200,
        )
        assert layout.missing == ()


def test_every_listed_name_resolves() -> None:
    names = CATALOGUE.names()
    assert {"Arial", "Noto Sans", "Noto Sans Devanagari", "sans-serif"} <= set(names)
    for name in names:
        assert CATALOGUE.resolve(name).faces


def test_a_file_is_used_as_it_is() -> None:
    path = FONTS / "NotoSansHebrew[wght].ttf"
    assert CATALOGUE.resolve(str(path)).faces[0] == FontFace(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Ariel", "'Ariel' is not known. Did you mean Arial.*Allowed:"),
        ("Noto Sanz Bold", "Did you mean Noto Sans"),
        ("no such family at all", "'no such family at all' is not known. Allowed:"),
        ("", "'' is not known"),
        ("missing.ttf", "there is no such file"),
    ],
)
def test_an_unknown_font_is_explained(name: str, message: str) -> None:
    with pytest.raises(UnknownFontError, match=message) as caught:
        CATALOGUE.resolve(name)
    assert isinstance(caught.value, ValueError)


def test_a_text_file_is_not_a_font(tmp_path: Path) -> None:
    fake = tmp_path / "fake.ttf"
    fake.write_text("not a font")
    with pytest.raises(UnknownFontError, match="not a font"):
        CATALOGUE.resolve(str(fake))


def test_a_folder_of_ones_own_comes_first(tmp_path: Path) -> None:
    own = tmp_path / "deep" / "own.ttf"
    own.parent.mkdir()
    shutil.copy(FONTS / "NotoSansHebrew[wght].ttf", own)
    (tmp_path / "broken.otf").write_bytes(b"\0" * 100)
    catalogue = FontCatalogue(extra_dirs=(tmp_path, tmp_path / "not there"))
    assert catalogue.resolve("Noto Sans Hebrew Bold").faces[0] == FontFace(own, 700)
    assert "Noto Sans Hebrew" in catalogue.names()


def test_a_static_file_in_a_folder_is_found_by_its_weight(tmp_path: Path) -> None:
    static = static_instance(FontFace(FONTS / "NotoSans[wght].ttf", 700), directory=tmp_path)
    first = FontCatalogue(extra_dirs=(tmp_path,)).resolve("Noto Sans Bold").faces[0]
    assert first == static


@pytest.mark.parametrize("kept", [0.05, 0.4, 0.8, 0.99])
def test_a_font_that_was_cut_short_is_refused_by_name(tmp_path: Path, kept: float) -> None:
    data = (FONTS / "NotoSans[wght].ttf").read_bytes()
    path = tmp_path / "cut.ttf"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(UnknownFontError, match=r"cut\.ttf' is not known \(the file "):
        CATALOGUE.resolve(str(path))


def test_a_font_without_a_table_that_drawing_needs_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "odd.ttf"
    path.write_bytes((FONTS / "NotoSans[wght].ttf").read_bytes().replace(b"loca", b"lost", 1))
    with pytest.raises(UnknownFontError, match=r"odd\.ttf' is not known \(the file cannot be used: "):
        CATALOGUE.resolve(str(path))
