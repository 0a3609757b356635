"""The texts and the look of a card: the story's own before those of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from video_pipeline.engine.assets.fonts import FontCatalogue, UnknownFontError
from video_pipeline.engine.assets.scripts import find_missing, shortened
from video_pipeline.engine.assets.story_fonts import EMPTY_BOX, font_name
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.card_keys import EndCardKeys
from video_pipeline.engine.errors import ConfigError, FileChangedError, InputError, StoryError
from video_pipeline.engine.story import Story
from video_pipeline.engine.story.asset_fields import DEFAULT_FONT
from video_pipeline.engine.story.cards import EndCardSpec, card_values, fill_card
from video_pipeline.filters.typeset import FontStack

Keys = TypeVar("Keys", bound=EndCardKeys)


@dataclass(frozen=True, slots=True)
class CardTexts:
    """A card's look with its own texts filled in, its fonts, and warnings. `place` is how errors name it."""

    keys: EndCardKeys
    text: str
    subtitle: str
    fonts: FontStack
    place: str
    from_story: bool
    warnings: tuple[str, ...] = ()

    def fault(self, message: str) -> InputError:
        """Return an error about the card's text."""
        return (StoryError if self.from_story else ConfigError)(f"{self.place}: {message}")


def card_keys(keys: Keys, spec: EndCardSpec | bool | None) -> Keys | None:
    """Return a card's keys with what the story says of it, or None if there is no such card."""
    if spec is False or (spec is None and not keys.show):
        return None
    given = spec.model_dump(exclude_none=True) if isinstance(spec, EndCardSpec) else {}
    return keys.model_copy(update={**given, "show": True})


def card_texts(
    name: str, keys: EndCardKeys, story: Story, *, config: Config, catalogue: FontCatalogue, base: Path
) -> CardTexts:
    """Return the texts of the card in the section `name`, filled in from the story.

    Raises StoryError or ConfigError for a blank text, and for a variable without a value. An unknown font, and letters
    that no font has, follow the error policy.
    """
    spec = getattr(story, name)
    own = spec.model_fields_set if isinstance(spec, EndCardSpec) else frozenset()
    values = card_values(story.title, story.metadata.model_dump(mode="json"))
    lines = {}
    for key, written in (("text", keys.text), ("subtitle", keys.subtitle)):
        place = f"field {name!r}: {key}" if key in own else f"{name}.{key}"
        try:
            lines[key] = _usual_subtitle(name, values) if written is None else fill_card(written, values)
        except InputError as error:
            raise (StoryError if key in own else ConfigError)(f"{place}: {error}") from error
    from_story = "text" in own
    place = f"field {name!r}: text" if from_story else f"{name}.text"
    fonts, unknown = _card_fonts(name, keys, config=config, catalogue=catalogue, base=base)
    card = CardTexts(keys, lines["text"], lines["subtitle"], fonts, place, from_story)
    if not card.text:
        raise card.fault(f"got {keys.text!r}, which is blank in this story; give a text, or no card")
    missing = find_missing(card.text, card.subtitle, fonts=fonts)
    warnings = list(unknown)
    if missing.letters:
        warnings.append(config.error_policy.replace(card.fault(missing.describe()), instead=EMPTY_BOX))
    if missing.others:
        warnings.append(f"{place}: no font here has {shortened(missing.others)}; {EMPTY_BOX}")
    return CardTexts(keys, card.text, card.subtitle, fonts, place, from_story, tuple(warnings))


def _usual_subtitle(name: str, values: dict[str, str]) -> str:
    """Return the subtitle of a story, or else its series and author; after the last scene its author alone."""
    author = values.get("author", "")
    if name == "end_card":
        return author
    return values.get("subtitle") or " · ".join(filter(None, (values.get("series"), author)))


def _card_fonts(
    name: str, keys: EndCardKeys, *, config: Config, catalogue: FontCatalogue, base: Path
) -> tuple[FontStack, tuple[str, ...]]:
    if keys.text_font is not None:
        try:
            return catalogue.resolve(keys.text_font), ()
        except FileChangedError as error:
            raise FileChangedError(f"{name}.text_font: {error}") from error
        except UnknownFontError as error:
            fault = ConfigError(f"{name}.text_font: {error}")
            warning = config.error_policy.replace(fault, instead=DEFAULT_FONT)
            return catalogue.resolve(font_name(config.scenes.text_font, base)), (warning,)
    return catalogue.resolve(font_name(config.scenes.text_font, base)), ()
