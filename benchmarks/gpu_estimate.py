"""Estimate how fast the cuda compositor's kernels are on GPUs that are not at hand.

    python -m benchmarks.gpu_estimate        writes benchmarks/results/gpu-estimate.json and .md

Nothing here is measured on a GPU. The kernels' PTX is run on the processor for whole frames of 1080x1920 (`ptx.py`), so
loops are weighed by how often they run, and its bytes are compared with the native rows'. A GPU's own code has another
number of instructions than PTX: the counts are scaled by the ratio of the two texts' lengths. Four bounds follow from
a GPU's data sheet, of which the lowest decides:

    issue          each of an SM's four schedulers begins one instruction of a warp per clock
    integer        64 lanes of an SM (128 in consumer Blackwell) work on whole numbers: a warp's instruction takes half a
                   clock of the SM, as if multiply-adds had no lanes of their own
    load/store     32 lanes of an SM reach memory of any kind, so a warp's instruction takes a clock of the SM
    memory         the bytes that a frame moves at least, by the data sheet's bandwidth

Multiply-adds do have lanes of their own before Blackwell, and the compiler makes use of them, so `integer` is what is
likely and `issue` is what no program exceeds. A real GPU waits besides: for data, at barriers, for blocks to end.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.gpu_kernels import (
    SHARE_JOINED,
    SIZE_PX,
    CompiledKernel,
    bytes_a_frame,
    compiled_kernels,
    workload_frames,
)
from benchmarks.ptx import Executed, Kernel, PtxKernels, build, translate
from video_pipeline.engine.render.cuda.compile import Capability, Compiler, arch_of
from video_pipeline.engine.render.cuda.device import Pinned
from video_pipeline.engine.render.cuda.painter import FrameSpec, GpuPainter
from video_pipeline.engine.render.cuda.self_check import native_frame
from video_pipeline.engine.render.planes import Buffer

RESULTS: Final = Path(__file__).resolve().parent / "results"
MEMORY_BYTES: Final = 2 * 10**9
LAUNCH_FRAMES: Final = 2
"""Frames of each case that are run: they differ in a transition's progress only."""

SCHEDULERS, MEMORY_LANES, WARP = 4, 32, 32


@dataclass(frozen=True, slots=True)
class Sheet:
    """A GPU by NVIDIA's data sheet: streaming multiprocessors, boost clock in GHz, memory in GB/s."""

    name: str
    capability: Capability
    multiprocessors: int
    clock_ghz: float
    memory_gbs: float

    @property
    def integer_lanes(self) -> int:
        """Lanes of a multiprocessor for whole numbers; CUDA's programming guide, and Blackwell's white paper."""
        return 128 if self.capability[0] == 12 else 64


# NVIDIA's data sheets and architecture white papers, as of 2026-11.
SHEETS: Final = (
    Sheet("H100 SXM", (9, 0), 132, 1.98, 3350),
    Sheet("H200 SXM", (9, 0), 132, 1.98, 4800),
    Sheet("A100 SXM", (8, 0), 108, 1.41, 2039),
    Sheet("L40S", (8, 9), 142, 2.52, 864),
    Sheet("L4", (8, 9), 58, 2.04, 300),
    Sheet("RTX 4090", (8, 9), 128, 2.52, 1008),
    Sheet("RTX 5090", (12, 0), 170, 2.41, 1792),
    Sheet("T4", (7, 5), 40, 1.59, 320),
)

CASES: Final[tuple[tuple[str, float, str | None], ...]] = (
    ("still, step 1.08 (4 taps)", 1.08, None),
    ("still, step 1.4 (6 taps)", 1.4, None),
    ("still, step 1.9 (8 taps)", 1.9, None),
    ("fade of two stills", 1.08, "fade"),
    ("circleopen of two stills", 1.08, "circleopen"),
    ("zoomin of two stills", 1.08, "zoomin"),
    ("distance of two stills", 1.08, "distance"),
    ("hblur of two stills", 1.08, "hblur"),
)
"""A name, source pixels for each of the frame's, and a transition."""


class HostDevice:
    """A device whose memory is the processor's and whose kernels are translated PTX.

    Kernels and downloads wait for `run`: they take longer than the painter lets a driver take.
    """

    name = "PTX on the processor"
    number = 0

    def __init__(self, kernels: PtxKernels, capability: Capability) -> None:
        self.capability = capability
        self._kernels = kernels
        self._memory: dict[int, Buffer] = {}
        self._waiting: list[Callable[[], None]] = []

    def run(self) -> None:
        """Do what waits."""
        for work in self._waiting:
            work()
        self._waiting.clear()

    def make_current(self) -> None:
        """Do nothing: there is one memory."""

    def _new(self, size: int) -> Buffer:
        memory = np.zeros(size + 512, np.uint8)
        start = -memory.ctypes.data % 512
        self._memory[memory.ctypes.data + start] = memory
        return memory[start : start + size]

    def allocate(self, size: int) -> int:
        """Return the address of new memory."""
        return int(self._new(size).ctypes.data)

    def free(self, address: int) -> None:
        """Give memory back."""
        del self._memory[address]

    def pin(self, size: int) -> Pinned:
        """Return new memory."""
        memory = self._new(size)
        return Pinned(memory, memory.ctypes.data)

    def unpin(self, memory: Pinned) -> None:
        """Give memory back."""
        self.free(memory.handle)

    def open_stream(self) -> int:
        """Return a stream, of which there is one."""
        return 1

    def close_stream(self, stream: int) -> None:
        """Do nothing."""

    def upload(self, target: int, source: Buffer, stream: int) -> None:
        """Copy."""
        del stream
        self._at(target, source.nbytes)[:] = source.reshape(-1)

    def download(self, target: Buffer, source: int, stream: int) -> None:
        """Copy when `run` is called."""
        del stream
        self._waiting.append(lambda: np.copyto(target, self._at(source, target.nbytes)))

    def _at(self, address: int, size: int) -> Buffer:
        for start, memory in self._memory.items():
            if start <= address and address + size <= start + memory.nbytes:
                offset = address - memory.ctypes.data
                return memory[offset : offset + size]
        raise ValueError(f"{size} bytes at {address:#x} are no memory of this device")

    def load(self, cubin: bytes) -> None:
        """Do nothing: the kernels are there."""

    def launch(
        self, kernel: str, grid: tuple[int, int, int], *, threads: int, argument: int, stream: int
    ) -> None:
        """Run a kernel when `run` is called."""
        del threads, stream
        self._waiting.append(lambda: self._kernels.launch(kernel, grid, argument))

    def synchronise(self, stream: int) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the warps of one kernel execute for a frame, by kind, in PTX; bytes are those that threads ask for."""

    warp_instructions: dict[str, float]
    load_bytes: float
    store_bytes: float


def counted(kernels: PtxKernels, frames: Sequence[FrameSpec]) -> dict[str, Counted]:
    """Draw frames and return what each kernel has executed for one; raise ValueError if they are not the native rows'."""
    device = HostDevice(kernels, (0, 0))
    painter = GpuPainter(device, width=SIZE_PX[0], height=SIZE_PX[1], bound=MEMORY_BYTES)
    with painter.pinned_frames() as pinned:
        batch = painter.draw(frames, pinned)
        device.run()
        batch.finish()
        size = len(frames) * painter.frame_bytes
        drawn = pinned.bytes[:size].reshape(len(frames), -1, SIZE_PX[0])
        for spec, frame in zip(frames, drawn, strict=True):
            wrong = int((native_frame(spec, *SIZE_PX) != frame).sum())
            if wrong:
                raise ValueError(f"the PTX draws other frames than the processor: {wrong} bytes differ")
    found = {name: kernels.take(name) for name in kernels.names}
    return {
        name: _each(executed, len(frames))
        for name, executed in found.items()
        if any(executed.warp_instructions.values())
    }


def _each(executed: Executed, frames: int) -> Counted:
    kinds = {kind: count / frames for kind, count in executed.warp_instructions.items()}
    return Counted(kinds, executed.load_bytes / frames, executed.store_bytes / frames)


def bounds_ms(
    counts: dict[str, Counted], ratios: dict[str, float], sheet: Sheet, least_bytes: int
) -> dict[str, float]:
    """Return the milliseconds of a frame that each part of a GPU needs at least. `ratios` scale PTX instructions."""
    whole, integer, memory = 0.0, 0.0, 0.0
    for name, each in counts.items():
        kinds = each.warp_instructions
        total = sum(kinds.values())
        whole += total * ratios[name]
        integer += kinds["integer"] * ratios[name]
        memory += total - kinds["integer"] - kinds["control"]  # loads and stores are as many in both texts
    clocks = sheet.multiprocessors * sheet.clock_ghz * 1e6  # of all SMs in a millisecond
    return {
        "issue": whole / SCHEDULERS / clocks,
        "integer": integer * WARP / sheet.integer_lanes / clocks,
        "load/store": memory * WARP / MEMORY_LANES / clocks,
        "memory": least_bytes / (sheet.memory_gbs * 1e6),
    }


def least_bytes(step: float, transition: str | None, passes: int) -> int:
    """Return the bytes that a frame moves at least: pictures read, the frame written, and those between two passes."""
    frame = SIZE_PX[0] * SIZE_PX[1] * 3 // 2
    one = bytes_a_frame(step)
    if transition is None:
        return one
    return 2 * (one - frame) + frame + (4 * frame if passes > 1 else 0)


@dataclass(frozen=True, slots=True)
class _Target:
    """The kernels for one compute capability, as CUBIN and as PTX; targets of equal PTX share what runs it."""

    compiled: dict[str, CompiledKernel]
    texts: tuple[Kernel, ...]
    kernels: PtxKernels

    def ratios(self) -> dict[str, float]:
        """Return, for each kernel, the instructions of the CUBIN for one of PTX."""
        return {text.name: self.compiled[text.name].instructions / text.instructions for text in self.texts}


def _targets(compiler: Compiler, folder: Path) -> dict[str, _Target]:
    found: dict[str, _Target] = {}
    running: dict[tuple[Kernel, ...], PtxKernels] = {}
    for sheet in SHEETS:
        arch = arch_of(sheet.capability)
        if arch in found:
            continue
        texts = translate(compiler.ptx(sheet.capability))
        same = next((known for known in running if [k.text for k in known] == [k.text for k in texts]), None)
        if same is None:
            place = folder / arch
            place.mkdir()
            running[texts] = PtxKernels(texts, build(texts, place))
            same = texts
        found[arch] = _Target(compiled_kernels(compiler, sheet.capability), texts, running[same])
    return found


def estimate(folder: Path) -> dict[str, Any]:
    """Return counts of each case and bounds on each GPU."""
    compiler = Compiler()
    targets = _targets(compiler, folder)
    cases: dict[str, Any] = {}
    for name, step, transition in CASES:
        frames = workload_frames(step, transition)[:: 16 // LAUNCH_FRAMES][:LAUNCH_FRAMES]
        counts: dict[int, dict[str, Counted]] = {}
        for target in targets.values():
            if id(target.kernels) not in counts:
                counts[id(target.kernels)] = counted(target.kernels, frames)
        of_arch = {arch: counts[id(target.kernels)] for arch, target in targets.items()}
        moved = least_bytes(step, transition, len(of_arch[arch_of(SHEETS[0].capability)]))
        gpus = {}
        for sheet in SHEETS:
            arch = arch_of(sheet.capability)
            bounds = bounds_ms(of_arch[arch], targets[arch].ratios(), sheet, moved)
            by = max(bounds, key=lambda part: bounds[part])
            gpus[sheet.name] = {
                "ms_at_least": {part: round(ms, 5) for part, ms in bounds.items()},
                "bound_by": by,
                "fps": round(1000 / bounds[by]),
                "fps_at_most": round(1000 / max(ms for part, ms in bounds.items() if part != "integer")),
            }
        cases[name] = {
            "least_bytes": moved,
            "ptx_a_frame": {
                arch: {kernel: asdict(each) for kernel, each in counts.items()}
                for arch, counts in of_arch.items()
            },
            "gpus": gpus,
        }
    return {
        "what": "an estimate: nothing was measured on a GPU",
        "how": "python -m benchmarks.gpu_estimate",
        "compiler": compiler.name,
        "frame_px": SIZE_PX,
        "sheets": [asdict(sheet) for sheet in SHEETS],
        "compiled": {
            arch: {name: asdict(made) for name, made in target.compiled.items()}
            for arch, target in targets.items()
        },
        "cubin_instructions_for_one_of_ptx": {
            arch: {name: round(ratio, 3) for name, ratio in target.ratios().items()}
            for arch, target in targets.items()
        },
        "cases": cases,
        "workload_fps": {
            sheet.name: {key: _workload_fps(cases, sheet.name, key) for key in ("fps", "fps_at_most")}
            for sheet in SHEETS
        },
    }


def _workload_fps(cases: dict[str, Any], gpu: str, key: str) -> int:
    """Return the frames a second of stills and, for the share of them that a transition has, fades."""

    def ms(case: str) -> float:
        return 1000 / float(cases[case]["gpus"][gpu][key])

    still, fade = ms("still, step 1.08 (4 taps)"), ms("fade of two stills")
    return round(1000 / (still * (1 - SHARE_JOINED) + fade * SHARE_JOINED))


def as_text(found: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    lines = [
        "# Estimate of the cuda compositor's speed",
        "",
        "**An estimate: nothing was measured on a GPU.** `python -m benchmarks.gpu_estimate` counts what the kernels' PTX",
        f"executes for frames of {SIZE_PX[0]}x{SIZE_PX[1]} under a caption, run on the processor, where its bytes are those of",
        "the native rows, and derives bounds from data sheets; the module says how. No program exceeds *at most*; *likely*",
        "takes it that all arithmetic shares one kind of lanes; a real GPU is slower than that too, for it also waits.",
        f"Compiled by {found['compiler']}.",
        "",
        "Composing the benchmark's workload (an eighth of the frames in a fade) in the GPU's memory:",
        "",
        "| GPU | likely less than, fps | at most, fps |",
        "|---|---:|---:|",
    ]
    lines += [
        f"| {name} | {each['fps']:,} | {each['fps_at_most']:,} |"
        for name, each in found["workload_fps"].items()
    ]
    lines += [
        "",
        f"Millions of PTX instructions of warps a frame, by kernel ({arch_of(SHEETS[0].capability)}):",
        "",
        "| frame | kernel | integer | global load | global store | shared | local | control | MB asked for |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, case in found["cases"].items():
        for kernel, counts in case["ptx_a_frame"][arch_of(SHEETS[0].capability)].items():
            kinds = counts["warp_instructions"]
            numbers = " | ".join(f"{count / 1e6:.3f}" for count in kinds.values())
            asked = (counts["load_bytes"] + counts["store_bytes"]) / 1e6
            lines.append(f"| {name} | `{kernel}` | {numbers} | {asked:.1f} |")
    lines += ["", "What bounds each frame, in microseconds:", ""]
    shown = ("H100 SXM", "L4", "RTX 4090")
    lines.append(
        "| frame | " + " | ".join(f"{gpu}: issue, integer, load/store, memory" for gpu in shown) + " |"
    )
    lines.append("|---|" + "---|" * len(shown))
    for name, case in found["cases"].items():
        cells = []
        for gpu in shown:
            entry = case["gpus"][gpu]
            numbers = ", ".join(f"{1000 * ms:.0f}" for ms in entry["ms_at_least"].values())
            cells.append(f"{numbers}: {entry['bound_by']}, {entry['fps']:,} fps")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "Registers, shared memory, spills and instructions in the code are in gpu-estimate.json, and in docs/gpu.md.",
    ]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Estimate, and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu-estimate.json", help="file for the result")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        found = estimate(Path(folder))
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    options.out.with_suffix(".md").write_text(as_text(found), encoding="utf-8")
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
