"""Stills: turn any JPEG, PNG or WebP into a picture that FFmpeg decodes correctly.

FFmpeg reads the user's file itself if it is a plain upright RGB picture, otherwise a PNG that Pillow wrote from
it. The size limit is checked in the header before a pixel is decoded.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from PIL import Image, ImageOps, UnidentifiedImageError

from video_pipeline.engine.assets.cicp import read_cicp
from video_pipeline.engine.assets.formats import ALLOWED, contents_of
from video_pipeline.engine.assets.srgb import CICP, GREY_IN_RGBA, foreign_profile, to_srgb
from video_pipeline.engine.common.cache import ContentCache, DamagedError
from video_pipeline.engine.common.input_files import ANY_FILES, InputFiles, OpenFile
from video_pipeline.engine.errors import ImageGenerationError
from video_pipeline.engine.timeline import Still

DEMUXERS = {content.name.upper(): content.demuxer for content in contents_of("picture")}
"""FFmpeg's demuxer for each accepted format, by Pillow's name."""

FLATTEN_COLOUR = (0, 0, 0)
FOR_FFMPEG, FOR_PILLOW = "ffmpeg", "pillow"
"""What reads a plain picture; see `_ffmpeg_decodes`."""

ORIENTATION_TAG = 0x0112

# `max_megapixels` replaces Pillow's limit, which only warns.
Image.MAX_IMAGE_PIXELS = None


@contextmanager
def open_picture(
    path: Path, *, files: InputFiles, max_megapixels: float
) -> Iterator[tuple[OpenFile, Image.Image]]:
    """Open a picture and check its format and size by its header; raise ImageGenerationError naming the file."""
    try:
        with files.open(path) as file:
            if file.size == 0:
                raise ImageGenerationError(f"{path}: is empty (0 bytes)")
            with Image.open(file.stream, formats=tuple(DEMUXERS)) as image:
                pixels = image.width * image.height
                if pixels > max_megapixels * 1e6:
                    raise ImageGenerationError(
                        f"{path}: {image.width} x {image.height} is {pixels / 1e6:.0f} megapixels; "
                        f"allowed: at most {max_megapixels:g} (images.max_megapixels)"
                    )
                if image.format == "PNG":
                    image.info[CICP] = read_cicp(file.stream)
                    if any(tile.args == "LA;16B" for tile in image.tile):
                        image.info[GREY_IN_RGBA] = True
                yield file, image
    except FileNotFoundError as error:
        raise ImageGenerationError(f"{path}: does not exist") from error
    except UnidentifiedImageError as error:
        raise ImageGenerationError(f"{path}: is not a picture; allowed: {ALLOWED['picture']}") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageGenerationError(f"{path}: cannot be read: {error}") from error


def animation_warning(path: Path, still: Still) -> str | None:
    """Return the warning that only the first picture of an animated file is shown, or None if it holds one."""
    return (
        f"{path}: is animated ({still.pictures} pictures); only the first is shown"
        if still.pictures > 1
        else None
    )


def check_png(path: Path) -> None:
    """Raise DamagedError for a PNG with wrong checksums; no pixel is decoded."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            image.verify()
    except FileNotFoundError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DamagedError(str(error)) from error


def flatten(image: Image.Image) -> Image.Image:
    """Return the picture upright, without transparency, in sRGB. It may be `image` itself, rotated in place.

    Large pictures take gigabytes, so at most two copies exist at a time.
    """
    ImageOps.exif_transpose(image, in_place=True)
    upright = image
    if upright.mode.startswith("I;16") or upright.mode in ("I", "F"):
        upright = upright.point(lambda value: value / 256).convert("L")
        upright.info = image.info
    layer = to_srgb(upright)
    if layer.mode == "RGB":
        return layer
    flat = Image.new("RGB", layer.size, FLATTEN_COLOUR)
    flat.paste(layer, mask=layer)
    return flat


def _usable_unchanged(image: Image.Image) -> bool:
    plain = image.mode == "RGB" or (image.mode == "L" and image.format == "JPEG")
    return (
        plain
        and image.getexif().get(ORIENTATION_TAG, 1) in (0, 1)
        and not image.has_transparency_data
        and foreign_profile(image) is None
        and getattr(image, "n_frames", 1) == 1
    )


def _ffmpeg_decodes(file: OpenFile, demuxer: str, size_px: tuple[int, int]) -> bool:
    """Return whether FFmpeg decodes a picture too: it refuses some, such as a PNG with a damaged profile."""
    try:
        with av.open(io.BytesIO(file.read()), "r", format=demuxer) as opened:
            frame = next(opened.decode(video=0), None)
            return frame is not None and (frame.width, frame.height) == size_px
    except (av.FFmpegError, EOFError, ValueError, IndexError):
        return False


def prepare_still(
    path: Path,
    *,
    cache: ContentCache,
    max_megapixels: float,
    max_side_px: int,
    files: InputFiles = ANY_FILES,
) -> Still:
    """Return a user's picture as a still that FFmpeg can read.

    The whole picture is decoded, so that a truncated file fails here and not in the middle of a render.
    Pictures with a side over `max_side_px` are scaled down. Raises ImageGenerationError with the file and
    the reason, and FileChangedError.
    """
    made: list[Image.Image] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about unusual metadata, which is not used
        with open_picture(path, files=files, max_megapixels=max_megapixels) as (file, image):
            try:
                width, height = image.size
                count = getattr(image, "n_frames", 1)

                def note_decoded(target: Path) -> None:
                    if image.format == "JPEG":
                        image.draft("RGB", (1, 1))  # reads every byte but produces few pixels
                    image.load()
                    decodes = _ffmpeg_decodes(file, DEMUXERS[str(image.format)], (width, height))
                    file.check()
                    target.write_text(FOR_FFMPEG if decodes else FOR_PILLOW, encoding="ascii")

                unchanged = _usable_unchanged(image) and max(image.size) <= max_side_px
                if unchanged:
                    # Decoding proves that the file is whole; the result holds for every file of the same bytes.
                    parts = {"sha256": file.sha256, "pillow": 1, "ffmpeg": 1}
                    note, _ = cache.get_or_make("whole", parts, ".txt", note_decoded)
                    unchanged = note.read_text(encoding="ascii", errors="replace") != FOR_PILLOW
                if unchanged:
                    return Still(path.absolute(), width, height, file.sha256, DEMUXERS[str(image.format)])

                def make(target: Path) -> None:
                    if image.format == "JPEG":
                        image.draft("RGB", (max_side_px, max_side_px))
                    flat = flatten(image)
                    flat.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
                    file.check()
                    flat.save(target, "PNG", compress_level=1)
                    made.append(flat)

                parts = {"sha256": file.sha256, "max_side_px": max_side_px, "pillow": 3}
                target, _ = cache.get_or_make("stills", parts, ".png", make, check=check_png)
            except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
                file.check()
                raise ImageGenerationError(f"{path}: cannot be decoded: {error}") from error
            digest = file.sha256
    if made:
        width, height = made[0].size
    else:
        with Image.open(target) as ready:
            width, height = ready.size
    return Still(target, width, height, digest, "png_pipe", is_copy=True, pictures=count)
