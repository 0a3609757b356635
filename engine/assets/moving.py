"""Moving pictures as clips: GIF, APNG, animated WebP and AVIF sequences, with their own times, repeated as long as needed.

Each is decoded by Pillow like a still (colour profiles, transparency on black) and cached as a file that FFmpeg reads.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

from PIL import Image

from video_pipeline.engine.assets.footage import Clipped, NotVideoError, probe_footage
from video_pipeline.engine.assets.formats import HEAD_BYTES, sniff
from video_pipeline.engine.assets.moving_file import pass_seconds, write_loop
from video_pipeline.engine.assets.picture_readers import UNDECODABLE
from video_pipeline.engine.assets.stills import flatten, open_picture
from video_pipeline.engine.common.cache import ContentCache, DamagedError
from video_pipeline.engine.common.input_files import InputFiles, OpenFile
from video_pipeline.engine.errors import ImageGenerationError
from video_pipeline.engine.story.model import VideoSpec
from video_pipeline.engine.timing import Seconds, exact_seconds

SHORTEST_MS: Final = 10
DEFAULT_MS: Final = 100
"""A frame of at most SHORTEST_MS is shown for DEFAULT_MS, as browsers do: such files have no times of their own."""

MOVING_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingLimits:
    """What a moving picture may have: frames, pixels of a frame and of all, the longer side of what is kept."""

    max_frames: int
    max_megapixels: float
    max_moving_megapixels: float
    max_side_px: int


def prepare_clip(
    path: Path, spec: VideoSpec, *, limits: MovingLimits, cache: ContentCache, files: InputFiles
) -> Clipped:
    """Return the clip that `spec` selects from a video or a moving picture.

    Raises AssetError naming the file and the reason, and FileChangedError.
    """
    try:
        with files.open(path) as file:
            content = sniff(file.head(HEAD_BYTES))
    except OSError:
        content = None  # probe_footage says why
    if content is None or not content.is_moving:
        return probe_footage(path, spec, files=files)
    try:
        return _prepare_moving(path, spec, limits=limits, cache=cache, files=files)
    except ImageGenerationError as error:
        raise NotVideoError(str(error)) from error


def _prepare_moving(
    path: Path, spec: VideoSpec, *, limits: MovingLimits, cache: ContentCache, files: InputFiles
) -> Clipped:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about unusual metadata, which is not used
        with open_picture(path, files=files, max_megapixels=limits.max_megapixels, cache=cache) as (
            file,
            image,
        ):
            try:
                count = getattr(image, "n_frames", 1)
                _check_extent(path, image, count, limits)

                def make(target: Path) -> None:
                    _write_part(target, file, image, count, spec, limits.max_side_px)

                parts = {
                    "sha256": file.sha256,
                    "start": spec.start,
                    "end": spec.end,
                    "max_side_px": limits.max_side_px,
                    "version": MOVING_VERSION,
                }
                target, _ = cache.get_or_make("moving", parts, ".mov", make, check=_check_moving)
            except UNDECODABLE as error:
                file.check()
                raise ImageGenerationError(f"{path}: cannot be decoded: {error}") from error
    footage = probe_footage(target, VideoSpec(path=str(target), sound=False)).footage
    return Clipped(replace(footage, duration=pass_seconds(target), loops_until=footage.duration), None)


def _check_moving(path: Path) -> None:
    """Raise DamagedError for a cached file that is not whole; no frame is decoded."""
    try:
        pass_seconds(path)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise DamagedError(str(error)) from error


def _check_extent(path: Path, image: Image.Image, count: int, limits: MovingLimits) -> None:
    if count > limits.max_frames:
        raise ImageGenerationError(
            f"{path}: has {count} frames; allowed: at most {limits.max_frames} (images.max_frames)"
        )
    megapixels = count * image.width * image.height / 1e6
    if megapixels > limits.max_moving_megapixels:
        raise ImageGenerationError(
            f"{path}: {count} frames of {image.width} x {image.height} are {megapixels:.0f} megapixels; "
            f"allowed: at most {limits.max_moving_megapixels:g} (images.max_moving_megapixels)"
        )


def _write_part(
    target: Path, file: OpenFile, image: Image.Image, count: int, spec: VideoSpec, max_side_px: int
) -> None:
    """Write the frames that `spec` selects, repeated."""
    size_px = _size_within(image, max_side_px)
    start = exact_seconds(spec.start)
    end = exact_seconds(spec.end) if spec.end is not None else None

    def selected() -> Iterator[tuple[bytes, Seconds]]:
        whole, shown = Fraction(0), 0
        # The default picture of an APNG may be one that is not part of its animation.
        for number in range(int(getattr(image, "default_image", False)), count):
            image.seek(number)
            image.load()
            begins, length = whole, _shown_seconds(image)
            whole += length
            visible = (min(whole, end) if end is not None else whole) - max(begins, start)
            if visible > 0:
                frame = flatten(image.copy())
                if frame.size != size_px:
                    frame = frame.resize(size_px, Image.Resampling.LANCZOS)
                data = io.BytesIO()
                frame.save(data, "PNG", compress_level=1)
                yield data.getvalue(), visible
                shown += 1
            if end is not None and whole >= end:
                break
        if not shown:
            raise ImageGenerationError(
                f"{file.path}: start {spec.start:g} s is past its end; "
                f"allowed: at least 0, less than {float(whole):.2f} s"
            )

    write_loop(target, selected(), size_px=size_px)
    file.check()


def _size_within(image: Image.Image, max_side_px: int) -> tuple[int, int]:
    """Return the upright size of a picture, no longer than `max_side_px`."""
    first = flatten(image.copy())
    first.thumbnail((max_side_px, max_side_px))
    return first.size


def _shown_seconds(image: Image.Image) -> Seconds:
    shown_ms = image.info.get("duration") or 0
    return Fraction(shown_ms if shown_ms > SHORTEST_MS else DEFAULT_MS).limit_denominator(90) / 1000
