"""The GPUs that draw for one render: the first that works, others if it is lost, and each whose encoder has a session."""

from __future__ import annotations

import threading
from collections.abc import Callable

from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.render.cuda.device import CudaError, Device
from video_pipeline.engine.render.cuda.painter import GpuPainter


class GpuPainters:
    """A painter for each GPU, opened when it is first needed, each with the first one's bound of memory. Thread-safe.

    `open_device` opens a GPU by CUDA's count; `list_gpus` returns the numbers of all that this process sees.
    """

    def __init__(
        self,
        first: GpuPainter,
        *,
        open_device: Callable[[int], Device],
        list_gpus: Callable[[], tuple[int, ...]],
    ) -> None:
        self._first, self._open_device, self._list_gpus = first, open_device, list_gpus
        self._lock = threading.Lock()
        self._painters = {first.device.number: first}
        self._gpus: tuple[int, ...] | None = None
        self._reasons: dict[int, str] = {}
        """Why a GPU does not draw."""

    def on(self, gpu: int) -> GpuPainter:
        """Return the painter of a GPU, by CUDA's count; raise UnavailableError if it cannot draw, or was lost."""
        with self._lock:
            return self._on(gpu)

    def _on(self, gpu: int) -> GpuPainter:
        if gpu in self._reasons:
            raise UnavailableError(self._reasons[gpu])
        if gpu not in self._painters:
            first = self._first
            try:
                device = self._open_device(gpu)
                painter = GpuPainter(device, width=first.width, height=first.height, bound=first.bound)
            except (UnavailableError, CudaError) as error:
                self._reasons[gpu] = str(error)
                raise UnavailableError(str(error)) from error
            self._painters[gpu] = painter
        return self._painters[gpu]

    def any(self) -> GpuPainter | None:
        """Return a GPU that is not lost: of those that have drawn if there is one, otherwise the first that can draw."""
        with self._lock:
            for gpu, painter in self._painters.items():
                if gpu not in self._reasons:
                    return painter
            if self._gpus is None:
                self._gpus = self._list_gpus()
            for gpu in self._gpus:
                try:
                    return self._on(gpu)
                except UnavailableError:
                    continue
            return None

    def lost(self) -> tuple[str, ...]:
        """Return why each GPU that is not used is not."""
        with self._lock:
            return tuple(self._reasons.values())

    def lose(self, gpu: int, reason: str) -> None:
        """Stop drawing on a GPU."""
        with self._lock:
            self._reasons.setdefault(gpu, reason)
