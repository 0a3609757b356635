"""Where the frames of each segment are that a GPU encodes: in its own memory, or in the host's, and why there."""

from __future__ import annotations

import contextlib
import copy
import logging
import threading
from collections.abc import Generator
from dataclasses import dataclass, field

from video_pipeline.engine.errors import EncoderError, UnavailableError
from video_pipeline.engine.render.compositors.base import Compositor, GpuCompositor
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.cuda.device import OUT_OF_MEMORY, CudaError, GpuFullError
from video_pipeline.engine.render.cuda.open import opened
from video_pipeline.engine.render.cuda.surfaces import GpuFrame
from video_pipeline.engine.render.cuda.uploads import GpuUploads
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.encoders.encode import Frame
from video_pipeline.engine.render.encoders.nvenc import frames_held
from video_pipeline.engine.render.encoders.sessions import SESSIONS, SessionReport
from video_pipeline.engine.render.planes import Buffer
from video_pipeline.engine.timing import FrameRange

HOST = "its frames go through host memory"
COPIED = "its frames are copied to it"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class GpuFramesReport:
    """Encoded segments by where their frames were: drawn in the GPU's memory, copied to it, or in the host's, and why."""

    in_gpu_memory: int = 0
    copied: int = 0
    in_host_memory: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """Return the report as plain values, for the manifest."""
        return {
            "segments_in_gpu_memory": self.in_gpu_memory,
            "segments_copied": self.copied,
            "segments_in_host_memory": self.in_host_memory,
            "reasons": dict(sorted(self.reasons.items())),
        }


class GpuSegment:
    """One attempt to encode a segment; `gpu` is the GPU whose memory has its frames, None for the host's.

    `copied` means that they were drawn elsewhere. `reason` says why they are not where they would be encoded fastest.
    """

    def __init__(self, owner: GpuFrames, frames: FrameRange, children: Children) -> None:
        self._owner, self._frames, self._children = owner, frames, children
        self._stack = contextlib.ExitStack()
        self.gpu: int | None = None
        self.copied = False
        self.reason = ""

    def draw(self, gpu: int) -> Generator[GpuFrame, None, None] | None:
        """Return the frames drawn in a GPU's memory, or None; then `copy` has the next way."""
        self.close()  # what was drawn for a GPU whose session was refused
        self.gpu, self.copied, self.reason = None, False, self._owner.given_up(gpu)
        if self.reason or not self._owner.draws:
            self.copied = not self.reason
            return None
        try:
            drawn = self._owner.draw(self._frames, gpu, self._children, self._stack)
        except UnavailableError as error:
            self.copied, self.reason = True, str(error)
            return None
        except (CudaError, GpuFullError) as error:
            self.reason = str(error)
            return None
        return self._entered(drawn, gpu)

    def copy(self, drawn: Generator[Buffer, None, None], gpu: int) -> Generator[Frame, None, None]:
        """Return frames that are drawn in host memory, copied to a GPU's memory if it can have them."""
        if not self.copied:
            return drawn
        try:
            copied = self._owner.copy(drawn, gpu, self._stack)
        except (UnavailableError, CudaError, GpuFullError) as error:
            self.copied, self.reason = False, str(error)
            return drawn
        return self._entered(copied, gpu)

    def _entered(self, frames: Generator[GpuFrame, None, None], gpu: int) -> Generator[GpuFrame, None, None]:
        self.gpu = gpu
        return self._stack.enter_context(contextlib.closing(frames))

    def close(self) -> None:
        """Give the frames' memory back."""
        self._stack.close()

    def succeed(self) -> None:
        """Count the segment: it has been encoded."""
        self._owner.count(self)


class GpuFrames:
    """The segments of a render that GPUs encode. Thread-safe. Each GPU has `bound` bytes for copied frames."""

    def __init__(self, compositor: Compositor, settings: EncoderSettings, *, bound: int) -> None:
        self._compositor = compositor if isinstance(compositor, GpuCompositor) else None
        self._settings, self._bound = settings, bound
        self._lock = threading.Lock()
        self._given_up: dict[int, str] = {}
        self._uploads: dict[int, GpuUploads | str] = {}
        self._told: set[str] = set()
        self.report = GpuFramesReport() if settings.gpu else None

    def drawn_by(self, compositor: Compositor) -> GpuFrames:
        """Return the same for another compositor of the same video: one report, and the same memory."""
        other = copy.copy(self)
        other._compositor = compositor if isinstance(compositor, GpuCompositor) else None
        return other

    @property
    def draws(self) -> bool:
        """Whether the compositor draws on GPUs."""
        return self._compositor is not None

    def draw(
        self, frames: FrameRange, gpu: int, children: Children, stack: contextlib.ExitStack
    ) -> Generator[GpuFrame, None, None]:
        """Return the frames of a range in a GPU's memory, as GpuCompositor does."""
        assert self._compositor is not None
        held = frames_held(self._settings.options)
        return self._compositor.gpu_frames(frames, gpu=gpu, held=held, children=children, stack=stack)

    def copy(
        self, drawn: Generator[Buffer, None, None], gpu: int, stack: contextlib.ExitStack
    ) -> Generator[GpuFrame, None, None]:
        """Return drawn frames in a GPU's memory; raise UnavailableError if it cannot be used, and what GpuUploads does."""
        uploads = self._uploads_of(gpu)
        return uploads.frames(drawn, held=frames_held(self._settings.options), stack=stack)

    def _uploads_of(self, gpu: int) -> GpuUploads:
        with self._lock:
            found = self._uploads.get(gpu)
            if found is None:
                width, height = self._settings.width_px, self._settings.height_px
                try:
                    found = GpuUploads(opened(gpu), width=width, height=height, bound=self._bound)
                except (UnavailableError, CudaError) as error:
                    found = str(error)
                self._uploads[gpu] = found
        if isinstance(found, str):
            raise UnavailableError(found)
        return found

    def given_up(self, gpu: int) -> str:
        """Return why the frames of a GPU are no longer in its memory, or nothing."""
        with self._lock:
            return self._given_up.get(gpu, "")

    def attempt(
        self, frames: FrameRange, children: Children, stack: contextlib.ExitStack
    ) -> GpuSegment | None:
        """Return an attempt to encode a segment, closed by `stack`; None if no GPU encodes."""
        if self.report is None:
            return None
        attempt = GpuSegment(self, frames, children)
        stack.callback(attempt.close)
        return attempt

    def count(self, attempt: GpuSegment) -> None:
        """Count a segment that has been encoded."""
        assert self.report is not None
        reason = attempt.reason
        with self._lock:
            if attempt.gpu is None:
                self.report.in_host_memory += 1
            elif attempt.copied:
                self.report.copied += 1
            else:
                self.report.in_gpu_memory += 1
            if reason:
                self.report.reasons[reason] = self.report.reasons.get(reason, 0) + 1
            first = bool(reason) and reason not in self._told
            self._told.add(reason)
        if first:
            logger.warning("%s: %s", reason, COPIED if attempt.copied else HOST)

    def fail(
        self,
        error: EncoderError | CudaError | GpuFullError,
        attempt: GpuSegment | None,
        sessions: SessionReport,
    ) -> str:
        """Note what failed; return how to try the segment again, or nothing if there is no other way."""
        if attempt is None or attempt.gpu is None:
            return ""
        what = error.what if isinstance(error, EncoderError) else str(error)
        lost = isinstance(error, CudaError) and error.status != OUT_OF_MEMORY
        with self._lock:
            self._given_up.setdefault(attempt.gpu, what)
            self._told.add(what)  # the renderer logs it
        if lost:
            if self._compositor and not attempt.copied:
                self._compositor.lose_gpu(attempt.gpu, what)
            devices = SESSIONS.usable(self._settings.gpu)
            if any(device.index != attempt.gpu for device in devices):
                for device in devices:
                    if device.index == attempt.gpu:
                        SESSIONS.lose(device, what)
                        sessions.lose(device.index, what)
                return "encoded again on another GPU"
        return HOST
