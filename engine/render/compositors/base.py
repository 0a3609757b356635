"""The protocol of compositors: they turn a range of a timeline into frames."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol

from video_pipeline.engine.common.registry import Probe
from video_pipeline.engine.config import Config
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram
from video_pipeline.engine.render.captions.draw import CaptionArt
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.planes import Buffer
from video_pipeline.engine.timeline import Clip, Timeline
from video_pipeline.engine.timing import FrameRange


class Compositor(Protocol):
    """Draws any frame range of a timeline, on any thread."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""

    @property
    def timeline(self) -> Timeline:
        """The timeline that it draws."""

    def with_captions(self, captions: tuple[CaptionArt, ...]) -> Compositor:
        """Return a compositor of the same timeline and pictures that draws these captions."""

    def without_captions(self) -> Compositor:
        """Return a compositor of the same timeline that draws neither captions nor the watermark."""

    def identity(self) -> dict[str, Any]:
        """Return all that frames depend on besides timeline and captions, for the key of a segment."""

    def segments(self) -> tuple[FrameRange, ...]:
        """Return the segments of the timeline, which are the same for every number of workers."""

    def motion_of(self, clip: Clip) -> str | None:
        """Return what moves the camera of a clip, or None if the camera stands still."""

    def prepare(self, frames: FrameRange) -> None:
        """Start loading, in the background, what a range needs that is drawn soon. The call is optional."""

    def frames(
        self, wanted: FrameRange, *, threads: int, children: Children
    ) -> Generator[Buffer, None, None]:
        """Yield each frame of a range: planes Y, U, V one under the other, shape (height * 3 / 2, width).

        4:2:0, BT.709 limited range. The array is overwritten by the next frame, and by another range once
        this one has ended. `threads` is what one range may use; programs that are started belong to `children`. Raises RenderingError.
        """


class OpenCompositor(Protocol):
    """Opens a compositor."""

    def __call__(
        self,
        timeline: Timeline,
        captions: tuple[CaptionArt, ...] = (),
        *,
        ffmpeg: FfmpegProgram,
        config: Config,
    ) -> Compositor:
        """Return a compositor of a timeline; `captions` were drawn for it."""


class ProbeCompositor(Protocol):
    """Finds out whether a compositor can draw on this machine."""

    def __call__(self) -> Probe:
        """Return whether it can, and why or why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositorBackend:
    """One compositor, as COMPOSITORS lists it.

    With `filter_captions` captions are made for filter graphs: text for drawtext, and only the animations
    that a graph can draw. Otherwise every caption is made of pictures.
    """

    name: str
    probe: ProbeCompositor
    open: OpenCompositor
    filter_captions: bool = False
