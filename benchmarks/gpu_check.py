"""Check and time the cuda compositor on this machine's GPU, in one call; the result is JSON in build/bench/results/.

    python -m benchmarks.gpu_check                    every part; less than nine minutes
    python -m benchmarks.gpu_check --quick            fewer calls of each, and no whole renders
    python -m benchmarks.gpu_check --only peers path  these parts alone
    python -m benchmarks.gpu_check --compiled         only what NVRTC says of the kernels; needs no GPU

    compiled       the kernels for this GPU and for others: registers, spills, shared memory, instructions
    parity         every transition, drawn on the GPU and by the native rows at 1080x1920: the bytes are compared
    kernels        each kernel on frames in the GPU's memory, 16 frames a launch, and what bounds it
    path           as for libx264: plans, uploads, drawing and downloads, from one thread and from several
    encoder_path   as for NVENC, up to the encoder: frames stay on the GPU and are wrapped for FFmpeg
    copied_path    the same for frames drawn in host memory: NV12 from pinned memory
    peers          scale_cuda + overlay_cuda, xfade_vulkan and libplacebo of ffmpeg
    renders        whole renders with libx264 by cuda and native, the plain ffmpeg command, and NVENC if there is one

Each part is a program of its own: one that fails, crashes, hangs or runs out of time leaves an error in the result, and
the others go on. The result is written after each. Times are wall times; nothing is timed if the bytes differ, or on an
emulated driver.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks import gpu_kernels
from benchmarks.gpu_kernels import compiled_kernels, kernel_ms, workload_frames
from benchmarks.machine import cores, describe_machine
from benchmarks.workload import BUILD
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.render.cuda.compile import Capability, Compiler, arch_of

if TYPE_CHECKING:
    from video_pipeline.engine.render.cuda.device import Device
    from video_pipeline.engine.render.planes import Buffer

CAPABILITIES: Final[tuple[Capability, ...]] = ((7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0))
MEMORY_BYTES: Final = 8 * 10**9
HELD_FRAMES: Final = 12
"""Frames that NVENC holds with two B-frames."""

TOTAL_SECONDS: Final = 510.0
"""Time for all parts together: half a minute less than nine minutes."""

ESTIMATE: Final = Path(__file__).resolve().parent / "results" / "gpu-estimate.json"


def open_gpu() -> Device:
    """Return this machine's GPU, whose frames have been compared with the native rows'; raise UnavailableError."""
    from video_pipeline.engine.config import load_config
    from video_pipeline.engine.render.compositors.cuda import first_device

    return first_device(load_config(environ=False))


def _timed_gpu() -> Device:
    """Return the GPU; raise UnavailableError if it is emulated."""
    device = open_gpu()
    if device.name.startswith("Emulated"):
        raise UnavailableError("nothing is timed on an emulated driver")
    return device


def compiled(quick: bool) -> dict[str, Any]:
    """Compile the kernels, for this machine's GPU alone if it is quick and there is one."""
    compiler = Compiler()
    try:
        here: Capability | None = open_gpu().capability
    except UnavailableError:
        here = None
    chosen = [here] if quick and here else sorted({*CAPABILITIES, *([here] if here else [])})
    return {
        "compiler": compiler.name,
        "kernels": {
            arch_of(each): {name: asdict(made) for name, made in compiled_kernels(compiler, each).items()}
            for each in chosen
        },
    }


def parity(quick: bool) -> dict[str, Any]:
    """Compare frames of every transition, byte for byte; raise ValueError if one differs."""
    from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
    from video_pipeline.engine.render.cuda.painter import GpuPainter
    from video_pipeline.engine.render.cuda.self_check import native_frame
    from video_pipeline.native import kernels

    device = open_gpu()
    width, height = gpu_kernels.SIZE_PX
    painter = GpuPainter(device, width=width, height=height, bound=MEMORY_BYTES)
    wrong = []
    names = [name for name, _ in kernels.transition_records()]
    with painter.pinned_frames() as pinned:
        for number, name in enumerate(names[:: 8 if quick else 1]):
            spec = workload_frames(1.08, name)[number % 16]
            painter.draw([spec], pinned).finish()
            frame = pinned.bytes[: painter.frame_bytes].reshape(-1, width)
            if (native_frame(spec, width, height) != frame).any():
                wrong.append(name)
    if wrong:
        raise ValueError(f"{device.name} draws other bytes than the native rows: {', '.join(wrong)}")
    return {
        "device": device.name,
        "machine": describe_machine(str(find_ffmpeg().path)),
        "frames": "every transition equals the native rows, byte for byte",
    }


def kernels(quick: bool) -> dict[str, Any]:
    """Time each kernel, and say what bounds it."""
    return timed_kernels(_timed_gpu(), calls=3 if quick else 40)


def timed_kernels(device: Device, *, calls: int) -> dict[str, Any]:
    """Time whole frames of every kind, and each kernel of the kinds whose work is counted in the estimate."""
    from benchmarks.gpu_estimate import CASES
    from video_pipeline.engine.render.cuda.compile import KERNELS
    from video_pipeline.native import kernels as native

    cases = {f"still, step {step}": workload_frames(step) for step in gpu_kernels.STEPS}
    cases["still, step 1.08, no caption"] = workload_frames(1.08, caption=False)
    cases |= {f"transition {name}": workload_frames(1.08, name) for name, _ in native.transition_records()}
    found: dict[str, Any] = {
        "frame_ms": {name: round(kernel_ms(device, frames, calls=calls), 5) for name, frames in cases.items()}
    }
    still, fade = found["frame_ms"]["still, step 1.08"], found["frame_ms"]["transition fade"]
    joined = gpu_kernels.SHARE_JOINED
    found["composing_fps"] = round(1000 / (still * (1 - joined) + fade * joined), 1)
    estimated = json.loads(ESTIMATE.read_text(encoding="utf-8")) if ESTIMATE.is_file() else None
    figures = gpu_figures(device)
    found["gpu"] = figures
    found["kernels"] = {}
    for name, step, transition in CASES:
        frames = workload_frames(step, transition)
        each = {kernel: round(kernel_ms(device, frames, calls=calls, kernel=kernel), 5) for kernel in KERNELS}
        entry: dict[str, Any] = {"ms": {kernel: ms for kernel, ms in each.items() if ms > 0.0005}}
        if estimated and figures:
            whole = kernel_ms(device, frames, calls=calls)
            entry |= bounded(estimated["cases"][name], estimated, device.capability, figures, whole)
        found["kernels"][name] = entry
    return found


def gpu_figures(device: Device) -> dict[str, float]:
    """Return multiprocessors, clock and memory's bandwidth by the driver's word; nothing if it does not say."""
    try:
        from cuda.bindings import driver

        def ask(number: int) -> int:
            status, value = driver.cuDeviceGetAttribute(driver.CUdevice_attribute(number), device.number)
            if int(status) or value <= 0:
                raise ValueError(f"attribute {number}: status {int(status)}, value {value}")
            return int(value)

        processors, clock_khz, memory_khz, bus_bits = ask(16), ask(13), ask(36), ask(37)
    except (ImportError, ValueError):
        return {}
    return {
        "multiprocessors": processors,
        "clock_ghz": clock_khz / 1e6,
        "memory_gbs": 2 * memory_khz * bus_bits / 8 / 1e6,
    }


def bounded(
    case: dict[str, Any],
    estimated: dict[str, Any],
    capability: Capability,
    figures: dict[str, float],
    ms: float,
) -> dict[str, Any]:
    """Return what share of the measured time each part of the GPU needs at least, and which needs most."""
    from benchmarks.gpu_estimate import Counted, Sheet, bounds_ms

    arch = arch_of(capability)
    counts = case["ptx_a_frame"].get(arch)
    if counts is None:
        return {"bound_by": f"not counted for {arch}"}
    sheet = Sheet(
        "this",
        capability,
        int(figures["multiprocessors"]),
        figures["clock_ghz"],
        figures["memory_gbs"],
    )
    ratios = estimated["cubin_instructions_for_one_of_ptx"][arch]
    bounds = bounds_ms(
        {name: Counted(**each) for name, each in counts.items()}, ratios, sheet, case["least_bytes"]
    )
    shares = {part: round(bound / ms, 3) for part, bound in bounds.items()}
    by = max(shares, key=lambda part: shares[part])
    # Less than half of every bound: neither arithmetic nor memory, but waiting.
    return {"share_of_bounds": shares, "bound_by": by if shares[by] > 0.5 else f"latency (most: {by})"}


def _threads() -> list[int]:
    return sorted({1, 2, cores()})


def _fps(work: Callable[[float], int], threads: int, seconds: float) -> float:
    """Return the frames a second of a function on some threads, which works until a time and returns its frames."""
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        frames = sum(pool.map(work, [started + seconds] * threads))
        return round(frames / (time.perf_counter() - started), 1)


def path(quick: bool) -> dict[str, Any]:
    """Time the way to an encoder on the processor."""
    device = _timed_gpu()
    return {
        "fps": {
            str(number): path_fps(device, threads=number, seconds=0.5 if quick else 5)
            for number in _threads()
        }
    }


def path_fps(device: Device, *, threads: int, seconds: float) -> float:
    """Return the frames a second that threads draw into pinned memory, two batches of each under way."""
    from video_pipeline.engine.render.cuda.painter import GpuPainter

    width, height = gpu_kernels.SIZE_PX
    painter = GpuPainter(device, width=width, height=height, bound=MEMORY_BYTES)
    count = painter.batch_frames
    batch = _workload_batch(count)

    def draw(until: float) -> int:
        drawn = 0
        with painter.pinned_frames() as one, painter.pinned_frames() as other:
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

    return _fps(draw, threads, seconds)


def _workload_batch(count: int) -> list[Any]:
    joined = round(count * gpu_kernels.SHARE_JOINED)
    return [*workload_frames(1.08, "fade")[:joined], *workload_frames(1.08)][:count]


def encoder_path(quick: bool) -> dict[str, Any]:
    """Time the way up to an encoder on the GPU."""
    device = _timed_gpu()
    return {
        "fps": {
            str(number): encoder_path_fps(device, threads=number, seconds=0.5 if quick else 5)
            for number in _threads()
        }
    }


def encoder_path_fps(device: Device, *, threads: int, seconds: float) -> float:
    """Return the frames a second that threads draw, wrap for FFmpeg and hold as long as NVENC would."""
    import av
    from av.video.frame import CudaContext

    from video_pipeline.engine.render.compositors.cuda import AHEAD_FRAMES
    from video_pipeline.engine.render.cuda.painter import GpuPainter

    width, height = gpu_kernels.SIZE_PX
    painter = GpuPainter(device, width=width, height=height, bound=MEMORY_BYTES)
    batch = _workload_batch(AHEAD_FRAMES)

    def draw(until: float) -> int:
        ring = painter.ring(least=HELD_FRAMES + AHEAD_FRAMES, most=HELD_FRAMES + 2 * AHEAD_FRAMES)
        device.make_current()
        context = CudaContext(device_id=device.number, primary_ctx=False, current_ctx=True)
        held: deque[av.VideoFrame] = deque(maxlen=HELD_FRAMES)
        drawn = 0
        while time.perf_counter() < until:
            targets = ring.take(len(batch))
            painter.draw_surfaces(batch[: len(targets)], targets).finish()
            drawn += len(targets)
            while targets:
                planes = targets.pop(0).planes()
                held.append(av.VideoFrame.from_dlpack(planes, format="nv12", cuda_context=context))
        held.clear()
        ring.close()
        return drawn

    return _fps(draw, threads, seconds)


def copied_path(quick: bool) -> dict[str, Any]:
    """Time the way of frames in host memory up to an encoder on the GPU."""
    device = _timed_gpu()
    return {
        "fps": {
            str(number): copied_path_fps(device, threads=number, seconds=0.5 if quick else 5)
            for number in _threads()
        }
    }


def copied_path_fps(device: Device, *, threads: int, seconds: float) -> float:
    """Return the frames a second that threads copy to the GPU, as fast as they are there."""
    from video_pipeline.engine.render.cuda.surfaces import GpuFrame
    from video_pipeline.engine.render.cuda.uploads import GpuUploads
    from video_pipeline.engine.render.planes import new_frame

    width, height = gpu_kernels.SIZE_PX
    uploads = GpuUploads(device, width=width, height=height, bound=MEMORY_BYTES)

    def copy(until: float) -> int:
        frame = new_frame(width, height)
        frame[:] = np.arange(frame.size, dtype=np.uint8).reshape(frame.shape)

        def drawn() -> Generator[Buffer, None, None]:
            while time.perf_counter() < until:
                yield frame

        held: deque[GpuFrame] = deque(maxlen=HELD_FRAMES)
        count = 0
        with ExitStack() as stack:
            for each in uploads.frames(drawn(), held=HELD_FRAMES, stack=stack):
                held.append(each)
                count += 1
            del each
            held.clear()
        return count

    return _fps(copy, threads, seconds)


def peers(quick: bool) -> dict[str, Any]:
    """Time ffmpeg's own filters on a GPU."""
    from benchmarks.gpu_peers import time_peers
    from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg

    del quick
    return dict(time_peers(find_ffmpeg().path))


def renders(quick: bool) -> dict[str, Any]:
    """Time whole renders, and the processor's share of composing in one with libx264."""
    from benchmarks.gpu_renders import time_renders

    if quick:
        return {"skipped": "--quick"}
    _timed_gpu()
    return time_renders()


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the check, and the seconds that it may take."""

    name: str
    run: Callable[[bool], dict[str, Any]]
    seconds: float


PARTS: Final = (
    Part("compiled", compiled, 90),
    Part("parity", parity, 90),
    Part("kernels", kernels, 120),
    Part("path", path, 45),
    Part("encoder_path", encoder_path, 45),
    Part("copied_path", copied_path, 45),
    Part("peers", peers, 100),
    Part("renders", renders, 240),
)


def run_part(part: Part, *, quick: bool, seconds: float) -> dict[str, Any]:
    """Run a part as a program; return its result, with `error` if it has none, and the seconds that it took."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.gpu_check",
        "--part",
        part.name,
        *(["--quick"] if quick else []),
    ]
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        # A process inside the kernel's driver does not end by that, and is not waited for.
        return {"error": f"it took longer than {seconds:.0f} s", "seconds": round(seconds, 1)}
    taken = {"seconds": round(time.perf_counter() - started, 1)}
    lines = [line for line in err.splitlines() if line.strip()]
    if process.returncode < 0:
        return {
            "error": f"it was ended by {signal.Signals(-process.returncode).name}",
            "log": lines[-5:],
        } | taken
    try:
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
    except (IndexError, ValueError):
        return {"error": lines[-1] if lines else f"it ended with status {process.returncode}"} | taken
    return found | taken


def result_of(part: Part, *, quick: bool) -> dict[str, Any]:
    """Return what a part finds, or its error."""
    try:
        return part.run(quick)
    except UnavailableError as error:
        return {"skipped": str(error)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def check(out: Path | None, *, quick: bool, only: Sequence[str] = ()) -> tuple[dict[str, Any], Path]:
    """Run the parts one after another, and write the result after each; return it, and its file."""
    until = time.monotonic() + TOTAL_SECONDS
    result: dict[str, Any] = {"frame_px": gpu_kernels.SIZE_PX, "parts": {}}
    file = out or BUILD / "results" / "gpu.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        if only and part.name not in only:
            continue
        left = until - time.monotonic()
        if left > 5:
            found = run_part(part, quick=quick, seconds=min(part.seconds, left))
        else:
            found = {"error": "no time was left"}
        result["parts"][part.name] = found
        shown = found.get("error") or found.get("skipped")
        print(f"{part.name}: {shown or 'done'} ({found.get('seconds', 0):g} s)", file=sys.stderr, flush=True)
        if part.name == "parity" and "device" in found and out is None:
            name = "".join(letter if letter.isalnum() else "-" for letter in found["device"].lower())
            file.unlink(missing_ok=True)
            file = file.with_name(f"gpu-{name.strip('-')}.json")
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        if part.name == "parity" and "error" in found and not found["error"].startswith("it "):
            break  # the GPU draws other bytes, and nothing is timed
    return result, file


def main(argv: Sequence[str] | None = None) -> int:
    """Check, measure and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="few calls, no renders")
    parser.add_argument("--compiled", action="store_true", help="only what NVRTC says of the kernels")
    parser.add_argument(
        "--only", nargs="+", choices=[part.name for part in PARTS], metavar="PART", help="these parts alone"
    )
    parser.add_argument("--out", type=Path, help="file for the result")
    parser.add_argument(
        "--part", choices=[part.name for part in PARTS], help="run one part here, and print it"
    )
    options = parser.parse_args(argv)
    if options.part:
        part = next(part for part in PARTS if part.name == options.part)
        print(json.dumps(result_of(part, quick=options.quick)), flush=True)
        os._exit(0)  # a driver may hang when its library is closed
    only = ["compiled"] if options.compiled else options.only or ()
    result, file = check(options.out, quick=options.quick, only=only)
    print(file)
    found = result["parts"].get("parity", {})
    if "device" in found or (only and "parity" not in only):
        return 0
    print(f"no GPU is measured: {found.get('skipped') or found.get('error')}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
