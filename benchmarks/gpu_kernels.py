"""The cuda compositor's kernels apart: what the compiler made of them, the frames they are timed on, their times."""

from __future__ import annotations

import statistics
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from video_pipeline.engine.render.cuda.compile import KERNELS, Capability, Compiler

if TYPE_CHECKING:
    from video_pipeline.engine.render.cuda.device import Device
    from video_pipeline.engine.render.cuda.painter import FrameSpec, StillSide

SIZE_PX = (1080, 1920)
CAPTION_PX = (900, 300)
STEPS = (0.9, 1.08, 1.4, 1.9)
"""Source pixels for each of the frame's: two with 4 taps, one each with 6 and with 8."""

SHARE_JOINED = 1 / 8
"""The share of frames in a transition: half a second of four."""

LAUNCH_FRAMES = 16
CAPABILITIES: tuple[Capability, ...] = ((7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0))
INSTRUCTION_BYTES = 16
MEMORY_BYTES = 8 * 10**9
SEED = 3


@dataclass(frozen=True, slots=True)
class CompiledKernel:
    """What the compiler made of a kernel. `instructions` are those in its code, of all branches together."""

    registers: int
    shared_bytes: int
    stack_bytes: int
    spill_bytes: int
    instructions: int


def code_bytes(cubin: bytes) -> dict[str, int]:
    """Return the size of each kernel's code in a CUBIN, an ELF file."""
    offset, entry_bytes, count, names = (
        *struct.unpack_from("<Q", cubin, 0x28),
        *struct.unpack_from("<HHH", cubin, 0x3A),
    )
    sections = [
        struct.unpack_from("<IIQQQQ", cubin, offset + number * entry_bytes) for number in range(count)
    ]
    table = sections[names][4]
    sizes = {}
    for section in sections:
        start = table + section[0]
        name = cubin[start : cubin.index(b"\0", start)].decode()
        if name.startswith(".text."):
            sizes[name.removeprefix(".text.")] = section[5]
    return sizes


def kernels_in_log(log: str) -> dict[str, dict[str, int]]:
    """Return the numbers that ptxas wrote of each kernel."""
    found: dict[str, dict[str, int]] = {}
    name = ""
    for line in log.splitlines():
        words = line.replace(",", "").split()
        if "Compiling" in words:
            name = words[words.index("function") + 1].strip("'")
            found[name] = {"registers": 0, "shared_bytes": 0, "stack_bytes": 0, "spill_bytes": 0}
        elif "stack" in words and "frame" in words:
            found[name]["stack_bytes"] = int(words[words.index("bytes") - 1])
            found[name]["spill_bytes"] = int(words[words.index("spill") - 2])
        elif "Used" in words:
            found[name]["registers"] = int(words[words.index("Used") + 1])
            if "smem" in words:
                found[name]["shared_bytes"] = int(words[words.index("smem") - 2])
    return found


def compiled_kernels(compiler: Compiler, capability: Capability) -> dict[str, CompiledKernel]:
    """Compile for a GPU and return what became of each kernel."""
    made = compiler.compile(capability, verbose=True)
    code, log = code_bytes(made.cubin), kernels_in_log(made.log)
    return {
        name: CompiledKernel(**log[name], instructions=code[name] // INSTRUCTION_BYTES) for name in KERNELS
    }


def bytes_a_frame(step: float) -> int:
    """Return the bytes that a still's frame moves at least: the part of the picture read once, the frame written."""
    frame = SIZE_PX[0] * SIZE_PX[1] * 3 // 2
    return round(frame * step * step) + frame


def _still(rng: np.random.Generator, key: int, step: float) -> StillSide:
    from video_pipeline.engine.render.cuda.painter import StillSide
    from video_pipeline.engine.render.planes import new_frame, planes_of

    width, height = (2 * round(side * step / 2) + 4 for side in SIZE_PX)
    frame = new_frame(width, height)
    frame[:] = rng.integers(0, 256, frame.shape, np.uint8)
    return StillSide((key, step), planes_of(frame), 0.37, 0.61, step, step, False, 0.0)


def workload_frames(step: float, transition: str | None = None, *, caption: bool = True) -> list[FrameSpec]:
    """Return frames for one launch: a still under a caption, or two stills in a transition."""
    from video_pipeline.engine.render.cuda.painter import FrameSpec
    from video_pipeline.engine.render.planes import Layer
    from video_pipeline.native import kernels

    rng = np.random.default_rng(SEED)
    rgba = rng.integers(0, 256, (CAPTION_PX[1], CAPTION_PX[0], 4), np.uint8)
    overlay = Layer("caption", kernels.Overlay(rgba), 90, 1440, 1.0, None)
    layers = (overlay,) if caption else ()
    sides = tuple(_still(rng, number, step) for number in range(2 if transition else 1))
    return [
        FrameSpec(sides, (transition, (number + 0.5) / LAUNCH_FRAMES) if transition else None, layers)
        for number in range(LAUNCH_FRAMES)
    ]


def kernel_ms(device: Device, frames: Sequence[FrameSpec], *, calls: int, kernel: str | None = None) -> float:
    """Return the milliseconds of a frame of launches, or of one kernel's, put into one stream again and again."""
    from video_pipeline.engine.render.cuda.painter import GpuPainter

    painter = GpuPainter(device, width=SIZE_PX[0], height=SIZE_PX[1], bound=MEMORY_BYTES)
    with painter.repeated(frames, kernel=kernel) as launch:
        launch(2)
        rounds = []
        for _ in range(3):
            started = time.perf_counter()
            launch(calls)
            rounds.append((time.perf_counter() - started) / (calls * len(frames)) * 1000)
    return statistics.median(rounds)
