"""Fallbacks for failed assets: a drawn picture instead of the scene's, longer silent scenes instead of speech."""

from __future__ import annotations

import hashlib
import logging
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, NoReturn

from PIL import Image, ImageEnhance

from video_pipeline.engine.api.configuration import AnyConfig, load_any
from video_pipeline.engine.assets.backgrounds import draw_background
from video_pipeline.engine.assets.fonts import FontCatalogue, font_versions
from video_pipeline.engine.assets.scene_lengths import SILENT_FACTOR
from video_pipeline.engine.assets.scripts import find_missing, shortened
from video_pipeline.engine.common.arguments import as_instance, as_mapping, as_mappings, wrong_type
from video_pipeline.engine.common.cache import ContentCache, open_cache
from video_pipeline.engine.common.validation import show
from video_pipeline.engine.errors import (
    ConfigError,
    ImageGenerationError,
    InputError,
    PipelineError,
    RenderingError,
    TTSError,
)
from video_pipeline.filters.typeset import Shadow, TextStyle, layout_text, rasterise

logger = logging.getLogger(__name__)

PICTURE_VERSION: Final = 2
"""Increase it when fallback pictures change, so that cached ones are not used."""

BACKGROUND_BRIGHTNESS: Final = 0.6
LOGGED_CHARACTERS: Final = 2000


class ErrorHandler:
    """Fallbacks for failed assets if the configuration allows them, otherwise errors."""

    def __init__(self, config: AnyConfig = None) -> None:
        self.config = load_any(config)
        self.fallback_enabled = self.config.error_handling.fallback_enabled

    def handle_image_generation_error(self, error: Exception, scene_data: Mapping[str, Any]) -> str:
        """Return the path of a drawn picture with the scene's text on it.

        The picture's name is the hash of its content, so jobs never overwrite each other's. Raises
        ImageGenerationError if fallbacks are off.
        """
        scene_id = str(as_mapping(scene_data, "scene_data").get("scene_id", "?"))
        as_instance(error, Exception, "error")
        if not (self.fallback_enabled and self.config.images.fallback_enabled):
            raise ImageGenerationError(
                f"scene {scene_id!r}: image generation failed: {error}", scene_id=scene_id
            ) from error
        logger.warning(
            "scene %r: image generation failed: %s; a drawn picture is shown instead", scene_id, error
        )
        return str(self._picture(scene_id, _text_of(scene_data), _genre_of(scene_data)))

    def handle_tts_error(self, error: Exception, scenes: Iterable[MutableMapping[str, Any]]) -> None:
        """Make every scene's `duration` 1.5 times longer, for reading; the video is silent.

        A scene without a duration gets 1.5 times the default one. Raises TTSError if fallbacks are off.
        """
        as_instance(error, Exception, "error")
        changed = list(_changeable(scenes))
        if not (self.fallback_enabled and self.config.tts.fallback_enabled):
            raise TTSError(f"speech failed: {error}") from error
        logger.warning("speech failed: %s; the video is silent and its scenes 1.5 times longer", error)
        for scene in changed:
            given = scene.get("duration")
            known = isinstance(given, int | float) and not isinstance(given, bool)
            seconds = float(given) if known and math.isfinite(given) and given > 0 else None  # type: ignore[arg-type,operator]
            scene["duration"] = (seconds or self.config.scenes.default_duration) * float(SILENT_FACTOR)

    def handle_rendering_error(self, error: Exception, job_data: Mapping[str, Any]) -> NoReturn:
        """Log a failed render and raise RenderingError from its cause.

        The error's details contain those of the cause, the job's id, and `permanent`: whether the input is wrong, so
        that a retry cannot help.
        """
        as_instance(error, Exception, "error")
        job_id = as_mapping(job_data, "job_data").get("job_id", job_data.get("id"))
        level = logging.CRITICAL if self.config.error_handling.alert_on_failure else logging.ERROR
        logger.log(level, "job %s: video rendering failed: %s", job_id, error)
        logger.error("job %s: job data: %s", job_id, show(dict(job_data), limit=LOGGED_CHARACTERS))
        details = dict(error.details) if isinstance(error, PipelineError) else {}
        details |= {"job_id": job_id, "permanent": isinstance(error, InputError)}
        raise RenderingError(f"video rendering failed: {error}", **details) from error

    def _picture(self, scene_id: str, text: str, genre: str) -> Path:
        size_px = self.config.video.canvas_px()
        seed = int.from_bytes(hashlib.sha256(f"{scene_id}\n{text}".encode()).digest()[:4], "big")
        font = self.config.scenes.text_font
        parts = {
            "version": PICTURE_VERSION,
            "text": text,
            "genre": genre,
            "seed": seed,
            "size_px": size_px,
            # The font's bytes, if they may change; the packaged ones come with their version.
            "font": (FontCatalogue().resolve(font).faces[0].sha256 if text.strip() else "") or font,
            "versions": font_versions(),
        }

        def make(target: Path) -> None:
            image = draw_background(genre=genre, seed=seed, size_px=size_px)
            write_words(image, text, font=font).save(target, "PNG", compress_level=1)

        path, _ = self._cache().get_or_make("fallbacks", parts, ".png", make)
        return path

    def _cache(self) -> ContentCache:
        limit = int(self.config.storage.max_storage_gb * 1e9)
        try:
            return open_cache(self.config.cache_dir(), max_bytes=limit)
        except ConfigError:
            # A fallback must not fail because the cache cannot be written.
            folder = tempfile.mkdtemp(prefix="video-pipeline-fallback-", dir=self.config.storage.temp_path)
            return ContentCache(Path(folder))


def _changeable(scenes: Any) -> Iterator[MutableMapping[str, Any]]:
    for index, scene in enumerate(as_mappings(scenes, "scenes")):
        if not isinstance(scene, MutableMapping):
            raise wrong_type(scene, f"scenes[{index}]", "a dictionary that can be changed")
        yield scene


def write_words(image: Image.Image, text: str, *, font: str) -> Image.Image:
    """Return a darkened picture with a text wrapped and fitted in its middle; with a blank text, the picture unchanged."""
    if not text.strip():
        return image.convert("RGB")
    width, height = image.size
    size_px = max(8, round(min(width, height) / 16))
    shadow = Shadow(dx_px=0, dy_px=max(1, size_px // 20), blur_px=size_px / 4, color=(0, 0, 0, 190))
    catalogue = FontCatalogue()  # keeps the font open
    lacking = find_missing(text, fonts=catalogue.resolve(font))
    if lacking.letters or lacking.others:
        characters = shortened((*lacking.letters, *lacking.others))
        logger.warning("no font has %s: an empty box is drawn for each", characters)
    layout = layout_text(
        text,
        fonts=catalogue.resolve(font),
        style=TextStyle(size_px=size_px, shadow=shadow, line_height=1.35),
        max_width_px=max(8, round(width * 0.82)),
        max_height_px=max(8, round(height * 0.6)),
        min_size_px=max(6, size_px // 4),
    )
    dark = ImageEnhance.Brightness(image.convert("RGB")).enhance(BACKGROUND_BRIGHTNESS)
    raster = rasterise(layout)
    left = (width - layout.width_px) // 2 + raster.left_px
    top = (height - layout.height_px) // 2 + raster.top_px
    dark.paste(raster.image, (left, top), raster.image)
    return dark


def _text_of(scene_data: Mapping[str, Any]) -> str:
    """Return a scene's words: plain text, or the content of a text object."""
    text = scene_data.get("text")
    if isinstance(text, Mapping):
        text = text.get("content")
    return text if isinstance(text, str) else ""


def _genre_of(scene_data: Mapping[str, Any]) -> str:
    metadata = scene_data.get("metadata")
    genre = scene_data.get("genre") or (metadata.get("genre") if isinstance(metadata, Mapping) else None)
    return genre if isinstance(genre, str) else "general"
