"""`fetch`, and `-o` of `submit --wait` and `submit-many --wait`, against a real node: files, words, exit statuses."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.jobs import NodeProcess, node_process, tiny_story
from tests.support.paths import ROOT
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.cli.main import main
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.outputs.paths import ROLES

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, session_cache: Path) -> Iterator[NodeProcess]:
    """A node with one slot, which answers."""
    with node_process(tmp_path_factory.mktemp("node"), cache=session_cache) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def completed(node: NodeProcess) -> str:
    """A completed job."""
    with NodeClient(node.config.node.bind, timeout=2 * FAST_SECONDS) as client:
        job_id = client.submit(tiny_story("done"), key="done").job_id
        assert client.wait(job_id, 4 * FAST_SECONDS).status == "completed"
        return job_id


@pytest.fixture
def run(node: NodeProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command; return exit status, output and errors."""
    monkeypatch.setenv("VIDEO_PIPELINE_CONNECT", node.config.node.bind)

    def command(*arguments: object) -> tuple[int, str, str]:
        before = signal.getsignal(signal.SIGTERM)
        try:
            status = main([str(argument) for argument in arguments])
        finally:
            signal.signal(signal.SIGTERM, before)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


def test_the_files_of_a_job_are_fetched_and_their_paths_printed(
    run: Command, completed: str, tmp_path: Path, node: NodeProcess
) -> None:
    status, out, err = run("fetch", completed, "-o", tmp_path / "got")
    assert (status, err) == (0, "")
    paths = [Path(line) for line in out.splitlines()]
    assert len(paths) == len(ROLES)
    for path in paths:
        assert path.parent == tmp_path / "got"
        source = node.config.storage.output_path / completed / path.name
        assert path.read_bytes() == source.read_bytes()
    status, out, _ = run("fetch", completed, "-o", tmp_path / "some", "--files", "video", "srt", "--json")
    made = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [(one["role"], one["job_id"]) for one in made] == [("video", completed), ("srt", completed)]
    assert [one["size"] for one in made] == [Path(one["path"]).stat().st_size for one in made]


def test_what_cannot_be_fetched_is_one_line_and_an_exit_status(
    run: Command, completed: str, tmp_path: Path, node: NodeProcess
) -> None:
    missing = "job-" + "0" * 24
    late = run("submit", write(tmp_path, "late"), "--schedule", "+1d", "--json")[1]
    queued = json.loads(late)["job_id"]
    cases = [
        ((missing,), 1, f"error: there is no job {missing}"),
        ((queued,), 1, f"error: {queued} has the status queued; only a completed job has files"),
        (("job-1",), 2, "error: JOB: got 'job-1'"),
        ((completed, "--files", "sound"), 2, "error: --files: got 'sound'; allowed: video, thumbnail"),
    ]
    for arguments, expected, words in cases:
        status, out, err = run("fetch", *arguments, "-o", tmp_path / "no")
        assert (status, out) == (expected, "")
        assert err.startswith(words)
        assert len(err.splitlines()) == 1
    assert run("cancel", queued)[0] == 0
    assert run("fetch", queued, "-o", tmp_path / "no")[2].startswith(
        f"error: {queued} has the status cancelled"
    )
    (tmp_path / "file").touch()
    status, _, err = run("fetch", completed, "-o", tmp_path / "file")
    assert (status, err.startswith("error: --output: ")) == (2, True)
    assert not (tmp_path / "no").exists()


def write(folder: Path, name: str) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(tiny_story(name)), encoding="utf-8")
    return path


def test_files_that_were_cleaned_away_are_one_line(run: Command, node: NodeProcess, tmp_path: Path) -> None:
    status, out, _ = run("submit", write(tmp_path, "gone"), "--wait", "--json")
    job = json.loads(out.splitlines()[-1])
    assert (status, job["status"]) == (0, "completed")
    folder = node.config.storage.output_path / job["job_id"]
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    status, _, err = run("fetch", job["job_id"], "-o", tmp_path / "got")
    assert (status, err) == (1, f"error: {job['job_id']}: the node no longer has all its files\n")


def test_submitted_stories_are_fetched_when_they_are_done(run: Command, tmp_path: Path) -> None:
    one, other = write(tmp_path, "one"), write(tmp_path, "other")
    status, out, _ = run("submit", one, "--wait", "-o", tmp_path / "single")
    assert status == 0
    assert str(tmp_path / "single" / "one.mp4") in out.splitlines()
    status, out, _ = run("submit", one, other, "--wait", "-o", tmp_path / "both", "--json")
    assert status == 0
    made = [json.loads(line) for line in out.splitlines() if '"role": "video"' in line]
    assert sorted(Path(video["path"]).relative_to(tmp_path / "both") for video in made) == sorted(
        Path(video["job_id"]) / Path(video["path"]).name for video in made
    )
    assert len(made) == 2
    status, _, err = run("submit", one, "-o", tmp_path / "single")
    assert (status, err.split(" without ")[0]) == (2, f"error: --output: got {tmp_path / 'single'}")


def test_each_row_of_a_table_is_fetched_into_a_folder_of_its_name(run: Command, tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    template.write_text(json.dumps({**tiny_story("row"), "id": "{{city}}", "title": "{{city}}"}))
    table = tmp_path / "cities.csv"
    table.write_text("city\nOslo\nRome\n")
    status, out, err = run(
        "submit-many", table, "--template", template, "--name", "{{city}}", "--wait", "-o", tmp_path / "out"
    )
    assert status == 0, out + err
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").glob("*/*.mp4"))
    assert found == ["Oslo/Oslo.mp4", "Rome/Rome.mp4"]


def test_a_terminal_shows_a_bar_and_standard_output_has_only_paths(
    node: NodeProcess, completed: str, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "video_pipeline", "fetch", completed, "-o", str(tmp_path), "--files", "video"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        cwd=ROOT,
        env={**os.environ, "VIDEO_PIPELINE_CONNECT": node.config.node.bind, "TERM": "xterm"},
        timeout=4 * FAST_SECONDS,
        check=False,
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0
    assert done.stdout.decode() == f"{tmp_path / 'done.mp4'}\n"
    assert "done.mp4" in shown
