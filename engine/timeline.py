"""A timeline: the pictures and sounds of every frame, as data.

Time is a frame index or a Fraction of seconds; ranges are half-open. If a transition joins two clips,
their ranges overlap by the transition's frames, so at any frame one or two clips are seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

from video_pipeline.engine.common.captions import CaptionAnimation, CaptionPosition, CaptionStyle, Platform
from video_pipeline.engine.common.music import Score
from video_pipeline.engine.common.spoken_words import SpokenBy, SpokenWord
from video_pipeline.engine.timing import FrameRange, Seconds, frame_time
from video_pipeline.filters.color import ColorTags
from video_pipeline.filters.geometry import Camera, Fit, largest_rect
from video_pipeline.filters.text import Color, TextStyle

MAX_SEGMENT_SECONDS = 8
"""Longer scenes are cut into several segments: many cores then share a scene, and a segment's memory stays small."""


@dataclass(frozen=True, slots=True)
class Still:
    """A picture that is ready for FFmpeg: upright, opaque, sRGB, of a pinned format.

    `sha256` is the hash of the user's file. `is_copy` marks a cached file that was made from it. `pictures` is the
    number of pictures in the user's file, of which the first is shown; `has_pages` if they are pages and not moments. `subject` is where its subject is, in fractions
    of the picture; None if it was not looked for or not found.
    """

    path: Path
    width_px: int
    height_px: int
    sha256: str
    demuxer: str = "png_pipe"
    is_copy: bool = False
    pictures: int = 1
    has_pages: bool = False
    subject: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Footage:
    """A stretch of a video file, shown from `start`; its last frame is held when the scene is longer.

    `width_px` and `height_px` are the displayed size. `color_matrix` is the YUV matrix to assume if the stream
    names none. `pixels_px` is the upright size in stored pixels if it differs from the displayed one (non-square
    pixels). `chroma_grid_px` is how many luma pixels share one chroma sample, across and down. `last_frame` is
    when the last decodable frame begins, on the axis of `start` (None: unknown). `stream_index` is the video
    stream's number in the file, None for the first. If `changes_size`, later frames differ in size from the
    first. A file that is not `seekable` is damaged and is read from its start. `color` describes its colours
    if they are not BT.709. In an `interlaced` clip, the frames with the interlaced flag are deinterlaced. If only the
    container marks the clip as interlaced, `first_field` is the field that comes first, and all frames are
    deinterlaced. A `transparent` clip is drawn on black. `alpha_decoder` is FFmpeg's decoder that returns its
    transparency if the usual one does not. ffmpeg starts the clip's time at `ffmpeg_zero` on that axis. `exact_pix_fmt` is
    the pixel format if a GPU's decoder gives the same pixels as the CPU's. A moving picture repeats: `duration` is one
    pass, and the file holds further ones up to `loops_until` on the axis of `start` (None: it does not repeat).
    """

    path: Path
    width_px: int
    height_px: int
    sha256: str
    demuxer: str
    start: Seconds
    duration: Seconds
    color_matrix: str | None = None
    pixels_px: tuple[int, int] | None = None
    chroma_grid_px: tuple[int, int] = (2, 2)
    last_frame: Seconds | None = None
    stream_index: int | None = None
    changes_size: bool = False
    seekable: bool = True
    color: ColorTags | None = None
    interlaced: bool = False
    first_field: Literal["tff", "bff"] | None = None
    transparent: bool = False
    alpha_decoder: str | None = None
    ffmpeg_zero: Seconds = Fraction(0)
    exact_pix_fmt: str | None = None
    loops_until: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Focus:
    """The point of a picture, in fractions of it, that cropping and zooming keep in view, and where it comes from.

    `by` is `story`, `found` (the picture's subject) or `center`.
    """

    x: float
    y: float
    by: Literal["story", "found", "center"]


@dataclass(frozen=True, slots=True)
class Grade:
    """New colours for pictures and clips: a 3D LUT at its `strength`, as a .cube file in the cache.

    `name` and `sha256` belong to the user's file, or to the grade of the package.
    """

    path: Path
    name: str
    sha256: str
    strength: float


@dataclass(frozen=True, slots=True)
class Clip:
    """One scene's picture on the timeline, or a shot of it: the clips of a scene follow each other. `title` names its chapter (None: the scene's id; "": the one before).

    `camera` already keeps `focus` in view. `focus` is None if the story gives rectangles instead. A card, an intro or outro
    is `apart`: none of the story's scenes.
    """

    scene_id: str
    frames: FrameRange
    source: Still | Footage
    fit: Fit = "cover"
    camera: Camera | None = None
    fade_in_frames: int = 0
    fade_out_frames: int = 0
    title: str | None = None
    focus: Focus | None = None
    grade: Grade | None = None
    apart: bool = False

    def effective_camera(self, canvas_aspect: float) -> Camera:
        """Return the clip's camera, or a fixed one on the largest part of the picture that fills the canvas."""
        if self.camera is not None:
            return self.camera
        aspect = self.source.width_px / self.source.height_px if self.fit == "cover" else canvas_aspect
        rect = largest_rect(aspect, canvas_aspect)
        return Camera(rect, rect)


@dataclass(frozen=True, slots=True)
class Transition:
    """The overlap of clip `after` with the clip that follows it."""

    name: str
    after: int
    frames: FrameRange


@dataclass(frozen=True, slots=True)
class CaptionWord:
    """A word of a caption, its characters `start` to `stop`, and the frames in which it is spoken.

    A `silent` one is a speaker's name that is shown and not spoken: it appears then, and is not coloured.
    """

    start: int
    stop: int
    frames: FrameRange
    silent: bool = False


@dataclass(frozen=True, slots=True)
class CaptionColour:
    """The colour of a caption's characters `start` to `stop`, if it is another than that of its style."""

    start: int
    stop: int
    color: Color


@dataclass(frozen=True, slots=True)
class Caption:
    """Words on the picture during `frames`, laid out within the safe area.

    `spoken` are the frames in which the words are spoken; the word being spoken has the colour `highlight`. `words`
    are those of which it is known when; without them the words share `spoken` by their letters. `colours` are those of
    other speakers than the one whose colour the style has.
    `fade_in_frames` and `fade_out_frames` are those of the clip if the caption begins or ends with it; they are counted
    from the ends of `fading` (None: of `frames`). `shown_as` says
    how much of the text is shown at a time, `platform` what it keeps clear of in a tall frame. `language` (ISO 639-1)
    decides where sentences end.
    """

    scene_id: str
    text: str
    frames: FrameRange
    style: TextStyle
    font: str
    position: CaptionPosition = "bottom"
    animation: CaptionAnimation = "fade_in"
    highlight: Color | None = None
    spoken: FrameRange | None = None
    words: tuple[CaptionWord, ...] = ()
    colours: tuple[CaptionColour, ...] = ()
    fade_in_frames: int = 0
    fade_out_frames: int = 0
    fading: FrameRange | None = None
    shown_as: CaptionStyle = "block"
    platform: Platform = "generic"
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Watermark:
    """A picture over every frame, at its final size; `name` and `sha256` belong to the user's file."""

    path: Path
    name: str
    sha256: str
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    opacity: float


@dataclass(frozen=True, slots=True)
class ProgressBar:
    """A bar across the frame: the part of `frames` that is over as `filled`, the rest as `empty`.

    Both are pictures of the whole bar, width_px by height_px, and its rows begin at `y_px`. A filter graph draws the same
    from `both`, their colours side by side, and from `gaps`, which is transparent where the bar has gaps (None: it has none).
    """

    filled: Path
    empty: Path
    both: Path
    gaps: Path | None
    y_px: int
    width_px: int
    height_px: int
    frames: FrameRange

    def reached_px(self, frame: int) -> int:
        """Return the even number of columns that are over when a frame has been shown, at least two."""
        over = self.width_px * (frame + 1 - self.frames.start) // len(self.frames)
        return min(self.width_px, max(2, over // 2 * 2))


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """A stretch of sound: `duration` seconds of `path` from `start`, played at `at` on the timeline.

    Music repeats until the end of its stretch, and is lowered under speech. `words` are those of a narration's
    text, in seconds from the beginning of the file; `words_by` says where their times come from, `spoken_by` which voice
    it is, `speaker` who says it if the text does not, `name` what the story calls a recording. Music with a `score` was synthesised and repeats without a seam.
    """

    kind: Literal["narration", "footage", "music", "effect"]
    path: Path
    sha256: str
    at: Seconds
    duration: Seconds
    start: Seconds = Fraction(0)
    gain_db: float = 0.0
    scene_id: str | None = None
    name: str = ""
    text: str = ""
    words: tuple[SpokenWord, ...] = ()
    words_by: str | None = None
    spoken_by: SpokenBy | None = None
    speaker: str | None = None
    score: Score | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything that a video shows and plays, and in which frames."""

    width_px: int
    height_px: int
    fps: Fraction
    title: str
    clips: tuple[Clip, ...]
    transitions: tuple[Transition, ...] = ()
    captions: tuple[Caption, ...] = ()
    audio: tuple[AudioTrack, ...] = ()
    watermark: Watermark | None = None
    progress: ProgressBar | None = None

    @property
    def frame_count(self) -> int:
        """The number of frames of the video."""
        return self.clips[-1].frames.stop

    @property
    def duration(self) -> Seconds:
        """The length of the video in seconds."""
        return frame_time(self.frame_count, self.fps)

    def scene_numbers(self) -> tuple[int, ...]:
        """Return the number of each clip's scene, from 0; a clip that leads back to the first scene has its number."""
        numbers: dict[str, int] = {}
        return tuple(numbers.setdefault(clip.scene_id, len(numbers)) for clip in self.clips)

    def transition_after(self, clip_index: int) -> Transition | None:
        """Return the transition from a clip to the next, or None for a cut."""
        for transition in self.transitions:
            if transition.after == clip_index:
                return transition
        return None

    def stretches(self, frames: FrameRange) -> Iterator[tuple[FrameRange, int, Transition | None]]:
        """Yield the parts of a range that show one clip, or the transition after it, with the clip's index."""
        joins = {transition.after: transition for transition in self.transitions}
        before: Transition | None = None
        for index, clip in enumerate(self.clips):
            after = joins.get(index)
            solo = FrameRange(
                before.frames.stop if before else clip.frames.start,
                after.frames.start if after else clip.frames.stop,
            )
            if seen := solo.intersection(frames):
                yield seen, index, None
            if after and (seen := after.frames.intersection(frames)):
                yield seen, index, after
            before = after

    def chapters(self) -> Iterator[tuple[FrameRange, str]]:
        """Yield the chapters, without overlap: one per scene that does not continue the chapter before.

        A chapter starts with its first scene's clip.
        """
        begins: list[tuple[int, str]] = []
        for clip in self.clips:
            if clip.title != "" or not begins:
                begins.append((clip.frames.start, clip.title or clip.scene_id))
        stops = [start for start, _ in begins[1:]] + [self.frame_count]
        for (start, title), stop in zip(begins, stops, strict=True):
            yield FrameRange(start, stop), title

    def segments(self, *, max_frames: int | None = None, tapered: bool = False) -> tuple[FrameRange, ...]:
        """Return the segments: cuts at the ends of transitions and where scenes meet, longer parts cut again equally.

        A transition belongs to the segment of the scene before it, so that the next segment's IDR frame shows a
        picture that is not mid-transition. With cuts at the beginnings of transitions, files are 3 % larger at crf 21.
        The cuts depend on the timeline alone, not on the number of workers, so the bytes of a segment are the same
        on one core and on many. If a scene ends with a transition, its last part is the shortest: the next scene's
        caption reaches into it, so a changed caption redraws little. With `tapered`, the very last part is cut
        again into a half and two quarters, so that workers wait less at the end.
        """
        limit = max_frames or max(1, int(MAX_SEGMENT_SECONDS * self.fps))
        joins = {transition.after: transition.frames for transition in self.transitions}
        cuts = [0]
        for index, clip in enumerate(self.clips):
            join = joins.get(index, FrameRange(clip.frames.stop, clip.frames.stop))
            length = join.stop - cuts[-1]
            parts = max(1, -(-length // limit))
            last = length // parts
            if join:
                last = min(last, max(length - (parts - 1) * limit, len(join), limit // 3))
            others = [cuts[-1] + (length - last) * part // (parts - 1) for part in range(1, parts)]
            cuts += [cut for cut in others if cut <= join.start]
            if tapered and index == len(self.clips) - 1 and (left := join.stop - cuts[-1]) >= limit // 2:
                cuts += [cuts[-1] + left // 2, cuts[-1] + left * 3 // 4]
            cuts.append(join.stop)
        return tuple(FrameRange(start, stop) for start, stop in pairwise(cuts) if start < stop)
