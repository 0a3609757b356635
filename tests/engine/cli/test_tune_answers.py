"""The whole way of a tuning run on real clips: search, report, best settings, profile, comparison."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import run, write
from tests.support.tuning_runs import make_run
from tests.support.video import run_ffmpeg
from video_pipeline.engine.cli.tune_answers import GOALS, LIMITS
from video_pipeline.engine.config.profiles import check_evidence, load_profile
from video_pipeline.engine.tuning import queries
from video_pipeline.engine.tuning.runs import run_as_json

SPACE = """
description: a small one
fixed: {encoder: libx264}
search:
  preset: [ultrafast, superfast]
  crf: [20, 24, 28, 32]
always:
  - {encoder: libx264, preset: medium, bitrate: 8000k}
"""


@pytest.fixture(scope="module")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a test pattern, checked on a fractal."""
    folder = tmp_path_factory.mktemp("tune")
    for name, source in (
        ("pattern", "testsrc2=size=192x320:rate=30"),
        ("fractal", "mandelbrot=size=192x320:rate=30"),
    ):
        run_ffmpeg("-f", "lavfi", "-i", source, "-t", "1", "-c:v", "ffv1", str(folder / f"{name}.mkv"))
    space = write(folder, SPACE, "space.yaml")
    path = folder / "run.sqlite"
    done = run(
        *("tune", "run", folder / "pattern.mkv", "--held-out", folder / "fractal.mkv"),
        *("--space", space, "--repeats", "1", "-o", path, "-q"),
    )
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def made_run(tmp_path: Path) -> Path:
    return write(tmp_path, run_as_json(make_run()), "made.json")


def test_a_report_is_written_as_page_json_and_csv_and_printed(real_run: Path, tmp_path: Path) -> None:
    page, text, table = (tmp_path / f"out/run.{suffix}" for suffix in ("html", "json", "csv"))
    done = run(
        "tune", "report", real_run, "-o", page, "-o", text, "-o", table, "--min-vmaf", "90", "--price", "0.4"
    )
    assert done.returncode == 0, done.stderr
    assert "<- chosen" in done.stdout
    assert f"written: {page}" in done.stdout
    html = page.read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 2 * 4  # two clips: drawn, chosen, reference, difference
    assert "no pictures" not in done.stderr
    assert "tune report" in html
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert {row["part"] for row in rows} == {"training", "held_out"}
    report = json.loads(text.read_text(encoding="utf-8"))["report"]
    assert report["answer"]["density"]["cost_per_hour"] > 0
    assert report["answer"]["held_out"]["summary"]["vmaf"] > 0
    assert report["deltas"][0]["rate"]["percent"]["value"] < 0  # superfast beside ultrafast
    again = run("tune", "best", text, "--min-vmaf", "90", "--json")
    assert json.loads(again.stdout)["chosen"]["trial"] == report["answer"]["chosen"]["trial"]


def test_pictures_that_cannot_be_made_leave_a_page_that_says_why(real_run: Path, tmp_path: Path) -> None:
    text, page = tmp_path / "run.json", tmp_path / "run.html"
    assert run("tune", "report", real_run, "-o", text, "-q").returncode == 0
    done = run("tune", "report", text, "-o", page, "--min-vmaf", "90")
    assert done.returncode == 0
    assert "no pictures: run" in done.stderr
    assert "not of the corpus" in page.read_text(encoding="utf-8")


def test_the_best_settings_become_a_profile_that_renders_and_has_its_evidence(
    real_run: Path, tmp_path: Path
) -> None:
    target = tmp_path / "mine.yaml"
    done = run("tune", "profile", real_run, "mine", "-o", target, "--min-vmaf", "90")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine.run.json").is_file()
    profile = load_profile(target)
    assert check_evidence(profile)
    assert profile.encoders["libx264"].measured
    best = json.loads(run("tune", "best", real_run, "--min-vmaf", "90", "--json").stdout)
    assert profile.video.model_dump(exclude_unset=True) == best["chosen"]["settings"]
    assert profile.description.startswith("Fastest with VMAF ≥ 90.00, of run ")


def test_evidence_of_another_profile_is_kept(real_run: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "mine.yaml", tmp_path / "mine.yml"
    other = write(tmp_path, "another's evidence", "mine.run.json")
    for target in (first, second, second):
        done = run("tune", "profile", real_run, "mine", "-o", target, "--min-vmaf", "90")
        assert done.returncode == 0, done.stderr
        assert f"evidence: {tmp_path / 'mine.run-2.json'}" in done.stdout
        assert check_evidence(load_profile(target))
    assert other.read_text(encoding="utf-8") == "another's evidence"
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    ("name", "target", "words"),
    [
        ("../evil", None, "profile: name: got '../evil'"),
        ("none", None, "'none' means no profile"),
        ("ok", "ok.txt", "the name must be"),
        ("ok", "folder.yaml", "is a folder; name a file"),
    ],
)
def test_a_profile_that_cannot_be_written_leaves_no_file(
    real_run: Path, tmp_path: Path, name: str, target: str | None, words: str
) -> None:
    inside = tmp_path / "inside"
    (inside / "folder.yaml").mkdir(parents=True)
    output = () if target is None else ("-o", target)
    done = run("tune", "profile", real_run, name, *output, "--min-vmaf", "90", cwd=inside)
    assert done.returncode == 2
    assert words in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["inside", "folder.yaml"]


def test_a_trial_of_ones_own_choice_becomes_a_profile(made_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.yaml"
    done = run("tune", "profile", made_run, "mine", "-o", target, "--trial", "3", "--json")
    assert json.loads(done.stdout)["video"] == {"preset": "superfast", "crf": 22.0}
    assert load_profile(target).evidence is not None


def test_a_run_compared_with_its_json_did_not_change(real_run: Path, tmp_path: Path) -> None:
    text = tmp_path / "run.json"
    assert run("tune", "report", real_run, "-o", text, "-q").returncode == 0
    done = run("tune", "compare", real_run, text)
    assert done.returncode == 0
    assert "Every setting gives the same bytes and quality." in done.stdout
    assert (
        json.loads(run("tune", "compare", real_run, text, "--held-out", "--json").stdout)["part"]
        == "held_out"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["best", "RUN", "--min-vmaf", "99.9"],
            "error: --min-vmaf: got 99.9; no trial of run a has it; allowed: at most",
        ),
        (["best", "RUN", "--max-mbit", "0"], "error: --max-mbit: got 0; allowed: a number above 0"),
        (["best", "RUN", "--price", "-1"], "error: --price: got -1; allowed: the price of an hour"),
        (["best", "RUN", "--encoder", "h264_nvenc"], "error: --encoder: got 'h264_nvenc'; allowed: libx264"),
        (
            ["best", "RUN", "--reference", "99"],
            "error: --reference: got 99, which is not in the part training",
        ),
        (
            ["report", "RUN", "-o", "run.txt"],
            "error: output: got run.txt; allowed: names that end in .html, .json, .csv",
        ),
        (["report", "RUN", "-o", "RUN"], "which is the run itself"),
        (["report", "RUN", "--pictures", "-1"], "error: --pictures: got -1; allowed: 0 or more"),
        (["report", "gone.sqlite"], "error: run gone.sqlite: cannot be read: No such file"),
        (["profile", "RUN", "a/b", "-o", "mine.yaml"], "error: profile: name: got 'a/b'"),
        (["profile", "RUN", "mine", "-o", "mine.txt"], "mine.txt"),
        (["compare", "RUN", "gone.json"], "error: run gone.json: cannot be read"),
    ],
)
def test_what_is_wrong_is_said_by_its_option(
    made_run: Path, arguments: list[str], message: str, tmp_path: Path
) -> None:
    done = run("tune", *(str(made_run) if word == "RUN" else word for word in arguments), cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.json"]


def test_a_damaged_database_is_an_error(tmp_path: Path, real_run: Path) -> None:
    whole = real_run.read_bytes()
    damaged = tmp_path / "damaged.sqlite"
    for content in (whole[: len(whole) // 2], whole[:4096] + b"\x55" * (len(whole) - 4096)):
        damaged.write_bytes(content)
        done = run("tune", "best", damaged)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith(f"error: run {damaged}: ")


def test_a_run_whose_measurements_are_gone_is_an_error(tmp_path: Path, real_run: Path) -> None:
    emptied = tmp_path / "emptied.sqlite"
    emptied.write_bytes(real_run.read_bytes())
    with sqlite3.connect(emptied) as database:
        database.execute("DELETE FROM measurements")
    database.close()
    done = run("tune", "report", emptied)
    assert done.returncode == 2
    assert "has no measurements yet" in done.stderr


def test_every_limit_and_goal_has_an_option() -> None:
    assert tuple(LIMITS) == tuple(limit.name for limit in queries.LIMITS)
    assert GOALS == queries.GOALS


def as_json(*arguments: Any) -> Any:
    return json.loads(run(*arguments).stdout)


def test_a_report_prints_json_too(made_run: Path, tmp_path: Path) -> None:
    found = as_json("tune", "report", made_run, "-o", tmp_path / "x.csv", "--json", "--goal", "best")
    assert found["answer"]["query"]["goal"] == "best"
    assert len(found["summaries"]) == 42
