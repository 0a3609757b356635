"""The cache key of a segment: equal keys mean equal bytes.

Frames are counted from the segment's start and files are represented by their content, so a segment that only
moved in time, or whose files only moved on the disk, keeps its key. Every field of the timeline is in the key
unless it is listed here as having no effect on the picture, so new fields are included by default.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av import library_versions

from video_pipeline.engine import __version__
from video_pipeline.engine.common.cache import file_sha256, key_of
from video_pipeline.engine.render.captions.draw import CaptionArt, in_range
from video_pipeline.engine.render.encoders.base import EncoderSettings, load_encoder
from video_pipeline.engine.timeline import Clip, Footage, Grade, Still, Timeline
from video_pipeline.engine.timing import FrameRange

FORMAT: Final = 2
"""Increase it when the bytes for equal keys change, so that no older cached segment is used."""

WITHOUT_EFFECT: Final = frozenset(
    ["scene_id", "title", "is_copy", "pictures", "has_pages", "exact_pix_fmt", "subject", "focus", "apart"]
)
"""Fields of clips, stills and captions that do not change the picture; a focus does by the clip's camera."""

PLACED_APART: Final = frozenset(["title", "audio", "clips", "transitions", "captions"])
"""Fields of a timeline that are left out of the key, or of which it has only the part in the range."""

Digest = Callable[[Path], str]


@cache
def encoding_versions(encoder: str) -> dict[str, Any]:
    """Return the versions of PyAV, its libraries and the encoder, on which the encoded bytes depend."""
    known: dict[str, Any] = {
        "pyav": av.__version__,
        "libraries": {name: list(numbers) for name, numbers in library_versions.items()},
    }
    return known | load_encoder(encoder).versions()


def segment_key(
    timeline: Timeline,
    captions: Sequence[CaptionArt],
    frames: FrameRange,
    *,
    settings: EncoderSettings,
    compositor: Mapping[str, Any],
    digest: Digest = file_sha256,
) -> str:
    """Return the key, in hex, of the encoded frames of a range.

    `compositor` is the compositor's identity, of which `footage` counts only for video clips. `digest` returns the SHA-256 of a file whose hash
    is not in the timeline. Raises OSError if such a file cannot be read.
    """
    # A transition is drawn from its first frame, even if the range begins inside it.
    joins = [join for join in timeline.transitions if join.frames.intersection(frames)]
    drawn = FrameRange(
        min([frames.start, *(join.frames.start for join in joins)]),
        max([frames.stop, *(join.frames.stop for join in joins)]),
    )
    seen = [index for index, clip in enumerate(timeline.clips) if clip.frames.intersection(drawn)]
    if not any(isinstance(timeline.clips[index].source, Footage) for index in seen):
        compositor = {name: value for name, value in compositor.items() if name != "footage"}

    def plain(value: Any) -> Any:
        return _plain(value, frames.start, digest)

    parts = {
        "format": FORMAT,
        "version": __version__,
        "frames": len(frames),
        "timeline": {
            field.name: plain(getattr(timeline, field.name))
            for field in fields(timeline)
            if field.name not in PLACED_APART
        },
        "clips": [_with_seen_fades(timeline.clips[index], drawn, plain) for index in seen],
        "transitions": [plain(join) | {"after": join.after - seen[0]} for join in joins],
        "captions": [_with_seen_fades(art, frames, plain) for art in in_range(captions, frames)],
        "settings": plain(settings),
        "encoder": encoding_versions(settings.encoder),
        "compositor": plain(compositor),
    }
    return key_of(parts)


def _with_seen_fades(
    drawing: Clip | CaptionArt, drawn: FrameRange, plain: Callable[[Any], Any]
) -> dict[str, Any]:
    """Return a clip or caption as JSON data; fades that the range does not reach are zero."""
    values: dict[str, Any] = plain(drawing)
    fading = drawing.fades_within if isinstance(drawing, CaptionArt) else drawing.frames
    if fading.start + drawing.fade_in_frames <= drawn.start:
        values["fade_in_frames"] = 0
    if fading.stop - drawing.fade_out_frames >= drawn.stop:
        values["fade_out_frames"] = 0
    if not values["fade_in_frames"] and not values["fade_out_frames"]:
        values.pop("fading", None)
    return values


def _plain(value: Any, origin: int, digest: Digest) -> Any:
    """Return a value as JSON data: ranges relative to `origin`, files by their content, floats to the bit."""
    if value is None or isinstance(value, bool | int | str | float):
        return value
    if isinstance(value, FrameRange):
        return [value.start - origin, value.stop - origin]
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Path):
        return {"sha256": digest(value)}
    if isinstance(value, np.ndarray):
        return [
            str(value.dtype),
            list(value.shape),
            hashlib.sha256(np.ascontiguousarray(value).data).hexdigest(),
        ]
    if isinstance(value, bytes):
        return {"sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, Mapping):
        # The filter's options hold the path of a font as text.
        return {
            str(key): _plain(Path(item) if key == "fontfile" else item, origin, digest)
            for key, item in value.items()
        }
    if is_dataclass(value) and not isinstance(value, type):
        without = WITHOUT_EFFECT
        if isinstance(value, Still | Footage) and value.sha256:
            without = without | {"path"}
        elif isinstance(value, Grade):
            without = without | {"path", "name"}
        return {
            field.name: _plain(getattr(value, field.name), origin, digest)
            for field in fields(value)
            if field.name not in without
        }
    if isinstance(value, list | tuple):
        return [_plain(item, origin, digest) for item in value]
    raise TypeError(f"{value!r}: a {type(value).__name__} cannot be part of a segment's key")
