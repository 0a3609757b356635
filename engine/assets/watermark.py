"""The watermark: a user's picture, scaled to its final size, and its position on the frame."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image, ImageOps

from video_pipeline.engine.assets.formats import ALLOWED
from video_pipeline.engine.assets.picture_readers import UNDECODABLE
from video_pipeline.engine.assets.srgb import to_srgb
from video_pipeline.engine.assets.stills import check_png, in_eight_bits, open_picture
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.input_files import ANY_FILES, InputFiles
from video_pipeline.engine.config.sections import WatermarkSettings
from video_pipeline.engine.errors import ConfigError, FileChangedError, ImageGenerationError
from video_pipeline.engine.timeline import Watermark

WATERMARK_VERSION = 4
"""Increase it when the scaling changes, so that cached watermarks are not used."""


def prepare_watermark(
    settings: WatermarkSettings,
    *,
    frame_px: tuple[int, int],
    cache: ContentCache,
    max_megapixels: float,
    files: InputFiles = ANY_FILES,
) -> Watermark | None:
    """Return the watermark of a frame, scaled by Lanczos with its transparency, or None if there is none.

    Its aspect is kept: one that would be taller than the frame becomes narrower. Its position is even, to align
    with 4:2:0 chroma. Raises ConfigError that names the key, the file and what is allowed, and
    FileChangedError.
    """
    if settings.image is None or settings.opacity == 0:
        return None
    path = settings.image
    try:
        digest, size, scaled = _scaled(path, settings, frame_px, cache, max_megapixels, files)
    except FileChangedError as error:
        raise FileChangedError(f"watermark.image: {error}") from error
    except ImageGenerationError as error:
        allowed = "" if "allowed:" in str(error) else f"; allowed: a file of {ALLOWED['picture']}"
        raise ConfigError(f"watermark.image: {error}{allowed}") from error
    margin = round(settings.margin * frame_px[0])
    vertical, horizontal = settings.corner.split("_")
    x = margin if horizontal == "left" else frame_px[0] - margin - size[0]
    y = margin if vertical == "top" else frame_px[1] - margin - size[1]
    return Watermark(
        path=scaled,
        name=path.name,
        sha256=digest,
        x_px=x // 2 * 2,
        y_px=y // 2 * 2,
        width_px=size[0],
        height_px=size[1],
        opacity=settings.opacity,
    )


def _scaled(
    path: Path,
    settings: WatermarkSettings,
    frame_px: tuple[int, int],
    cache: ContentCache,
    max_megapixels: float,
    files: InputFiles,
) -> tuple[str, tuple[int, int], Path]:
    """Return the file's hash, and the size and the file of the scaled picture; raise ImageGenerationError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about unusual metadata, which is not used
        with open_picture(path, files=files, max_megapixels=max_megapixels, cache=cache) as (file, image):
            try:
                upright = to_srgb(in_eight_bits(ImageOps.exif_transpose(image))).convert("RGBA")
                digest = file.sha256
                file.check()
            except UNDECODABLE as error:
                file.check()
                raise ImageGenerationError(f"{path}: cannot be decoded: {error}") from error
    width, height = (
        settings.width * frame_px[0],
        settings.width * frame_px[0] * upright.height / upright.width,
    )
    margin = round(settings.margin * frame_px[0])
    shrink = min(1.0, (frame_px[0] - 2 * margin) / width, (frame_px[1] - 2 * margin) / height)
    size = max(1, round(width * shrink)), max(1, round(height * shrink))

    def make(target: Path) -> None:
        # Premultiplied alpha keeps the colours of transparent pixels from bleeding into the edges.
        scaled = upright.convert("RGBa").resize(size, Image.Resampling.LANCZOS)
        scaled.convert("RGBA").save(target, "PNG")

    parts = {"sha256": digest, "size": list(size), "version": WATERMARK_VERSION}
    target, _ = cache.get_or_make("watermarks", parts, ".png", make, check=check_png)
    return digest, size, target
