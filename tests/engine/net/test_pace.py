"""A pace that processes keep together."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.support.kill_points import killed_before_line
from video_pipeline.engine.net.pace import SharedPace


def pace(folder: Path, now: list[float], *, most: int = 3) -> SharedPace:
    return SharedPace(folder=folder, name="a.init", most=most, seconds=60.0, clock=lambda: now[0])


def test_a_request_too_many_is_told_when_there_is_room(tmp_path: Path) -> None:
    now = [1000.0]
    waits = []
    for _ in range(4):
        waits.append(pace(tmp_path, now).take())
        now[0] += 1.0
    assert waits == [0.0, 0.0, 0.0, 57.0]
    now[0] = 1060.0
    assert [pace(tmp_path, now).take() for _ in range(2)] == [0.0, 1.0]


def test_a_clock_that_was_set_back_makes_nobody_wait(tmp_path: Path) -> None:
    now = [5000.0]
    assert [pace(tmp_path, now).take() for _ in range(3)] == [0.0, 0.0, 0.0]
    now[0] = 1000.0
    assert [pace(tmp_path, now).take() for _ in range(4)] == [0.0, 0.0, 0.0, 60.0]


def test_a_damaged_file_counts_as_no_request(tmp_path: Path) -> None:
    now = [1000.0]
    for content in ("", "{}", "[1, null", '["a", null]'):
        (tmp_path / "a.init.json").write_text(content)
        assert [pace(tmp_path, now).take() for _ in range(4)] == [0.0, 0.0, 0.0, 60.0]


def test_a_folder_that_cannot_be_written_keeps_no_pace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert [pace(tmp_path / "file", [1000.0], most=1).take() for _ in range(3)] == [0.0] * 3


def test_a_process_that_is_killed_while_it_counts_leaves_a_file_that_others_use(tmp_path: Path) -> None:
    counts = set()
    point, was_killed = 0, True
    while was_killed:
        point += 1
        folder = tmp_path / str(point)
        was_killed = killed_before_line(
            point, pace(folder, [1000.0]).take, modules="video_pipeline.engine.net.pace"
        )
        assert pace(folder, [1000.0]).take() == 0.0
        counts.add(len(json.loads((folder / "a.init.json").read_bytes())))
    assert point > 5, "the program became shorter than this test believes"
    assert counts == {1, 2}, "a killed request is counted or not"


def test_the_time_is_that_of_the_machine_unless_a_test_says_so(tmp_path: Path) -> None:
    made = SharedPace(folder=tmp_path, name="b", most=1, seconds=60.0)
    assert made.take() == 0.0
    assert 0.0 < made.take() <= 60.0
    assert made.clock is time.time
