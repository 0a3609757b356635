"""Calls to one GPU's driver, which may never return."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from video_pipeline.engine.render.cuda.device import CudaStalledError
from video_pipeline.engine.render.encoders.watched import StalledError, call_watched_once

T = TypeVar("T")


class DeviceCalls:
    """Calls to a GPU's driver, each with a bound of time. Once one has not returned in time, no other is made."""

    def __init__(self, device_name: str) -> None:
        self._device_name = device_name
        self._stalled: CudaStalledError | None = None

    def __call__(self, work: Callable[[], T]) -> T:
        """Return what `work` returns; raise CudaStalledError if it does not in time, or a call has not before."""
        if self._stalled is None:
            try:
                return call_watched_once(work)
            except StalledError as error:
                self._stalled = CudaStalledError(self._device_name, str(error))
        raise self._stalled
