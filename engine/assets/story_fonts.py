"""The fonts of a story: each must exist, and have the letters of the captions and of the title."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from video_pipeline.engine.assets.fonts import TITLE_FONT, FontCatalogue, UnknownFontError
from video_pipeline.engine.assets.scripts import MissingLetters, find_missing, shortened
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.sections import Scenes
from video_pipeline.engine.errors import ConfigError, FileChangedError, StoryError
from video_pipeline.engine.story import Story, StoryScene
from video_pipeline.engine.story.asset_fields import DEFAULT_FONT, is_font_file
from video_pipeline.engine.story.fields import expand_user
from video_pipeline.engine.story.model import place_of
from video_pipeline.filters.typeset import FontStack

FOR_A_SCENE = "in the scene's `font` or in scenes.text_font"
FOR_ALL = "in scenes.text_font"
EMPTY_BOX = "an empty box is drawn for each"


@dataclass(frozen=True, slots=True)
class StoryFonts:
    """Scenes and configuration without the fonts that were replaced, the fonts of the title, and warnings."""

    scenes: tuple[StoryScene, ...]
    config: Config
    title: FontStack
    warnings: tuple[str, ...]


def font_name(name: str, base: Path) -> str:
    """Return a font's family name, or its file's path: a relative one starts at `base`, the story's folder."""
    if is_font_file(name):
        return str(base / expand_user(name))
    return name


def title_fonts(catalogue: FontCatalogue, names: Iterable[str]) -> FontStack:
    """Return the fonts of a title: TITLE_FONT, then the named ones for letters that it lacks."""
    faces = list(catalogue.resolve(TITLE_FONT).faces)
    for name in names:
        faces.append(catalogue.resolve(name).faces[0])
    return FontStack(tuple(dict.fromkeys(faces)))


def check_fonts(
    story: Story, scenes: Sequence[StoryScene], *, config: Config, catalogue: FontCatalogue, base: Path
) -> StoryFonts:
    """Check the fonts of a story's captions and title, and that they have every letter.

    The error policy decides whether a font that is not found, and letters that no font has, are an error (StoryError
    naming the scene, ConfigError naming the key) or a warning.
    """
    policy = config.error_policy
    warnings: list[str] = []
    usable: list[StoryScene] = []
    for index, scene in enumerate(scenes):
        try:
            if scene.font is not None:
                catalogue.resolve(font_name(scene.font, base))
            usable.append(scene)
        except FileChangedError as error:
            raise FileChangedError(f"{place_of(index, scene, 'font')}: {error}") from error
        except UnknownFontError as error:
            fault = StoryError(f"{place_of(index, scene, 'font')}: {error}")
            warnings.append(policy.replace(fault, instead=DEFAULT_FONT))
            usable.append(scene.model_copy(update={"font": None}))
    if any(scene.font is None for scene in usable):
        try:
            catalogue.resolve(font_name(config.scenes.text_font, base))
        except FileChangedError as error:
            raise FileChangedError(f"scenes.text_font: {error}") from error
        except UnknownFontError as error:
            fault_in_config = ConfigError(f"scenes.text_font: {error}")
            warnings.append(policy.replace(fault_in_config, instead=DEFAULT_FONT))
            config = config.override("scenes", text_font=Scenes().text_font)
    names = [font_name(scene.font or config.scenes.text_font, base) for scene in usable]
    title = title_fonts(catalogue, names)
    stacks = [catalogue.resolve(name) for name in names]
    for place, missing, remedy in _missing_in_captions(story, usable, stacks):
        if missing.letters:
            fault = StoryError(f"{place}: {missing.describe()}, {remedy}")
            warnings.append(policy.replace(fault, instead=EMPTY_BOX))
        if missing.others:
            warnings.append(f"{place}: no font here has {shortened(missing.others)}; {EMPTY_BOX}")
    untitled = find_missing(story.title, fonts=title)
    if untitled.letters:  # a warning in each policy: nothing is drawn in place of the title
        warnings.append(f"field 'title': {untitled.describe()}, {FOR_ALL}; the thumbnail has no title")
    elif untitled.others:
        warnings.append(f"field 'title': no font here has {shortened(untitled.others)}; {EMPTY_BOX}")
    return StoryFonts(tuple(usable), config, title, tuple(warnings))


def _missing_in_captions(
    story: Story, scenes: Sequence[StoryScene], stacks: Sequence[FontStack]
) -> Iterator[tuple[str, MissingLetters, str]]:
    """Yield each place that has captions, what its fonts lack, and where to name another font."""
    if story.scenes is None and stacks:  # the scenes are parts of the content, all in one font
        yield "field 'content'", find_missing(*(scene.text for scene in scenes), fonts=stacks[0]), FOR_ALL
        return
    for index, (scene, fonts) in enumerate(zip(scenes, stacks, strict=True)):
        yield place_of(index, scene, "text"), find_missing(scene.text, fonts=fonts), FOR_A_SCENE
