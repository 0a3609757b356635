"""What is told of a video beside it: its format as probed, title, description, tags and hashtags."""

from __future__ import annotations

import logging
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av

from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.keywords import extract_tags, make_hashtags
from video_pipeline.engine.render.mux import PACKETS_ONLY
from video_pipeline.engine.story import Story, parse_story, story_scenes
from video_pipeline.engine.story_text import sentences
from video_pipeline.engine.thumbnail import make_thumbnail
from video_pipeline.engine.timing import exact_seconds
from video_pipeline.filters.typeset.characters import break_units, clusters

logger = logging.getLogger(__name__)

DESCRIPTION_CHARACTERS: Final = 200
SOURCE: Final = "story_generator"
TITLE_FONT: Final = "NotoSans-Bold"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """A finished video as its file says; `duration` in seconds, `resolution` (width, height) in pixels."""

    duration: float
    resolution: tuple[int, int]
    fps: Fraction
    file_size: int
    aspect_ratio: str
    frame_count: int
    video_codec: str
    audio_codec: str | None
    bit_rate: int | None

    def as_dict(self) -> dict[str, Any]:
        """Return the guide's `video_info`, as plain values."""
        return {
            "duration": round(self.duration, 6),
            "resolution": list(self.resolution),
            "fps": round(float(self.fps), 6),
            "file_size": self.file_size,
            "aspect_ratio": self.aspect_ratio,
            "frame_count": self.frame_count,
            "video_codec": self.video_codec,
            "audio_codec": self.audio_codec,
            "bit_rate": self.bit_rate,
        }


def aspect_ratio(width: int, height: int) -> str:
    """Return an aspect in its lowest terms, such as '9:16'."""
    common = math.gcd(width, height)
    return f"{width // common}:{height // common}"


def probe_video(path: Path) -> VideoInfo:
    """Return what a video's file says of itself; raise RenderingError where it cannot be read."""
    try:
        options = {"protocol_whitelist": "file,pipe", **PACKETS_ONLY}
        with av.open(str(path), options=options) as container:
            if not container.streams.video:
                raise RenderingError(f"{path}: has no video stream")
            video = container.streams.video[0]
            sound = container.streams.audio[0] if container.streams.audio else None
            fps = video.average_rate or video.guessed_rate or Fraction(0)
            codec, width, height = video.codec_context.name, video.width, video.height
            # Decoders carry their own names; the codec's is what players and platforms know.
            codec = video.codec_context.codec.canonical_name or codec
            bit_rate = container.bit_rate or None
            duration = Fraction(container.duration, av.time_base) if container.duration else Fraction(0)
            frames = video.frames
            if not frames or not duration:
                frames, duration = _counted(container, video)
    except av.FFmpegError as error:
        raise RenderingError(f"{path}: cannot be read as a video: {error.strerror}") from error
    return VideoInfo(
        duration=float(duration),
        resolution=(width, height),
        fps=fps,
        file_size=path.stat().st_size,
        aspect_ratio=aspect_ratio(width, height),
        frame_count=frames,
        video_codec=codec,
        audio_codec=sound.codec_context.codec.canonical_name if sound else None,
        bit_rate=bit_rate,
    )


def _counted(container: av.container.InputContainer, video: av.VideoStream) -> tuple[int, Fraction]:
    """Count the packets of a container whose header says too little."""
    count, end = 0, Fraction(0)
    for packet in container.demux(video):
        if packet.pts is not None and packet.time_base is not None:
            count += 1
            end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
    return count, end


def build_metadata(story: Story, info: VideoInfo, *, created_at: datetime | None = None) -> dict[str, Any]:
    """Return the metadata of a story's video, with the guide's keys and plain values only.

    `created_at` is now where left out; a time without a zone is a ValueError. Keys of the story's metadata
    that have no place of their own come under `story_metadata`.
    """
    return _metadata(story, info.as_dict() | {"codec": info.video_codec}, created_at=created_at)


def _metadata(story: Story, info: Mapping[str, Any], *, created_at: datetime | None) -> dict[str, Any]:
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
    """Return all words of a story: its content, or what its scenes show or say, as paragraphs."""
    if story.content.strip():
        return story.content
    return "\n\n".join(
        words for scene in story_scenes(story) if (words := scene.text.strip() or scene.spoken)
    )


def describe(text: str, *, language: str, limit: int = DESCRIPTION_CHARACTERS) -> str:
    """Return the first whole sentences of a text, at most `limit` characters.

    Only where the very first is longer is it cut, after a word, and ends in an ellipsis.
    """
    found = sentences(text, language=language)
    description = ""
    for sentence in found:
        # Scripts of wide letters put no blank between sentences.
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


class MetadataGenerator:
    """The guide's generator: metadata from dictionaries, thumbnails from a video's path."""

    def __init__(self, config: Mapping[str, Any] | Config | None = None) -> None:
        self.add_title = True
        if isinstance(config, Mapping):
            self.add_title = bool(config.get("add_title_to_thumbnail", True))
        self.config = load_config(config)

    def generate_metadata(
        self, story_data: Mapping[str, Any] | Story, video_info: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the metadata of a story's video.

        `video_info` is what `VideoRenderer.render_video` returned under that key (`duration`, `resolution`,
        `file_size`). A story without a title is an 'Untitled Story'. Raises StoryError.
        """
        if not isinstance(story_data, Story):
            given = dict(story_data)
            given["title"] = given.get("title") or "Untitled Story"
            if not given.get("scenes") and not str(given.get("content") or "").strip():
                given["content"] = given["title"]
            story_data = parse_story(given)
        metadata = _metadata(story_data, video_info, created_at=None)
        logger.info("metadata of %r made", story_data.title)
        return metadata

    def generate_thumbnail(
        self,
        video_path: str | Path,
        timestamp: float | None = 2.0,
        size: tuple[int, int] | None = None,
        title: str | None = None,
    ) -> str:
        """Write `<video>_thumb.jpg` beside a video and return its path.

        The frame is the one at `timestamp` seconds, or the last where the video is shorter; None lets the best
        of the video be chosen. `title`, by default the video's own, is drawn on it unless the configuration
        says `add_title_to_thumbnail: false`. Raises RenderingError.
        """
        video = Path(video_path)
        words = (title if title is not None else _title_of(video)) if self.add_title else None
        target = make_thumbnail(
            video,
            video.with_name(f"{video.stem}_thumb.jpg"),
            title=words,
            fonts=FontCatalogue().resolve(TITLE_FONT),
            timestamp=None if timestamp is None else exact_seconds(timestamp),
            size_px=size,
        )
        logger.info("thumbnail %s made", target)
        return str(target)


def _title_of(video: Path) -> str | None:
    """Return the title in a video file's own tags."""
    try:
        with av.open(str(video), options={"protocol_whitelist": "file,pipe"}) as container:
            return container.metadata.get("title") or None
    except av.FFmpegError as error:
        raise RenderingError(f"{video}: cannot be read as a video: {error.strerror}") from error
