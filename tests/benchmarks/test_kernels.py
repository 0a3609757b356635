"""The timing of kernels: what is timed does the work that it is named for."""

from __future__ import annotations

import time

import numpy as np
import pytest

from video_pipeline import native

pytestmark = pytest.mark.skipif(not native.available(), reason="the native extension was not built")

if native.available():
    from benchmarks.kernels import (
        SIZE_PX,
        Case,
        cheapest_median_dearest,
        measure_case,
        measure_kernels,
        new_planes,
        plain_cases,
        resample_case,
        time_calls,
        transition_case,
    )
    from benchmarks.report import kernels_table
    from video_pipeline.native import kernels


def spin(seconds: float) -> None:
    """Keep the processor busy."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_times_are_those_of_the_processor_for_each_frame() -> None:
    assert time_calls(lambda: spin(0.02), calls=3, frames=4).median_ms == pytest.approx(5, rel=0.2)
    assert time_calls(lambda: time.sleep(0.02), calls=3).median_ms < 5


def test_the_cheapest_the_middle_and_the_dearest_are_shown() -> None:
    assert cheapest_median_dearest({"a": 5.0, "b": 1.0, "c": 3.0, "d": 9.0, "e": 2.0}) == ("b", "c", "d")
    assert cheapest_median_dearest({"only": 1.0}) == ("only",)


def test_a_row_for_each_instruction_set_and_the_best_again_afterwards() -> None:
    before = kernels.active_target()
    rows = measure_case(Case("spin", lambda: spin(0.002)), calls=3, copy_ms=1.0)
    assert [row["target"] for row in rows] == kernels.usable_targets()
    assert kernels.active_target() == before
    assert all(row["memcpy"] == pytest.approx(2, rel=0.3) for row in rows)


def test_every_case_draws_something() -> None:
    frame, first = new_planes(SIZE_PX)
    second = tuple(np.ascontiguousarray(plane[::-1]) for plane in first)
    for case in (*plain_cases(first), transition_case("slideup", first, second, new_planes(SIZE_PX)[1])):
        before = frame.copy()
        case.run()
        drawn = not np.array_equal(frame, before)
        assert drawn == ("transition" not in case.name), case.name


def test_the_peer_of_the_resampling_draws_the_same_picture() -> None:
    target = new_planes(SIZE_PX)[1]
    case = resample_case(1.2, target)
    case.run()
    peer = next(peer for peer in case.peers if "swscale" in peer.name)
    scaled = peer.run().to_ndarray()[: SIZE_PX[1]]  # type: ignore[attr-defined]
    assert scaled.shape == target[0].shape
    # The kernel's view lies elsewhere; the detail is as coarse and as strong.
    assert scaled.std() == pytest.approx(target[0].std(), rel=0.1)


def test_all_kernels_are_measured_and_reported() -> None:
    found = measure_kernels(calls=1, every_transition=False)
    names = {row["kernel"] for row in found["rows"]}
    assert {"resample_frame, step 1.2", "rgb_to_yuv", "fade", "transition fade"} <= names
    assert set(found["transitions_ms"]) == {name for name, _ in kernels.transition_records()}
    table = kernels_table(found["rows"])
    assert all(name in table for name in names)
    assert "swscale" in table
