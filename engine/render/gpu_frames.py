"""Where the frames of each segment are that a GPU encodes: in its own memory, or in the host's, and why there."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Generator
from dataclasses import dataclass, field

from video_pipeline.engine.errors import EncoderError, UnavailableError
from video_pipeline.engine.render.compositors.base import Compositor, GpuCompositor
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.cuda.device import OUT_OF_MEMORY, CudaError, GpuFullError
from video_pipeline.engine.render.cuda.surfaces import GpuFrame
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.encoders.nvenc import frames_held
from video_pipeline.engine.render.encoders.sessions import SESSIONS, SessionReport
from video_pipeline.engine.timing import FrameRange

HOST = "its frames go through host memory"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class GpuFramesReport:
    """Encoded segments by the memory that their frames were in, and why some were in the host's."""

    in_gpu_memory: int = 0
    in_host_memory: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """Return the report as plain values, for the manifest."""
        return {
            "segments_in_gpu_memory": self.in_gpu_memory,
            "segments_in_host_memory": self.in_host_memory,
            "reasons": dict(sorted(self.reasons.items())),
        }


class GpuSegment:
    """One attempt to encode a segment; `gpu` is the GPU whose memory has its frames, None for the host's."""

    def __init__(self, owner: GpuFrames, frames: FrameRange, children: Children) -> None:
        self._owner, self._frames, self._children = owner, frames, children
        self._stack = contextlib.ExitStack()
        self.gpu: int | None = None
        self.reason = ""

    def draw(self, gpu: int) -> Generator[GpuFrame, None, None] | None:
        """Return the frames in a GPU's memory; None, with the reason, if it cannot draw them now."""
        self.close()  # what was drawn for a GPU whose session was refused
        self.gpu, self.reason = None, self._owner.given_up(gpu)
        if self.reason:
            return None
        try:
            drawn = self._owner.draw(self._frames, gpu, self._children, self._stack)
        except (UnavailableError, CudaError, GpuFullError) as error:
            self.reason = str(error)
            return None
        self._stack.enter_context(contextlib.closing(drawn))
        self.gpu = gpu
        return drawn

    def close(self) -> None:
        """Give the frames' memory back."""
        self._stack.close()

    def succeed(self) -> None:
        """Count the segment: it has been encoded."""
        self._owner.count(self)


class GpuFrames:
    """The segments of a render that GPUs encode. Thread-safe."""

    def __init__(self, compositor: Compositor, settings: EncoderSettings) -> None:
        draws = bool(settings.gpu) and isinstance(compositor, GpuCompositor)
        self._compositor = compositor if draws and isinstance(compositor, GpuCompositor) else None
        self._settings = settings
        self._lock = threading.Lock()
        self._given_up: dict[int, str] = {}
        self.report = GpuFramesReport() if draws else None

    def draw(
        self, frames: FrameRange, gpu: int, children: Children, stack: contextlib.ExitStack
    ) -> Generator[GpuFrame, None, None]:
        """Return the frames of a range in a GPU's memory, as GpuCompositor does."""
        assert self._compositor is not None
        held = frames_held(self._settings.options)
        return self._compositor.gpu_frames(frames, gpu=gpu, held=held, children=children, stack=stack)

    def given_up(self, gpu: int) -> str:
        """Return why the frames of a GPU are no longer in its memory, or nothing."""
        with self._lock:
            return self._given_up.get(gpu, "")

    def attempt(
        self, frames: FrameRange, children: Children, stack: contextlib.ExitStack
    ) -> GpuSegment | None:
        """Return an attempt to encode a segment, closed by `stack`; None if no frame is drawn for an encoder's GPU."""
        if self._compositor is None:
            return None
        attempt = GpuSegment(self, frames, children)
        stack.callback(attempt.close)
        return attempt

    def count(self, attempt: GpuSegment) -> None:
        """Count a segment that has been encoded."""
        assert self.report is not None
        with self._lock:
            if attempt.gpu is not None:
                self.report.in_gpu_memory += 1
                return
            known = {*self.report.reasons, *self._given_up.values()}
            first = attempt.reason not in known  # what was given up has been logged
            self.report.in_host_memory += 1
            self.report.reasons[attempt.reason] = self.report.reasons.get(attempt.reason, 0) + 1
        if first:
            logger.warning("%s: %s", attempt.reason, HOST)

    def fail(
        self,
        error: EncoderError | CudaError | GpuFullError,
        attempt: GpuSegment | None,
        sessions: SessionReport,
    ) -> str:
        """Note what failed; return how to try the segment again, or nothing if there is no other way."""
        if self._compositor is None or attempt is None:
            return ""
        if attempt.gpu is None:
            return ""
        what = error.what if isinstance(error, EncoderError) else str(error)
        lost = isinstance(error, CudaError) and error.status != OUT_OF_MEMORY
        with self._lock:
            self._given_up.setdefault(attempt.gpu, what)
        if lost:
            self._compositor.lose_gpu(attempt.gpu, what)
            devices = SESSIONS.usable(self._settings.gpu)
            if any(device.index != attempt.gpu for device in devices):
                for device in devices:
                    if device.index == attempt.gpu:
                        SESSIONS.lose(device, what)
                        sessions.lose(device.index, what)
                return "encoded again on another GPU"
        return HOST
