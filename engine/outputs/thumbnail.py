"""The thumbnail: a good frame of the video, the story's title fitted over its lower third."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace, Interpolation
from PIL import Image, ImageCms, ImageFilter

from video_pipeline.engine.assets.scripts import find_missing, shortened
from video_pipeline.engine.common.cache import FileDigests
from video_pipeline.engine.common.files import whole_file
from video_pipeline.engine.common.versions import version
from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.render.planes import video_frame
from video_pipeline.engine.timeline import Timeline
from video_pipeline.engine.timing import FrameRange, Seconds, frame_time
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

MAX_CANDIDATES: Final = 10
STEADY_SECONDS: Final = Fraction(1, 10)
"""Distance in seconds to the frames before and after that a frame is compared with, to detect fades."""

THUMBNAIL_VERSION: Final = 2
"""Increase it when thumbnails change, so that cached ones are not used."""

UNUSABLE: Final = -1.0
"""The score of an unusable frame."""

JPEG_QUALITY: Final = 90
STRIP_ROWS: Final = 64
"""Rows blended at once: all rows as floats would take a hundred megabytes."""

LOOK_PX: Final = 320
MOTION_PX: Final = 64
HD_HEIGHT_PX: Final = 720
"""Height from which a video without a matrix tag counts as BT.709; below, BT.601."""

Plane = npt.NDArray[np.float32]
_digest = FileDigests()
_LUMA: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of BT.709


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """Measures of a frame, each from 0 to 1; `steady` is low inside fades and transitions."""

    exposure: float
    contrast: float
    sharpness: float
    colour: float
    steady: float

    @property
    def usable(self) -> bool:
        """Whether the frame is neither blank nor inside a fade."""
        return self.contrast > 0.15 and self.steady > 0.5

    @property
    def score(self) -> float:
        """Higher is better; a blank or fading frame always scores below a usable one."""
        good = 0.30 * self.exposure + 0.25 * self.contrast + 0.25 * self.sharpness + 0.20 * self.colour
        return good + (1.0 if self.usable else 0.0)


@dataclass(frozen=True, slots=True)
class Picked:
    """A frame of a video: when it is shown and its pixels (RGB, sRGB)."""

    time: Seconds
    image: Image.Image


def candidate_times(timeline: Timeline, *, limit: int = MAX_CANDIDATES) -> tuple[Seconds, ...]:
    """Return the middle times of at most `limit` scenes, outside their transitions and fades."""
    times: list[Seconds] = []
    for index, clip in enumerate(timeline.clips):
        before = timeline.transition_after(index - 1) if index else None
        after = timeline.transition_after(index)
        start = max(clip.frames.start + clip.fade_in_frames, before.frames.stop if before else 0)
        stop = min(clip.frames.stop - clip.fade_out_frames, after.frames.start if after else clip.frames.stop)
        shown = FrameRange(start, stop) if start < stop else clip.frames
        times.append(frame_time((shown.start + shown.stop) // 2, timeline.fps))
    count = min(limit, len(times))
    return tuple(times[index * len(times) // count] for index in range(count))


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


class FrameWatch:
    """Scores some frames while they are rendered, so that the finished video need not be decoded."""

    def __init__(self, frames: Iterable[int]) -> None:
        self._frames = frozenset(frames)
        self._awaited = set(self._frames)
        self._settled = threading.Event()
        self._lock = threading.Lock()
        self._scores: dict[int, float] = {}

    def __call__(self, number: int, planes: npt.NDArray[np.uint8]) -> None:
        """Score a frame, given its number and its 4:2:0 planes in BT.709 limited range, one under the other."""
        if number not in self._frames:
            return
        frame = video_frame(planes)
        frame.colorspace = Colorspace.ITU709
        looks = judge(_rgb(frame, long_side_px=LOOK_PX))
        with self._lock:
            self._scores[number] = looks.score if looks.usable else UNUSABLE
            self._settle(number)

    def _settle(self, number: int) -> None:
        self._awaited.discard(number)
        if not self._awaited:
            self._settled.set()

    def close(self) -> None:
        """Signal that no more frames will come."""
        self._settled.set()

    def wait(self) -> int | None:
        """Wait until every frame has been scored or no more come; return the best, as `best` does."""
        self._settled.wait()
        return self.best

    def notes(self, frames: FrameRange) -> dict[int, float]:
        """Return the scores of a range's frames so far, by their number in the range."""
        with self._lock:
            return {
                number - frames.start: score
                for number, score in self._scores.items()
                if frames.start <= number < frames.stop
            }

    def recall(self, frames: FrameRange, notes: Mapping[int, float]) -> tuple[int, ...]:
        """Use cached scores; return the frames of the range that have none."""
        watched = sorted(number for number in self._frames if frames.start <= number < frames.stop)
        known = {number: notes[number - frames.start] for number in watched if number - frames.start in notes}
        with self._lock:
            self._scores |= known
            for number in known:
                self._settle(number)
        return tuple(number for number in watched if number not in known)

    @property
    def best(self) -> int | None:
        """The number of the best frame seen, or None if none is usable."""
        # Of equal scores the first frame wins, so that thread timing does not matter.
        best = max(((score, -number) for number, score in self._scores.items()), default=(UNUSABLE, 0))
        return None if best[0] == UNUSABLE else -best[1]


def _named_faces(fonts: FontStack) -> list[FontFace]:
    """Return the title's face and those of the user's files; the others come with the packaged fonts' version."""
    packaged = fonts.faces[0].path.parent
    return [fonts.faces[0], *(face for face in fonts.faces if face.path.parent != packaged)]


def thumbnail_identity(fonts: FontStack) -> dict[str, Any]:
    """Return everything that a thumbnail depends on besides its picture and title, for its cache key."""
    return {
        "thumbnail": THUMBNAIL_VERSION,
        "fonts": [
            [face.path.name, face.weight, face.index, _digest(face.path)] for face in _named_faces(fonts)
        ],
        "versions": [
            version(name) for name in ("Pillow", "numpy", "uharfbuzz", "freetype-py", "manimgx-fonts")
        ],
    }


def write_thumbnail(picture: Image.Image, target: Path, *, title: str, fonts: FontStack) -> None:
    """Write a caption-free picture as thumbnail with the title drawn on it, completely or not at all."""
    save_jpeg(draw_title(picture, title, fonts=fonts, hide_captions=False), target)


def frame_at(video: Path, time: Seconds) -> Picked:
    """Return the frame shown at `time` seconds, or the nearest one; raise RenderingError."""
    with _reader(video) as reader:
        frame = reader.seek(time)
        return Picked(reader.time_of(frame), Image.fromarray(_rgb(frame)))


def pick_frame(video: Path, candidates: Sequence[Seconds] | None = None) -> Picked:
    """Return the best-looking of the frames at `candidates`, by default spread over the video.

    Frames are scored by exposure, contrast, sharpness and colour. If all are blank or inside a fade, more of the
    video is searched. Raises RenderingError.
    """
    with _reader(video) as reader:
        best: tuple[Looks, Seconds, av.VideoFrame] | None = None
        rounds = [
            list(candidates) if candidates else _spread_times(reader.duration, 1),
            _spread_times(reader.duration, 4),
        ]
        for times in rounds:
            for time in sorted(set(times)):
                frame, looks = _look(reader, time)
                if best is None or looks.score > best[0].score:
                    best = looks, reader.time_of(frame), frame
            if best and best[0].usable:
                break
        assert best is not None, "both rounds hold at least one time"
        return Picked(best[1], Image.fromarray(_rgb(best[2])))


def _spread_times(duration: Seconds, density: int) -> list[Seconds]:
    count = max(4, min(MAX_CANDIDATES, math.ceil(duration / 2))) * density
    return [duration * (2 * index + 1) / (2 * count) for index in range(count)]


class _FrameReader:
    """Frames of a video by time. It decodes forward to near ones and seeks to others."""

    def __init__(self, container: av.container.InputContainer, name: str) -> None:
        self._container = container
        self._name = name
        self._stream = container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self._tick = self._stream.time_base or Fraction(1, av.time_base)
        self._start = self._stream.start_time or 0
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._shown: av.VideoFrame | None = None
        self._next: av.VideoFrame | None = None
        length = self._stream.duration
        if length:
            self.duration = length * self._tick
        else:
            self.duration = Fraction(container.duration or av.time_base, av.time_base)

    def time_of(self, frame: av.VideoFrame) -> Seconds:
        return ((frame.pts or 0) - self._start) * self._tick

    def seek(self, time: Seconds) -> av.VideoFrame:
        """Return the frame shown at `time`, clamped to the first and last; raise RenderingError."""
        time = min(max(time, Fraction(0)), self.duration)
        near = self._shown is not None and 0 <= time - self.time_of(self._shown) <= 1
        if not near:
            self._container.seek(int(time / self._tick) + self._start, stream=self._stream)
            self._frames = self._container.decode(self._stream)
            self._shown, self._next = None, next(self._frames, None)
        while self._next is not None and (self._shown is None or self.time_of(self._next) <= time):
            self._shown, self._next = self._next, next(self._frames, None)
        if self._shown is None:
            raise RenderingError(f"{self._name}: no frame could be decoded")
        return self._shown


@contextmanager
def _reader(video: Path) -> Iterator[_FrameReader]:
    try:
        with av.open(str(video), options={"protocol_whitelist": "file,pipe"}) as container:
            if not container.streams.video:
                raise RenderingError(f"{video}: has no video stream")
            yield _FrameReader(container, str(video))
    except av.FFmpegError as error:
        raise RenderingError(f"{video}: cannot be decoded: {error.strerror}") from error


def _rgb(frame: av.VideoFrame, *, long_side_px: int | None = None) -> npt.NDArray[np.uint8]:
    """Return a frame as (height, width, 3) sRGB-coded values."""
    colorspace = frame.colorspace
    if colorspace in (Colorspace.DEFAULT, 2):  # 2: unspecified
        colorspace = Colorspace.ITU709 if frame.height >= HD_HEIGHT_PX else Colorspace.ITU601
    scale = min(1.0, long_side_px / max(frame.width, frame.height)) if long_side_px else 1.0
    how = Interpolation.AREA if scale < 1 else Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT
    array = frame.reformat(
        width=max(8, round(frame.width * scale)) if scale < 1 else None,
        height=max(8, round(frame.height * scale)) if scale < 1 else None,
        format="rgb24",
        src_colorspace=colorspace,
        interpolation=how | Interpolation.ACCURATE_RND,
    ).to_ndarray()
    return np.asarray(array, np.uint8)


def _luma(rgb: npt.NDArray[np.uint8]) -> Plane:
    luma: Plane = rgb.astype(np.float32) @ _LUMA / np.float32(255)
    return luma


def _look(reader: _FrameReader, time: Seconds) -> tuple[av.VideoFrame, Looks]:
    before = _luma(_rgb(reader.seek(time - STEADY_SECONDS), long_side_px=MOTION_PX))
    frame = reader.seek(time)
    now = _luma(_rgb(frame, long_side_px=MOTION_PX))
    after = _luma(_rgb(reader.seek(time + STEADY_SECONDS), long_side_px=MOTION_PX))
    rgb = _rgb(frame, long_side_px=LOOK_PX)
    return frame, judge(rgb, steady=min(_steadiness(now, before), _steadiness(now, after)))


def _steadiness(one: Plane, other: Plane) -> float:
    """Return 1 if nothing changes; overall brightness (a fade) counts more than local change (movement)."""
    means = float(one.mean()), float(other.mean())
    fade = abs(means[0] - means[1]) / max(*means, 0.02)
    change = float(np.abs(one - other).mean())
    return math.exp(-((fade / 0.06) ** 2) - (change / 0.04) ** 2)


def judge(rgb: npt.NDArray[np.uint8], *, steady: float = 1.0) -> Looks:
    """Score a picture of about 320 px, (height, width, 3).

    Colour is the colourfulness of Hasler and Süsstrunk, "Measuring colourfulness in natural images", 2003.
    """
    luma = _luma(rgb)
    low, high = _percentiles(luma, 5, 95)
    mean = float(luma.mean())
    across, down = np.diff(luma, axis=1)[:-1], np.diff(luma, axis=0)[:, :-1]
    (edges,) = _percentiles(np.hypot(across, down), 95)
    red, green, blue = (rgb[..., channel].astype(np.float32) / 255 for channel in range(3))
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = math.hypot(red_green.std(), yellow_blue.std())
    colourfulness = spread + 0.3 * math.hypot(red_green.mean(), yellow_blue.mean())
    return Looks(
        exposure=max(0.0, 1 - abs(mean - 0.45) / 0.45),
        contrast=min(1.0, (high - low) / 0.6),
        sharpness=min(1.0, edges / 0.25),
        colour=min(1.0, colourfulness / 0.4),
        steady=steady,
    )


def _percentiles(values: Plane, *percents: float) -> list[float]:
    """Return linearly interpolated percentiles. np.percentile would cost 15 ms of imports."""
    ordered = np.sort(values, axis=None)
    found = []
    for percent in percents:
        place = percent / 100 * (len(ordered) - 1)
        low, high = ordered[int(place)], ordered[math.ceil(place)]
        found.append(float(low + (high - low) * (place - int(place))))
    return found


def _cover(image: Image.Image, size_px: tuple[int, int]) -> Image.Image:
    """Return the picture at another size; a different aspect is cropped equally on both sides."""
    width, height = size_px
    if width < 1 or height < 1:
        raise ValueError(f"size_px: {size_px!r} is not (width, height) of at least 1")
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
    """Return the picture with a fitted title over a soft scrim that darkens the background.

    The scrim is as dark as white letters require. With `hide_captions` it also blurs the
    picture's lower part, so that words which are part of the picture do not show beneath the title. A title
    with letters that no font has is omitted, with a warning.
    """
    picture = picture.convert("RGB")
    width, height = picture.size
    place = _place_title(title, fonts, width, height)
    lacking = find_missing(title, fonts=fonts).letters
    if lacking:
        logger.warning("no font has the letters %s: the thumbnail has no title", shortened(lacking))
        return picture
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
    (bright,) = _percentiles(behind @ _LUMA, 95)
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
