"""`render-many` as a user runs it: lines, JSON, exit status, kills."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.command import COMMAND, SMALL, run, scene, write


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
    template = write(tmp_path, scene(text="{{row}}", duration=2), "t.json")
    table = write(tmp_path, "n\n" + "1\n" * 8, "t.csv")
    arguments = [str(each) for each in (table, "--template", template, "-o", tmp_path / "out", *SMALL)]
    command = [*COMMAND, "render-many", *arguments, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        finished = [json.loads(child.stdout.readline())["name"] for _ in range(2)]
        child.send_signal(number)
        _, errors = child.communicate(timeout=20)
    assert child.returncode == (-9 if number is signal.SIGKILL else 130)
    if number is signal.SIGINT:
        assert "the same command continues with the others" in errors
    again = [json.loads(line) for line in run("render-many", *arguments, "--json").stdout.splitlines()]
    assert {each["name"] for each in again[:-1] if each["status"] == "unchanged"} >= set(finished)
    assert again[-1]["failed"] == 0
    assert again[-1]["rendered"] > 0
    assert len(list((tmp_path / "out").glob("*.mp4"))) == 8
