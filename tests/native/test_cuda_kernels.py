"""The CUDA kernels, compiled as C++, draw the native rows' frames byte for byte."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.support.cuda_build import compile_cpp, run_program
from tests.support.cuda_kernels import (
    Drawing,
    Kernels,
    Launch,
    Layer,
    Side,
    View,
    differing,
    draw_native,
    half,
    planes_bytes,
)
from tests.support.paths import ROOT
from video_pipeline import native
from video_pipeline.engine.render.planes import Buffer
from video_pipeline.native import kernels

if not native.available():
    pytest.skip("the extension native._core was not built", allow_module_level=True)

NAMES = [name for name, _ in kernels.transition_records()]
SIZES = ((134, 94), (65, 17), (64, 16), (77, 131), (2, 2), (1, 1), (3, 40))
"""Whole tiles and parts of tiles, odd sides, and frames smaller than a tile."""

SOMEWHERE = 1 << 20
"""An address that nothing is read from."""

SEED = int(os.environ.get("CUDA_SEED") or np.random.SeedSequence().generate_state(1)[0])


@pytest.fixture(scope="module")
def library(cuda_kernels: Path) -> Kernels:
    """The kernels on the CPU."""
    print(f"CUDA_SEED={SEED}")
    return Kernels.load(cuda_kernels)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers of the run's seed and the test's name."""
    return np.random.default_rng([SEED, *request.node.name.encode()])


def picture(rng: np.random.Generator, width: int, height: int) -> Buffer:
    """Return planes of noise, of a slope, or of extremes."""
    size = planes_bytes(width, height)
    kind = rng.integers(3)
    if kind == 0:
        return rng.integers(0, 256, size, dtype=np.uint8)
    if kind == 1:
        return (np.arange(size) // 3 + rng.integers(0, 4, size)).astype(np.uint8)
    return rng.choice(np.array([0, 255], np.uint8), size)


def random_side(rng: np.random.Generator, width: int, height: int) -> Side:
    """Return a still anywhere in its picture and over its edges, or footage."""
    fade = float(rng.choice([0.0, 1.0, rng.random()]))
    if rng.random() < 0.25:
        return Side(picture(rng, width, height), width, height, None, fade)
    steps = [float(rng.choice([1.0, 2.0, rng.uniform(0.05, 2)])) for _ in range(2)]
    wide, high = (
        max(1, int(length * step) + int(rng.integers(-2, 9)))
        for length, step in zip((width, height), steps, strict=True)
    )
    view = View(float(rng.uniform(-4, 6)), float(rng.uniform(-4, 6)), *steps)
    return Side(picture(rng, wide, high), wide, high, view, fade)


def random_layer(rng: np.random.Generator, width: int, height: int) -> Layer:
    """Return a picture anywhere, also partly outside the frame, whole or in part."""
    wide, high = (int(rng.integers(1, length + 8)) for length in (width, height))
    rgba = rng.integers(0, 256, (high, wide, 4), dtype=np.uint8)
    rgba[..., 3] = rng.choice(np.array([0, 1, 2, 128, 255], np.uint8), (high, wide))
    if rng.random() < 0.5:  # columns that are not seen on either side
        rgba[:, : int(rng.integers(0, wide + 1)), 3] = 0
        rgba[:, int(rng.integers(0, wide + 1)) :, 3] = 0
    x = int(rng.choice([0, rng.integers(-wide, width + 1)]))
    y = int(rng.choice([0, rng.integers(-high, height + 1)]))
    part = None
    if rng.random() < 0.5:
        left, top = int(rng.integers(0, wide + 1)), int(rng.integers(0, high + 1))
        part = (left, top, int(rng.integers(0, wide - left + 1)), int(rng.integers(0, high - top + 1)))
    opacity = float(rng.choice([0.0, 1.0, rng.random()]))
    return Layer(kernels.Overlay(rgba), x, y, opacity, part)


def check(library: Kernels, drawings: list[Drawing], *, interleaved: bool, extra: int = 0) -> None:
    """Draw frames of one size both ways, and compare."""
    width = drawings[0].width
    stride = 2 * half(width) + 2 * extra
    drawn = Launch(drawings, interleaved, stride).draw(library)
    for drawing, planes in zip(drawings, drawn, strict=True):
        wrong = differing(planes, draw_native(drawing))
        assert wrong == 0, f"{wrong} bytes differ; CUDA_SEED={SEED}: {drawing}"


@pytest.mark.parametrize("name", NAMES)
def test_a_transition_with_fades_and_layers_equals_the_native_rows(
    name: str, library: Kernels, rng: np.random.Generator
) -> None:
    for number, (width, height) in enumerate(SIZES):
        drawings = []
        for _ in range(4):
            progress = float(rng.choice([0.0, 1.0, 0.5, rng.random(), rng.random()]))
            sides = (random_side(rng, width, height), random_side(rng, width, height))
            layers = tuple(random_layer(rng, width, height) for _ in range(rng.integers(0, 4)))
            drawings.append(Drawing(width, height, sides, (name, progress), layers))
        check(library, drawings, interleaved=number % 2 == 0, extra=int(rng.integers(0, 9)))


@pytest.mark.parametrize("size", SIZES)
def test_stills_and_footage_under_layers_equal_the_native_rows(
    size: tuple[int, int], library: Kernels, rng: np.random.Generator
) -> None:
    for number in range(12):
        drawings = [
            Drawing(
                *size,
                (random_side(rng, *size),),
                layers=tuple(random_layer(rng, *size) for _ in range(rng.integers(0, 6))),
            )
            for _ in range(3)
        ]
        check(library, drawings, interleaved=number % 2 == 0)


def test_pictures_that_are_close_to_each_other_change_by_distance_alike(
    library: Kernels, rng: np.random.Generator
) -> None:
    """Samples of which some pixels are near and others are not."""
    width, height = 301, 201
    first = rng.integers(0, 256, planes_bytes(width, height), dtype=np.uint8)
    away = rng.choice(np.array([-120, -60, 0, 60, 120]), first.size)
    second = np.clip(first.astype(int) + away, 0, 255).astype(np.uint8)
    sides = tuple(Side(flat, width, height) for flat in (first, second))
    drawings = [Drawing(width, height, sides, ("distance", at)) for at in rng.uniform(0.15, 0.6, 6)]
    check(library, drawings, interleaved=True)


def test_colours_beside_what_is_seen_of_a_layer_do_not_show(library: Kernels) -> None:
    rgba = np.zeros((4, 24, 4), np.uint8)
    rgba[..., 0], rgba[:, 3:20, 3] = (
        255,
        1,
    )  # so faint at its ends that a chroma sample has alpha 0 and a colour
    flat = np.full(planes_bytes(40, 20), 100, np.uint8)
    for x in range(4):
        layers = (Layer(kernels.Overlay(rgba), x, 2),)
        check(library, [Drawing(40, 20, (Side(flat, 40, 20),), layers=layers)], interleaved=True)


def test_a_plan_that_does_not_fit_is_refused() -> None:
    memory = np.zeros(64, np.uint8)
    plan = kernels.CudaPlan(memory, address=SOMEWHERE, width=64, height=64)
    plan.begin(target=SOMEWHERE, stride=64, interleaved=False)
    with pytest.raises(ValueError, match="64 bytes of the plan"):
        plan.still(SOMEWHERE, width=64, height=64, left=0, top=0, step_x=1, step_y=1)


def test_a_frame_takes_two_pictures_and_their_transition() -> None:
    memory = np.zeros(1 << 16, np.uint8)
    plan = kernels.CudaPlan(memory, address=SOMEWHERE, width=8, height=8)
    plan.begin(target=SOMEWHERE, stride=8, interleaved=False)
    plan.copy(SOMEWHERE)
    with pytest.raises(ValueError, match="two pictures"):
        plan.transition("fade", 0.5, scratch=SOMEWHERE)
    plan.copy(SOMEWHERE)
    with pytest.raises(ValueError, match="two pictures"):
        plan.copy(SOMEWHERE)
    with pytest.raises(ValueError, match="transition"):
        plan.end()


def test_threads_of_a_block_do_not_race(tmp_path: Path) -> None:
    """Every kernel under the thread sanitizer, with real threads; their number divides no tile."""
    folder = ROOT / "native"
    names = ("overlay.cpp", "cuda/plan.cpp", "cpu/lines.cpp", "cpu/transition.cpp", "cpu/dispatch.cpp")
    sources = [ROOT / "tests/native/cuda_races.cpp", *(folder / name for name in names)]
    sources.append(folder / "cpu/rows_baseline.cpp")
    alone = compile_cpp(sources, tmp_path / "alone", "-O1")
    threads = compile_cpp(
        sources, tmp_path / "threads", "-O1", "-g", "-fsanitize=thread", "-DCPU_BLOCK_THREADS=10", "-pthread"
    )
    sums = []
    for program in (alone, threads):
        done = run_program(program)
        assert done.returncode == 0, done.stderr[-4000:]
        sums.append(done.stdout)
    assert sums[0] == sums[1]
