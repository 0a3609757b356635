"""The encoder sessions of this process, spread over the GPUs.

Drivers of consumer GPUs allow few sessions, over all programs of a machine, and say how many only by refusing one. A
segment whose session is refused waits for one of this process to end, or tries again after a moment.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from video_pipeline.engine.errors import EncoderError
from video_pipeline.engine.machine.cuda_devices import CudaDevice
from video_pipeline.engine.machine.gpu_load import GpuLoad, gpu_loads

AGAIN_SECONDS: Final = 0.5
"""After what time a refused session is tried again while no session of this process ends."""

LIMIT_SECONDS: Final = 10.0
"""After what time a GPU's limit is tried again, since other programs' sessions may have ended."""

LOAD_SECONDS: Final = 2.0
"""Time for NVML to report loads; without them sessions are spread by those of this process."""


@dataclass(slots=True)
class SessionReport:
    """What happened to the sessions of a render: refusals, seconds waited for them, sessions by GPU, GPUs lost."""

    refused: int = 0
    waited_seconds: float = 0.0
    by_gpu: dict[int, int] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, *, refused: int = 0, waited_seconds: float = 0.0, gpu: int | None = None) -> None:
        """Add to the report; thread-safe."""
        with self._lock:
            self.refused += refused
            self.waited_seconds += waited_seconds
            if gpu is not None:
                self.by_gpu[gpu] = self.by_gpu.get(gpu, 0) + 1

    def lose(self, gpu: int, reason: str) -> None:
        """Note why a GPU was lost; the first reason stays. Thread-safe."""
        with self._lock:
            self.lost.setdefault(gpu, reason)

    def as_dict(self) -> dict[str, object]:
        """Return the report as plain values, for the manifest."""
        return {
            "refused": self.refused,
            "waited_seconds": round(self.waited_seconds, 3),
            "by_gpu": {str(gpu): self.by_gpu[gpu] for gpu in sorted(self.by_gpu)},
            "lost_gpus": {str(gpu): self.lost[gpu] for gpu in sorted(self.lost)},
        }


@dataclass(slots=True)
class _Gpu:
    """A GPU's sessions in this process. `most` are those with which the driver refused another.

    `lost` says why the GPU is no longer used, and `log` has FFmpeg's lines about it.
    """

    device: CudaDevice
    open: int = 0
    most: int | None = None
    lost: str = ""
    log: tuple[str, ...] = ()


class Sessions:
    """The GPUs with which this process encodes, and its open sessions. Thread-safe."""

    def __init__(self, *, loads: Callable[[], Sequence[GpuLoad]] | None = None) -> None:
        self._gpus: dict[str, _Gpu] = {}
        self._granted: int | None = None
        self._changed = threading.Condition()
        self._loads = loads or (lambda: gpu_loads(seconds=LOAD_SECONDS))

    def use(self, devices: Sequence[CudaDevice]) -> None:
        """Use GPUs on which a trial has succeeded, also those that were lost before."""
        with self._changed:
            for device in devices:
                gpu = self._gpus.setdefault(device.uuid, _Gpu(device))
                engines = device.nvenc_engines or gpu.device.nvenc_engines
                gpu.device, gpu.lost, gpu.log = replace(device, nvenc_engines=engines), "", ()

    def usable(self, model: str) -> list[CudaDevice]:
        """Return the GPUs of a model that are not lost."""
        with self._changed:
            return [gpu.device for gpu in self._of(model)]

    def limit(self, count: int | None) -> None:
        """Let this process have at most `count` sessions open, because others share the GPUs; None: any number."""
        if count is not None and count < 1:
            raise ValueError(f"sessions: got {count}; allowed: at least 1")
        with self._changed:
            self._granted = count
            self._changed.notify_all()

    @property
    def granted(self) -> int | None:
        """Most sessions that this process may have open; None: any number."""
        return self._granted

    def engines(self, model: str) -> int:
        """Return the number of encoders on the GPUs of a model, each of which needs a session to be busy."""
        return sum(device.engines for device in self.usable(model))

    def lose(self, device: CudaDevice, reason: str, *, log: Sequence[str] = ()) -> None:
        """Stop opening sessions on a GPU, if it was in use; `log` has FFmpeg's lines about it."""
        with self._changed:
            if device.uuid in self._gpus:
                gpu = self._gpus[device.uuid]
                gpu.lost, gpu.log = reason, tuple(log)
            self._changed.notify_all()

    def refuse(self, device: CudaDevice) -> None:
        """Note that the driver refused a session on a GPU; call it inside `session`."""
        with self._changed:
            gpu = self._gpus[device.uuid]
            gpu.most = gpu.open - 1

    def held(self, model: str) -> bool:
        """Return whether this process has sessions on the GPUs of a model."""
        with self._changed:
            return any(gpu.open for gpu in self._of(model))

    def wait(self) -> None:
        """Wait a moment, or for a session of this process to end."""
        with self._changed:
            self._changed.wait(AGAIN_SECONDS)

    @contextlib.contextmanager
    def session(self, model: str) -> Iterator[CudaDevice]:
        """Count a session on the least loaded GPU of a model while in the context; raise EncoderError if all are lost.

        It waits for one to end while this process has as many as it may.
        """
        taken: _Gpu | None = None
        while taken is None:
            loads = {load.uuid: load for load in self._loads()} if len(self.usable(model)) > 1 else {}
            with self._changed:
                taken = self._take(model, loads)
        try:
            yield taken.device
        finally:
            with self._changed:
                taken.open -= 1
                self._changed.notify_all()

    def _take(self, model: str, loads: Mapping[str | None, GpuLoad]) -> _Gpu | None:
        """Count a session on the least loaded GPU of a model and return it; None if the loads are to be asked for again.

        They are if it had to wait and there are several GPUs. Raises EncoderError if all are lost.
        """
        waited = False
        until = time.monotonic() + LIMIT_SECONDS
        while found := self._of(model):
            if self._granted is not None and self._open >= self._granted:
                self._changed.wait()
                until = time.monotonic() + LIMIT_SECONDS
            elif not all(map(_at_limit, found)):
                break
            elif not self._changed.wait(until - time.monotonic()):
                for gpu in found:
                    gpu.most = None
            waited = True
        if not found:
            lost = [gpu for gpu in self._gpus.values() if gpu.device.model == model]
            reasons = [f"GPU {gpu.device.index}: {gpu.lost}" for gpu in lost]
            raise EncoderError(
                f"no GPU is left: {'; '.join(reasons) or f'{model} is unknown here'}",
                log=[line for gpu in lost for line in gpu.log],
                machine=True,
            )
        if waited and len(found) > 1:
            return None
        taken = min(
            (gpu for gpu in found if not _at_limit(gpu)),
            key=lambda gpu: _rank(gpu, loads.get(gpu.device.uuid)),
        )
        taken.open += 1
        return taken

    @property
    def _open(self) -> int:
        return sum(gpu.open for gpu in self._gpus.values())

    def _of(self, model: str) -> list[_Gpu]:
        return [gpu for gpu in self._gpus.values() if gpu.device.model == model and not gpu.lost]


def _at_limit(gpu: _Gpu) -> bool:
    """Return whether a GPU has as many sessions of this process as its driver allows."""
    return gpu.most is not None and 0 < gpu.open >= gpu.most


def _rank(gpu: _Gpu, load: GpuLoad | None) -> tuple[float, float, int]:
    """Return the order in which GPUs are taken: sessions for each engine, load, then from one on for each process."""
    sessions = max(gpu.open, (load.sessions if load else None) or 0)
    busy = (load.encoder if load else None) or 0.0
    return sessions / gpu.device.engines, busy, (gpu.device.index - os.getpid()) % 64


SESSIONS: Final = Sessions()
"""The sessions of this process."""
