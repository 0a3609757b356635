"""Check and time the cuda compositor on this machine's GPU, in one call: build, parity, kernels, path, renders.

    python -m benchmarks.gpu_check                    everything, about two minutes; JSON into build/bench/results/
    python -m benchmarks.gpu_check --quick            few calls of each, and no renders
    python -m benchmarks.gpu_check --compiled         only what NVRTC says of the kernels; needs no GPU

1. The kernels are compiled for this GPU and for others: registers, spills, shared memory, instructions.
2. Every transition is drawn on the GPU and by the native rows, and the bytes are compared. Nothing is timed unless
   they are equal.
3. Each kernel is timed on frames in the GPU's memory, 16 frames a launch, without uploads and downloads.
4. The path as the renderer takes it: plans, uploads, drawing and downloads, from one thread and from several.
5. Whole renders and frames without encoding, by the cuda and by the native compositor in turns.

Times are wall times. A result has the device's name; on an emulated driver nothing is timed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.machine import cores, describe_machine
from benchmarks.workload import BUILD, make_workload
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.render.cuda.compile import KERNELS, Capability, Compiler, arch_of

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


def kernel_ms(device: Device, frames: Sequence[FrameSpec], *, calls: int) -> float:
    """Return the milliseconds of a frame of a launch that is put into one stream again and again."""
    from video_pipeline.engine.render.cuda.painter import GpuPainter

    painter = GpuPainter(device, width=SIZE_PX[0], height=SIZE_PX[1], bound=MEMORY_BYTES)
    with painter.repeated(frames) as launch:
        launch(2)
        rounds = []
        for _ in range(3):
            started = time.perf_counter()
            launch(calls)
            rounds.append((time.perf_counter() - started) / (calls * len(frames)) * 1000)
    return statistics.median(rounds)


def path_fps(device: Device, *, threads: int, seconds: float) -> float:
    """Return the frames a second that threads draw into pinned memory, two batches of each under way."""
    from video_pipeline.engine.render.cuda.painter import GpuPainter

    painter = GpuPainter(device, width=SIZE_PX[0], height=SIZE_PX[1], bound=MEMORY_BYTES)
    count = painter.batch_frames
    batch = [*workload_frames(1.08, "fade")[: round(count * SHARE_JOINED)], *workload_frames(1.08)][:count]

    def draw(_: int) -> int:
        drawn = 0
        with painter.pinned_frames() as one, painter.pinned_frames() as other:
            until = time.perf_counter() + seconds
            under_way = painter.draw(batch, one)
            for room in itertools.cycle((other, one)):
                if time.perf_counter() >= until:
                    break
                following = painter.draw(batch, room)
                under_way.finish()
                under_way = following
                drawn += count
            under_way.finish()
        return drawn

    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        frames = sum(pool.map(draw, range(threads)))
        return frames / (time.perf_counter() - started)


def _seconds_of(*command: str | Path) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", *map(str, command)], check=True, capture_output=True)
    return time.perf_counter() - started


def renders(rounds: int) -> list[dict[str, Any]]:
    """Render the workload by both compositors in turns, and draw it without encoding."""
    load = make_workload()
    out = BUILD / "gpu" / "video.mp4"
    out.parent.mkdir(parents=True, exist_ok=True)
    render = (
        "video_pipeline",
        "render",
        load.story,
        "-o",
        out,
        "--encoder",
        "libx264",
        "--no-cache",
        "--force",
    )
    results = []
    for number in range(rounds):
        for compositor in ("cuda", "native"):
            results.append(
                {
                    "round": number,
                    "compositor": compositor,
                    "render_seconds": round(_seconds_of(*render, "--compositor", compositor), 3),
                    "draw_seconds": round(
                        _seconds_of("benchmarks.draw", load.story, "--compositor", compositor), 3
                    ),
                    "frames": load.frames,
                }
            )
    return results


def measured(device: Device, *, quick: bool, report: Callable[[str], None]) -> dict[str, Any]:
    """Time the kernels, the path and renders on a GPU."""
    from video_pipeline.native import kernels

    calls = 3 if quick else 40
    found: dict[str, Any] = {"kernels_ms": {}}
    cases = {f"still, step {step}": workload_frames(step) for step in STEPS}
    cases["still, step 1.08, no caption"] = workload_frames(1.08, caption=False)
    cases |= {f"transition {name}": workload_frames(1.08, name) for name, _ in kernels.transition_records()}
    for name, frames in cases.items():
        found["kernels_ms"][name] = round(kernel_ms(device, frames, calls=calls), 5)
        report(f"{name}: {found['kernels_ms'][name]:.4f} ms a frame")
    still, fade = found["kernels_ms"]["still, step 1.08"], found["kernels_ms"]["transition fade"]
    found["composing_fps"] = round(1000 / (still * (1 - SHARE_JOINED) + fade * SHARE_JOINED), 1)
    report(f"composing the workload in the GPU's memory: {found['composing_fps']:.0f} fps")
    found["path_fps"] = {
        str(threads): round(path_fps(device, threads=threads, seconds=0.5 if quick else 5), 1)
        for threads in sorted({1, 2, cores()})
    }
    report(f"with plans, uploads and downloads, by threads: {found['path_fps']}")
    if not quick:
        found["renders"] = renders(3)
    return found


def open_gpu() -> Device:
    """Return this machine's GPU, whose frames have been compared with the native rows'; raise UnavailableError."""
    from video_pipeline.engine.config import load_config
    from video_pipeline.engine.render.compositors.cuda import first_device

    return first_device(load_config(environ=False))


def main(argv: Sequence[str] | None = None) -> int:
    """Check, measure and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="few calls, no renders")
    parser.add_argument("--compiled", action="store_true", help="only what NVRTC says of the kernels")
    parser.add_argument("--out", type=Path, help="file for the result")
    options = parser.parse_args(argv)
    compiler = Compiler()
    result: dict[str, Any] = {
        "compiler": compiler.name,
        "frame_px": SIZE_PX,
        "least_bytes_a_frame": {str(step): bytes_a_frame(step) for step in STEPS},
    }
    try:
        device = None if options.compiled else open_gpu()
    except UnavailableError as error:
        print(f"no GPU is measured: {error}", file=sys.stderr)
        return 1
    capabilities = [device.capability] if device and options.quick else list(CAPABILITIES)
    if device and device.capability not in capabilities:
        capabilities.append(device.capability)
    result["compiled"] = {
        arch_of(each): {name: asdict(made) for name, made in compiled_kernels(compiler, each).items()}
        for each in capabilities
    }
    name = "compiled"
    if device:
        name = device.name
        result |= {"device": name, "parity": "every transition equals the native rows, byte for byte"}
        if name.startswith("Emulated"):
            print("nothing is timed on an emulated driver", file=sys.stderr)
        else:
            from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg

            result["machine"] = describe_machine(str(find_ffmpeg().path))
            result |= measured(device, quick=options.quick, report=lambda line: print(line, file=sys.stderr))
    words = "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")
    path = options.out or BUILD / "results" / f"gpu-{words}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
