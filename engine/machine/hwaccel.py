"""Decoding video clips on a GPU: whether the ffmpeg program can, found by decoding a small video."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.machine.cuda_devices import driver_is_here
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram

TRIAL_SECONDS: Final = 20.0
"""Time for the trial. If no program uses a GPU, its driver takes seconds to wake it."""

SIDE_BLOCKS: Final = 8
"""Sides of the trial's picture in blocks of 16 pixels; decoders refuse very small pictures."""

PICTURES: Final = 3

EXACT_CODECS: Final = frozenset(["h264", "hevc", "vp8", "vp9", "av1"])
"""Codecs whose decoders all give the same pixels."""

EXACT_FORMATS: Final = frozenset(["yuv420p", "yuv420p10le"])
"""Pixel formats that a GPU's decoder gives in another layout only."""


@dataclass(frozen=True, slots=True)
class HwaccelTrial:
    """Whether an ffmpeg program decodes on the GPU, and why or why not."""

    works: bool
    reason: str


@dataclass(slots=True)
class _Trials:
    """Outcomes by program, and why decoding on the GPU is over in this process."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    known: dict[Path, HwaccelTrial] = field(default_factory=dict)
    stopped: str = ""


_TRIALS: Final = _Trials()


def try_hwaccel(program: Path) -> HwaccelTrial:
    """Return whether an ffmpeg program decodes on the GPU what it should; tried once in a process."""
    with _TRIALS.lock:
        if _TRIALS.stopped:
            return HwaccelTrial(False, _TRIALS.stopped)
        if program not in _TRIALS.known:
            _TRIALS.known[program] = _try(program)
        return _TRIALS.known[program]


def stop_hwaccel(reason: str) -> None:
    """Decode nothing more on the GPU in this process."""
    with _TRIALS.lock:
        _TRIALS.stopped = reason


def with_hwaccel(program: FfmpegProgram, wanted: str, *, clips: bool) -> FfmpegProgram:
    """Return the program with the acceleration to use for video clips.

    `wanted` is a value of video.hwaccel; without `clips` nothing is tried. Raises UnavailableError if `cuda` was asked
    for by name and does not work.
    """
    if wanted == "none" or not clips:
        return program
    found = try_hwaccel(program.path)
    if wanted != "auto" and not found.works:
        raise UnavailableError(
            f"video.hwaccel: got {wanted!r}, which is not usable here: {found.reason}; allowed on this machine: auto, none"
        )
    return replace(program, hwaccel="cuda") if found.works else program


def _try(program: Path) -> HwaccelTrial:
    if not driver_is_here():
        return HwaccelTrial(False, "no NVIDIA driver on this machine")
    from video_pipeline.filters.graph import STANDARD_INPUT, argv, open_input  # only those who draw need it

    video, pictures = sample_video()
    decoded = open_input(STANDARD_INPUT, demuxer="h264", hwaccel="cuda", hwaccel_output_format="cuda")
    downloaded = decoded.filter("hwdownload").filter("format", "nv12").filter("format", "yuv420p")
    command = argv(
        program,
        [downloaded],
        "pipe:1",
        global_options=("-v", "error", "-nostdin"),
        f="rawvideo",
        fps_mode="passthrough",
    )
    try:
        done = subprocess.run(
            command,
            input=video,
            capture_output=True,
            timeout=TRIAL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return HwaccelTrial(False, f"the GPU's driver did not answer in {TRIAL_SECONDS:g} s")
    except OSError as error:
        return HwaccelTrial(False, f"{program}: {error.strerror}")
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").split("\n")
        return HwaccelTrial(False, next((line.strip() for line in lines if line.strip()), "ffmpeg failed"))
    if done.stdout != pictures:
        return HwaccelTrial(False, "the GPU decodes other pixels than the CPU")
    return HwaccelTrial(True, "a trial gave the CPU's pixels")


class _Bits:
    """Bits of H.264, with its Exp-Golomb codes."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._count = 0

    def put(self, value: int, bits: int) -> None:
        self._text.append(f"{value:0{bits}b}")
        self._count += bits

    def ue(self, *values: int) -> None:
        for value in values:
            self.put(value + 1, 2 * (value + 1).bit_length() - 1)

    def align(self) -> None:
        if self._count % 8:
            self.put(0, 8 - self._count % 8)

    def nal(self, header: int) -> bytes:
        """Return a NAL unit of the bits so far, with its start code; no payload here needs emulation prevention."""
        self.put(1, 1)
        self.align()
        return b"\0\0\0\1" + bytes([header]) + int("".join(self._text), 2).to_bytes(self._count // 8, "big")


def sample_video() -> tuple[bytes, bytes]:
    """Return a video of H.264 without loss, and its pictures as yuv420p.

    Every macroblock is I_PCM (ITU-T H.264, 7.3), so no encoder is needed and every decoder gives these pixels.
    """
    headers = _Bits()
    headers.put(66 << 16 | 0xC0 << 8 | 31, 24)  # Constrained Baseline, level 3.1
    headers.ue(0, 0, 2, 1)  # four bits of frame number, pictures are shown as they come, one reference
    headers.put(0, 1)
    headers.ue(SIDE_BLOCKS - 1, SIDE_BLOCKS - 1)
    headers.put(0b1100, 4)  # frames, 8x8 inference, no cropping, no VUI
    video = headers.nal(0x67)
    headers = _Bits()
    headers.ue(0, 0)
    headers.put(0, 2)
    headers.ue(0, 0, 0)
    headers.put(0, 3)
    headers.ue(0, 0, 0)
    headers.put(0b100, 3)  # deblocking can be turned off
    video += headers.nal(0x68)
    side = 16 * SIDE_BLOCKS
    pictures = b""
    for number in range(PICTURES):
        slice_ = _Bits()
        slice_.ue(0, 7, 0)
        slice_.put(0, 4)
        slice_.ue(number % 2)
        slice_.put(0, 2)
        slice_.ue(0, 1)
        planes = [bytearray(side * side), bytearray(side * side // 4), bytearray(side * side // 4)]
        for block in range(SIDE_BLOCKS**2):
            slice_.ue(25)
            slice_.align()
            y, x = divmod(block, SIDE_BLOCKS)
            for plane, (data, size) in enumerate(zip(planes, (16, 8, 8), strict=True)):
                for row in range(size):
                    # From 16 on, so that no byte needs emulation prevention.
                    line = bytes(
                        16 + (3 * block + row + 50 * plane + 40 * number + i) % 220 for i in range(size)
                    )
                    slice_.put(int.from_bytes(line, "big"), 8 * size)
                    start = (y * size + row) * (side if plane == 0 else side // 2) + x * size
                    data[start : start + size] = line
        video += slice_.nal(0x65)
        pictures += b"".join(planes)
    return video, pictures
