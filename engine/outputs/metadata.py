"""The metadata file of a video: format as probed, title, description, tags and hashtags."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from video_pipeline.engine.assets.models import PictureOrigin
from video_pipeline.engine.outputs.disclosure import disclosed
from video_pipeline.engine.outputs.video_info import VideoInfo, aspect_ratio
from video_pipeline.engine.story import Story, story_scenes
from video_pipeline.engine.story.keywords import extract_tags, make_hashtags
from video_pipeline.engine.story.markdown import plain_text
from video_pipeline.engine.story.splitting import sentences
from video_pipeline.filters.typeset.characters import break_units, clusters

logger = logging.getLogger(__name__)

DESCRIPTION_CHARACTERS: Final = 200
SOURCE: Final = "story_generator"


def build_metadata(
    story: Story,
    info: VideoInfo,
    *,
    origins: Mapping[str, PictureOrigin] = MappingProxyType({}),
    created_at: datetime | None = None,
) -> dict[str, Any]:
    """Return the metadata of a story's video, as plain values.

    `created_at` defaults to now; a time without a zone is a ValueError. Keys of the story's metadata
    without a field of their own are under `story_metadata`. `origins` are the services of pictures by scene.
    """
    fields = metadata_fields(story, info.as_dict() | {"codec": info.video_codec}, created_at=created_at)
    return fields | disclosed(origins)


def metadata_fields(story: Story, info: Mapping[str, Any], *, created_at: datetime | None) -> dict[str, Any]:
    when = created_at or datetime.now(UTC)
    if when.tzinfo is None:
        raise ValueError(f"created_at: {when.isoformat()} has no time zone; allowed: an aware datetime")
    text = story_text(story)
    genre = story.metadata.genre
    tags = extract_tags(text, genre=genre, title=story.title, language=story.language)
    width, height = info["resolution"]
    metadata: dict[str, Any] = {
        "title": story.title,
        "description": describe(text, language=story.language) or story.title,
        "tags": tags,
        "hashtags": make_hashtags(genre, tags),
        "duration": info["duration"],
        "created_at": when.astimezone(UTC).isoformat(timespec="seconds"),
        "format": {
            "resolution": [width, height],
            "aspect_ratio": aspect_ratio(width, height),
            "codec": info.get("codec") or info.get("video_codec") or "h264",
            "file_size": info["file_size"],
        },
        "genre": genre,
        "source": SOURCE,
    }
    further = story.metadata.model_dump(mode="json", exclude={"genre"}, exclude_none=True)
    if further:
        metadata["story_metadata"] = further
    return metadata


def story_text(story: Story) -> str:
    """Return the full text of a story: its content, or the captions or narration of its scenes as paragraphs."""
    if story.content.strip():
        return plain_text(story.content)
    return "\n\n".join(
        words for scene in story_scenes(story) if (words := scene.text.strip() or scene.spoken)
    )


def describe(text: str, *, language: str, limit: int = DESCRIPTION_CHARACTERS) -> str:
    """Return the first whole sentences of a text, at most `limit` characters.

    A first sentence that is longer is cut after a word and ends in an ellipsis.
    """
    found = sentences(text, language=language)
    description = ""
    for sentence in found:
        # Scripts with wide letters have no space between sentences.
        blank = "" if not description or unicodedata.east_asian_width(description[-1]) in "WF" else " "
        joined = f"{description}{blank}{sentence}"
        if len(joined) > limit:
            break
        description = joined
    if description or not found:
        return description
    kept = ""
    for word, blanks in break_units(found[0]):
        if len(kept) + len(word) > limit - 1:
            break
        kept += word + blanks
    if not kept:
        for part in clusters(found[0]):
            if len(kept) + len(part) > limit - 1:
                break
            kept += part
    return kept.rstrip().rstrip(",;:—–-،、，；：") + "…"
