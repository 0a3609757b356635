"""The tables of the report: ratios of each round, and each contender in its table."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.edit import COLD, EDITED, UNCHANGED, edited, share
from benchmarks.report import edit_table, frames_table, ratio, speed_table
from benchmarks.workload import Workload


def contender(walls: list[float], *, frames: int = 100, encodes: bool = True, **more: Any) -> dict[str, Any]:
    zeros = [1.0] * len(walls)
    return {
        "frames": frames,
        "wall_s": walls,
        "cpu_s": zeros,
        "peak_rss_mib": zeros,
        "encodes": encodes,
        **more,
    }


SPEED = {
    "video-pipeline": contender([2.0, 2.0]),
    "encode only": contender([4.0, 1.0]),
    "zoompan graph, no encoding": contender([3.0, 6.0], encodes=False),
    "native frames, no encoding": contender([1.5, 1.5], encodes=False, working_s=[1.0, 0.5]),
}


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    assert ratio(SPEED, "video-pipeline", "encode only") == pytest.approx((2 + 0.5) / 2)
    assert ratio(SPEED, "video-pipeline", "no such") is None


def test_a_ratio_can_be_that_of_drawing_alone() -> None:
    base = "zoompan graph, no encoding"
    assert ratio(SPEED, "native frames, no encoding", base) == pytest.approx((2 + 4) / 2)
    assert ratio(SPEED, "native frames, no encoding", base, key="working_s") == pytest.approx((3 + 12) / 2)
    assert ratio(SPEED, "video-pipeline", base, key="working_s") is None


def test_a_ratio_compares_frames_per_second() -> None:
    speed = {"a": contender([1.0], frames=50), "b": contender([1.0], frames=100)}
    assert ratio(speed, "a", "b") == pytest.approx(0.5)


def test_renders_and_frames_without_encoding_have_separate_tables() -> None:
    renders, frames = speed_table(SPEED), frames_table(SPEED)
    assert "video-pipeline" in renders
    assert "no encoding" not in renders
    assert "encode only " not in frames.partition("\n")[2]
    row = next(line for line in frames.splitlines() if "native frames" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:5] == ["66.7", "3.00", "133.3", "7.50"]


def test_an_edit_changes_one_caption_and_keeps_the_storys_name(tmp_path: Any) -> None:
    work = Workload(
        story=tmp_path / "s.json",
        pictures=tuple(tmp_path / f"{n}.jpg" for n in range(5)),
        captions=tuple("abcde"),
        source=None,
    )
    changed = edited(work)
    assert changed.story == work.story
    assert [a != b for a, b in zip(work.captions, changed.captions, strict=True)] == [
        False,
        False,
        True,
        False,
        False,
    ]


def test_a_share_is_the_median_of_the_rounds_own() -> None:
    assert share([1.0, 3.0, 2.0], [10.0, 10.0, 40.0]) == pytest.approx(0.1)
    rows = {COLD: [10.0], UNCHANGED: [0.25], EDITED: [1.0]}
    table = edit_table(
        {"rows": {name: {"wall_s": walls, "share": share(walls, [10.0])} for name, walls in rows.items()}}
    )
    assert "2.5 %" in table
    assert "100.0 %" in table
