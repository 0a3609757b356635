"""Try an encoder with a render's own settings, in a program of its own if a GPU's driver takes part.

    python -m video_pipeline.engine.render.encoders.trial     settings in, an outcome out, both JSON

A driver can crash, or not return from a call; then only that program does.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

import video_pipeline
from video_pipeline.engine.errors import EncoderError
from video_pipeline.engine.machine.cuda_devices import (
    NO_DEVICE,
    CudaDevice,
    driver_is_here,
    list_devices,
)
from video_pipeline.engine.machine.nvenc_engines import count_engines
from video_pipeline.engine.render.encoders.base import EncoderSettings, FaultKind, find_fault, load_encoder
from video_pipeline.engine.render.encoders.encode import encode_frames

FRAMES: Final = 3

WORKS: Final = "a probe encode succeeded"

TRIALS_AT_ONCE: Final = 8

KINDS: Final = (None, "absent", "options", "machine", "refused")
"""Kinds of faults; if the GPUs have different ones, the last of these is the encoder's."""

TRIAL_SECONDS: Final = 20.0
"""Time for a trial in a program of its own. Where no program uses a GPU, its driver takes seconds to wake it."""


@dataclass(frozen=True, slots=True)
class EncoderTrial:
    """What came of a trial: whether it worked, why not, the kind of that, and FFmpeg's lines.

    With `silent` the driver did not answer in time, and other trials would wait for it as long. `devices` are the GPUs
    that a render would use, all of one model; `by_device` has the outcome on each GPU. `engines` are the encoders of the
    GPU that was tried.
    """

    works: bool
    reason: str
    kind: FaultKind | None = None
    log: tuple[str, ...] = ()
    silent: bool = False
    engines: int | None = None
    devices: tuple[CudaDevice, ...] = ()
    by_device: tuple[tuple[CudaDevice, EncoderTrial], ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Return why each GPU that a render would not use is left out."""
        return tuple(
            f"without GPU {device.index}: {trial.reason if not trial.works else 'another model, ' + device.name}"
            for device, trial in self.by_device
            if device not in self.devices
        )


def try_settings(settings: EncoderSettings) -> EncoderTrial:
    """Encode a few frames with the settings of a render, as it would, on each GPU if a GPU encodes."""
    if not (load_encoder(settings.encoder).on_gpu and driver_is_here()):
        return _try_here(settings)
    found = list_devices()
    if found.silent:
        return EncoderTrial(False, found.reason, "machine", silent=True)
    if not found.devices:
        trial = _try_apart(settings)  # FFmpeg says why
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if not trial.works and visible is not None and NO_DEVICE in found.reason:
            return replace(
                trial, reason=f"CUDA_VISIBLE_DEVICES: got {visible!r}, which names no GPU of this machine"
            )
        return trial
    with ThreadPoolExecutor(TRIALS_AT_ONCE, "trial") as pool:
        trials = pool.map(lambda device: _try_apart(settings, gpu=device.index), found.devices)
        pairs = zip(found.devices, trials, strict=True)
        return _of_devices(tuple((replace(gpu, nvenc_engines=trial.engines), trial) for gpu, trial in pairs))


def _of_devices(tried: tuple[tuple[CudaDevice, EncoderTrial], ...]) -> EncoderTrial:
    """Return the outcome of an encoder from those on each GPU."""
    models: dict[str, list[CudaDevice]] = {}
    for device, trial in tried:
        if trial.works:
            models.setdefault(device.model, []).append(device)
    failed = [(device, trial) for device, trial in tried if not trial.works]
    reasons = {trial.reason: device for device, trial in failed}
    if models:
        most = max(models.values(), key=lambda devices: sum(device.engines for device in devices))
        return EncoderTrial(True, WORKS, devices=tuple(most), by_device=tried)
    # What passes decides: a GPU that may work later before one that never does.
    worst = max((trial for _, trial in failed), key=lambda trial: KINDS.index(trial.kind))
    reason = "; ".join(f"GPU {device.index}: {why}" for why, device in reasons.items())
    return replace(
        worst,
        reason=reason if len(reasons) > 1 else worst.reason,
        silent=all(trial.silent for _, trial in failed),
        by_device=tried,
    )


def _try_here(settings: EncoderSettings, *, gpu: int | None = None) -> EncoderTrial:
    array = np.full((settings.height_px * 3 // 2, settings.width_px), 128, np.uint8)
    try:
        data = encode_frames(iter([array] * FRAMES), settings, gpu=gpu)
    except EncoderError as error:
        fault = find_fault(error.log, load_encoder(settings.encoder).faults)
        if fault is None:
            kind: FaultKind | None = "machine" if error.machine else None
            return EncoderTrial(False, error.what, kind, tuple(error.log))
        return EncoderTrial(False, fault.meaning, fault.kind, tuple(error.log))
    except ValueError:
        return EncoderTrial(False, f"PyAV {av.__version__} was built without it", "absent")
    with av.open(io.BytesIO(data), "r") as container:
        packets = len([packet for packet in container.demux(video=0) if packet.size])
    if packets != FRAMES:
        return EncoderTrial(False, f"{packets} of {FRAMES} frames came back", "machine")
    return EncoderTrial(True, WORKS)


def _try_apart(
    settings: EncoderSettings, *, gpu: int | None = None, seconds: float = TRIAL_SECONDS
) -> EncoderTrial:
    """Run a trial as a program; if it does not end in time, leave it behind and say so."""
    place = str(Path(video_pipeline.__file__).parents[1])
    paths = [place, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "video_pipeline.engine.render.encoders.trial"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
    )
    try:
        out, err = process.communicate(_as_text(settings, gpu), timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        # A process inside the kernel's driver is not ended by that, and is not waited for.
        threading.Thread(target=process.communicate, name="trial", daemon=True).start()
        return EncoderTrial(
            False, f"the GPU's driver did not answer in {seconds:g} s", "machine", silent=True
        )
    if process.returncode == 0:
        found = json.loads(out.splitlines()[-1])
        return EncoderTrial(**{**found, "log": tuple(found["log"])})
    lines = tuple(line for line in err.splitlines() if line.strip())[-12:]
    if process.returncode < 0:
        return EncoderTrial(
            False, f"FFmpeg crashed ({signal.Signals(-process.returncode).name})", "machine", lines
        )
    return EncoderTrial(False, f"the probe ended with status {process.returncode}", "machine", lines)


def _as_text(settings: EncoderSettings, gpu: int | None) -> str:
    return json.dumps({"settings": {**asdict(settings), "fps": str(settings.fps)}, "gpu": gpu})


def _read_task(text: str) -> tuple[EncoderSettings, int | None]:
    task = json.loads(text)
    found: dict[str, Any] = task["settings"]
    return EncoderSettings(**{**found, "fps": Fraction(found["fps"])}), task["gpu"]


def main(read: Callable[[], str] = sys.stdin.read) -> None:
    """Try the settings on standard input; print the outcome as the last line."""
    if hasattr(
        signal, "alarm"
    ):  # the end even if the program that waits for it has ended, and while a call hangs
        signal.alarm(round(TRIAL_SECONDS) + 5)
    settings, gpu = _read_task(read())
    found = _try_here(settings, gpu=gpu)
    outcome = {"works": found.works, "reason": found.reason, "kind": found.kind, "log": found.log}
    if found.works and gpu is not None:
        outcome["engines"] = count_engines(gpu)
    print(json.dumps(outcome), flush=True)
    os._exit(0)  # a driver may hang when its library is closed


if __name__ == "__main__":
    main()
