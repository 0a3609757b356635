"""Choose the frame of a video for its thumbnail, by how its frames look."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace, Interpolation
from PIL import Image

from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.render.planes import video_frame
from video_pipeline.engine.timeline import Timeline
from video_pipeline.engine.timing import FrameRange, Seconds, frame_time, frames_round

MAX_CANDIDATES: Final = 10
STEADY_SECONDS: Final = Fraction(1, 10)
"""Distance in seconds to the frames before and after that a frame is compared with, to detect fades."""

UNUSABLE: Final = -1.0
"""The score of an unusable frame."""

LOOK_PX: Final = 320
"""Long side of the reduced frame that is scored."""

MOTION_PX: Final = 64
"""Long side of the reduced frames that are compared to detect fades."""

HD_HEIGHT_PX: Final = 720
"""Height from which a video without a matrix tag counts as BT.709; below, BT.601."""

Plane = npt.NDArray[np.float32]
LUMA: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""The weights of red, green and blue in BT.709 luma."""


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
    """Return the middle times of at most `limit` scenes of the story, outside their transitions and fades."""
    times: list[Seconds] = []
    for index, clip in enumerate(timeline.clips):
        if clip.apart:
            continue  # a card has texts of its own
        before = timeline.transition_after(index - 1) if index else None
        after = timeline.transition_after(index)
        start = max(clip.frames.start + clip.fade_in_frames, before.frames.stop if before else 0)
        stop = min(clip.frames.stop - clip.fade_out_frames, after.frames.start if after else clip.frames.stop)
        if start >= stop and index and clip.scene_id == timeline.clips[0].scene_id:
            continue  # what leads back to the first scene
        shown = FrameRange(start, stop) if start < stop else clip.frames
        times.append(frame_time((shown.start + shown.stop) // 2, timeline.fps))
    count = min(limit, len(times))
    return tuple(times[index * len(times) // count] for index in range(count))


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
        if not self.watches(number):
            return
        frame = video_frame(planes)
        frame.colorspace = Colorspace.ITU709
        looks = judge(_rgb(frame, long_side_px=LOOK_PX))
        with self._lock:
            self._scores[number] = looks.score if looks.usable else UNUSABLE
            self._settle(number)

    def watches(self, number: int) -> bool:
        """Return whether a frame is scored."""
        return number in self._frames

    def _settle(self, number: int) -> None:
        self._awaited.discard(number)
        if not self._awaited:
            self._settled.set()

    def close(self) -> None:
        """Stop waiting: no further frames will come."""
        self._settled.set()

    def wait(self) -> int | None:
        """Wait until every frame has been scored or `close` is called; return the best, as `best` does."""
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


def watch_of(timeline: Timeline) -> FrameWatch:
    """Return what scores one frame of every scene, so that a segment's cache entry does not depend on the rest of the story."""
    times = candidate_times(timeline, limit=len(timeline.clips))
    return FrameWatch(frames_round(time, timeline.fps) for time in times)


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
    luma: Plane = rgb.astype(np.float32) @ LUMA / np.float32(255)
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
    low, high = percentiles(luma, 5, 95)
    mean = float(luma.mean())
    across, down = np.diff(luma, axis=1)[:-1], np.diff(luma, axis=0)[:, :-1]
    (edges,) = percentiles(np.hypot(across, down), 95)
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


def percentiles(values: Plane, *percents: float) -> list[float]:
    """Return linearly interpolated percentiles. np.percentile would cost 15 ms of imports."""
    ordered = np.sort(values, axis=None)
    found = []
    for percent in percents:
        place = percent / 100 * (len(ordered) - 1)
        low, high = ordered[int(place)], ordered[math.ceil(place)]
        found.append(float(low + (high - low) * (place - int(place))))
    return found
