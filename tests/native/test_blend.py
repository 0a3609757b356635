"""Fades and overlays agree with float64 on every target, and are exact if nothing or everything is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.kernels import MISSING, Bytes, GuardedFrame, bytes_of, draw_on_every_target, seed_of
from tests.support.tolerances import BLEND_LEVELS, FADE_KERNEL_LEVELS, assert_levels
from video_pipeline.native import available, reference

if not available():
    pytest.skip(MISSING, allow_module_level=True)

from video_pipeline.native import _core

Part = tuple[int, int, int, int]


def random_frame(rng: np.random.Generator) -> GuardedFrame:
    return GuardedFrame(rng, int(rng.integers(1, 71)), int(rng.integers(1, 71)))


def random_overlay(rng: np.random.Generator) -> Bytes:
    """A picture of which a third is transparent and a third opaque, with empty margins at times."""
    rgba = bytes_of(rng, int(rng.integers(1, 71)), int(rng.integers(1, 71)), 4)
    kind = rng.integers(0, 3, rgba.shape[:2])
    rgba[..., 3] = np.where(kind == 0, 0, np.where(kind == 1, 255, rng.integers(0, 256, kind.shape)))
    if rng.random() < 0.3:
        rgba[: int(rng.integers(0, rgba.shape[0])), :, 3] = 0
        rgba[:, : int(rng.integers(0, rgba.shape[1])), 3] = 0
    return rgba


def random_part(rng: np.random.Generator, rgba: Bytes) -> Part:
    left, top = int(rng.integers(0, rgba.shape[1] + 1)), int(rng.integers(0, rgba.shape[0] + 1))
    width = int(rng.integers(0, rgba.shape[1] - left + 1))
    return left, top, width, int(rng.integers(0, rgba.shape[0] - top + 1))


@pytest.mark.parametrize("level", ["black", "white"])
def test_random_fades_agree_with_the_reference(level: str) -> None:
    rng = np.random.default_rng(seed_of("fade"))
    for _ in range(80):
        frame, amount = random_frame(rng), float(rng.choice([0.0, 1.0, 1e-5, 1 - 1e-5, rng.random()]))
        before = frame.copies()
        drawn = draw_on_every_target(
            _core,
            frame,
            lambda: _core.fade(frame.planes, amount=amount, level=level),  # noqa: B023
        )
        expected = reference.fade(before, amount=amount, level=level)  # type: ignore[arg-type]
        for name, plane, wanted in zip("YUV", drawn, expected, strict=True):
            assert_levels(plane, wanted, within=FADE_KERNEL_LEVELS, what=f"{name} faded by {amount}")
        if amount == 0:
            assert all(np.array_equal(one, other) for one, other in zip(before, drawn, strict=True))
        if amount == 1:
            assert [np.unique(plane).tolist() for plane in drawn] == [
                [value] for value in reference.LEVELS[level]
            ]


def test_random_overlays_agree_with_the_reference() -> None:
    rng = np.random.default_rng(seed_of("blend"))
    for _ in range(300):
        frame, rgba = random_frame(rng), random_overlay(rng)
        before = frame.copies()
        height, width = rgba.shape[:2]
        place = {
            "x": int(rng.integers(-width - 2, before[0].shape[1] + 3)) if rng.random() < 0.8 else 0,
            "y": int(rng.integers(-height - 2, before[0].shape[0] + 3)),
            "opacity": float(rng.choice([0.0, 1.0, rng.random()])),
            "part": random_part(rng, rgba) if rng.random() < 0.5 else None,
        }
        overlay = _core.Overlay(rgba)
        drawn = draw_on_every_target(_core, frame, lambda: _core.blend(frame.planes, overlay, **place))  # noqa: B023
        expected = reference.blend(before, rgba, **place)  # type: ignore[arg-type]
        for name, plane, wanted in zip("YUV", drawn, expected, strict=True):
            what = f"{name} of {rgba.shape} over {before[0].shape} at {place}"
            assert_levels(plane, wanted, within=BLEND_LEVELS, what=what)


def test_every_level_alpha_and_opacity_agrees_with_the_reference() -> None:
    """All pairs of alpha and target, for the darkest, the brightest and a coloured picture."""
    for colour in ((0, 0, 0), (255, 255, 255), (250, 20, 130)):
        rgba = np.empty((512, 512, 4), np.uint8)
        rgba[..., :3] = colour
        rgba[..., 3] = np.repeat(np.arange(256), 2)[None, :]
        overlay = _core.Overlay(rgba)
        levels = np.repeat(np.arange(256, dtype=np.uint8), 2)[:, None].repeat(512, axis=1)
        for opacity in (0.0, 0.003, 0.5, 0.999, 1.0):
            target = (levels.copy(), levels[::2, ::2].copy(), levels[::2, ::2].copy())
            before = (levels, levels[::2, ::2], levels[::2, ::2])
            _core.blend(target, overlay, x=0, y=0, opacity=opacity)
            expected = reference.blend(before, rgba, x=0, y=0, opacity=opacity)
            for name, plane, wanted in zip("YUV", target, expected, strict=True):
                assert_levels(plane, wanted, within=BLEND_LEVELS, what=f"{name} of {colour} at {opacity}")


@pytest.mark.parametrize("nothing", ["alpha 0", "opacity 0", "outside", "empty part"])
def test_an_invisible_overlay_changes_nothing(nothing: str) -> None:
    rng = np.random.default_rng(seed_of(nothing))
    for x, y in ((0, 0), (3, 5), (-3, -1)):
        frame, rgba = GuardedFrame(rng, 41, 37), random_overlay(rng)
        before = frame.copies()
        options: dict[str, object] = {"x": x, "y": y}
        if nothing == "alpha 0":
            rgba[..., 3] = 0
        elif nothing == "opacity 0":
            options["opacity"] = 0.0
        elif nothing == "outside":
            options["x"] = 38 + abs(x)
        else:
            options["part"] = (rgba.shape[1], 0, 0, rgba.shape[0])
        overlay = _core.Overlay(rgba)
        drawn = draw_on_every_target(_core, frame, lambda: _core.blend(frame.planes, overlay, **options))  # noqa: B023
        assert all(np.array_equal(one, other) for one, other in zip(before, drawn, strict=True))


def test_an_opaque_picture_as_large_as_the_frame_is_that_picture() -> None:
    rng = np.random.default_rng(seed_of("opaque"))
    rgba = bytes_of(rng, 46, 38, 4)
    rgba[..., 3] = 255
    frame, alone = GuardedFrame(rng, 46, 38), GuardedFrame(rng, 46, 38)
    _core.rgb_to_yuv(np.ascontiguousarray(rgba[..., :3]), alone.planes)
    overlay = _core.Overlay(rgba)
    drawn = draw_on_every_target(_core, frame, lambda: _core.blend(frame.planes, overlay, x=0, y=0))
    assert all(np.array_equal(one, other) for one, other in zip(drawn, alone.planes, strict=True))


def test_grey_over_grey_stays_without_colour() -> None:
    rgba = np.full((40, 256, 4), 255, np.uint8)
    rgba[..., 3] = np.arange(256)
    rgba[20:, :, :3] = 77
    overlay = _core.Overlay(rgba)
    for x, opacity in ((0, 1.0), (1, 1.0), (5, 0.37)):
        target = (np.full((40, 260), 90, np.uint8), *(np.full((20, 130), 128, np.uint8) for _ in "UV"))
        _core.blend(target, overlay, x=x, y=x, opacity=opacity)
        assert np.unique(target[1]).tolist() == np.unique(target[2]).tolist() == [128]


def test_parts_that_tile_an_overlay_draw_what_the_whole_draws() -> None:
    rng = np.random.default_rng(seed_of("tiles"))
    for _ in range(60):
        rgba, frame = random_overlay(rng), random_frame(rng)
        overlay, whole = _core.Overlay(rgba), frame.copies()
        height, width = rgba.shape[:2]
        options = {"x": int(rng.integers(-9, 10)), "y": int(rng.integers(-9, 10)), "opacity": 0.8}
        _core.blend(whole, overlay, **options)
        column, row = int(rng.integers(0, width + 1)), int(rng.integers(0, height + 1))
        for left, part_width in ((0, column), (column, width - column)):
            for top, part_height in ((0, row), (row, height - row)):
                part = (left, top, part_width, part_height)
                _core.blend(frame.planes, overlay, part=part, **options)
        assert all(np.array_equal(one, other) for one, other in zip(whole, frame.planes, strict=True))


def test_the_planes_of_an_overlay_belong_to_the_parity_of_its_place() -> None:
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[:, :, 0], rgba[:, :, 3] = 255, 255
    overlay = _core.Overlay(rgba)
    assert (overlay.width, overlay.height) == (6, 4)
    even, odd = overlay.planes(), overlay.planes(x_odd=True, y_odd=True)
    assert [plane.shape for plane in even] == [(4, 6), (2, 4), (2, 4), (4, 6), (2, 4)]
    assert odd[4].tolist() == [[32, 128, 128, 96], [64, 255, 255, 191], [32, 128, 128, 96]]
    assert even[4].tolist() == [[191, 255, 255, 64]] * 2


FRAME = (np.zeros((6, 8), np.uint8), np.zeros((3, 4), np.uint8), np.zeros((3, 4), np.uint8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opacity": 1.5}, r"opacity: 1\.5.*; allowed: 0 to 1"),
        ({"opacity": float("nan")}, r"opacity: -?nan; allowed: 0 to 1"),
        ({"x": 10**7}, r"x: 10000000; allowed: -1000000 to 1000000"),
        (
            {"part": (0, 0, 6, 1)},
            r"part: \(0, 0, 6, 1\); allowed: .* within the overlay's 5 columns and 3 rows",
        ),
        ({"part": (-1, 0, 1, 1)}, r"part: \(-1, 0, 1, 1\)"),
        ({"part": (0, 2, 1, 2**31 - 1)}, r"part: "),
    ],
    ids=str,
)
def test_a_bad_option_is_an_error_that_says_what_is_allowed(options: dict[str, object], message: str) -> None:
    overlay = _core.Overlay(np.full((3, 5, 4), 255, np.uint8))
    with pytest.raises(ValueError, match=message):
        _core.blend(FRAME, overlay, **{"x": 0, "y": 0, **options})
    assert not any(plane.any() for plane in FRAME)


def test_bad_fades_and_pictures_are_errors() -> None:
    with pytest.raises(ValueError, match=r"amount: -0\.1.*; allowed: 0 to 1"):
        _core.fade(FRAME, amount=-0.1)
    with pytest.raises(ValueError, match="level: 'red'; allowed: 'black', 'white'"):
        _core.fade(FRAME, amount=0.5, level="red")
    with pytest.raises(ValueError, match="level: 'black"):  # up to its zero byte it is a name
        _core.fade(FRAME, amount=0.5, level="black\0")
    with pytest.raises(ValueError, match=r"target\[1\]: .*\(3, 3\); allowed: \(3, 4\), half of target\[0\]"):
        _core.fade((FRAME[0], np.zeros((3, 3), np.uint8), FRAME[2]), amount=0.5)
    with pytest.raises(ValueError, match=r"rgba: an array of shape \(3, 5, 3\); allowed: .* 4 channels"):
        _core.Overlay(np.zeros((3, 5, 3), np.uint8))
    with pytest.raises(TypeError):  # a copy in bytes would be faded and thrown away
        _core.fade(tuple(plane.astype(np.int16) for plane in FRAME), amount=0.5)


def test_a_target_whose_rows_or_planes_share_bytes_is_an_error() -> None:
    y, u, v = (np.zeros(shape, np.uint8) for shape in ((6, 8), (3, 4), (3, 4)))
    for apart in (0, 1, 7, -7):
        memory = np.zeros(64, np.uint8)
        rows = np.lib.stride_tricks.as_strided(memory[50:] if apart < 0 else memory, (6, 8), (apart, 1))
        with pytest.raises(
            ValueError, match=rf"target\[0\]: its rows lie {apart} bytes apart; allowed: no less than its 8"
        ):
            _core.fade((rows, u, v), amount=0.5)
        assert not memory.any()
    with pytest.raises(ValueError, match=r"target\[2\]: shares memory with target\[1\]"):
        _core.fade((y, u, u), amount=0.5)
    memory = np.zeros((6, 40), np.uint8)
    with pytest.raises(ValueError, match="target: shares memory with rgb"):
        _core.rgb_to_yuv(memory[:, :24].reshape(6, 8, 3), (memory[:, 20:28], u, v))
    assert not memory.any()
    assert not any(plane.any() for plane in (y, u, v))


def test_planes_side_by_side_in_one_array_are_a_frame() -> None:
    memory = np.zeros((9, 8), np.uint8)
    _core.fade((memory[:6], memory[6:, :4], memory[6:, 4:]), amount=1.0, level="white")
    assert np.unique(memory[:6]).tolist() == [235]
    assert np.unique(memory[6:]).tolist() == [128]
