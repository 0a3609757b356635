"""Font names resolve to existing faces at the weight asked for; errors explain unknown names."""

from __future__ import annotations

import gc
import os
import shutil
import weakref
from dataclasses import replace
from pathlib import Path

import manimgx_fonts
import pytest

from tests.support.swapping import swapping
from tests.support.waiting import again_and_again
from video_pipeline.engine.assets.fonts import WEIGHTS, FontCatalogue, UnknownFontError, cjk_face
from video_pipeline.engine.common.cache import ContentCache, file_sha256
from video_pipeline.engine.common.input_files import InputFiles
from video_pipeline.engine.errors import FileChangedError
from video_pipeline.engine.render.captions.pictures import font_file
from video_pipeline.filters.typeset import (
    FontFace,
    FontStack,
    TextStyle,
    layout_text,
    rasterise,
    static_instance,
)
from video_pipeline.filters.typeset.face import FontError, load

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
        assert {face.weight for face in stack.faces[:-1]} == {700}
        assert [face.path.name for face in stack.faces[-3:]] == [
            "NotoEmoji[wght].ttf",
            "NotoSansSymbols[wght].ttf",
            "NotoColorEmoji.ttf",
        ]
        layout = layout_text(
            "Aя שלום سلام हिन्दी ไทย ქართ 桃 옛 🚀 ⚙",
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


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("ja", "JP"),
        ("ko-KR", "KR"),
        ("zh", "SC"),
        ("zh-CN", "SC"),
        ("zh-Hans-TW", "SC"),
        ("zh-Hant", "TC"),
        ("zh-TW", "TC"),
        ("zh-Hant-MO", "TC"),
        ("zh-HK", "HK"),
        ("zh-Hant-HK", "HK"),
        ("yue", "HK"),
        ("yue-Hans", "SC"),
        ("en", "JP"),
        ("", "JP"),
    ],
)
def test_the_language_decides_how_han_letters_are_written(language: str, code: str) -> None:
    assert cjk_face(language) == code
    stack = FontCatalogue(language=language).resolve("Arial-Bold")
    (face,) = [face for face in stack.faces if "CJK" in face.path.name]
    assert face == CATALOGUE.resolve(f"Noto Sans CJK {code} Bold").faces[0]
    assert face == CATALOGUE.resolve(f"Noto Sans {code} Bold").faces[0]
    assert face.weight == 700
    assert load(face).hb_face.get_name(4) == f"Noto Sans CJK {code}"


def test_han_letters_differ_by_language_and_weight() -> None:
    drawn = {
        inked_text("直骨", FontCatalogue(language=language).resolve(name))
        for language in ("ja", "zh-Hans", "zh-Hant", "zh-HK")
        for name in ("Arial", "Arial-Bold")
    }
    assert len(drawn) == 8


def inked_text(text: str, stack: FontStack) -> bytes:
    layout = layout_text(text, fonts=stack, style=TextStyle(size_px=64), max_width_px=2000, max_height_px=200)
    return rasterise(layout).image.tobytes()


def test_the_stack_of_the_plain_emoji_has_no_coloured_ones() -> None:
    assert "NotoColorEmoji.ttf" not in [face.path.name for face in CATALOGUE.resolve("Noto Emoji").faces]


def test_a_font_file_is_used_directly() -> None:
    path = FONTS / "NotoSansHebrew[wght].ttf"
    assert CATALOGUE.resolve(str(path)).faces[0] == FontFace(path, sha256=file_sha256(path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Ariel", r"'Ariel' is not known \(did you mean 'Arial'.*\?\); allowed:"),
        ("Noto Sanz Bold", "did you mean 'Noto Sans"),
        ("no such family at all", "'no such family at all' is not known; allowed:"),
        ("NotoSans-Semibld", "did you mean 'Noto Sans Semibold'"),
        ("Noto Sans-Bld", "did you mean 'Noto Sans Bold'"),
        ("", "'' is not known"),
        ("missing.ttf", "the file does not exist"),
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
    assert catalogue.resolve("Noto Sans Hebrew Bold").faces[0] == FontFace(own, 700, sha256=file_sha256(own))
    assert "Noto Sans Hebrew" in catalogue.names()


def test_a_static_file_in_a_folder_is_found_by_its_weight(tmp_path: Path) -> None:
    static = static_instance(FontFace(FONTS / "NotoSans[wght].ttf", 700), directory=tmp_path)
    first = FontCatalogue(extra_dirs=(tmp_path,)).resolve("Noto Sans Bold").faces[0]
    assert first == replace(static, sha256=file_sha256(static.path))


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


# -- fonts that change -----------------------------------------------------------------------------

UPRIGHT, SLANTED = (FONTS / f"NotoSans{slant}[wght].ttf" for slant in ("", "-Italic"))


def inked(catalogue: FontCatalogue, path: Path, text: str = "Wafer") -> bytes:
    layout = layout_text(
        text, fonts=catalogue.resolve(str(path)), style=TextStyle(), max_width_px=2000, max_height_px=200
    )
    return rasterise(layout).image.tobytes()


def test_a_replaced_font_is_drawn_in_its_new_form(tmp_path: Path) -> None:
    path, other = tmp_path / "own.ttf", tmp_path / "other.ttf"
    shutil.copy(UPRIGHT, path)
    shutil.copy(SLANTED, other)
    before = inked(FontCatalogue(), path)
    other_ink = inked(FontCatalogue(), other)
    shutil.copy(other, path)
    assert inked(FontCatalogue(), path) == other_ink != before


def test_a_replaced_font_of_a_folder_is_drawn_in_its_new_form(tmp_path: Path) -> None:
    own = tmp_path / "own.ttf"
    faces = []
    for source in (UPRIGHT, SLANTED):
        shutil.copy(source, own)
        catalogue = FontCatalogue(extra_dirs=(tmp_path,))
        face = catalogue.resolve("Noto Sans").faces[0]
        assert face.sha256 == file_sha256(source)
        faces.append(load(face).codepoints)
    assert faces[0] != faces[1]


def test_one_catalogue_never_draws_two_versions_of_a_font(tmp_path: Path) -> None:
    path, catalogue = tmp_path / "own.ttf", FontCatalogue()
    shutil.copy(UPRIGHT, path)
    before = inked(catalogue, path)
    path.write_bytes(b"no font at all")
    assert inked(catalogue, path) == before
    path.unlink()
    assert inked(catalogue, path, "Others") != before


def test_the_hash_of_a_font_is_that_of_what_is_drawn_while_it_is_swapped(tmp_path: Path) -> None:
    path, files = tmp_path / "own.ttf", [tmp_path / "1.ttf", tmp_path / "2.ttf"]
    for source, copy in zip((UPRIGHT, SLANTED), files, strict=True):
        shutil.copy(source, copy)
    known = {file_sha256(copy): inked(FontCatalogue(), copy) for copy in files}
    shutil.copy(UPRIGHT, path)
    seen = set[str]()
    with swapping("replace", path, *files, pause_s=0.02):
        for _ in again_and_again(seconds=2, until=lambda: seen == set(known)):
            catalogue = FontCatalogue()
            digest = catalogue.resolve(str(path)).faces[0].sha256
            assert inked(catalogue, path) == known[digest]
            seen.add(digest)


def test_unused_large_fonts_are_released(tmp_path: Path) -> None:
    open_faces = []
    for number in range(4):
        path = tmp_path / f"{number}.ttf"
        path.write_bytes(UPRIGHT.read_bytes() + bytes([number]) * 45_000_000)
        catalogue = FontCatalogue()
        stack = catalogue.resolve(str(path))
        loaded = load(stack.faces[0])
        assert load(stack.faces[0]) is loaded
        open_faces.append(weakref.ref(loaded))
        del loaded, catalogue
    gc.collect()
    assert [face() for face in open_faces] == [None] * 4


def test_a_face_whose_file_has_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.ttf"
    shutil.copy(UPRIGHT, path)
    with pytest.raises(FontError, match=r"own\.ttf': the file has changed since it was first read"):
        load(FontFace(path, sha256="0" * 64))


def test_a_pipe_is_refused_as_a_font_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ttf")
    with pytest.raises(UnknownFontError, match="is a pipe, a socket or a device"):
        FontCatalogue().resolve(str(tmp_path / "pipe.ttf"))


def test_a_font_does_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    path = tmp_path / "root" / "own.ttf"
    path.symlink_to(UPRIGHT)
    catalogue = FontCatalogue(files=InputFiles({path: tmp_path / "root"}))
    with pytest.raises(FileChangedError, match="a link took its place after it was checked"):
        catalogue.resolve(str(path))


def test_drawtext_gets_a_copy_of_a_font_that_may_change(tmp_path: Path) -> None:
    path, catalogue, cache = tmp_path / "own.ttf", FontCatalogue(), ContentCache(tmp_path / "cache")
    shutil.copy(UPRIGHT, path)
    face = catalogue.resolve(str(path)).faces[0]
    path.write_bytes(b"another")
    for damage in (b"", b"x"):
        copy = font_file(face, cache)
        assert copy.is_relative_to(cache.folder)
        assert copy.read_bytes() == UPRIGHT.read_bytes()
        copy.write_bytes(copy.read_bytes() + damage)
    packaged = CATALOGUE.resolve("Noto Sans").faces[0]
    assert font_file(packaged, cache) == packaged.path
