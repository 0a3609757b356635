"""The native compositor: frames drawn by C++ kernels, straight into the encoder's memory.

Stills are planes that all segments share; ffmpeg decodes video clips frame by frame; transitions, fades,
captions and the watermark are drawn in place.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar

import PIL

from video_pipeline import native
from video_pipeline.engine.common.input_files import of_scene
from video_pipeline.engine.common.registry import Probe
from video_pipeline.engine.config import Config
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram
from video_pipeline.engine.render.captions.draw import CaptionArt, CaptionPiece, in_range
from video_pipeline.engine.render.compositors.base import CompositorBackend
from video_pipeline.engine.render.compositors.ffmpeg import FfmpegCompositor, open_graphs
from video_pipeline.engine.render.compositors.graded_clips import (
    GRADING_VERSION,
    ClipFrame,
    clip_frames_drawn,
    graded_by_kernel,
    load_frame_grade,
)
from video_pipeline.engine.render.compositors.overlays import Placing, Rgba, pieced, read_rgba
from video_pipeline.engine.render.compositors.picture import Picture, load_picture, look_of
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.planes import Buffer, Layer, Planes, new_frame, planes_of
from video_pipeline.engine.timeline import Clip, Footage, Still, Timeline, Transition
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.fade import light
from video_pipeline.filters.geometry import Rect
from video_pipeline.filters.transitions import progress
from video_pipeline.native import kernels

MAX_SEGMENT_SECONDS = 4
"""Short enough for one long scene to use every core. With two seconds, 12 scenes of 4 s took 6 % more CPU time, because
the system clears the memory of each segment's encoder."""

FORMAT = 4
"""Increase it when the same timeline is drawn as other bytes, so that no older cached segment is used."""

PICTURE_BYTES_A_CORE = 24 * 2**20
OVERLAYS = 16
GRADES = 2
"""Limits of the memory kept for later segments: bytes of pictures for each core, numbers of captions and of grades."""

T = TypeVar("T")


class _SharedItems(Generic[T]):
    """A cache for several threads that makes each item once and drops the least recently used beyond a bound."""

    def __init__(self, bound: int, weight: Callable[[T], int]) -> None:
        self._bound, self._weight = bound, weight
        self._lock = threading.Lock()
        self._made: OrderedDict[Hashable, Future[T]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the item of a key; the first thread makes it while others wait."""
        with self._lock:
            future = self._made.get(key)
            mine = future is None
            if future is None:
                future = self._made[key] = Future()
            self._made.move_to_end(key)
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:
                with self._lock:
                    self._made.pop(key, None)
                future.set_exception(error)
                raise
            self._give_up()
        return future.result()

    def _give_up(self) -> None:
        with self._lock:
            done = [key for key, future in self._made.items() if future.done() and not future.exception()]
            weights = {key: self._weight(self._made[key].result()) for key in done}
            total = sum(weights.values())
            for key in done[:-1]:
                if total <= self._bound:
                    break
                total -= weights[key]
                del self._made[key]


class NativeCompositor:
    """A compositor that draws any frame range of a timeline with the native kernels.

    `graphs` draws the frames of video clips. Captions are drawn as pictures, below the watermark.
    """

    name = "native"

    def __init__(
        self, *, timeline: Timeline, captions: tuple[CaptionArt, ...], graphs: FfmpegCompositor
    ) -> None:
        self.timeline, self.captions = timeline, captions
        self._graphs = graphs
        self._pictures: _SharedItems[Picture] = _SharedItems(
            PICTURE_BYTES_A_CORE * cpu_count(), lambda picture: picture.size_bytes
        )
        self._grades: _SharedItems[kernels.FrameGrade] = _SharedItems(GRADES, lambda grade: 1)
        # Limits memory: a photograph needs much of it while it is decoded.
        self._loading = threading.BoundedSemaphore(cpu_count())
        self._spare: list[Buffer] = []
        """Frames to reuse: for a new one the system would clear every page."""
        self._overlays: _SharedItems[kernels.Overlay] = _SharedItems(OVERLAYS, lambda overlay: 1)
        self._letters: _SharedItems[Rgba] = _SharedItems(OVERLAYS, lambda picture: 1)

    def with_timeline(self, timeline: Timeline) -> Self:
        """Return a compositor of another timeline that shares the pictures, without captions."""
        other = self._sharing(timeline, ())
        other._graphs = self._graphs.with_timeline(timeline)
        return other

    def without_captions(self) -> Self:
        """Return a compositor of the same timeline and pictures that draws the clips alone."""
        return self._sharing(replace(self.timeline, watermark=None, progress=None), ())

    def with_captions(self, captions: tuple[CaptionArt, ...]) -> Self:
        """Return a compositor of the same timeline and pictures that draws these captions."""
        return self._sharing(self.timeline, captions)

    def _sharing(self, timeline: Timeline, captions: tuple[CaptionArt, ...]) -> Self:
        other = self._another(timeline, captions)
        other._pictures, other._loading, other._spare = self._pictures, self._loading, self._spare
        other._grades = self._grades
        return other

    def _another(self, timeline: Timeline, captions: tuple[CaptionArt, ...]) -> Self:
        return type(self)(timeline=timeline, captions=captions, graphs=self._graphs)

    def identity(self) -> dict[str, Any]:
        """Return all that frames depend on besides the timeline and its captions, for the cache key of a segment.

        The instruction set is left out, and the name is that of the formulas, because every one of them draws the same
        bytes, and so does the cuda compositor.
        """
        return {
            "name": NativeCompositor.name,
            "format": FORMAT,
            "pillow": PIL.__version__,
            "grading": GRADING_VERSION,
            "footage": self._graphs.identity(),
        }

    def segments(self) -> tuple[FrameRange, ...]:
        """Cut the timeline into ranges of a few seconds, shorter ones at its end."""
        max_frames = max(1, int(MAX_SEGMENT_SECONDS * self.timeline.fps))
        return self.timeline.segments(max_frames=max_frames, tapered=True)

    def motion_of(self, clip: Clip) -> str | None:
        """Return `native` for a clip whose camera moves."""
        moves = isinstance(clip.source, Still) and clip.camera is not None and clip.camera.moves
        return self.name if moves else None

    def prepare(self, frames: FrameRange) -> None:
        """Load the pictures of a range on a thread, so that two ranges of one scene need not both wait for it."""
        clips = [
            clip
            for clip in self.timeline.clips
            if isinstance(clip.source, Still) and clip.frames.intersection(frames)
        ]
        # Not a daemon thread: Python would end it inside a kernel at exit, which aborts the process.
        threading.Thread(target=self._try_pictures, args=(clips,)).start()

    def _try_pictures(self, clips: Sequence[Clip]) -> None:
        with contextlib.suppress(Exception):  # raised again when the picture is needed
            for clip in clips:
                if not threading.main_thread().is_alive():
                    return  # the process waits for this thread to end
                self.picture(clip)

    def frames(
        self, wanted: FrameRange, *, threads: int, children: Children
    ) -> Generator[Buffer, None, None]:
        """Yield each frame of a range; each overwrites the array of the one before. Raises RenderingError."""
        del threads  # the calling thread draws the range
        with contextlib.ExitStack() as stack:
            stage = _NativeRange(self, wanted, children, stack)
            for frame in range(wanted.start, wanted.stop):
                yield stage.draw(frame)

    @contextlib.contextmanager
    def canvases(self, count: int) -> Generator[list[Buffer], None, None]:
        """Lend `count` frames for drawing, with undefined pixels."""
        lent: list[Buffer] = []
        while len(lent) < count:
            try:
                lent.append(self._spare.pop())
            except IndexError:
                lent.append(new_frame(self.timeline.width_px, self.timeline.height_px))
        try:
            yield lent
        finally:
            self._spare += lent

    def picture(self, clip: Clip) -> Picture:
        """Return the planes of a clip's still."""
        look = look_of(clip, (self.timeline.width_px, self.timeline.height_px))

        def load() -> Picture:
            with self._loading:
                return load_picture(look)

        with of_scene(clip.scene_id):
            return self._pictures.get(look.key, load)

    def overlay(self, path: Path) -> kernels.Overlay:
        """Return a picture with transparency, ready for blending."""
        return self._overlays.get(path, lambda: kernels.Overlay(self._rgba(path)))

    def moved_overlay(
        self, pieces: tuple[CaptionPiece, ...]
    ) -> tuple[Hashable, kernels.Overlay, tuple[int, int]]:
        """Return the pieces of a caption as one picture for one frame of an entrance: its key, itself, its place."""
        parts = [(self._rgba(piece.picture), piece.part) for piece in pieces]
        height, width = parts[0][0].shape[:2]
        placing = Placing.of(pieces[0], (width, height))
        key = (tuple((piece.picture, piece.part) for piece in pieces), placing)
        overlay = self._overlays.get(key, lambda: kernels.Overlay(placing.drawn(pieced(parts))))
        return key, overlay, placing.box[:2]

    def _rgba(self, path: Path) -> Rgba:
        return self._letters.get(path, lambda: read_rgba(path))

    def footage(self, clip: Clip, span: FrameRange, children: Children) -> Generator[ClipFrame, None, None]:
        """Yield frames `span` of a video clip, counted from its first."""
        if clip.grade is None or not graded_by_kernel(clip):
            drawn = self._graphs.clip_frames(clip, span, threads=1, children=children)
            return clip_frames_drawn(drawn, clip, span, None)
        wanted = clip.grade
        with of_scene(clip.scene_id):
            grade = self._grades.get(wanted, lambda: load_frame_grade(wanted))
        without = replace(clip, grade=None, fade_in_frames=0, fade_out_frames=0)
        plain = self._graphs.clip_frames(without, span, threads=1, children=children)
        return clip_frames_drawn(plain, clip, span, grade)


class Shown(NamedTuple):
    """A still on a frame: the picture, the rectangle of it that is seen, and its share of black, 0 to 1."""

    picture: Picture
    view: Rect
    fade: float


class ShownRange:
    """What the frames of a range show. Frames must be requested in order."""

    def __init__(
        self,
        owner: NativeCompositor,
        wanted: FrameRange,
        children: Children,
        stack: contextlib.ExitStack,
    ) -> None:
        timeline = owner.timeline
        self._timeline = timeline
        self._stretches = list(timeline.stretches(wanted))
        self._owner = owner
        self._captions = in_range(owner.captions, wanted)
        self._pictures: dict[int, Picture] = {}
        self._footage: dict[int, Generator[ClipFrame, None, None]] = {}
        joined = [index for _, index, transition in self._stretches if transition]
        self.has_transitions = bool(joined)
        for index in sorted({index for _, index, _ in self._stretches} | {index + 1 for index in joined}):
            clip = timeline.clips[index]
            if isinstance(clip.source, Footage):
                seen = clip.frames.intersection(wanted)
                assert seen is not None
                span = FrameRange(seen.start - clip.frames.start, seen.stop - clip.frames.start)
                frames = owner.footage(clip, span, children)
                self._footage[index] = stack.enter_context(contextlib.closing(frames))

    @property
    def has_footage(self) -> bool:
        """Whether the range shows a video clip."""
        return bool(self._footage)

    def clips_at(self, frame: int) -> tuple[int, Transition | None]:
        """Return the number of the clip that a frame shows, and the transition to the next clip if there is one."""
        while frame >= self._stretches[0][0].stop:
            self._stretches.pop(0)
        _, index, transition = self._stretches[0]
        return index, transition

    def clip_at(self, index: int, frame: int) -> Shown | ClipFrame:
        """Return what a frame shows of a clip: of a video clip its next frame, which is valid until the one after."""
        if index in self._footage:
            return next(self._footage[index])
        clip = self._timeline.clips[index]
        at = frame - clip.frames.start
        # Load a transition's second picture only when needed, so that it does not delay the range's start.
        if index not in self._pictures:
            self._pictures[index] = self._owner.picture(clip)
        picture = self._pictures[index]
        view = clip.camera.view(at, len(clip.frames)) if clip.camera else picture.bounds
        # ffmpeg has already drawn the fades of a video clip.
        return Shown(
            picture, view, 1 - light(at, len(clip.frames), clip.fade_in_frames, clip.fade_out_frames)
        )

    def layers(self, frame: int) -> Iterator[Layer]:
        """Yield the pictures over a frame, from the lowest up: captions, progress bar, watermark."""
        for art in self._captions:
            if art.frames.start <= frame < art.frames.stop:
                yield from self._pieces(tuple(art.pieces(frame - art.frames.start, fps=self._timeline.fps)))
        if bar := self._timeline.progress:
            reached = bar.reached_px(frame)
            for path, left, right in ((bar.filled, 0, reached), (bar.empty, reached, bar.width_px)):
                if left < right:
                    part = (left, 0, right - left, bar.height_px)
                    yield Layer(path, self._owner.overlay(path), 0, bar.y_px, 1.0, part)
        if mark := self._timeline.watermark:
            overlay = self._owner.overlay(mark.path)
            yield Layer(mark.path, overlay, mark.x_px, mark.y_px, mark.opacity, None)

    def _pieces(self, pieces: tuple[CaptionPiece, ...]) -> Iterator[Layer]:
        """Yield the layers of a caption: one for each piece, or one of all that move together."""
        if pieces and pieces[0].moves:
            key, overlay, (x, y) = self._owner.moved_overlay(pieces)
            yield Layer(key, overlay, x, y, pieces[0].opacity, None)
            return
        for piece in pieces:
            overlay = self._owner.overlay(piece.picture)
            yield Layer(piece.picture, overlay, piece.x_px, piece.y_px, piece.opacity, piece.part)


class _NativeRange(ShownRange):
    """A stage that draws its frames with the native kernels."""

    def __init__(
        self, owner: NativeCompositor, wanted: FrameRange, children: Children, stack: contextlib.ExitStack
    ) -> None:
        super().__init__(owner, wanted, children, stack)
        self._frame, *sides = stack.enter_context(owner.canvases(3 if self.has_transitions else 1))
        self._planes = planes_of(self._frame)
        self._sides = tuple(planes_of(side) for side in sides)

    def draw(self, frame: int) -> Buffer:
        """Return a frame; frames must be requested in order."""
        index, transition = self.clips_at(frame)
        if transition is None:
            self._draw_clip(index, frame, self._planes)
        else:
            first, second = self._sides
            self._draw_clip(index, frame, first)
            self._draw_clip(index + 1, frame, second)
            at = progress(frame - transition.frames.start, len(transition.frames))
            kernels.transition(transition.name, at, first, second, self._planes)
        for _, overlay, x, y, opacity, part in self.layers(frame):
            kernels.blend(self._planes, overlay, x=x, y=y, opacity=opacity, part=part)
        return self._frame

    def _draw_clip(self, index: int, frame: int, target: Planes) -> None:
        shown = self.clip_at(index, frame)
        if not isinstance(shown, Shown):
            shown.draw(target)
            return
        shown.picture.draw(shown.view, target)
        if shown.fade > 0:
            kernels.fade(target, amount=shown.fade)


def open_native(
    timeline: Timeline,
    captions: tuple[CaptionArt, ...] = (),
    *,
    ffmpeg: FfmpegProgram,
    config: Config,
) -> NativeCompositor:
    """Return the native compositor of a timeline; filter graphs draw its video clips."""
    graphs = open_graphs(timeline, ffmpeg=ffmpeg, config=config)
    return NativeCompositor(timeline=timeline, captions=captions, graphs=graphs)


def probe_native(config: Config) -> Probe:
    """Report that the kernels work, since this module could be imported only with their extension."""
    del config
    return Probe("native", True, f"its extension was built; {native.target()} rows")


BACKEND: Final = CompositorBackend(name="native", probe=probe_native, open=open_native)
