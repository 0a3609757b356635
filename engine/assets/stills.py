"""Stills: turn a picture of any accepted format into one that FFmpeg decodes correctly.

FFmpeg reads the user's file itself if it is a plain upright RGB picture in JPEG, PNG or WebP, otherwise a PNG that
Pillow wrote from it. The size limit is checked in the header before a pixel is decoded.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import av
from PIL import Image, ImageOps, UnidentifiedImageError

from video_pipeline.engine.assets.cicp import read_cicp, read_nclx
from video_pipeline.engine.assets.formats import ALLOWED, HEAD_BYTES, PICTURE, contents_of, sniff
from video_pipeline.engine.assets.picture_readers import UNDECODABLE, UnreadablePictureError, prepare_reader
from video_pipeline.engine.assets.srgb import CICP, GREY_IN_RGBA, foreign_profile, to_srgb
from video_pipeline.engine.assets.subject import FORMULA, PLACES, find_subject, seen_px
from video_pipeline.engine.assets.svg import drawn_svg
from video_pipeline.engine.common.cache import ContentCache, DamagedError
from video_pipeline.engine.common.input_files import ANY_FILES, InputFiles, OpenFile, why_not_opened
from video_pipeline.engine.errors import ImageGenerationError
from video_pipeline.engine.timeline import Still

DEMUXERS = {
    content.pillow: content.demuxer
    for content in contents_of("picture")
    if content.demuxer and content.kinds == PICTURE
}
"""FFmpeg's demuxer for each format that it may read itself, by Pillow's name."""

PAGED = "TIFF"
"""The format, by Pillow's name, in which several pictures are pages of a document."""

FLATTEN_COLOUR = (0, 0, 0)
FOR_FFMPEG, FOR_PILLOW = "ffmpeg", "pillow"
"""Which program reads a plain picture, by `_ffmpeg_decodes`; the cached result."""

ORIENTATION_TAG = 0x0112

NO_SUBJECT = "none"
"""What the cache has for a picture without a subject."""

# `max_megapixels` replaces Pillow's limit, which only warns.
Image.MAX_IMAGE_PIXELS = None


@contextlib.contextmanager
def open_picture(
    path: Path, *, files: InputFiles, max_megapixels: float, cache: ContentCache
) -> Iterator[tuple[OpenFile, Image.Image]]:
    """Open a picture and check its format and size by its header; raise ImageGenerationError naming the file.

    An SVG is drawn, and the drawing is kept in the cache.
    """
    try:
        with files.open(path) as file:
            if file.size == 0:
                raise ImageGenerationError(f"{path}: is empty (0 bytes)")
            content = sniff(file.head(HEAD_BYTES))
            if content is None or "picture" not in content.kinds:
                raise ImageGenerationError(f"{path}: is not a picture; allowed: {ALLOWED['picture']}")
            try:
                prepare_reader(content)
                drawing = (
                    None
                    if content.pillow
                    else drawn_svg(file, max_megapixels=max_megapixels, cache=cache, check=check_png)
                )
            except UnreadablePictureError as error:
                raise ImageGenerationError(f"{path}: {error}") from error
            with Image.open(drawing or file.stream, formats=(content.pillow or "PNG",)) as image:
                if drawing is not None:
                    image.format = content.name
                pixels = image.width * image.height
                if pixels > max_megapixels * 1e6:
                    raise ImageGenerationError(
                        f"{path}: {image.width} x {image.height} is {pixels / 1e6:.0f} megapixels; "
                        f"allowed: at most {max_megapixels:g} (images.max_megapixels)"
                    )
                if content.pillow in ("AVIF", "HEIF"):
                    image.info[CICP] = read_nclx(file.stream)
                if image.format == "PNG":
                    image.info[CICP] = read_cicp(file.stream)
                    if any(tile.args == "LA;16B" for tile in image.tile):
                        image.info[GREY_IN_RGBA] = True
                yield file, image
    except UnidentifiedImageError as error:
        raise ImageGenerationError(f"{path}: cannot be read: its header is damaged or cut short") from error
    except (OSError, ValueError, SyntaxError) as error:
        # Pillow's own OSErrors have no number.
        why = (
            why_not_opened(error)
            if isinstance(error, OSError) and error.errno
            else f"cannot be read: {error}"
        )
        raise ImageGenerationError(f"{path}: {why}") from error


def animation_warning(path: Path, still: Still) -> str | None:
    """Return the warning that only the first of a file's pictures or pages is shown, or None if it holds one."""
    if still.pictures <= 1:
        return None
    if still.has_pages:
        return f"{path}: has {still.pictures} pages; only the first is shown"
    return f"{path}: is animated ({still.pictures} pictures); only the first is shown (give it as `video` to see it move)"


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
    layer = to_srgb(in_eight_bits(image))
    if layer.mode == "RGB":
        return layer
    flat = Image.new("RGB", layer.size, FLATTEN_COLOUR)
    flat.paste(layer, mask=layer)
    return flat


def in_eight_bits(image: Image.Image) -> Image.Image:
    """Return grey of 16 or 32 bits as grey of 8; `image` itself if it has 8.

    Floating-point samples are 0 to 1 (TIFF's usual range), or 0 to 65535 if one is above 1.
    """
    if not (image.mode.startswith("I;16") or image.mode in ("I", "F")):
        return image
    grey = image.convert("I") if image.mode in ("I;16B", "I;16N") else image
    top = grey.getextrema()[1] if grey.mode == "F" else None
    scale = 255.0 if isinstance(top, float) and top <= 1 else 1 / 256
    grey = grey.point(lambda value: value * scale).convert("L")
    grey.info = image.info
    return grey


def _usable_unchanged(image: Image.Image) -> bool:
    plain = image.format in DEMUXERS and (
        image.mode == "RGB" or (image.mode == "L" and image.format == "JPEG")
    )
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


def _read_place(path: Path) -> tuple[float, float] | None:
    """Return a subject's place from a cached file; raise DamagedError if it holds none."""
    words = path.read_text(encoding="ascii", errors="replace").split()
    if words == [NO_SUBJECT]:
        return None
    if len(words) != 2 or not all(word.isdecimal() and int(word) <= PLACES for word in words):
        raise DamagedError("it holds no place in a picture")
    return int(words[0]) / PLACES, int(words[1]) / PLACES


def _subject(
    image: Image.Image, size_px: tuple[int, int], file: OpenFile, *, cache: ContentCache
) -> tuple[float, float] | None:
    """Return where the subject of an upright picture of `size_px` is, cached under the file's hash."""

    def find(target: Path) -> None:
        if image.format == "JPEG":
            image.draft("RGB", seen_px(size_px))
        found = find_subject(image)
        file.check()
        target.write_text(" ".join(map(str, found)) if found else NO_SUBJECT, encoding="ascii")

    parts = {"sha256": file.sha256, "size_px": size_px, "subject": FORMULA}
    place, _ = cache.get_or_make("subjects", parts, ".txt", find, check=_read_place)
    return _read_place(place)


def prepare_still(
    path: Path,
    *,
    cache: ContentCache,
    max_megapixels: float,
    max_side_px: int,
    with_subject: bool = False,
    files: InputFiles = ANY_FILES,
) -> Still:
    """Return a user's picture as a still that FFmpeg can read; with `with_subject`, its subject's place too.

    The whole picture is decoded, so that a truncated file fails here and not in the middle of a render.
    Pictures with a side over `max_side_px` are scaled down. Raises ImageGenerationError with the file and
    the reason, and FileChangedError.
    """
    made: list[Image.Image] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about unusual metadata, which is not used
        with open_picture(path, files=files, max_megapixels=max_megapixels, cache=cache) as (file, image):
            try:
                width, height = image.size
                count = getattr(image, "n_frames", 1)

                def note_decoded(target: Path) -> None:
                    if image.format == "JPEG":
                        image.draft("RGB", seen_px(image.size))  # reads every byte but produces few pixels
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
                    subject = _subject(image, (width, height), file, cache=cache) if with_subject else None
                    return Still(
                        path.absolute(),
                        width,
                        height,
                        file.sha256,
                        DEMUXERS[str(image.format)],
                        subject=subject,
                    )

                source, has_pages = image, image.format == PAGED
                if image.format == "JPEG" and image.size != (width, height):
                    # Only a few of its pixels were decoded, to prove that the file is whole.
                    file.stream.seek(0)
                    source = Image.open(file.stream, formats=("JPEG",))

                def make(target: Path) -> None:
                    if source.format == "JPEG":
                        source.draft("RGB", (max_side_px, max_side_px))
                    flat = flatten(source)
                    flat.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
                    file.check()
                    flat.save(target, "PNG", compress_level=1)
                    made.append(flat)

                parts = {"sha256": file.sha256, "max_side_px": max_side_px, "pillow": 5}
                target, _ = cache.get_or_make("stills", parts, ".png", make, check=check_png)
                with contextlib.ExitStack() as stack:
                    ready = made[0] if made else stack.enter_context(Image.open(target, formats=("PNG",)))
                    width, height = ready.size
                    subject = _subject(ready, (width, height), file, cache=cache) if with_subject else None
            except UNDECODABLE as error:
                file.check()
                raise ImageGenerationError(f"{path}: cannot be decoded: {error}") from error
            digest = file.sha256
    return Still(
        target,
        width,
        height,
        digest,
        "png_pipe",
        is_copy=True,
        pictures=count,
        has_pages=has_pages,
        subject=subject,
    )
