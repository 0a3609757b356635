"""The fonts of a story: missing fonts and letters follow the error policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import samples
from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.assets.story_fonts import StoryFonts, check_fonts
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError, StoryError
from video_pipeline.engine.story import parse_story, story_scenes

LENIENT = {"error_handling": {"policy": "lenient"}}
UNKNOWN = [{"scene_id": "a", "text": "x"}, {"scene_id": "b", "text": "x", "font": "Wingless Gothic"}]


def checked(
    folder: Path, data: list[dict[str, Any]] | str, *, title: str = "T", **sections: Any
) -> StoryFonts:
    key = "content" if isinstance(data, str) else "scenes"
    story = parse_story({"title": title, key: data, "metadata": {"language": "en"}})
    config = load_config(sections, environ=False)
    return check_fonts(story, story_scenes(story), config=config, catalogue=FontCatalogue(), base=folder)


def test_a_font_that_is_not_found_names_its_scene_or_its_key(tmp_path: Path) -> None:
    with pytest.raises(StoryError, match=r"scenes\[1\] \(scene_id 'b'\): field 'font': .*Wingless Gothic"):
        checked(tmp_path, UNKNOWN)
    with pytest.raises(ConfigError, match=r"scenes\.text_font: .*Wingless Gothic"):
        checked(tmp_path, UNKNOWN[:1], scenes={"text_font": "Wingless Gothic"})
    assert checked(tmp_path, UNKNOWN[:1]).warnings == ()
    samples.font_at(tmp_path / "own.ttf")
    own = [{"scene_id": "a", "text": "x", "font": "own.ttf"}]
    assert checked(tmp_path, own, scenes={"text_font": "Wingless Gothic"}).warnings == (), "no scene uses it"


def test_under_the_lenient_policy_the_default_font_replaces_it_with_a_warning(tmp_path: Path) -> None:
    fonts = checked(tmp_path, UNKNOWN, **LENIENT, scenes={"text_font": "gone.ttf"})
    assert [scene.font for scene in fonts.scenes] == [None, None]
    assert fonts.config.scenes.text_font == "Arial-Bold"
    first, second = fonts.warnings
    assert first.startswith("scenes[1] (scene_id 'b'): field 'font': ")
    assert second.startswith("scenes.text_font: ")
    assert first.endswith("; the default font is used instead")
    assert second.endswith("; the default font is used instead")


@pytest.mark.parametrize(
    ("data", "place", "remedy"),
    [
        (
            [{"scene_id": "a", "text": "Tea"}, {"scene_id": "far", "text": "Tea is ཇ."}],
            "scenes[1] (scene_id 'far'): field 'text'",
            "in the scene's `font` or in scenes.text_font",
        ),
        ("Tea came first. It is ཇ.", "field 'content'", "in scenes.text_font"),
    ],
)
def test_letters_that_no_font_has_are_an_error_that_names_place_script_and_remedy(
    tmp_path: Path, data: Any, place: str, remedy: str
) -> None:
    expected = f"{place}: no font here has ཇ (Tibetan); name the file of a font that has them, such as Noto Serif Tibetan, {remedy}"
    for policy in (None, "standard", "strict"):
        with pytest.raises(StoryError) as caught:
            checked(tmp_path, data, error_handling={"policy": policy})
        assert str(caught.value) == expected
    assert checked(tmp_path, data, **LENIENT).warnings == (f"{expected}; an empty box is drawn for each",)


def test_a_font_that_has_them_is_enough_for_the_captions_and_for_the_title(tmp_path: Path) -> None:
    samples.font_with("ᎠᏂᎵ", tmp_path / "own.ttf")
    scenes = [{"scene_id": "a", "text": "ᎠᏂᎵ", "font": "own.ttf"}]
    fonts = checked(tmp_path, scenes, title="ᎠᏂᎵ")
    assert fonts.warnings == ()
    assert fonts.title.faces[-1].path == tmp_path / "own.ttf"
    text_font = {"scenes": {"text_font": str(tmp_path / "own.ttf")}}
    assert checked(tmp_path, "ᎠᏂᎵ", title="ᎠᏂᎵ", **text_font).warnings == ()


def test_a_title_without_a_font_is_a_warning_because_it_is_left_out(tmp_path: Path) -> None:
    (warning,) = checked(tmp_path, [{"scene_id": "a"}], title="ᎠᏂᎵ").warnings
    assert warning.startswith("field 'title': no font here has Ꭰ Ꮒ Ꮅ (Cherokee); ")
    assert warning.endswith("in scenes.text_font; the thumbnail has no title")


def test_other_characters_of_the_title_without_a_glyph_are_a_warning(tmp_path: Path) -> None:
    (warning,) = checked(tmp_path, [{"scene_id": "a"}], title="x \ue000").warnings
    assert warning == "field 'title': no font here has \ue000; an empty box is drawn for each"


def test_other_characters_without_a_glyph_are_a_warning(tmp_path: Path) -> None:
    (warning,) = checked(tmp_path, [{"scene_id": "a", "text": "x \ue000"}]).warnings
    assert warning == (
        "scenes[0] (scene_id 'a'): field 'text': no font here has \ue000; an empty box is drawn for each"
    )
