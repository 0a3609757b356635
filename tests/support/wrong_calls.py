"""Invalid calls of the native kernels: valid ones with one argument that must be refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.support.kernel_calls import Array, Call, Rng, Room, describe, size
from video_pipeline.native import _core as core

NOT_NUMBERS = (float("nan"), float("inf"), float("-inf"), 1e300, -1e300, None, "1", [1.0], 10**400)
WRONG: dict[str, tuple[Any, ...]] = {
    "left": (*NOT_NUMBERS, 1e6, -1e6),
    "top": (*NOT_NUMBERS, 1e6, -1e6),
    "step_x": (*NOT_NUMBERS, 0, -0.0, -1, 2.0000001),
    "step_y": (*NOT_NUMBERS, 0, -0.0, -1, 2.0000001),
    "amount": (*NOT_NUMBERS, -5e-324, 1.0000001),
    "opacity": (*NOT_NUMBERS, -5e-324, 1.0000001),
    "progress": (*NOT_NUMBERS, -5e-324, 1.0000001),
    "level": ("", "red", "black\0", None, b"black", 5),
    "name": ("", "fade ", "FADE", "fade\0", None, b"fade", 5, "x" * 100000),
    "x": (None, "1", 0.5, float("nan"), 1000001, -1000001, 2**31, -(2**63), 2**64, 10**400),
    "y": (None, "1", 0.5, float("nan"), 1000001, -1000001, 2**31, -(2**63), 2**64, 10**400),
    "part": (
        (-1, 0, 1, 1),
        (0, 0, 2**31 - 1, 1),
        (2**31 - 1, 2**31 - 1, 2**31 - 1, 2**31 - 1),
        (-(2**31), 0, 2**31 - 1, 0),
        (0, 0, 2**31, 0),
        (0, 0, 0),
        (0, 0, 0, 0, 0),
        (0, 0, 0.5, 1),
        "0011",
        7,
    ),
}


def strange_strides(array: Array, strides: tuple[int, ...]) -> Array:
    """Return an array of the same shape in a layout that the kernels do not support."""
    ours = np.zeros((array.shape[0] + 2, *(n + 2 for n in array.shape[1:])), np.uint8)
    return np.lib.stride_tricks.as_strided(ours, array.shape, strides)


def wrong_array(rng: Rng, array: Array, *, target: bool) -> Any:
    """Return something like `array` that no kernel accepts instead."""
    height, width = array.shape[:2]
    wrongs: list[Callable[[], Any]] = [
        lambda: None,
        array.tolist,
        lambda: array.astype(rng.choice(["i1", "u2", "i4", "f4", "f8", "?", "c8", "S1", "O"])),
        lambda: array[..., None],
        lambda: array[0],
        lambda: array[:0],
        lambda: array[:, :0],
        lambda: np.empty((0, 0), np.uint8),
        lambda: np.uint8(7),
        object,
    ]
    if width > 1:
        wrongs += [
            lambda: array[:, ::-1],
            lambda: np.repeat(array, 2, axis=1)[:, ::2],
            lambda: strange_strides(array, (width, 0, 1)[: array.ndim]),
        ]
    if array.ndim == 3:
        wrongs += [
            lambda: array[..., :2],
            lambda: array[..., ::-1],
            lambda: np.concatenate([array, array], axis=2),
        ]
    if target:
        wrongs.append(lambda: np.broadcast_to(array, array.shape))  # read-only
        if height > 1 and width > 1:
            wrongs += [lambda: strange_strides(array, (0, 1)), lambda: strange_strides(array, (width - 1, 1))]
    return rng.choice(np.array(wrongs, object))()


def wrong_planes(rng: Rng, planes: tuple[Array, ...], *, target: bool) -> Any:
    """Return a frame that no kernel accepts instead of `planes`."""
    index = int(rng.integers(0, 3))
    changed: list[Any] = list(planes)
    kind = int(rng.integers(0, 5))
    if kind == 0:
        return rng.choice(
            np.array([lambda: planes[:2], lambda: (*planes, planes[0]), lambda: None, lambda: 3])
        )()
    if kind == 1:
        height, width = planes[index].shape
        more = (2, 0) if rng.random() < 0.5 else (0, 2)  # by one, a Y may still be twice its U
        changed[index] = np.zeros((height + more[0], width + more[1]), np.uint8)
    else:
        changed[index] = wrong_array(rng, planes[index], target=target)
    return tuple(changed)


def spoil(rng: Rng, call: Call) -> Call:
    """Return the same call with one wrong argument."""
    key = str(rng.choice(list(call.arguments)))
    value = call.arguments[key]
    changed: Any
    if key == "overlay":
        height, width = value.height, value.width
        changed = [None, core.Overlay.__new__(core.Overlay), np.zeros((height, width, 4), np.uint8)][
            rng.integers(3)
        ]
    elif key in WRONG:
        changed = WRONG[key][rng.integers(len(WRONG[key]))]
    elif isinstance(value, tuple):
        changed = wrong_planes(rng, value, target=key == "target")
        if key == "target" and call.kernel == "transition" and rng.random() < 0.2:
            changed = call.arguments[str(rng.choice(["first", "second"]))]  # shared with a picture
    else:
        changed = wrong_array(rng, value, target=key == "target")
    return Call(call.kernel, {**call.arguments, key: changed}, call.targets, call.sources)


def wrong_overlay(rng: Rng) -> None:
    """Make an overlay from something that is no RGBA picture."""
    room = Room(rng, *size(rng), 4)
    wrong = wrong_array(rng, room.view, target=False)
    with refused(f"Overlay of {describe(wrong)}"):
        core.Overlay(wrong)
    room.check(drawn=False)


@contextmanager
def refused(what: str) -> Iterator[None]:
    """Assert that the `with` block raises the error for a wrong argument."""
    try:
        yield
    except (TypeError, ValueError):
        return
    raise AssertionError(f"{what} was not refused")
