"""Crops of the worst frames: the drawn frame beside what settings make of it.

Encoding is deterministic, so a segment that is encoded once more has the frames that the run measured.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from PIL import Image

from video_pipeline.engine.errors import InputError, RenderingError
from video_pipeline.engine.render.compositors.still_frame import rgb_picture
from video_pipeline.engine.render.encoders.encode import encode_segment
from video_pipeline.engine.render.planes import Buffer, new_frame, planes_of
from video_pipeline.engine.timing import FrameRange
from video_pipeline.engine.tuning.material import RawClip
from video_pipeline.engine.tuning.records import RunData, Trial
from video_pipeline.engine.tuning.search import encoder_settings_of
from video_pipeline.engine.tuning.space import ENCODER

SIDE_PX: Final = 240
STEP_PX: Final = 16
DIFFERENCE: Final = 8
"""How many times the difference of lumas is shown."""


@dataclass(frozen=True, slots=True)
class Place:
    """A frame to look at: the clip, the frame's number in it, and the clip's VMAF with the settings in question."""

    clip: str
    frame: int
    vmaf: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """The part of a frame that differs most, as PNG files of equal size: as drawn, and as each trial encodes it.

    `difference` is that of the first trial's luma from the drawn one, on a middle grey, enlarged by DIFFERENCE.
    """

    place: Place
    left_px: int
    top_px: int
    width_px: int
    height_px: int
    drawn: bytes
    encoded: tuple[tuple[Trial, bytes], ...]
    difference: bytes


def worst_places(data: RunData, trials: Sequence[int], *, count: int = 3) -> tuple[Place, ...]:
    """Return the worst frames of the clips with the lowest VMAF in these trials, one a clip, lowest first."""
    found: dict[str, Place] = {}
    for each in data.measurements:
        if each.trial in trials and each.worst_frame is not None and each.vmaf is not None:
            place = Place(each.clip, each.worst_frame, each.vmaf)
            if each.clip not in found or place.vmaf < found[each.clip].vmaf:
                found[each.clip] = place
    return tuple(sorted(found.values(), key=lambda place: place.vmaf)[:count])


def crop_frames(
    places: Sequence[Place], trials: Sequence[Trial], clips: Mapping[str, RawClip]
) -> Iterator[Crop]:
    """Yield a crop of each place, where the first trial differs most from the drawn frame.

    Encodes the segment of each frame with each trial's settings. Raises InputError if a clip is missing or shorter than
    it was, EncoderError or RenderingError.
    """
    for place in places:
        clip = clips.get(place.clip)
        if clip is None or place.frame >= clip.frames:
            raise InputError(f"clip {place.clip!r}: frame {place.frame} is not there")
        drawn = next(_raw_frames(clip, FrameRange(place.frame, place.frame + 1)))
        decoded = [encoded_frame(clip, trial, place.frame) for trial in trials]
        left, top, width, height = _worst_part(drawn, decoded[0])

        box = (left, top, left + width, top + height)
        yield Crop(
            place=place,
            left_px=left,
            top_px=top,
            width_px=width,
            height_px=height,
            drawn=_png(rgb_picture(drawn).crop(box)),
            encoded=tuple(
                (trial, _png(rgb_picture(frame).crop(box)))
                for trial, frame in zip(trials, decoded, strict=True)
            ),
            difference=_png(_difference(drawn, decoded[0]).crop(box)),
        )


def encoded_frame(clip: RawClip, trial: Trial, number: int) -> Buffer:
    """Return a frame of a clip as a trial's settings encode it; raise EncoderError or RenderingError."""
    length = trial.settings.get("segment_seconds")
    segments = clip.segments() if length is None else clip.segments(float(length))
    segment = next(each for each in segments if each.start <= number < each.stop)
    settings = encoder_settings_of({**trial.settings, ENCODER: trial.encoder}, clip)
    threads = int(trial.settings.get("threads") or 1)
    data = encode_segment(_raw_frames(clip, segment), settings, threads=threads)
    with av.open(io.BytesIO(data), "r") as container:
        for at, frame in enumerate(container.decode(video=0)):
            if at == number - segment.start:
                return np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8)
    raise RenderingError(f"clip {clip.name!r}: frame {number} was not encoded")


def _raw_frames(clip: RawClip, wanted: FrameRange) -> Iterator[Buffer]:
    with clip.path.open("rb", buffering=0) as file:
        for number in range(wanted.start, wanted.stop):
            frame = new_frame(clip.width_px, clip.height_px)
            file.seek(number * frame.nbytes)
            if file.readinto(frame.data) != frame.nbytes:
                raise RenderingError(f"clip {clip.name!r}: frame {number} is missing")
            yield frame


def _worst_part(drawn: Buffer, decoded: Buffer) -> tuple[int, int, int, int]:
    """Return left, top, width and height of the square in which the lumas differ most."""
    error = np.square(planes_of(drawn)[0].astype(np.float64) - planes_of(decoded)[0])
    height, width = (min(SIDE_PX, side) for side in error.shape)
    sums = np.pad(error.cumsum(0).cumsum(1), ((1, 0), (1, 0)))  # of all above and to the left
    tops, lefts = (
        np.arange(0, side - part + 1, STEP_PX)
        for side, part in zip(error.shape, (height, width), strict=True)
    )
    parts = (
        sums[np.ix_(tops + height, lefts + width)]
        - sums[np.ix_(tops, lefts + width)]
        - sums[np.ix_(tops + height, lefts)]
        + sums[np.ix_(tops, lefts)]
    )
    row, column = np.unravel_index(int(np.argmax(parts)), parts.shape)
    return int(lefts[column]), int(tops[row]), width, height


def _difference(drawn: Buffer, decoded: Buffer) -> Image.Image:
    """Return the enlarged difference of two frames' lumas as a grey picture."""
    change = planes_of(decoded)[0].astype(np.int16) - planes_of(drawn)[0]
    return Image.fromarray((128 + DIFFERENCE * change).clip(0, 255).astype(np.uint8))


def _png(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    return data.getvalue()
