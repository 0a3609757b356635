"""The GPUs that draw for one render: the first, and each other one whose encoder has a session."""

from __future__ import annotations

import threading
from collections.abc import Callable

from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.render.cuda.device import Device
from video_pipeline.engine.render.cuda.painter import GpuPainter


class GpuPainters:
    """A painter for each GPU, opened when it is first needed, each with the first one's bound of memory. Thread-safe."""

    def __init__(self, first: GpuPainter, *, open_device: Callable[[int], Device]) -> None:
        self._first, self._open_device = first, open_device
        self._lock = threading.Lock()
        self._painters = {first.device.number: first}
        self._reasons: dict[int, str] = {}
        """Why a GPU does not draw."""

    def on(self, gpu: int) -> GpuPainter:
        """Return the painter of a GPU, by CUDA's count; raise UnavailableError if it cannot draw, or was lost."""
        with self._lock:
            if gpu in self._reasons:
                raise UnavailableError(self._reasons[gpu])
            if gpu not in self._painters:
                try:
                    device = self._open_device(gpu)
                except UnavailableError as error:
                    self._reasons[gpu] = str(error)
                    raise
                first = self._first
                self._painters[gpu] = GpuPainter(
                    device, width=first.width, height=first.height, bound=first.bound
                )
            return self._painters[gpu]

    def usable(self) -> GpuPainter | None:
        """Return the first GPU that is not lost, of those that have drawn."""
        with self._lock:
            return next(
                (painter for gpu, painter in self._painters.items() if gpu not in self._reasons), None
            )

    def any(self) -> GpuPainter:
        """Return a GPU that draws; if all are lost, the first, whose calls say why."""
        return self.usable() or self._first

    def lose(self, gpu: int, reason: str) -> None:
        """Stop drawing on a GPU."""
        with self._lock:
            self._reasons.setdefault(gpu, reason)
