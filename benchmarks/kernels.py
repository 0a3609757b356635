"""Time every native kernel on each instruction set of this processor, next to a memory copy and other libraries.

A frame is 1080x1920, 4:2:0. Times are processor time of the calling thread: median and best of many calls. The
copy, `memcpy`, copies one frame between touched buffers: no kernel that reads and writes a frame can be faster.

    python -m benchmarks.kernels             the cheapest, median and dearest transition
    python -m benchmarks.kernels --all       every transition, on every instruction set
    python -m benchmarks.kernels --quick     few calls, into build/bench/results/: a check that all of it runs
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace, Interpolation
from PIL import Image

from benchmarks.machine import describe_machine
from benchmarks.report import kernels_markdown
from benchmarks.workload import BUILD

RESULTS = Path(__file__).resolve().parent / "results"
SIZE_PX = (1080, 1920)
STEPS = (0.83, 1.0, 1.2, 1.6)
CAPTION_PX = (900, 300)
PROGRESS = (0.9, 0.7, 0.5, 0.3, 0.1)
"""The points of progress at which a transition is timed; its time is their mean."""
SEED = 1

Bytes = npt.NDArray[np.uint8]
Planes = tuple[Bytes, Bytes, Bytes]


@dataclass(frozen=True, slots=True)
class Peer:
    """Another library's call that draws the same picture."""

    name: str
    run: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Case:
    """A kernel to time: one call of `run` makes `frames` frames."""

    name: str
    run: Callable[[], object]
    peers: tuple[Peer, ...] = ()
    frames: int = 1


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds a frame."""

    median_ms: float
    best_ms: float
    calls: int


def time_calls(run: Callable[[], object], *, calls: int, frames: int = 1) -> Timing:
    """Call `run` once as a warm-up, then `calls` times; return this thread's processor time a frame."""
    run()
    taken = []
    for _ in range(calls):
        started = time.thread_time()
        run()
        taken.append(1e3 * (time.thread_time() - started) / frames)
    return Timing(round(statistics.median(taken), 4), round(min(taken), 4), calls)


def new_planes(size_px: tuple[int, int]) -> tuple[Bytes, Planes]:
    """Return a frame of smooth detail, shape (height * 3 / 2, width), and its planes."""
    from video_pipeline.engine.render.planes import planes_of

    width, height = size_px
    rng = np.random.default_rng(SEED)
    coarse = Image.fromarray(rng.integers(16, 236, (height * 3 // 16, width // 8), np.uint8))
    frame = np.asarray(coarse.resize((width, height * 3 // 2), Image.Resampling.BICUBIC)).copy()
    return frame, planes_of(frame)


def resample_case(step: float, target: Planes) -> Case:
    """Return the case that resamples a frame's planes, with `step` picture pixels for each frame pixel."""
    from video_pipeline.native import kernels

    width, height = SIZE_PX
    source_px = (round(width * step / 2) * 2, round(height * step / 2) * 2)
    frame, planes = new_planes((source_px[0] + 8, source_px[1] + 8))
    inner = new_planes(source_px)[0]
    del frame
    peers = [Peer("Pillow bicubic, plane by plane", partial(_pillow_resize, planes, step))]
    if source_px != SIZE_PX:  # if sizes are equal, swscale only copies
        video = av.VideoFrame.from_ndarray(inner, format="yuv420p")
        peers.insert(0, Peer("swscale bicubic, whole pixels", partial(_swscale_resize, video)))
    run = partial(kernels.resample_frame, planes, target, left=3.3, top=2.7, step_x=step, step_y=step)
    return Case(f"resample_frame, step {step:g}", run, tuple(peers))


def _swscale_resize(video: av.VideoFrame) -> object:
    return video.reformat(width=SIZE_PX[0], height=SIZE_PX[1], interpolation=Interpolation.BICUBIC, threads=1)


def _pillow_resize(planes: Planes, step: float) -> None:
    for plane, scale in zip(planes, (1, 2, 2), strict=True):
        width, height = SIZE_PX[0] // scale, SIZE_PX[1] // scale
        left, top = 3.3 / scale, 2.7 / scale
        box = (left, top, left + width * step, top + height * step)
        Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC, box=box)


def _numpy_blend(target: Planes, layers: list[tuple[Bytes, Bytes]]) -> None:
    for plane, (colour, alpha) in zip(target, layers, strict=True):
        height, width = colour.shape
        under = plane[200 : 200 + height, 90 : 90 + width]
        mixed = under.astype(np.uint16) * (255 - alpha) + colour.astype(np.uint16) * alpha
        under[:] = (mixed + 127) // 255


def _numpy_fade(target: Planes) -> None:
    for plane, level in zip(target, (16, 128, 128), strict=True):
        mixed = plane.astype(np.uint16) * 179 + (level * 76 + 127)
        plane[:] = mixed // 255


def _numpy_mix(first: Planes, second: Planes, target: Planes) -> None:
    for one, other, plane in zip(first, second, target, strict=True):
        plane[:] = (one.astype(np.uint16) * 128 + other.astype(np.uint16) * 127 + 127) // 255


def transition_case(name: str, first: Planes, second: Planes, target: Planes) -> Case:
    """Return the case of a transition at each of PROGRESS."""
    from video_pipeline.native import kernels

    def run() -> None:
        for progress in PROGRESS:
            kernels.transition(name, progress, first, second, target)

    peers = (Peer("numpy", partial(_numpy_mix, first, second, target)),) if name == "fade" else ()
    return Case(f"transition {name}", run, peers, frames=len(PROGRESS))


def plain_cases(target: Planes) -> list[Case]:
    """Return the cases of all kernels except the transitions."""
    from video_pipeline.native import kernels

    rng = np.random.default_rng(SEED)
    width, height = SIZE_PX
    rgb = rng.integers(0, 256, (height, width, 3), np.uint8)
    rgb_frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    caption = rng.integers(0, 256, (CAPTION_PX[1], CAPTION_PX[0], 4), np.uint8)
    overlay = kernels.Overlay(caption)
    layers = [
        (caption[::scale, ::scale, plane], caption[::scale, ::scale, 3])
        for plane, scale in enumerate((1, 2, 2))
    ]
    to_yuv = partial(
        rgb_frame.reformat,
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        interpolation=Interpolation.BICUBIC,
        threads=1,
    )
    return [
        *(resample_case(step, target) for step in STEPS),
        Case(
            "fade", partial(kernels.fade, target, amount=0.3), (Peer("numpy", partial(_numpy_fade, target)),)
        ),
        Case(
            f"blend of a caption of {CAPTION_PX[0]}x{CAPTION_PX[1]}",
            partial(kernels.blend, target, overlay, x=90, y=200, opacity=0.7),
            (Peer("numpy", partial(_numpy_blend, target, layers)),),
        ),
        Case("rgb_to_yuv", partial(kernels.rgb_to_yuv, rgb, target), (Peer("swscale", to_yuv),)),
    ]


@contextmanager
def forced(target: str) -> Iterator[None]:
    """Use one instruction set inside the `with` block, and the best one again after it."""
    from video_pipeline.native import kernels

    kernels.force_target(target)
    try:
        yield
    finally:
        kernels.force_target("auto")


def cheapest_median_dearest(times: dict[str, float]) -> tuple[str, ...]:
    """Return the names with the shortest, the median and the longest time."""
    ordered = sorted(times, key=lambda name: times[name])
    return tuple(dict.fromkeys((ordered[0], ordered[len(ordered) // 2], ordered[-1])))


def measure_case(case: Case, *, calls: int, copy_ms: float) -> list[dict[str, Any]]:
    """Time a case; return one row for each instruction set."""
    from video_pipeline.native import kernels

    peers = {peer.name: time_calls(peer.run, calls=calls) for peer in case.peers}
    rows = []
    for target in kernels.usable_targets():
        with forced(target):
            timing = time_calls(case.run, calls=calls, frames=case.frames)
        rows.append(
            {
                "kernel": case.name,
                "target": target,
                "median_ms": timing.median_ms,
                "best_ms": timing.best_ms,
                "memcpy": round(timing.median_ms / copy_ms, 3),
                "peers": {
                    name: {"median_ms": peer.median_ms, "ratio": round(peer.median_ms / timing.median_ms, 2)}
                    for name, peer in peers.items()
                },
            }
        )
    return rows


def measure_kernels(*, calls: int, every_transition: bool) -> dict[str, Any]:
    """Return the rows of all kernels and the time of the copy that they are compared with."""
    from video_pipeline.engine.render.planes import new_frame, planes_of
    from video_pipeline.native import kernels

    frame, first = new_planes(SIZE_PX)
    second = new_planes(SIZE_PX)[1]
    drawn = new_frame(*SIZE_PX)
    target = planes_of(drawn)
    copy = time_calls(partial(np.copyto, drawn, frame), calls=max(calls, 50))
    rows = [
        row for case in plain_cases(target) for row in measure_case(case, calls=calls, copy_ms=copy.median_ms)
    ]
    transitions = {
        name: transition_case(name, first, second, target) for name, _ in kernels.transition_records()
    }
    times = {
        name: time_calls(case.run, calls=max(3, calls // 5), frames=case.frames).median_ms
        for name, case in transitions.items()
    }
    shown = transitions if every_transition else cheapest_median_dearest(times)
    for name in dict.fromkeys(("fade", *shown)):
        rows += measure_case(transitions[name], calls=max(3, calls // 3), copy_ms=copy.median_ms)
    return {"memcpy_ms": copy.median_ms, "calls": calls, "rows": rows, "transitions_ms": times}


def main() -> int:
    """Measure, print the tables and write them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kernels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--all", action="store_true", help="every transition on every instruction set")
    parser.add_argument("--calls", type=int, default=60, help="calls of each (default 60)")
    parser.add_argument("--quick", action="store_true", help="few calls: a check that all of it runs")
    options = parser.parse_args()
    import imageio_ffmpeg

    from video_pipeline import native

    if not native.available():
        parser.error("the native extension was not built with this installation")
    flags = " --all" if options.all else ""
    results = {
        "name": "kernels",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": f"python -m benchmarks.kernels{flags}{' --quick' if options.quick else ''}",
        "machine": describe_machine(imageio_ffmpeg.get_ffmpeg_exe()),
        "size_px": SIZE_PX,
        **measure_kernels(calls=3 if options.quick else options.calls, every_transition=options.all),
    }
    folder = BUILD / "results" if options.quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    text = kernels_markdown(results)
    (folder / "kernels.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "kernels.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
