"""`render-many` as a user runs it: lines, JSON, exit status, kills."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.command import COMMAND, SMALL, run, scene, write
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.outputs.video_info import probe_video


@pytest.fixture
def batch(tmp_path: Path) -> list[str | Path]:
    """The arguments of a batch of three rows, the second of which fails."""
    template = write(tmp_path, scene(text="{{city}}", image="{{picture|}}"), "t.json")
    table = write(tmp_path, "city,picture\nRome,\nOslo,none.png\nBonn,\n", "t.csv")
    return [table, "--template", template, "-o", tmp_path / "out", *SMALL]


def test_each_row_has_a_line_and_a_failed_one_sets_the_exit_status(
    batch: list[str | Path], tmp_path: Path
) -> None:
    done = run("render-many", *batch)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"row 1  rendered  {tmp_path / 'out/t-1.mp4'}  ")
    assert lines[1].startswith(f"row 2  failed  {tmp_path / 'out/t-2.mp4'}: ")
    assert "none.png" in lines[1]
    assert lines[-1] == "2 rendered, 0 unchanged, 1 failed"
    told = [json.loads(line) for line in run("render-many", *batch, "--json").stdout.splitlines()]
    assert [each.get("status") for each in told] == ["unchanged", "failed", "unchanged", None]
    assert told[-1] == {"event": "done", "rendered": 0, "unchanged": 2, "failed": 1}
    quiet = run("render-many", *batch, "--quiet")
    assert (quiet.returncode, quiet.stdout) == (1, "")
    assert "none.png" in quiet.stderr


def test_a_wrong_table_is_an_error_before_anything_is_made(batch: list[str | Path], tmp_path: Path) -> None:
    write(tmp_path, "town\nRome\n", "t.csv")
    done = run("render-many", *batch)
    assert done.returncode == 2
    assert "t.json: {{city}}: no row of the table has a value for it; allowed: row, town" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_batch_that_is_stopped_in_the_middle_continues(number: signal.Signals, tmp_path: Path) -> None:
    template = write(tmp_path, scene(text="{{row}}", duration="{{seconds}}"), "t.json")
    # The third row takes long enough for a signal that is sent after the second.
    table = write(tmp_path, "seconds\n0.5\n0.5\n240\n" + "0.5\n" * 5, "t.csv")
    arguments = [str(each) for each in (table, "--template", template, "-o", tmp_path / "out", *SMALL)]
    command = [*COMMAND, "render-many", *arguments, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        finished = [json.loads(child.stdout.readline())["name"] for _ in range(2)]
        child.send_signal(number)
        _, errors = child.communicate(timeout=2 * FAST_SECONDS)
    assert child.returncode == (-9 if number is signal.SIGKILL else 130)
    if number is signal.SIGINT:
        assert "the same command continues with the others" in errors
    again = [json.loads(line) for line in run("render-many", *arguments, "--json").stdout.splitlines()]
    assert {each["name"] for each in again[:-1] if each["status"] == "unchanged"} >= set(finished)
    assert again[-1]["failed"] == 0
    assert again[-1]["rendered"] > 0
    assert len(list((tmp_path / "out").glob("*.mp4"))) == 8


def test_a_batch_that_is_killed_again_and_again_loses_no_row_and_ends_each_once(tmp_path: Path) -> None:
    seed = time.time_ns()
    print(f"seed {seed}")
    draw = random.Random(seed)
    template = write(tmp_path, scene(text="{{row}}", duration=0.5), "t.json")
    table = write(tmp_path, "n\n" + "1\n" * 9, "t.csv")
    out = tmp_path / "out"
    arguments = [str(each) for each in (table, "--template", template, "-o", out, *SMALL)]
    told: list[str] = []
    for kills in range(5):
        command = [*COMMAND, "render-many", *arguments, "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
            assert child.stdout is not None
            lines = [json.loads(child.stdout.readline()) for _ in range(kills + 1)]
            time.sleep(draw.uniform(0, 0.4))
            child.kill()
            rest, _ = child.communicate(timeout=2 * FAST_SECONDS)
        lines += [json.loads(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        told += [each["name"] for each in lines if each.get("status") == "rendered"]
    last = [json.loads(line) for line in run("render-many", *arguments, "--json").stdout.splitlines()]
    told += [each["name"] for each in last if each.get("status") == "rendered"]
    journal = [json.loads(line)["name"] for line in (out / "batch.jsonl").read_text().splitlines()]
    assert sorted(journal) == [f"t-{number}" for number in range(1, 10)], "each row ended once"
    assert len(told) == len(set(told)), "no row that was told as rendered is rendered again"
    assert {probe_video(path).frame_count for path in out.glob("*.mp4")} == {12}
    assert len(list(out.glob("*.mp4"))) == 9
    again = [json.loads(line) for line in run("render-many", *arguments, "--json").stdout.splitlines()]
    assert (again[-1]["unchanged"], again[-1]["rendered"], again[-1]["failed"]) == (9, 0, 0)
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")], "nothing half done is left"
