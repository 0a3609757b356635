"""The commands that talk to a node, against a real node: text, JSON, exit statuses."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.jobs import endless_story, node_process, tiny_story
from tests.support.paths import ROOT
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline.engine.cli.main import main
from video_pipeline.engine.jobs.client.client import NodeClient

NO_JOB = "job-" + "0" * 24
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, session_cache: Path) -> Iterator[str]:
    """A node with one slot, which answers."""
    with node_process(tmp_path_factory.mktemp("node"), cache=session_cache) as node:
        node.wait_until_ready()
        yield node.config.node.bind


@pytest.fixture
def client(url: str) -> Iterator[NodeClient]:
    """A client of the node; the jobs that a test leaves are cancelled."""
    with NodeClient(url, timeout=2 * FAST_SECONDS) as made:
        yield made
        for status in ("queued", "processing"):
            for job in made.jobs(status=status):
                made.cancel(job.job_id)


@pytest.fixture
def run(url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command; return exit status, output and errors."""
    monkeypatch.setenv("VIDEO_PIPELINE_CONNECT", url)

    def command(*arguments: object) -> tuple[int, str, str]:
        before = signal.getsignal(signal.SIGTERM)
        try:
            status = main([str(argument) for argument in arguments])
        finally:
            signal.signal(signal.SIGTERM, before)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


def write(path: Path, story: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(story), encoding="utf-8")
    return path


def objects(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects of lines, each of which must be one."""
    return [json.loads(line) for line in text.splitlines()]


def test_a_story_is_submitted_watched_and_looked_at_in_words(
    run: Command, client: NodeClient, tmp_path: Path
) -> None:
    story = write(tmp_path / "tiny.json", tiny_story("words"))
    status, out, _ = run("submit", story, "--key", "words-1", "--priority", "high")
    assert status == 0
    job, state, name = out.split()
    assert (state, name) == ("queued", str(story))
    assert "the same job as before" in run("submit", story, "--key", "words-1", "--priority", "high")[1]
    status, out, err = run("watch", job)
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert [line.split()[3] for line in lines[:2]] == ["queued", "processing"]
    video = Path(lines[-1].split("  ")[2])
    assert lines[-1].startswith(f"{job}  completed")
    assert out.count("completed") == 1
    assert video.is_file()
    status, out, _ = run("status", job)
    table = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert status == 0
    assert (table["job"], table["status"], table["priority"]) == (job, "completed", "high")
    assert (table["video"], table["attempts"], table["key"]) == (str(video), "1 of 3", "words-1")
    status, out, _ = run("list", "--limit", 1)
    header, _, row = out.splitlines()
    assert header.split()[:3] == ["job", "story", "status"]
    assert row.split()[:4] == [job, "words", "completed", "high"]
    status, out, _ = run("stats")
    assert "of 1 rendering" in out


def test_a_job_has_the_profile_of_its_option_by_name_or_from_a_file_that_only_the_client_has(
    run: Command, client: NodeClient, tmp_path: Path
) -> None:
    story = write(tmp_path / "tiny.json", tiny_story("profiled"))
    config = tmp_path / "config.yaml"
    config.write_text("video_pipeline: {video: {preset: slow, crf: 33, bf: 1, fps: 30}}")
    mine = write(
        tmp_path / "mine.yaml", {"name": "mine", "video": {"preset": "superfast", "bf": 0, "trellis": 1}}
    )
    jobs = []
    for profile in ("draft", mine):
        status, out, err = run("submit", story, "--config", config, "--profile", profile, "--json")
        assert status == 0, err
        jobs.append(objects(out)[0]["job_id"])
    mine.unlink()
    found = []
    for job in jobs:
        done = client.wait(job)
        assert done.result
        manifest = json.loads(Path(done.result["manifest_path"]).read_text(encoding="utf-8"))
        assert manifest["fps"] == 30
        found.append((manifest["encoder"]["profile"], manifest["encoder"]["options"]))
    (draft, by_draft), (own, by_own) = found
    assert (draft["name"], draft["changed"], by_draft["preset"]) == ("draft", [], "superfast")
    assert (own["name"], own["changed"]) == ("mine", [])
    assert (by_own["preset"], by_own["bf"], by_own["trellis"]) == ("superfast", "0", "1")
    status, _, err = run("submit", story, "--profile", "fast")
    assert status == 2
    assert "video.profile: got 'fast'; allowed: draft, social, archive, guide, none" in err
    status, _, err = run("submit", story, "--profile", mine)
    assert status == 2
    assert f"{mine}: cannot be read: No such file" in err


def test_a_job_has_the_look_of_its_option_by_name_or_from_a_file_that_only_the_client_has(
    run: Command, client: NodeClient, tmp_path: Path
) -> None:
    story = write(tmp_path / "tiny.json", tiny_story("styled"))
    (tmp_path / "mine.cube").write_text("LUT_3D_SIZE 2\n" + "0.5 0.5 0.5\n" * 8)
    (tmp_path / "mine.yaml").write_text("grade: {lut: mine.cube, strength: 0.5}\n")
    jobs = []
    for look in ("noir", tmp_path / "mine.yaml"):
        status, out, err = run("submit", story, "--look", look, "--send-assets", "--json")
        assert status == 0, err
        jobs.append(objects(out)[0]["job_id"])
    (tmp_path / "mine.yaml").unlink()
    (tmp_path / "mine.cube").unlink()
    found = []
    for job in jobs:
        done = client.wait(job)
        assert done.result
        manifest = json.loads(Path(done.result["manifest_path"]).read_text(encoding="utf-8"))
        found.append((manifest["look"] and manifest["look"]["name"], manifest["grade"]["strength"]))
    assert found == [("noir", 1), (None, 0.5)]
    status, _, err = run("submit", story, "--look", "nior")
    assert status == 2
    assert "look.name: got 'nior'; allowed: cinematic" in err
    status, _, err = run("submit", story, "--look", tmp_path / "mine.yaml")
    assert status == 2
    assert "mine.yaml: cannot be read" in err


def test_a_job_has_the_words_of_a_lexicon_that_only_the_client_has(
    run: Command, client: NodeClient, tmp_path: Path
) -> None:
    story = write(tmp_path / "tiny.json", tiny_story("lexicon"))
    words = write(tmp_path / "words.json", {"nike": "nykey"})
    config = tmp_path / "config.yaml"
    config.write_text("tts: {lexicon: {Nike: knee, gif: jiff}}")
    status, out, err = run("submit", story, "--config", config, "--lexicon", words, "--json")
    assert status == 0, err
    words.unlink()
    done = client.wait(objects(out)[0]["job_id"])
    assert done.result
    manifest = json.loads(Path(done.result["manifest_path"]).read_text(encoding="utf-8"))
    assert manifest["narration"]["lexicon"] == {"gif": "jiff", "nike": "nykey"}
    status, _, err = run("submit", story, "--lexicon", words)
    assert status == 2
    assert f"--lexicon: {words}: cannot be read: No such file" in err


def test_submit_watch_and_status_print_json(run: Command, client: NodeClient, tmp_path: Path) -> None:
    story = write(tmp_path / "tiny.json", tiny_story("in-json"))
    config = tmp_path / "config.yaml"
    config.write_text("video_pipeline: {video: {fps: 30}}")
    status, out, _ = run("submit", story, "--config", config, "--max-attempts", 2, "--json")
    (made,) = objects(out)
    assert (status, made["status"], made["created"], made["story"]) == (0, "queued", True, str(story))
    status, out, _ = run("watch", made["job_id"], "--json")
    *events, end = objects(out)
    assert status == 0
    assert {event["job_id"] for event in events} == {made["job_id"]}
    assert [event["kind"] for event in events if event["kind"] != "progress"] == [
        "queued",
        "processing",
        "completed",
    ]
    assert (end["job_id"], end["status"], end["max_attempts"]) == (made["job_id"], "completed", 2)
    assert end["result"]["video_info"]["fps"] == 30
    assert objects(run("status", made["job_id"], "--json")[1]) == [end]
    assert made["job_id"] in [
        job["job_id"] for job in objects(run("list", "--status", "completed", "--json")[1])
    ]
    (stats,) = objects(run("stats", "--json")[1])
    assert stats["slots"] == 1
    assert stats["jobs"]["completed"] >= 1


def test_submit_with_wait_sends_files_and_shows_every_job(
    run: Command, client: NodeClient, tmp_path: Path
) -> None:
    Image.new("RGB", (160, 284), "navy").save(tmp_path / "blue.png")
    scene = {"scene_id": "a", "narration": "", "duration": 0.5, "image": "blue.png"}
    first = write(tmp_path / "first.json", {"id": "first", "title": "First", "scenes": [scene]})
    second = write(tmp_path / "second.json", tiny_story("second"))
    status, _, err = run("submit", first)
    assert status == 2
    assert "scene_id 'a'" in err
    assert "--send-assets sends the files" in err
    status, out, _ = run("submit", first, second, "--send-assets", "--wait", "--json")
    assert status == 0
    assert [each["status"] for each in objects(out)[-2:]] == ["completed", "completed"]
    jobs = [each["job_id"] for each in objects(out)[-2:]]
    assert [each["job_id"] for each in objects(out)[:2]] == jobs
    completed = [each["job_id"] for each in objects(out) if each.get("kind") == "completed"]
    assert sorted(completed) == sorted(jobs)
    status, out, _ = run("submit", second, "--wait")
    assert status == 0
    assert out.splitlines()[-1].endswith("second.mp4")


def test_pictures_of_every_format_are_sent_and_shown(
    run: Command, client: NodeClient, tmp_path: Path
) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    pytest.importorskip("resvg_py", reason="the extra svg is not installed")
    picture = Image.effect_noise((90, 160), 90).convert("RGB")
    for suffix in ("avif", "tiff", "bmp", "gif"):
        picture.save(tmp_path / f"p.{suffix}")
    pillow_heif.from_pillow(picture).save(tmp_path / "p.heic")
    size = 'width="90" height="160"'
    drawing = f"<svg xmlns='http://www.w3.org/2000/svg' {size}><rect {size} fill='navy'/></svg>"
    (tmp_path / "p.svg").write_text(drawing, encoding="utf-8")
    scenes: list[dict[str, Any]] = [
        {"scene_id": suffix, "image": f"p.{suffix}"}
        for suffix in ("avif", "heic", "tiff", "bmp", "gif", "svg")
    ]
    for suffix in ("webp", "png", "gif", "avif"):
        name = f"moving.{suffix}"
        picture.save(tmp_path / name, save_all=True, append_images=[picture.rotate(180)], duration=100)
        scenes.append({"scene_id": f"moving_{suffix}", "video": name})
    scenes = [{**scene, "narration": "", "duration": 0.3, "transition": "cut"} for scene in scenes]
    story = write(tmp_path / "s.json", {"id": "formats", "title": "Formats", "scenes": scenes})
    mark = write(tmp_path / "c.json", {"watermark": {"image": str(tmp_path / "p.svg")}})
    status, out, err = run("submit", story, "--config", mark, "--send-assets", "--wait", "--json")
    assert status == 0, err
    job = client.status(objects(out)[-1]["job_id"])
    assert job.status == "completed"
    assert job.result is not None
    manifest = json.loads(Path(job.result["manifest_path"]).read_text(encoding="utf-8"))
    assert manifest["warnings"] == []
    roles = [each["role"] for each in manifest["inputs"]]
    assert (roles.count("still"), roles.count("footage"), roles.count("watermark")) == (6, 4, 1)


def test_submit_many_makes_a_job_for_each_new_or_changed_row(run: Command, tmp_path: Path) -> None:
    Image.new("RGB", (90, 160), "navy").save(tmp_path / "blue.png")
    scene = {"scene_id": "a", "text": "{{city}}", "narration": "", "duration": 0.5, "image": "{{picture}}"}
    template = write(tmp_path / "t.json", {"title": "{{city}}", "scenes": [scene]})
    table = tmp_path / "t.csv"
    table.write_text("city,picture\nRome,blue.png\nOslo,blue.png\n", encoding="utf-8")
    status, out, err = run("submit-many", table, "--template", template)
    assert (status, out) == (2, "")
    assert "t.csv, row 1 (line 2): " in err
    assert "--send-assets sends the files" in err
    batch = ("submit-many", table, "--template", template, "--send-assets")
    status, out, _ = run(*batch, "--wait", "--json")
    assert status == 0
    made = objects(out)
    assert [(each["row"], each["name"], each["created"]) for each in made[:2]] == [
        (1, "t-1", True),
        (2, "t-2", True),
    ]
    assert [each["status"] for each in made[-2:]] == ["completed", "completed"]
    table.write_text("city,picture\nRome,blue.png\nBergen,blue.png\n", encoding="utf-8")
    status, out, _ = run(*batch)
    assert status == 0
    first, second = out.splitlines()
    assert first == f"{made[0]['job_id']}  completed  t-1  (the same job as before)"
    assert second.endswith("  queued  t-2")


def test_the_exit_status_of_a_watch_is_the_outcome_of_its_job(
    run: Command, client: NodeClient, tmp_path: Path
) -> None:
    Image.effect_noise((160, 284), 90).save(tmp_path / "noise.png")
    broken = tmp_path / "broken.png"
    broken.write_bytes((tmp_path / "noise.png").read_bytes()[:3000])
    scene = {"scene_id": "torn", "narration": "", "duration": 0.5, "image": "broken.png"}
    story = write(tmp_path / "torn.json", {"id": "torn", "title": "Torn", "scenes": [scene]})
    status, out, _ = run("submit", story, "--send-assets", "--wait")
    assert status == 1
    failed = out.split()[0]
    assert f"{failed}  failed" in out
    assert "torn" in out
    assert "failed" in run("status", failed)[1]
    status, out, _ = run("retry", failed)
    assert (status, out) == (0, f"{failed}  queued\n")
    assert run("watch", failed, "--json")[0] == 1
    config = tmp_path / "config.yaml"
    config.write_text("error_handling: {policy: strict}")
    status, out, _ = run(
        "submit", story, "--config", config, "--lenient", "--send-assets", "--wait", "--json"
    )
    assert status == 0
    assert "a drawn picture is shown instead" in out
    long = client.submit(endless_story()).job_id
    cancelling = threading.Timer(0.5, lambda: client.cancel(long))
    cancelling.start()
    status, out, _ = run("watch", long)
    cancelling.join()
    assert status == 130
    assert out.splitlines()[-1] == f"{long}  cancelled"
    assert run("cancel", long)[0] == 0  # the picture is the one of the request
    status, _, err = run("cancel", failed)
    assert status == 1
    assert f"{failed} is failed" in err


def test_the_lines_of_a_watch_show_an_end_that_a_retry_followed(
    run: Command, client: NodeClient, tmp_path: Path
) -> None:
    story = write(tmp_path / "again.json", tiny_story("again"))
    (made,) = objects(run("submit", story, "--schedule", "+2h", "--json")[1])
    client.cancel(made["job_id"])
    client.retry(made["job_id"])
    status, out, _ = run("watch", made["job_id"])
    assert status == 0
    shown = [line.split()[3].rstrip(",") for line in out.splitlines() if line[2:3] == ":"]
    assert shown[:3] == ["queued", "cancelled", "queued"], out
    assert out.splitlines()[-1].startswith(f"{made['job_id']}  completed")


def test_jobs_are_scheduled_and_cancelled(run: Command, client: NodeClient, tmp_path: Path) -> None:
    story = write(tmp_path / "later.json", tiny_story("later"))
    (made,) = objects(run("submit", story, "--schedule", "+2h", "--json")[1])
    other = objects(run("submit", story, "--schedule", "2090-01-01T10:00:00+02:00", "--json")[1])[0]
    assert objects(run("status", other["job_id"], "--json")[1])[0]["scheduled_for"] == "2090-01-01T08:00:00Z"
    assert "scheduled" in run("status", made["job_id"])[1]
    listed = [job for job in objects(run("list", "--json")[1]) if job["job_id"] == made["job_id"]]
    assert [(job["state"], job["status"]) for job in listed] == [("scheduled", "queued")]
    assert run("submit", story, "--schedule", "+2h")[1].split()[1] == "scheduled"
    status, out, _ = run("cancel", made["job_id"], other["job_id"], "--json")
    assert status == 0
    assert [(job["job_id"], job["status"]) for job in objects(out)] == [
        (made["job_id"], "cancelled"),
        (other["job_id"], "cancelled"),
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["status", NO_JOB], 1, f"there is no job {NO_JOB}"),
        (["watch", NO_JOB], 1, f"there is no job {NO_JOB}"),
        (["cancel", NO_JOB], 1, f"there is no job {NO_JOB}"),
        (["status", "../ledger"], 2, "JOB: got '../ledger'; allowed: the id of a job"),
        (["list", "--limit", "-1"], 2, "--limit: got -1"),
        (["submit", "nowhere.json"], 2, "nowhere.json: cannot be read"),
        (["submit", "pyproject.toml"], 2, "pyproject.toml: not JSON"),
        (["submit", "examples/lighthouse.json", "--schedule", "tomorrow"], 2, "+30m"),
        (
            ["submit", "examples/lighthouse.json", "--schedule", "1960-01-01T00:00"],
            2,
            "--schedule: got '1960-01-01T00:00:00",
        ),
        (["submit", "examples/lighthouse.json", "examples/voyage.yaml", "--key", "k"], 2, "allowed: one"),
        (
            ["submit", "examples/lighthouse.json", "--key", "a b"],
            2,
            "--key: got 'a b'; allowed: 1 to 128 letters",
        ),
        (
            ["submit", "examples/lighthouse.json", "--max-attempts", "0"],
            2,
            "--max-attempts: got 0; allowed: 1 to 100",
        ),
        (["stats", "--connect", "udp://x"], 2, "--connect: got 'udp://x'; allowed: tcp://HOST:PORT"),
        (["stats", "--timeout", "0"], 2, "--timeout: got 0.0; allowed: more than 0 seconds"),
        (
            ["stats", "--connect", "tcp://127.0.0.1:1", "--timeout", "0.3"],
            1,
            "tcp://127.0.0.1:1: no reply within",
        ),
        (["stats", "--key-file", "x"], 2, "node_key (--node-key, VIDEO_PIPELINE_NODE_KEY): is missing"),
        (["stats", "--key-file", "x", "--node-key", "y"], 2, "--key-file: x: cannot read the key"),
    ],
)
def test_errors_are_printed_and_set_the_exit_status(
    run: Command, arguments: list[str], status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    got, out, err = run(*arguments)
    assert (got, out) == (status, "")
    assert err.startswith("error: ")
    assert words in err
    got, out, _ = run(*arguments, "--json")
    (error,) = objects(out)
    assert (got, error["status"], error["exit_status"]) == (status, "failed", status)
    assert words in error["message"]


def test_a_wrong_story_and_a_wrong_configuration_name_the_field(run: Command, tmp_path: Path) -> None:
    story = write(tmp_path / "wrong.json", {"title": "T", "scenes": [{"scene_id": "a", "duration": -1}]})
    status, _, err = run("submit", story)
    assert status == 2
    assert f"{story}: " in err
    assert "'duration'" in err
    config = tmp_path / "config.yaml"
    config.write_text("storage: {output_path: /}")
    status, _, err = run("submit", write(story, tiny_story()), "--config", config)
    assert status == 2
    assert "storage: is set by the node's operator" in err


def test_watching_all_continues_until_it_is_interrupted(url: str, client: NodeClient) -> None:
    command = [
        sys.executable,
        "-m",
        "video_pipeline.engine.cli.main",
        "watch",
        "--all",
        "--json",
        "--connect",
        url,
    ]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watching:
        try:
            assert watching.stdout is not None
            seen: list[dict[str, Any]] = []
            reading = threading.Thread(
                target=lambda: seen.extend(json.loads(line) for line in watching.stdout or ())
            )
            reading.start()
            # Jobs from before the watch are not shown: go on submitting until one is.
            jobs: list[str] = []

            def one_more_is_seen() -> bool:
                jobs.append(client.submit(tiny_story(f"all{len(jobs)}")).job_id)
                assert client.wait(jobs[-1], 4 * FAST_SECONDS).status == "completed"
                return any(event["kind"] == "completed" for event in seen)

            wait_until(one_more_is_seen, seconds=4 * FAST_SECONDS, what="a completed job")
            watching.send_signal(signal.SIGINT)
            assert watching.wait(FAST_SECONDS) == 130
            reading.join(FAST_SECONDS)
            assert watching.stderr is not None
            assert "submitted jobs continue" in watching.stderr.read()
        finally:
            watching.kill()  # else the end of the block would wait for it, whatever failed
    assert {event["job_id"] for event in seen} <= set(jobs)
    numbers = [event["seq"] for event in seen]
    assert numbers == sorted(set(numbers))


def test_a_terminal_shows_a_bar_with_stage_percent_speed_and_time_left(url: str, client: NodeClient) -> None:
    job = client.submit(endless_story()).job_id
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "video_pipeline.engine.cli.main", "watch", job, "--connect", url],
        cwd=ROOT,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "150"},
    )
    os.close(follower)
    text, cancelled = b"", False
    deadline = time.monotonic() + 4 * FAST_SECONDS
    while time.monotonic() < deadline:
        if select.select([leader], [], [], 0.2)[0]:
            try:
                text += os.read(leader, 65536)
            except OSError:
                break
        if b" s left" in text and not cancelled:
            client.cancel(job)
            cancelled = True
    os.close(leader)
    assert process.wait(FAST_SECONDS) == 130
    shown = text.decode()
    for words in ("rendering", " %", " fps", " s left", "━", "cancelled"):
        assert words in shown, words
