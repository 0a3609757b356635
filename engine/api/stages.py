"""The stages of a render as classes that take and return plain dictionaries."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av

from video_pipeline.engine.api.configuration import AnyConfig, load_any
from video_pipeline.engine.assets.cache_folder import open_asset_cache
from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.assets.generate import gather_assets
from video_pipeline.engine.assets.speakers import cast_speakers
from video_pipeline.engine.assets.story_fonts import title_fonts
from video_pipeline.engine.common.arguments import (
    as_mapping,
    as_mappings,
    as_path,
    as_seconds,
    as_str,
    wrong_type,
)
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError, RenderingError
from video_pipeline.engine.outputs.metadata import metadata_fields
from video_pipeline.engine.outputs.thumbnail import make_thumbnail
from video_pipeline.engine.placement import place_scenes
from video_pipeline.engine.scene_places import scene_timings
from video_pipeline.engine.story import Story, StoryScene, parse_story, story_scenes
from video_pipeline.engine.timeline import Footage
from video_pipeline.engine.timing import (
    exact_seconds,
    frame_time,
)

logger = logging.getLogger(__name__)

LAST_SECOND = 360_000.0
"""A time past the end means the last frame; later ones do not fit into FFmpeg's time stamps."""

SIDE_MAX_PX = 16_384


class MetadataGenerator:
    """Makes metadata from dictionaries, and thumbnails from a video's path."""

    def __init__(self, config: AnyConfig = None) -> None:
        self.add_title = True
        if isinstance(config, Mapping):
            self.add_title = bool(config.get("add_title_to_thumbnail", True))
        self.config = load_any(config)

    def generate_metadata(
        self, story_data: Mapping[str, Any] | Story, video_info: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the metadata of a story's video.

        `video_info` is what `VideoRenderer.render_video` returned under that key (`duration`, `resolution`,
        `file_size`). A story without a title is an 'Untitled Story'. Raises StoryError.
        """
        info = _checked_info(video_info)
        if not isinstance(story_data, Story):
            given = dict(as_mapping(story_data, "story_data"))
            given["title"] = given.get("title") or "Untitled Story"
            if not given.get("scenes") and not str(given.get("content") or "").strip():
                given["content"] = given["title"]
            story_data = parse_story(given)
        metadata = metadata_fields(story_data, info, created_at=None)
        logger.info("metadata of %r made", story_data.title)
        return metadata

    def generate_thumbnail(
        self,
        video_path: str | os.PathLike[str],
        timestamp: float | None = 2.0,
        size: tuple[int, int] | None = None,
        title: str | None = None,
    ) -> str:
        """Write `<video>_thumb.jpg` beside a video and return its path.

        The frame is the one at `timestamp` seconds, or the last if the video is shorter; with None the best frame
        is chosen. `title`, by default the video's own, is drawn on it unless the configuration
        says `add_title_to_thumbnail: false`. Raises RenderingError.
        """
        video = as_path(video_path, "video_path")
        seconds = as_seconds(timestamp, "timestamp")
        if title is not None:
            as_str(title, "title")
        words = (title if title is not None else _title_of(video)) if self.add_title else None
        target = make_thumbnail(
            video,
            video.with_name(f"{video.stem}_thumb.jpg"),
            title=words,
            fonts=title_fonts(FontCatalogue(), [self.config.scenes.text_font]),
            timestamp=None if seconds is None else exact_seconds(max(0.0, min(seconds, LAST_SECOND))),
            size_px=None if size is None else _checked_size(size),
        )
        logger.info("thumbnail %s made", target)
        return str(target)


def _checked_info(info: Any) -> Mapping[str, Any]:
    """Return a `video_info`; raise TypeError or InputError naming the key that is wrong or missing."""
    given = as_mapping(info, "video_info")
    for key in ("duration", "resolution", "file_size"):
        if key not in given:
            raise InputError(f"video_info: {key!r} is missing; give what VideoRenderer.render_video returned")
    _checked_size(given["resolution"], "video_info['resolution']")
    return given


def _checked_size(size: Any, name: str = "size") -> tuple[int, int]:
    """Return a width and height in pixels; raise TypeError for anything else."""
    if isinstance(size, list | tuple) and len(size) == 2:
        width, height = size
        if all(type(side) is int and 1 <= side <= SIDE_MAX_PX for side in (width, height)):
            return width, height
    raise wrong_type(size, name, f"(width, height) in pixels, 1 to {SIDE_MAX_PX}")


def _title_of(video: Path) -> str | None:
    """Return the title in a video file's own tags."""
    try:
        with av.open(str(video), options={"protocol_whitelist": "file,pipe"}) as container:
            return container.metadata.get("title") or None
    except av.FFmpegError as error:
        raise RenderingError(f"{video}: cannot be read as a video: {error.strerror}") from error


class SceneComposer:
    """Turns scene dictionaries and assets into composed scene dictionaries."""

    def __init__(self, config: AnyConfig = None) -> None:
        self.config = load_any(config)

    def compose_scenes(
        self, story_scenes: Sequence[Mapping[str, Any]], generated_assets: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Return scenes ready for `VideoRenderer.render_video`, with start_time and end_time in seconds.

        Transitions overlap: a scene starts before the previous one ends. If a scene's picture is missing, its
        `image_path` is None and the renderer draws one. Raises StoryError.
        """
        given = as_mappings(story_scenes, "story_scenes")
        story = parse_story({"title": "scenes", "scenes": [dict(scene) for scene in given]})
        scenes = _cast_scenes(story, self.config)
        timings, _ = scene_timings(scenes, [None] * len(scenes), self.config)
        placement = place_scenes(timings, fps=self.config.video.fps)
        images = as_mapping(
            as_mapping(generated_assets, "generated_assets").get("images") or {}, "generated_assets['images']"
        )
        composed: list[dict[str, Any]] = []
        for index, scene in enumerate(scenes):
            frames, look = placement.ranges[index], self.config.caption_look(scene.style)
            composed.append(
                {
                    "scene_id": scene.scene_id,
                    "image_path": images.get(scene.scene_id) or scene.image,
                    "duration": float(frame_time(len(frames), self.config.video.fps)),
                    "effects": list(given[index].get("effects") or look.effects),
                    "text": {
                        "content": scene.text,
                        "position": scene.text_position or look.text_position,
                        "size": scene.size or look.text_size,
                        "color": scene.colour or look.text_color,
                        "font": scene.font or look.text_font,
                        "animation": scene.animation or look.text_animation,
                        **({} if scene.style is None else {"style": scene.style}),
                        **({} if scene.highlight is None else {"highlight": scene.highlight}),
                    },
                    "transition": timings[index].transition,
                    "transition_duration": float(
                        frame_time(placement.overlaps[index], self.config.video.fps)
                    ),
                    "start_time": float(frame_time(frames.start, self.config.video.fps)),
                    "end_time": float(frame_time(frames.stop, self.config.video.fps)),
                }
            )
        return composed


def _cast_scenes(story: Story, config: Config) -> tuple[StoryScene, ...]:
    """Return a story's scenes with the colours and words of their speakers."""
    return cast_speakers(story, story_scenes(story), config=config).scenes


class StoryProcessor:
    """Turns a story dictionary into a list of scene dictionaries."""

    def __init__(self, config: AnyConfig = None) -> None:
        self.config = load_any(config)

    def process(self, story_data: Mapping[str, Any] | Story) -> list[dict[str, Any]]:
        """Return one dictionary per scene, with `scene_id`, `text` and the other fields that the story sets."""
        story = parse_story(story_data)
        return [
            scene.model_dump(exclude_none=True, mode="json") for scene in _cast_scenes(story, self.config)
        ]


class AssetGenerator:
    """Makes pictures and narration for a list of scene dictionaries."""

    def __init__(self, config: AnyConfig = None, *, base: str | os.PathLike[str] = Path()) -> None:
        self.config = load_any(config)
        self.base = as_path(base, "base")

    async def generate_assets(
        self, scenes: Sequence[Mapping[str, Any]], *, genre: str = "general"
    ) -> dict[str, Any]:
        """Return `images` and `narration` (scene_id → path), `durations` of speech, and `warnings`.

        The work runs on threads and does not block the event loop.
        """
        import asyncio

        return await asyncio.to_thread(self.generate, scenes, genre=genre)

    def generate(self, scenes: Sequence[Mapping[str, Any]], *, genre: str = "general") -> dict[str, Any]:
        """Do the same as `generate_assets` without an event loop."""
        given = [dict(scene) for scene in as_mappings(scenes, "scenes")]
        data = {"title": "scenes", "metadata": {"genre": genre}, "scenes": given}
        story = parse_story(data)
        cast = cast_speakers(story, story_scenes(story), config=self.config)
        assets = gather_assets(
            story,
            cast.scenes,
            config=self.config,
            cache=open_asset_cache(self.config),
            base=self.base,
            voices=cast.voices,
        )
        self.config.error_policy.check(assets.warnings)
        for warning in assets.warnings:
            logger.warning(warning)
        spoken = [scene for scene in assets.scenes if scene.narration is not None]
        return {
            "images": {
                scene.scene_id: str(scene.picture.path)
                for scene in assets.scenes
                if not isinstance(scene.picture, Footage)
            },
            "narration": {scene.scene_id: str(scene.narration.path) for scene in spoken if scene.narration},
            "durations": {
                scene.scene_id: float(scene.narration.duration) for scene in spoken if scene.narration
            },
            "audio": None,
            "warnings": list(assets.warnings),
        }
