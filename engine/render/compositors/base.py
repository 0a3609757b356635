"""The protocol of compositors, which turn a range of a timeline into frames."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from video_pipeline.engine.common.registry import Probe
from video_pipeline.engine.config import Config
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram
from video_pipeline.engine.render.captions.draw import CaptionArt
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.cuda.surfaces import GpuFrame
from video_pipeline.engine.render.planes import Buffer
from video_pipeline.engine.timeline import Clip, Timeline
from video_pipeline.engine.timing import FrameRange


class Compositor(Protocol):
    """A compositor draws any frame range of its timeline, on any thread."""

    @property
    def name(self) -> str:
        """The compositor's name in the configuration."""

    @property
    def timeline(self) -> Timeline:
        """The timeline to draw."""

    def with_timeline(self, timeline: Timeline) -> Compositor:
        """Return a compositor of another timeline in frames of the same size and rate, without captions."""

    def with_captions(self, captions: tuple[CaptionArt, ...]) -> Compositor:
        """Return a compositor of the same timeline and pictures that draws these captions."""

    def without_captions(self) -> Compositor:
        """Return a compositor of the same timeline that draws the clips alone: no captions, bar or watermark."""

    def identity(self) -> dict[str, Any]:
        """Return all that frames depend on besides the timeline and its captions, for the cache key of a segment.

        `footage`, if it is there, is what only frames of video clips depend on.
        """

    def segments(self) -> tuple[FrameRange, ...]:
        """Return the segments of the timeline; they do not depend on the number of workers."""

    def motion_of(self, clip: Clip) -> str | None:
        """Return the name of the method that moves a clip's camera, or None if the camera is fixed."""

    def prepare(self, frames: FrameRange) -> None:
        """Start loading, in the background, the files of a range that is drawn soon. The call is optional."""

    def frames(
        self, wanted: FrameRange, *, threads: int, children: Children
    ) -> Generator[Buffer, None, None]:
        """Yield each frame of a range as stacked planes Y, U, V, shape (height * 3 / 2, width).

        4:2:0, BT.709 limited range. The array is reused for the next frame, and for other ranges once this one
        has ended. `threads` is the number of threads that one range may use; the range's child processes are
        started through `children`. Raises RenderingError.
        """


@runtime_checkable
class GpuCompositor(Protocol):
    """A compositor that also draws frames into the memory of the GPU that encodes them."""

    def gpu_frames(
        self, wanted: FrameRange, *, gpu: int, held: int, children: Children, stack: ExitStack
    ) -> Generator[GpuFrame, None, None]:
        """Return the frames of a range on a GPU, by CUDA's count, which encodes with at most `held` of them at once.

        Their memory is given back by `stack`, to be closed when the encoder is. Raises UnavailableError if that GPU
        cannot draw, GpuFullError if its memory does not suffice now, RenderingError.
        """

    def lose_gpu(self, gpu: int, reason: str) -> None:
        """Stop drawing on a GPU."""

    def lost_gpus(self) -> tuple[str, ...]:
        """Return why each GPU that has failed to draw is no longer used."""


class OpenCompositor(Protocol):
    """A function that opens a compositor."""

    def __call__(
        self,
        timeline: Timeline,
        captions: tuple[CaptionArt, ...] = (),
        *,
        ffmpeg: FfmpegProgram,
        config: Config,
    ) -> Compositor:
        """Return a compositor of a timeline and its drawn captions."""


class ProbeCompositor(Protocol):
    """A function that finds out whether a compositor can draw on this machine."""

    def __call__(self, config: Config) -> Probe:
        """Return whether the compositor can draw with a configuration, and the reason."""


class ProbeGpu(Protocol):
    """A function that finds out whether a compositor can draw on a GPU."""

    def __call__(self, config: Config, gpu: int) -> Probe:
        """Return whether the compositor can draw on a GPU, by CUDA's count, and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositorBackend:
    """The record of a compositor in COMPOSITORS.

    With `filter_captions`, captions are prepared for filter graphs: text for drawtext, and only the animations
    that a graph can draw. Without it, every caption is drawn as pictures. A compositor that draws on GPUs has
    `probe_gpu`.
    """

    name: str
    probe: ProbeCompositor
    open: OpenCompositor
    filter_captions: bool = False
    probe_gpu: ProbeGpu | None = None
