"""`video-pipeline tune` as a user runs it: a small search, killed and resumed, shown, and wrong usage."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import COMMAND, run
from tests.support.disks import small_disk
from tests.support.emulator import EmulatedDriver
from tests.support.tuning import video_file
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline.engine.tuning.records import RunData
from video_pipeline.engine.tuning.store import read_run

pytestmark = pytest.mark.slow

SPACE = "search: {preset: [ultrafast, superfast], crf: [20]}\nalways: [{preset: medium, crf: 25}]\n"
QUICK = ("--metrics", "psnr", "--goals", "cpu,size,psnr", "--repeats", "2")


@pytest.fixture
def material(tmp_path: Path) -> Path:
    (tmp_path / "space.yaml").write_text(SPACE)
    return video_file(tmp_path / "clip.mkv")


def _tried(data: RunData) -> list[tuple[Any, ...]]:
    return [
        (each.number, each.part, tuple(sorted(each.settings.items())), each.status) for each in data.trials
    ]


def test_a_run_that_was_killed_has_the_same_trials_when_it_is_resumed(tmp_path: Path, material: Path) -> None:
    space = ("--space", tmp_path / "space.yaml")
    whole, killed = tmp_path / "whole.sqlite", tmp_path / "killed.sqlite"
    done = run("tune", "run", material, *space, *QUICK, "-o", whole, "-q")
    assert done.returncode == 0, done.stderr
    command = [*COMMAND, "tune", "run", material, *space, *QUICK, "-o", killed, "-q"]
    process = subprocess.Popen(list(map(str, command)), start_new_session=True)
    _wait_for(killed, 2, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = _stored(killed)
    assert 2 <= len(before) < 6
    resumed = run("tune", "resume", killed)
    assert resumed.returncode == 0, resumed.stderr
    assert "killed.sqlite: 3 trials" in resumed.stdout
    ours, theirs = read_run(killed), read_run(whole)
    assert _tried(ours) == _tried(theirs)
    assert [(each.trial, each.clip, each.repeat, each.bytes, each.psnr_y) for each in ours.measurements] == [
        (each.trial, each.clip, each.repeat, each.bytes, each.psnr_y) for each in theirs.measurements
    ]
    assert before <= _stored(killed)


def _stored(path: Path) -> set[tuple[Any, ...]]:
    database = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)
    try:
        return set(database.execute("SELECT * FROM measurements"))
    finally:
        database.close()


def _wait_for(path: Path, count: int, process: subprocess.Popen[Any]) -> None:
    """Wait until a run has stored some measurements."""

    def stored() -> bool:
        assert process.poll() is None
        return _count(path) >= count

    wait_until(stored, seconds=4 * FAST_SECONDS, what=f"{count} measurements")


def _count(path: Path) -> int:
    try:
        return len(_stored(path))
    except sqlite3.OperationalError:
        return 0


def test_a_run_is_shown_for_people_and_for_programs(tmp_path: Path, material: Path) -> None:
    path = tmp_path / "run.sqlite"
    space = tmp_path / "space.yaml"
    space.write_text("search: {preset: [ultrafast], crf: [20], multipass: [null, qres]}\n")
    done = run(
        "tune",
        "run",
        material,
        "--held-out",
        material,
        "--space",
        space,
        "--repeats",
        "1",
        "--json",
        "-o",
        path,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [each["event"] for each in events[-2:]] == ["progress", "done"]
    assert events[-1] == {
        **{"event": "done", "status": "completed", "run": str(path), "ended": "complete"},
        **{"done": 2, "failed": 1},
    }
    assert {each.get("stage") for each in events[:-1]} == {"material", "search"}
    text = run("tune", "show", path).stdout
    assert "training: CPU s" in text
    assert "held out: CPU s" in text
    assert "libx264 preset=ultrafast crf=20" in text
    assert "video.multipass: got 'qres', which libx264 does not have" in text
    shown = json.loads(run("tune", "show", path, "--json").stdout)
    assert [each["status"] for each in shown["trials"]] == ["done", "failed", "done"]
    assert shown["trials"][0]["vmaf"] > 50
    assert shown["material"]["clips"][1]["name"] == "clip-2"
    assert shown["machine"]["cores"] >= 1
    assert shown["versions"]["encoders"]["libx264"]["x264"]
    assert shown["command"][:3] == ["video-pipeline", "tune", "run"]


def test_a_run_whose_every_trial_failed_is_a_failure(tmp_path: Path, material: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("search: {preset: [fastest]}\n")
    done = run("tune", "run", material, "--space", space, *QUICK, "-o", tmp_path / "run.sqlite")
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert "first failure: libx264 preset=fastest: video.preset: got 'fastest'" in done.stdout


def test_resume_refuses_material_that_has_changed(tmp_path: Path, material: Path) -> None:
    path = tmp_path / "run.sqlite"
    space = ("--space", tmp_path / "space.yaml")
    run("tune", "run", material, *space, *QUICK, "--minutes", "0.001", "-o", path, "-q")
    video_file(material, seconds=0.5)
    done = run("tune", "resume", path)
    assert done.returncode == 2
    assert "its material has changed (clip); start a new run" in done.stderr


def test_time_that_is_up_is_said_and_a_later_call_goes_on(tmp_path: Path, material: Path) -> None:
    path = tmp_path / "run.sqlite"
    space = ("--space", tmp_path / "space.yaml")
    done = run("tune", "run", material, *space, *QUICK, "--minutes", "0.005", "-o", path)
    assert f"the time is up: video-pipeline tune resume {path}" in done.stdout
    again = run("tune", "resume", path, "--minutes", "5")
    assert again.returncode == 0
    assert f"{path}: 3 trials\n" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", "big"], "--size: got 'big'"),
        (["--space", "x265"], "--space: got 'x265' (did you mean 'x264'?); allowed: nvenc, presets, x264"),
        (["--goals", "speed"], "--goals: got 'speed'; allowed: cpu, wall, size"),
        (["--metrics", "vmav"], "--metrics: got 'vmav' (did you mean 'vmaf'?)"),
        (["--repeats", "0"], "--repeats: got 0; allowed: 1 to 100"),
        (["--guided"], "--guided: got neither trials nor minutes; set the most of one of them"),
        (
            ["--space", "gone.yaml"],
            "--space: got 'gone.yaml', which is no file; allowed: nvenc, presets, x264, or a",
        ),
        (
            ["--metrics", "psnr", "--goals", "vmaf"],
            "--goals: got 'vmaf', which needs the metric vmaf; allowed with metrics psnr: cpu, wall, size, psnr\n",
        ),
        (
            ["--metrics", "none", "--min-vmaf", "90"],
            "--min-vmaf: got 90, which needs the metric vmaf; metrics: got none",
        ),
        (
            ["corpus:stil"],
            "MATERIAL: got 'corpus:stil', and the corpus has no clip 'stil' (did you mean 'still'?); allowed: still,",
        ),
        (
            ["--held-out", "corpus:x"],
            "--held-out: got 'corpus:x', and the corpus has no clip 'x'; allowed: still,",
        ),
        (
            ["--held-out", "gone.mp4"],
            "--held-out: got 'gone.mp4', which cannot be read: No such file or directory; allowed: a story",
        ),
        (["corpu"], "MATERIAL: got 'corpu' (did you mean 'corpus'?), which cannot be read: No such file"),
        (["--space", "x264"], "space x264: has more than 100000 combinations; search it guided"),
        (["--jobs", "1000"], "--jobs: got 1000; allowed: 1 to"),
        (["--seconds", "0"], "--seconds: got 0; allowed: more than 0"),
        (["--minutes", "-1"], "--minutes: got -1; allowed: more than 0, to"),
        (
            ["missing.json"],
            "MATERIAL: got 'missing.json', which cannot be read: No such file or directory; allowed: a",
        ),
    ],
)
def test_wrong_usage_ends_before_anything_is_made(tmp_path: Path, arguments: list[str], words: str) -> None:
    path = tmp_path / "run.sqlite"
    done = run("tune", "run", *arguments, "-o", path)
    assert done.returncode == 2
    assert words in done.stderr
    assert not path.exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on_and_leaves_nothing_running(
    tmp_path: Path, material: Path, number: int, status: int
) -> None:
    path, scratch = tmp_path / "run.sqlite", tmp_path / "scratch"
    scratch.mkdir()
    command = [
        *COMMAND,
        "tune",
        "run",
        material,
        "--space",
        tmp_path / "space.yaml",
        *QUICK,
        "-o",
        path,
        "-q",
    ]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True, env=environment)
    _wait_for(path, 1, process)
    process.send_signal(number)
    _, said = process.communicate(timeout=4 * FAST_SECONDS)
    assert process.returncode == status
    assert "interrupted; what was measured is stored: `video-pipeline tune resume`" in said
    assert not list(scratch.iterdir())
    assert run("tune", "resume", path).returncode == 0


def test_a_full_disk_ends_the_run_and_a_later_call_goes_on(tmp_path: Path, material: Path) -> None:
    with small_disk(tmp_path / "small", megabytes=1) as folder:
        path, filler = folder / "run.sqlite", folder / "filler"
        command = [*COMMAND, "tune", "run", material, "--space", tmp_path / "space.yaml", *QUICK, "-o", path]
        process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
        _wait_for(path, 1, process)
        filler.write_bytes(bytes(shutil.disk_usage(folder).free))
        _, said = process.communicate(timeout=4 * FAST_SECONDS)
        assert process.returncode == 1
        assert "cannot be written" in said
        assert "`tune resume` goes on with what is stored" in said
        filler.unlink()
        resumed = run("tune", "resume", path)
        assert resumed.returncode == 0, resumed.stderr
        assert len(read_run(path).trials) == 3


def test_a_guided_run_is_started_killed_and_resumed(tmp_path: Path, material: Path) -> None:
    path, space = tmp_path / "run.sqlite", tmp_path / "space.yaml"
    space.write_text("search: {preset: [ultrafast, superfast, veryfast], crf: {from: 20.0, to: 30.0}}\n")
    aim = ("--guided", "--trials", "4", *QUICK, "--repeats", "1")
    command = [*COMMAND, "tune", "run", material, "--space", space, *aim, "-o", path, "-q"]
    process = subprocess.Popen(list(map(str, command)))
    _wait_for(path, 2, process)
    process.kill()
    process.wait()
    before = _stored(path)
    resumed = run("tune", "resume", path, "--trials", "6")
    assert resumed.returncode == 0, resumed.stderr
    assert f"{path}: 6 trials" in resumed.stdout
    assert before <= _stored(path)


def test_a_run_is_not_written_over(tmp_path: Path, material: Path) -> None:
    path = tmp_path / "run.sqlite"
    path.write_text("mine")
    done = run("tune", "run", material, "-o", path)
    assert done.returncode == 2
    assert (
        f"run {path}: exists; name another file, or go on with it: video-pipeline tune resume {path}"
        in done.stderr
    )
    assert path.read_text() == "mine"
    assert run("tune", "show", path).returncode == 2


def test_a_video_that_is_too_small_is_an_error_before_a_run_is_made(tmp_path: Path) -> None:
    for size, code in (("8x8", 2), ("64x14", 2), ("16x16", 0)):
        tiny = video_file(tmp_path / "tiny.mkv", "-y", "-c:v", "ffv1", "-pix_fmt", "yuv420p", size=size)
        (tmp_path / "space.yaml").write_text("search: {preset: [ultrafast], crf: [20]}\n")
        path = tmp_path / "run.sqlite"
        speed = ("--space", tmp_path / "space.yaml", "--metrics", "none", "--goals", "cpu,size")
        done = run("tune", "run", tiny, *speed, "--repeats", "1", "-o", path, "-q")
        assert done.returncode == code, done.stderr
        if code:
            assert f"material {tiny}: is {size}; allowed: at least 16x16" in done.stderr
        assert path.exists() is not bool(code)


def test_no_jobs_and_no_further_minutes_are_errors(tmp_path: Path, material: Path) -> None:
    path = tmp_path / "run.sqlite"
    search = ("--space", tmp_path / "space.yaml", *QUICK, "-o", path, "-q")
    refused = run("tune", "run", material, *search, "--jobs", "0")
    assert (refused.returncode, path.exists()) == (2, False)
    assert "jobs: got 0; allowed: 1 to" in refused.stderr
    assert run("tune", "run", material, *search).returncode == 0
    for option, value, words in (
        ("--jobs", "0", "jobs: got 0; allowed: 1 to"),
        ("--minutes", "0", "minutes: got 0; allowed: more than 0, to"),
        ("--minutes", "-2", "minutes: got -2; allowed: more than 0, to"),
    ):
        resumed = run("tune", "resume", path, option, value)
        assert (resumed.returncode, words in resumed.stderr) == (2, True), resumed.stderr


def test_nvenc_is_searched_and_a_lost_gpu_blames_no_trial(tmp_path: Path, driver: EmulatedDriver) -> None:
    material = video_file(tmp_path / "clip.mkv", size="160x96")
    path, space = tmp_path / "run.sqlite", tmp_path / "space.yaml"
    space.write_text("fixed: {encoder: h264_nvenc, crf: 25}\nsearch: {preset: [p1, p4], bf: [0, 2]}\n")
    speed = ("--metrics", "none", "--goals", "wall,size", "--repeats", "1")
    lost = driver.video_pipeline("tune", "run", material, "--space", space, *speed, "-o", path, lost="0:8")
    assert lost.returncode == 1
    assert "h264_nvenc" in lost.stderr
    assert read_run(path).trials == ()
    (tmp_path / "repaired").mkdir()
    repaired = replace(driver, state=tmp_path / "repaired")
    again = repaired.video_pipeline("tune", "resume", path)
    assert again.returncode == 0, again.stderr
    data = read_run(path)
    assert [(each.encoder, each.status) for each in data.trials] == [("h264_nvenc", "done")] * 4
    assert all(each.bytes > 0 and each.vmaf is None for each in data.measurements)
