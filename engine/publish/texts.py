"""The texts of a post, from the metadata of a video, cut to a platform's limits at the ends of words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.common.documents import DocumentError, read_document
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.publish.facts import HASHTAG, MENTION, tags_length, text_facts
from video_pipeline.engine.publish.rules import PlatformRule, platform_table
from video_pipeline.filters.typeset.characters import break_units, clusters

ELLIPSIS: Final = "…"

Measure = Callable[[str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostTexts:
    """What is said beside a video. `caption` is title, description and hashtags as one text, for platforms without a title."""

    title: str
    description: str
    hashtags: tuple[str, ...]
    caption: str
    generated: bool

    def facts(self) -> dict[str, str | int | float | bool]:
        """Return the texts' facts, as platforms' rules name them."""
        return text_facts(
            title=self.title,
            description=self.description,
            hashtags=tuple(tag.removeprefix("#") for tag in self.hashtags),
            caption=self.caption,
        )


def read_metadata(video: Path) -> Mapping[str, Any]:
    """Return the metadata file beside a video, empty if there is none; raise InputError if it is damaged."""
    beside = video.with_name(f"{video.stem}.metadata.json")
    if not beside.exists():
        return {}
    try:
        found = read_document(beside, "json")
    except DocumentError as error:
        raise InputError(f"metadata: {error}") from error
    if not isinstance(found, Mapping):
        raise InputError(f"{beside}: is no object; it must be as a render writes it")
    return found


def post_texts(metadata: Mapping[str, Any], *, platform: str | None) -> PostTexts:
    """Return texts that fit a platform, from a video's metadata; with None nothing is cut.

    Titles, descriptions and captions that are too long are cut at the end of a word; hashtags beyond the limit are left
    out. Raises InputError for a field of another type.
    """
    rules = platform_table(platform).rules if platform is not None else ()
    bounds = _text_bounds(rules)
    title, description = _field_text(metadata, "title"), _field_text(metadata, "description")
    hashtags = _hashtags(metadata.get("hashtags"))
    if "title_has_angle_brackets" in {rule.fact for rule in rules}:
        title, description = (re.sub("[<>]", "", text) for text in (title, description))
    title = _fitted(title, bounds.get("title_characters"), len)
    description = _fitted(description, bounds.get("description_bytes"), _utf8_bytes)
    if rule := bounds.get("tags_characters"):
        longest = rule.at_most or 0
        hashtags = _fewer(hashtags, lambda tags: tags_length(tags) <= longest)
    if rule := bounds.get("hashtags"):
        most = int(rule.at_most or 0)
        hashtags = hashtags[:most]
    caption = _caption(title, description, hashtags, bounds)
    return PostTexts(
        title=title,
        description=description,
        hashtags=hashtags,
        caption=caption,
        generated=bool(metadata.get("generated_media")),
    )


def caption_of(*, title: str, description: str, hashtags: tuple[str, ...], platform: str) -> str:
    """Return title, description and hashtags as one text within a platform's limits, for platforms without a title."""
    return _caption(title, description, hashtags, _text_bounds(platform_table(platform).rules))


def _text_bounds(rules: Iterable[PlatformRule]) -> dict[str, PlatformRule]:
    return {rule.fact: rule for rule in rules if rule.severity == "error" and rule.at_most is not None}


def _caption(
    title: str, description: str, hashtags: tuple[str, ...], bounds: Mapping[str, PlatformRule]
) -> str:
    """Join title, description and hashtags; the description is cut first, then hashtags are left out.

    A text that itself has too many hashtags or mentions is cut before the first one that is too many.
    """
    rule = bounds.get("caption_utf16") or bounds.get("caption_characters")
    measure = _utf16_units if "caption_utf16" in bounds else len
    text = "\n\n".join(filter(None, (title, description)))
    for fact, mark in (("hashtags", HASHTAG), ("mentions", MENTION)):
        if most := bounds.get(fact):
            text = _cut_before(text, mark, int(most.at_most or 0))
    if most := bounds.get("hashtags"):
        hashtags = hashtags[: max(0, int(most.at_most or 0) - len(HASHTAG.findall(text)))]
    if rule is None:
        return "\n\n".join(filter(None, (text, " ".join(hashtags))))
    room = int(rule.at_most or 0)
    tags = _fewer(hashtags, lambda some: measure(" ".join(some)) <= room // 2)
    tail = f"\n\n{' '.join(tags)}" if tags else ""
    head = cut_at_word(text, room - measure(tail), measure)
    return f"{head}{tail}" if head else tail.strip()


def _cut_before(text: str, mark: re.Pattern[str], most: int) -> str:
    """Return a text up to the first match of a mark that is one too many, with an ellipsis."""
    found = list(mark.finditer(text))
    return f"{text[: found[most].start()].rstrip()}{ELLIPSIS}" if len(found) > most else text


def cut_at_word(text: str, most: int, measure: Measure = len) -> str:
    """Return a text of at most `most` units: whole words with an ellipsis, or whole characters if the first is too long."""
    if measure(text) <= most:
        return text
    room = most - measure(ELLIPSIS)
    if room < 0:
        return ""
    kept = ""
    for word, blanks in break_units(text):
        if measure(kept + word) > room:
            break
        kept += word + blanks
    if not kept.strip():
        kept = ""
        for part in clusters(text):
            if measure(kept + part) > room:
                break
            kept += part
    return f"{kept.rstrip().rstrip(',;:—–-،、，；：')}{ELLIPSIS}"


def _fitted(text: str, rule: PlatformRule | None, measure: Measure) -> str:
    return text if rule is None or rule.at_most is None else cut_at_word(text, int(rule.at_most), measure)


def _fewer(tags: tuple[str, ...], fits: Callable[[tuple[str, ...]], bool]) -> tuple[str, ...]:
    while tags and not fits(tags):
        tags = tags[:-1]
    return tags


def _field_text(metadata: Mapping[str, Any], key: str) -> str:
    value = metadata.get(key, "")
    if not isinstance(value, str):
        raise InputError(f"metadata: {key}: got {value!r}; allowed: a text")
    return value.strip()


def _hashtags(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise InputError(f"metadata: hashtags: got {value!r}; allowed: a list of texts")
    return tuple(dict.fromkeys(f"#{tag.strip().lstrip('#')}" for tag in value if tag.strip().lstrip("#")))


def _utf8_bytes(text: str) -> int:
    return len(text.encode())


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
