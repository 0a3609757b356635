"""Limits on what is paid for: one render's, and the day's over all processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.net.spending import COUNT_FILE, DailyCount, Spending

ADDS = """
import sys
from pathlib import Path
from video_pipeline.engine.net.spending import DailyCount
count = DailyCount(lambda: Path(sys.argv[1]))
print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    count.add("polly", 3)
"""


def spending(folder: Path, *, job: int, day: int) -> Spending:
    return Spending(job_limit=job, day_limit=day, count=DailyCount(lambda: folder))


def test_a_render_stops_at_its_limit_and_what_was_refused_is_not_counted(tmp_path: Path) -> None:
    one = spending(tmp_path, job=100, day=1000)
    one.take("polly", 60)
    with pytest.raises(
        ServiceError, match=r"would pay for 101 characters; tts\.max_characters allows 100"
    ) as caught:
        one.take("google", 41)
    assert caught.value.kind == "denied"
    one.take("google", 40)
    assert one.spent == {"polly": 60, "google": 40}
    assert json.loads((tmp_path / COUNT_FILE).read_text()).popitem()[1] == {"polly": 60, "google": 40}


def test_the_days_limit_holds_over_renders_and_services(tmp_path: Path) -> None:
    spending(tmp_path, job=100, day=150).take("polly", 100)
    other = spending(tmp_path, job=100, day=150)
    with pytest.raises(ServiceError, match=r"tts\.max_characters_per_day \(150\).*00:00 UTC"):
        other.take("google", 51)
    other.take("google", 50)


def test_what_is_not_billed_is_taken_back(tmp_path: Path) -> None:
    one = spending(tmp_path, job=100, day=100)
    one.take("polly", 100)
    one.give_back("polly", 100)
    assert one.spent == {}
    one.take("polly", 100)


def test_a_limit_of_0_sends_nothing(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="allows 0"):
        spending(tmp_path, job=0, day=100).take("polly", 1)


def test_each_day_is_counted_alone_and_old_days_are_dropped(tmp_path: Path) -> None:
    for day in range(40):
        count = DailyCount(
            lambda: tmp_path, today=lambda day=day: f"2026-{1 + day // 28:02}-{1 + day % 28:02}"
        )
        assert count.add("polly", 7, limit=10) == 7
    assert len(json.loads((tmp_path / COUNT_FILE).read_text())) == 31


def test_processes_that_count_at_once_lose_nothing(tmp_path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", ADDS, str(tmp_path), "40"], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [child.wait() for child in children] == [0, 0, 0]
    for child in children:
        assert child.stdout is not None
        child.stdout.close()
    assert DailyCount(lambda: tmp_path).used() == 3 * 40 * 3


def test_a_process_killed_while_it_counts_leaves_a_whole_count(tmp_path: Path) -> None:
    for wait in (0.0, 0.02, 0.05):
        child = subprocess.Popen(
            [sys.executable, "-c", ADDS, str(tmp_path), "100000"], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(wait)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        before = DailyCount(lambda: tmp_path).used()
        assert before % 3 == 0
        assert DailyCount(lambda: tmp_path).add("polly", 3) == before + 3


@pytest.mark.parametrize("text", ["", "[]", '{"2026-11-28": 5}', '{"2026-11-28": {"polly": "1"}}'])
def test_a_damaged_count_sends_nothing_and_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / COUNT_FILE).write_text(text)
    with pytest.raises(ServiceError, match=rf"{COUNT_FILE} is damaged .*; delete it"):
        spending(tmp_path, job=10, day=10).take("polly", 1)


def test_a_count_that_cannot_be_written_sends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match="cannot be written: "):
        spending(tmp_path / "file", job=10, day=10).take("polly", 1)
