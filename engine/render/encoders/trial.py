"""Try an encoder with a render's own settings, in a program of its own if a GPU's driver takes part.

    python -m video_pipeline.engine.render.encoders.trial     settings in, an outcome out, both JSON

A driver can crash, or not return from a call; then only that program does.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

import video_pipeline
from video_pipeline.engine.errors import EncoderError
from video_pipeline.engine.render.encoders.base import EncoderSettings, FaultKind, find_fault, load_encoder
from video_pipeline.engine.render.encoders.encode import encode_segment

FRAMES: Final = 3

TRIAL_SECONDS: Final = 20.0
"""Time for a trial in a program of its own. Where no program uses a GPU, its driver takes seconds to wake it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a trial: whether it worked, why not, the kind of that, and FFmpeg's lines.

    With `silent` the driver did not answer in time, and other trials would wait for it as long.
    """

    works: bool
    reason: str
    kind: FaultKind | None = None
    log: tuple[str, ...] = ()
    silent: bool = False


def try_settings(settings: EncoderSettings) -> Trial:
    """Encode a few frames with the settings of a render, as it would."""
    if load_encoder(settings.encoder).on_gpu and driver_is_here():
        return _try_apart(settings)
    return _try_here(settings)


def driver_is_here() -> bool:
    """Return whether CUDA's library can be loaded; without it no call can hang."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _try_here(settings: EncoderSettings) -> Trial:
    array = np.full((settings.height_px * 3 // 2, settings.width_px), 128, np.uint8)
    try:
        data = encode_segment(iter([array] * FRAMES), settings)
    except EncoderError as error:
        fault = find_fault(error.log, load_encoder(settings.encoder).faults)
        if fault is None:
            kind: FaultKind | None = "machine" if error.machine else None
            return Trial(False, error.what, kind, tuple(error.log))
        return Trial(False, fault.meaning, fault.kind, tuple(error.log))
    except ValueError:
        return Trial(False, f"PyAV {av.__version__} was built without it", "absent")
    with av.open(io.BytesIO(data), "r") as container:
        packets = len([packet for packet in container.demux(video=0) if packet.size])
    if packets != FRAMES:
        return Trial(False, f"{packets} of {FRAMES} frames came back", "machine")
    return Trial(True, "a probe encode succeeded")


def _try_apart(settings: EncoderSettings, *, seconds: float = TRIAL_SECONDS) -> Trial:
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
        out, err = process.communicate(_as_text(settings), timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        # A process inside the kernel's driver is not ended by that, and is not waited for.
        threading.Thread(target=process.communicate, name="trial", daemon=True).start()
        return Trial(False, f"the GPU's driver did not answer in {seconds:g} s", "machine", silent=True)
    if process.returncode == 0:
        found = json.loads(out.splitlines()[-1])
        return Trial(**{**found, "log": tuple(found["log"])})
    lines = tuple(line for line in err.splitlines() if line.strip())[-12:]
    if process.returncode < 0:
        return Trial(False, f"FFmpeg crashed ({signal.Signals(-process.returncode).name})", "machine", lines)
    return Trial(False, f"the probe ended with status {process.returncode}", "machine", lines)


def _as_text(settings: EncoderSettings) -> str:
    return json.dumps({**asdict(settings), "fps": str(settings.fps)})


def _as_settings(text: str) -> EncoderSettings:
    found: dict[str, Any] = json.loads(text)
    return EncoderSettings(**{**found, "fps": Fraction(found["fps"])})


def main(read: Callable[[], str] = sys.stdin.read) -> None:
    """Try the settings on standard input; print the outcome as the last line."""
    if hasattr(
        signal, "alarm"
    ):  # the end even if the program that waits for it has ended, and while a call hangs
        signal.alarm(round(TRIAL_SECONDS) + 5)
    print(json.dumps(asdict(_try_here(_as_settings(read())))), flush=True)
    os._exit(0)  # a driver may hang when its library is closed


if __name__ == "__main__":
    main()
