"""The native transitions: against FFmpeg's xfade, against their float64 twins, and one instruction set with another."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.tolerances import (
    DISSOLVE_SHARE,
    TRANSITION_TWIN_DB,
    TRANSITION_TWIN_LEVELS,
    XFADE_DB,
    psnr_db,
)
from tests.support.video import run_ffmpeg
from video_pipeline import native
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.filters.graph import argv, open_input
from video_pipeline.filters.transitions import XFADE_NAMES, progress, xfade
from video_pipeline.native.reference_transitions import FORMULAS, Planes, chroma_between
from video_pipeline.native.reference_transitions import transition as twin

if not native.available():
    pytest.skip("the extension native._core was not built", allow_module_level=True)

from video_pipeline.native import _core

Plane = npt.NDArray[np.uint8]

EVEN, ODD = (90, 160), (77, 51)
FRAMES = {EVEN: 7, ODD: 12}
# xfade reads one line beyond the first picture at progress 1.
READS_BEYOND = {"slideleft": 1, "revealleft": 1, "slideup": 0, "revealup": 0}
BESIDE_PX = 8  # luma pixels that the line beyond may touch, by the resampling of chroma


@pytest.fixture(autouse=True)
def _auto() -> Iterator[None]:
    yield
    _core.force_target("auto")


def picture(seed: int, size_px: tuple[int, int]) -> Planes:
    """Return soft waves in every plane, with noise on luma; odd seeds are brighter."""
    rng = np.random.default_rng(seed)
    width, height = size_px
    y, x = np.mgrid[0.5:height, 0.5:width]
    drawn = []
    for plane in range(3):
        waves = np.zeros((height, width))
        for fx, fy, phase in rng.uniform(-1, 1, (6, 3)):
            waves += np.sin(2 * np.pi * (3 * fx * x / width + 3 * fy * y / height + phase))
        drawn.append(128 + 16 * waves + (20 * (-1) ** (seed + 1) if plane == 0 else 0))
    luma = drawn[0] + rng.normal(0, 10, (height, width))
    return as_bytes(luma), as_bytes(halved(drawn[1])), as_bytes(halved(drawn[2]))


def as_bytes(values: npt.NDArray[np.float64]) -> Plane:
    return np.floor(values + 0.5).clip(0, 255).astype(np.uint8)


def halved(plane: npt.NDArray[np.float64] | Plane) -> npt.NDArray[np.float64]:
    height, width = plane.shape
    padded = np.pad(plane.astype(np.float64), ((0, height % 2), (0, width % 2)), constant_values=np.nan)
    blocks = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2)
    return np.asarray(np.nanmean(blocks, axis=(1, 3)))


def doubled(planes: Planes, name: str) -> Planes:
    """Return a picture in 4:4:4, where `distance` reads chroma between its samples."""
    height, width = planes[0].shape
    u, v = (plane.repeat(2, 0).repeat(2, 1)[:height, :width] for plane in planes[1:])
    if name == "distance":
        u, v = (as_bytes(chroma_between(plane.astype(np.float64))) for plane in (u, v))
    return planes[0], u, v


def empty(planes: Planes) -> Planes:
    y, u, v = (np.zeros_like(plane) for plane in planes)
    return y, u, v


def draw(name: str, at: float, first: Planes, second: Planes) -> Planes:
    target = empty(first)
    _core.transition(name, at, first, second, target)
    return target


def joined(planes: Planes) -> Plane:
    return np.concatenate([plane.ravel() for plane in planes])


def by_ffmpeg(folder: Path, name: str, first: Planes, second: Planes, frames: int) -> list[Planes]:
    """Return xfade's frames. FFmpeg stretches chroma of odd sizes, so those are given in 4:4:4 and halved here."""
    height, width = first[0].shape
    even = width % 2 == 0 and height % 2 == 0
    pix_fmt = "yuv420p" if even else "yuv444p"
    streams = []
    for label, planes in (("first", first), ("second", second)):
        data = joined(planes if even else doubled(planes, name)).tobytes()
        (folder / label).write_bytes(data * frames)
        options = {"pixel_format": pix_fmt, "s": f"{width}x{height}", "framerate": 30}
        streams.append(open_input(folder / label, demuxer="rawvideo", **options))
    stream = xfade(streams[0], streams[1], name=name, frames=frames, fps=Fraction(30))
    command = argv(find_ffmpeg().path, [stream], "pipe:1", f="rawvideo", pix_fmt=pix_fmt)
    drawn = np.frombuffer(run_ffmpeg(*command[1:-1], command[-1]), np.uint8).reshape(frames, -1)
    chroma = first[1].shape if even else first[0].shape
    ends = np.cumsum([width * height, chroma[0] * chroma[1]])
    found = []
    for frame in drawn:
        y, u, v = np.split(frame, ends)
        u, v = u.reshape(chroma), v.reshape(chroma)
        if not even:
            u, v = as_bytes(halved(u)), as_bytes(halved(v))
        found.append((y.reshape(height, width), u, v))
    return found


def test_the_table_holds_the_names_of_xfade_each_with_its_words() -> None:
    records = _core.transition_records()
    assert {name for name, _ in records} == set(XFADE_NAMES) == set(FORMULAS)
    assert len({description for _, description in records}) == len(records) == 58
    assert all(description.strip() for _, description in records)


@pytest.mark.parametrize("size_px", [EVEN, ODD])
@pytest.mark.parametrize("name", [name for name in XFADE_NAMES if name != "dissolve"])
def test_every_frame_is_that_of_xfade(tmp_path: Path, name: str, size_px: tuple[int, int]) -> None:
    first, second = picture(1, size_px), picture(2, size_px)
    frames = FRAMES[size_px]
    for number, wanted in enumerate(by_ffmpeg(tmp_path, name, first, second, frames)):
        found = draw(name, progress(number, frames), first, second)
        if number == 0 and name in READS_BEYOND:
            assert np.array_equal(joined(found), joined(first))
            axis = READS_BEYOND[name]
            found, wanted = (  # noqa: PLW2901
                tuple(
                    np.delete(plane, np.s_[: BESIDE_PX // (1 if index == 0 else 2)], axis)
                    for index, plane in enumerate(planes)
                )
                for planes in (found, wanted)
            )
        both = psnr_db(joined(found), joined(wanted))
        luma = psnr_db(found[0], wanted[0])
        assert min(both, luma) >= XFADE_DB, f"frame {number} of {frames}: {both:.2f} dB, luma {luma:.2f} dB"


def test_dissolve_shows_the_share_of_pixels_that_xfade_shows_and_each_changes_once(tmp_path: Path) -> None:
    width, height = EVEN
    first, second = (
        tuple(
            np.full(shape, level, np.uint8) for shape in ((height, width), *[(height // 2, width // 2)] * 2)
        )
        for level in (200, 100)
    )
    shown = np.ones((height, width), bool)
    for number, wanted in enumerate(by_ffmpeg(tmp_path, "dissolve", first, second, 12)):
        at = progress(number, 12)
        y, u, _ = draw("dissolve", at, first, second)
        assert set(np.unique(y)) <= {100, 200}
        assert not ((y == 200) & ~shown).any()
        shown = y == 200
        assert shown.mean() == pytest.approx(at, abs=DISSOLVE_SHARE)
        assert shown.mean() == pytest.approx((wanted[0] == 200).mean(), abs=DISSOLVE_SHARE)
        assert np.array_equal(u, as_bytes(halved(y)))


@pytest.mark.parametrize("name", XFADE_NAMES)
def test_a_kernel_draws_what_its_twin_in_float64_draws(name: str) -> None:
    for size_px, places in (((1, 1), (0.5,)), (ODD, (1.0, 0.77, 0.5, 0.3, 0.0)), ((2051, 24), (0.62,))):
        first, second = picture(3, size_px), picture(4, size_px)
        for at in places:
            found, wanted = draw(name, at, first, second), twin(name, at, first, second)
            decibels = psnr_db(joined(found), joined(wanted))
            assert decibels >= TRANSITION_TWIN_DB, f"{size_px} at {at}: {decibels:.2f} dB"
            apart = np.abs(found[0].astype(np.int16) - wanted[0])
            # Two colours are near or not; rounding may decide otherwise for colours at the limit.
            assert name == "distance" or apart.max() <= TRANSITION_TWIN_LEVELS, (
                f"{size_px} at {at}: {apart.max()}"
            )


def padded(planes: Planes, margin: int, fill: int) -> tuple[list[Plane], Planes]:
    """Return larger arrays and the planes that lie inside them, with the planes' values."""
    outer = [
        np.full((p.shape[0] + 2, p.shape[1] + 2 * margin + n), fill, np.uint8) for n, p in enumerate(planes)
    ]
    y, u, v = (array[1:-1, margin : margin + p.shape[1]] for array, p in zip(outer, planes, strict=True))
    for inner, plane in zip((y, u, v), planes, strict=True):
        inner[:] = plane
    return outer, (y, u, v)


@pytest.mark.parametrize("name", XFADE_NAMES)
def test_every_instruction_set_draws_the_same_bytes_and_none_beside_them(name: str) -> None:
    seed = int(np.random.default_rng().integers(1 << 30))
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    for size_px in ((1, 1), (3, 2), (33, 5), ODD, (1063, 3)):
        first, second = (
            tuple(
                rng.integers(0, 256, ((size_px[1] + n) // (1 + n), (size_px[0] + n) // (1 + n)), np.uint8)
                for n in (0, 1, 1)
            )
            for _ in range(2)
        )
        for at in (1.0, float(rng.uniform(0.02, 0.98)), 0.0):
            _core.force_target("baseline")
            wanted = joined(draw(name, at, first, second))
            for target in _core.usable_targets():
                _core.force_target(target)
                _, one = padded(first, 5, 0)
                _, two = padded(second, 17, 255)
                around, drawn = padded(empty(first), 7, 0xA5)
                _core.transition(name, at, one, two, drawn)
                assert np.array_equal(joined(drawn), wanted), f"{target}, {size_px} at {at}"
                for plane in drawn:
                    plane[:] = 0xA5
                assert all((array == 0xA5).all() for array in around), f"{target}, {size_px} at {at}"


def test_wrong_input_is_an_error_that_says_what_is_allowed() -> None:
    first, second, small = picture(1, ODD), picture(2, ODD), picture(3, EVEN)
    with pytest.raises(ValueError, match=r"name: got 'custom'; allowed: fade, fadefast, .*zoomin"):
        _core.transition("custom", 0.5, first, second, empty(first))
    for at in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"progress: .*allowed: 0 to 1"):
            _core.transition("fade", at, first, second, empty(first))
    with pytest.raises(ValueError, match=r"second: Y is \(160, 90\); allowed .* \(51, 77\)"):
        _core.transition("fade", 0.5, first, small, empty(first))
    with pytest.raises(ValueError, match=r"target: U is \(51, 77\); allowed .*: \(26, 39\)"):
        _core.transition("fade", 0.5, first, second, (np.zeros_like(first[0]),) * 3)
    with pytest.raises(ValueError, match="target: shares memory"):
        _core.transition("fade", 0.5, first, second, second)
    memory = np.zeros((51, 120), np.uint8)
    y, u, v = empty(first)
    with pytest.raises(ValueError, match="target: shares memory"):  # the picture is wider than its neighbour
        _core.transition("fade", 0.5, (memory[:, :77], u, v), second, (y, memory[:26, 60:99], v.copy()))
    _core.transition("fade", 0.5, (memory[:, :77], u, v), second, (y, memory[:26, 80:119], v.copy()))


@pytest.mark.parametrize(("name", "size_px"), [("squeezev", (16384, 1)), ("squeezeh", (1, 16384))])
def test_a_picture_squeezed_to_nothing_is_invisible_in_the_longest_lines_too(
    name: str, size_px: tuple[int, int]
) -> None:
    first, second = picture(1, size_px), picture(2, size_px)
    assert np.array_equal(joined(draw(name, 0.0, first, second)), joined(second))
    left = np.count_nonzero(joined(draw(name, 1e-7, first, second)) != joined(second))
    assert left <= 3, f"{left} samples of the first picture"
