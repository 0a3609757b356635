"""Pictures as services send them: decoded and checked, kept as PNG with notes, and scaled up for the frame."""

from __future__ import annotations

import binascii
import io
import json
import warnings
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from video_pipeline.engine.assets.images.drawn import DRAWN_OVERSIZE
from video_pipeline.engine.assets.stills import DEMUXERS, check_png, flatten
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.input_files import ANY_FILES
from video_pipeline.engine.net.client import ServiceClient
from video_pipeline.engine.timeline import Still

NOTES_KEY: Final = "video-pipeline"
"""The PNG text chunk with what a service said of a picture, as JSON."""

ENLARGED_VERSION: Final = 1
"""Increase it when pictures are scaled up in another way, so that cached ones are not used."""

ANSWER_MEGAPIXELS: Final = 50
PLAIN_LEVELS: Final = 8
"""A picture whose levels differ by at most this shows nothing: safety filters answer with a black one."""


def decoded_answer_picture(data: bytes, client: ServiceClient) -> Image.Image:
    """Return a service's picture as RGB; raise ServiceError if it is none, damaged, or shows nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about unusual metadata, which is not used
        try:
            with Image.open(io.BytesIO(data), formats=tuple(DEMUXERS)) as opened:
                if opened.width * opened.height > ANSWER_MEGAPIXELS * 1e6:
                    raise client.error(
                        f"its picture has {opened.width} x {opened.height} pixels; a service's may have "
                        f"{ANSWER_MEGAPIXELS} megapixels",
                        kind="rejected",
                    )
                opened.load()
                picture = flatten(opened)
        except UnidentifiedImageError:
            known = ", ".join(sorted(DEMUXERS))
            raise client.error(f"the answer is no picture of a known format ({known})", kind="busy") from None
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise client.error(f"the answer is no whole picture: {error}", kind="busy") from None
    levels = [channel.getextrema() for channel in picture.split()]
    if all(high - low <= PLAIN_LEVELS for low, high in cast(list[tuple[int, int]], levels)):
        raise client.error("its picture is of one colour, as filtered pictures are", kind="rejected")
    return picture


def decoded_base64(text: Any, client: ServiceClient) -> bytes:
    """Return the bytes of base64 text, which may begin as a data URL; raise ServiceError if it is none."""
    try:
        if isinstance(text, str):
            return b64decode(text.partition("base64,")[2] or text, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise client.error("the answer holds no picture in base64", kind="busy")


def write_noted_png(picture: Image.Image, notes: Mapping[str, Any], target: Path) -> None:
    """Write a picture as PNG with notes, which its checksums cover."""
    info = PngImagePlugin.PngInfo()
    info.add_text(NOTES_KEY, json.dumps(dict(notes)))
    picture.save(target, "PNG", pnginfo=info, compress_level=1)


def read_png_notes(path: Path) -> dict[str, Any]:
    """Return the notes of a PNG that `write_noted_png` wrote."""
    with Image.open(path, formats=("PNG",)) as opened:
        opened.load()
        found: dict[str, Any] = json.loads(opened.info[NOTES_KEY])
        return found


def enlarged(picture: Image.Image, frame_px: tuple[int, int]) -> Image.Image:
    """Return a picture that covers a frame with room for zooming, scaled up by Lanczos if it is smaller.

    Sharpening it leaves dark lines along edges, and is farther from a larger picture of the same scene.
    """
    needed = max(DRAWN_OVERSIZE * side / own for side, own in zip(frame_px, picture.size, strict=True))
    if needed <= 1:
        return picture
    width, height = (round(side * needed) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def enlarged_still(answer: Path, frame_px: tuple[int, int], cache: ContentCache) -> Still:
    """Return a cached picture as a still that is large enough for a frame."""

    def enlarge(target: Path) -> None:
        with Image.open(answer, formats=("PNG",)) as opened:
            enlarged(opened.convert("RGB"), frame_px).save(target, "PNG", compress_level=1)

    with ANY_FILES.open(answer) as file:
        digest = file.sha256
    parts = {"answer": digest, "frame": list(frame_px), "version": ENLARGED_VERSION}
    path, _ = cache.get_or_make("pictures", parts, ".png", enlarge, check=check_png)
    with ANY_FILES.open(path) as file, Image.open(file.stream) as ready:
        return Still(path, *ready.size, file.sha256, "png_pipe", is_copy=True)
