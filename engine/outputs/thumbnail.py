"""The thumbnail: a frame of the video with the story's title over its lower third."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
from PIL import Image, ImageCms, ImageFilter

from video_pipeline.engine import __version__
from video_pipeline.engine.assets.fonts import font_versions
from video_pipeline.engine.assets.scripts import find_missing, shortened
from video_pipeline.engine.common.cache import FileDigests
from video_pipeline.engine.common.files import whole_file
from video_pipeline.engine.common.versions import version
from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.outputs.frame_choice import LUMA, Plane, frame_at, percentiles, pick_frame
from video_pipeline.engine.timing import Seconds
from video_pipeline.filters.typeset import (
    FontFace,
    FontStack,
    Shadow,
    TextLayout,
    TextStyle,
    layout_text,
    rasterise,
)

logger = logging.getLogger(__name__)

THUMBNAIL_VERSION: Final = 3
"""Increase it when thumbnails change, so that cached ones are not used."""

JPEG_QUALITY: Final = 90
STRIP_ROWS: Final = 64
"""Rows blended at once: all rows as floats would take a hundred megabytes."""

_digest = FileDigests()


def make_thumbnail(
    video: Path,
    target: Path,
    *,
    title: str | None,
    fonts: FontStack,
    candidates: Sequence[Seconds] | None = None,
    timestamp: Seconds | None = None,
    size_px: tuple[int, int] | None = None,
) -> Path:
    """Write a video's thumbnail as JPEG (quality 90, 4:4:4, sRGB) and return its path.

    The frame is the one shown at `timestamp` seconds, or else the best of those at `candidates`, by default
    times spread over the video; times past the end mean the last frame. `title` is drawn on it unless it is
    None or blank. `size_px` (width, height) defaults to the video's own; another aspect is cropped.
    The file is written completely or not at all. Raises RenderingError if no frame of the video decodes.
    """
    picked = frame_at(video, timestamp) if timestamp is not None else pick_frame(video, candidates)
    picture = _cover(picked.image, size_px) if size_px else picked.image
    if title and title.strip():
        picture = draw_title(picture, title, fonts=fonts)
    save_jpeg(picture, target)
    return target


def _named_faces(fonts: FontStack) -> list[FontFace]:
    """Return the title's face and those of the user's files; the others come with the packages' versions."""
    return [fonts.faces[0], *(face for face in fonts.faces[1:] if face.sha256)]


def thumbnail_identity(fonts: FontStack) -> dict[str, Any]:
    """Return everything that a thumbnail depends on besides its picture and title, for its cache key."""
    return {
        "thumbnail": THUMBNAIL_VERSION,
        "fonts": [
            [face.path.name, face.weight, face.index, _digest(face.path)] for face in _named_faces(fonts)
        ],
        "packaged": [[face.path.name, face.index] for face in fonts.faces if not face.sha256],
        "versions": [__version__, *(version(name) for name in ("Pillow", "numpy")), *font_versions()],
    }


def write_thumbnail(picture: Image.Image, target: Path, *, title: str, fonts: FontStack) -> None:
    """Write a caption-free picture as thumbnail with the title drawn on it, completely or not at all."""
    save_jpeg(draw_title(picture, title, fonts=fonts, hide_captions=False), target)


def _cover(image: Image.Image, size_px: tuple[int, int]) -> Image.Image:
    """Return the picture at another size; a different aspect is cropped equally on both sides."""
    width, height = size_px
    if width < 1 or height < 1:
        raise ValueError(f"size_px: got {size_px!r}; allowed: (width, height), each at least 1")
    if image.size == size_px:
        return image
    scale = max(width / image.width, height / image.height)
    crop_width, crop_height = width / scale, height / scale
    left, top = (image.width - crop_width) / 2, (image.height - crop_height) / 2
    box = (left, top, left + crop_width, top + crop_height)
    return image.resize(size_px, Image.Resampling.LANCZOS, box=box)


@dataclass(frozen=True, slots=True)
class _Place:
    """The title's layout, and its left and top edge in pixels."""

    layout: TextLayout
    left_px: int
    top_px: int


def _place_title(title: str, fonts: FontStack, width: int, height: int) -> _Place:
    short = min(width, height)
    # Profile grids crop taller pictures to 3:4, so the title stays inside that.
    seen = min(height, width * 4 / 3)
    bottom = (height + seen) / 2 - (0.035 if seen < height else 0.065) * height
    size_px = max(8, round(0.1 * short))
    shadow = Shadow(dx_px=0, dy_px=round(size_px / 28), blur_px=size_px / 5, color=(0, 0, 0, 150))
    layout = layout_text(
        " ".join(title.split()),
        fonts=fonts,
        style=TextStyle(size_px=size_px, shadow=shadow, line_height=1.14),
        max_width_px=max(8, round(0.84 * width)),
        max_height_px=max(8, round((0.22 if height > width else 0.34) * height)),
        min_size_px=max(6, round(0.036 * short)),
    )
    return _Place(layout, (width - layout.width_px) // 2, round(bottom) - layout.height_px)


def draw_title(
    picture: Image.Image, title: str, *, fonts: FontStack, hide_captions: bool = True
) -> Image.Image:
    """Return the picture with a fitted title over a scrim, a soft gradient that darkens the background.

    The scrim is as dark as white letters require. With `hide_captions` it also blurs the picture's lower part, so
    that captions in the picture do not show beneath the title. A title
    with letters that no font has is omitted, with a warning.
    """
    picture = picture.convert("RGB")
    width, height = picture.size
    place = _place_title(title, fonts, width, height)
    lacking = find_missing(title, fonts=fonts)
    if lacking.letters:
        logger.warning("no font has the letters %s: the thumbnail has no title", shortened(lacking.letters))
        return picture
    if lacking.others:
        logger.warning(
            "no font has %s of the title: an empty box is drawn for each", shortened(lacking.others)
        )
    bottom_px = place.top_px + place.layout.height_px
    _lay_scrim(picture, top_px=place.top_px, bottom_px=bottom_px, blur=hide_captions)
    raster = rasterise(place.layout)
    left, top = place.left_px + raster.left_px, place.top_px + raster.top_px
    picture.paste(raster.image, (left, top), raster.image)
    return picture


def _ramp(rows: Plane, first: float, last: float) -> Plane:
    """Return 0 up to `first` and 1 from `last` on, with smooth ends."""
    share = np.clip((rows - np.float32(first)) / np.float32(last - first), 0, 1)
    eased: Plane = share * share * (3 - 2 * share)
    return eased


def _lay_scrim(picture: Image.Image, *, top_px: int, bottom_px: int, blur: bool) -> None:
    """Darken, and blur if asked, the picture from above the title to its bottom edge, in place."""
    width, height = picture.size
    first = max(0, min(top_px - round(0.24 * height), round(0.54 * height)))
    radius = 0.028 * min(width, height)
    rows = np.arange(first, height, dtype=np.float32)[:, None, None]
    # Measure the blurred background of the title, on a reduced copy for speed.
    behind_px = (0, max(0, top_px), width, max(top_px + 1, min(bottom_px, height)))
    small = picture.reduce(max(1, int(radius / 4)), box=behind_px)
    soft = small.filter(ImageFilter.GaussianBlur(radius * small.width / width))
    behind: Plane = np.asarray(soft, np.float32) / np.float32(255)
    tint = np.clip(behind.mean(axis=(0, 1)) * 0.22, 0.0, 0.09).astype(np.float32)
    (bright,) = percentiles(behind @ LUMA, 95)
    # White on a code value of 0.36 or less has a contrast of at least 7:1 (WCAG 2).
    needed = (bright - 0.36) / max(bright - float(tint.mean()), 1e-3)
    strength = min(0.9, max(0.5, needed))
    # The blur covers captions of a few lines at the bottom completely.
    softer = _ramp(rows, first, max(first + 1, min(top_px, round(0.70 * height))))
    dark = strength * _ramp(rows, first, first + 1.2 * max(1, top_px - first))
    margin = min(first, math.ceil(3 * radius))
    part = picture.crop((0, first - margin, width, height))
    blurred = part.filter(ImageFilter.GaussianBlur(radius)) if blur else None
    random = Random(0)
    for start in range(first, height, STRIP_ROWS):
        stop = min(height, start + STRIP_ROWS)
        here = slice(start - first, stop - first)
        mixed = np.asarray(picture.crop((0, start, width, stop)), np.float32)
        if blurred is not None:
            softened = blurred.crop((0, start - first + margin, width, stop - first + margin))
            mixed = mixed + (np.asarray(softened, np.float32) - mixed) * softer[here]
        mixed = mixed * (1 - dark[here]) + tint * 255 * dark[here]
        # Random rounding (dither) avoids visible bands in the 8-bit gradient.
        chance = np.frombuffer(random.randbytes(width * (stop - start)), np.uint8).reshape(-1, width, 1)
        mixed += (chance + np.float32(0.5)) / 256
        picture.paste(Image.fromarray(mixed.astype(np.uint8)), (0, start))


@cache
def _srgb_profile() -> bytes:
    """Return an sRGB profile of fixed bytes: LittleCMS writes the time of day into it."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes((0x07, 0xD0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))  # 2000-01-01
    return bytes(profile)


def save_jpeg(picture: Image.Image, target: Path) -> None:
    """Write a picture as JPEG of quality 90 without chroma subsampling; raise RenderingError."""
    try:
        with whole_file(target) as partial:
            picture.convert("RGB").save(
                partial,
                "JPEG",
                quality=JPEG_QUALITY,
                subsampling=0,
                optimize=True,
                icc_profile=_srgb_profile(),
            )
    except OSError as error:
        raise RenderingError(f"{target}: cannot be written: {error.strerror or error}") from error
