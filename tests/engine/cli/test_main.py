"""The commands on a story as a user runs them: real processes, real messages."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.support.command import COMMAND, SMALL, run, scene, write
from tests.support.jobs import RESULT_FIELDS


def test_render_writes_the_video_and_says_where(story: Path, tmp_path: Path) -> None:
    done = run("render", story, "-o", tmp_path / "out/video.mp4", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "video.mp4: 1.50 s, 180x320 at 24 fps" in done.stdout
    assert (tmp_path / "out/video.mp4").stat().st_size > 1000


def test_render_takes_markdown_from_a_file_or_standard_input(tmp_path: Path) -> None:
    text = "# A lamp\n\n## Part one\n\nIt was **dark**.\n\n## Part two\n\nThe end.\n"
    write(tmp_path, text, "tale.md")
    (tmp_path / "none.yaml").write_text(
        "video_pipeline: {tts: {service: none}, scenes: {default_duration: 1}}"
    )
    done = run("render", "tale.md", "--config", "none.yaml", "--json", *SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tale.mp4").is_file()
    assert "dark" in (tmp_path / "tale.srt").read_text()
    assert "*" not in (tmp_path / "tale.srt").read_text()
    with av.open(str(tmp_path / "tale.mp4")) as video:
        assert video.metadata["title"] == "A lamp"
        assert [chapter["metadata"]["title"] for chapter in video.chapters()] == ["Part one", "Part two"]
    piped = run("render", "-", "--config", "none.yaml", "--json", *SMALL, cwd=tmp_path, input=text)
    assert piped.returncode == 0, piped.stderr
    assert (tmp_path / "story.srt").read_text() == (tmp_path / "tale.srt").read_text()


def test_json_is_one_object_a_line_and_ends_with_done(story: Path, tmp_path: Path) -> None:
    done = run("render", story, "-o", tmp_path / "out/video.mp4", "--json", *SMALL)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "done"
    assert events[-1]["status"] == "completed"
    told = ("event", "status", "output", "thumbnail", "subtitles", "words", "metadata", "manifest")
    assert events[-1].keys() == {*told, *RESULT_FIELDS}
    paths = [events[-1][key] for key in ("output", "thumbnail", "words", "metadata", "manifest")]
    files = sorted(Path(path) for path in (*paths, *events[-1]["subtitles"]))
    assert files == sorted((tmp_path / "out").iterdir())
    stages = {event["stage"] for event in events[:-1]}
    assert stages == {"assets", "render", "outputs"}
    assert done.stderr == ""


def test_quiet_prints_nothing(story: Path, tmp_path: Path) -> None:
    done = run("render", story, "-o", tmp_path / "video.mp4", "-q", *SMALL)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_options_override_the_environment_which_overrides_the_file(story: Path, tmp_path: Path) -> None:
    config = write(
        tmp_path / "conf",
        "video_pipeline:\n  video: {fps: 25, preset: ultrafast}\n  storage: {output_path: /nowhere}\n",
        "c.yaml",
    )
    environment = {"VIDEO_OUTPUT_PATH": str(tmp_path / "from_environment")}
    done = run(
        "render",
        story,
        "--config",
        config,
        "--size",
        "180x320",
        "--fps",
        "30",
        "--json",
        environment=environment,
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["output"] == str(tmp_path / "from_environment" / story.with_suffix(".mp4").name)
    assert last["video_info"]["fps"] == 30


def test_a_bar_is_shown_on_a_terminal(story: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    child = subprocess.Popen(
        [*COMMAND, "render", str(story), "-o", str(tmp_path / "v.mp4"), "--no-cache", *SMALL],
        stderr=slave,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    assert child.wait(timeout=60) == 0
    os.close(master)
    text = shown.decode("utf-8", "replace")
    assert "rendering" in text
    assert "frames" in text
    assert "fps" in text


def test_compile_prints_plan_graph_and_command(story: Path) -> None:
    plan = json.loads(run("compile", story, "--as", "plan", *SMALL).stdout)
    assert plan["frames"] == 36
    assert plan["transitions"] == [{"name": "fade", "from": "one", "frames": [12, 24]}]
    graph = run("compile", story, "--as", "graph", *SMALL).stdout
    assert "xfade=" in graph
    command = run("compile", story, "--as", "command", "-o", "x.mp4", *SMALL).stdout
    assert command.rstrip().endswith("x.mp4")
    assert "-filter_complex" in command


def test_doctor_says_what_works_and_why_not() -> None:
    done = run("doctor", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    encoders = {entry["name"]: entry for entry in found["encoders"]}
    assert encoders["libx264"]["works"]
    assert encoders["h264_nvenc"]["reason"]
    text = run("doctor").stdout
    assert "ready" in text
    assert "h264_nvenc" in text


@pytest.mark.parametrize("what", ["story", "config"])
def test_schema_is_json_schema(what: str) -> None:
    schema = json.loads(run("schema", what).stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")


def test_help_has_examples_for_every_command() -> None:
    assert "examples:" in run("--help").stdout
    for command in ("render", "preview", "compile", "schema"):
        assert "example:" in run(command, "--help").stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--encoder", "h264_nvenc"], "--encoder: got 'h264_nvenc', which is not usable here: "),
        (
            ["--encoder", "x265"],
            "--encoder: got 'x265'; allowed: 'auto', 'h264_nvenc', 'libx264', 'hevc_nvenc' or 'av1_nvenc'",
        ),
        (
            ["--compositor", "cuda"],
            "--compositor: got 'cuda', which is not usable here: ",
        ),
        (["--preset", "warp"], "--preset: got 'warp'; allowed with libx264: ultrafast"),
        (["--size", "big"], "--size: got 'big'; allowed: WxH in pixels, such as 1080x1920"),
        (["--size", "181x320"], "--size: got (181, 320); allowed: even sides"),
        (["--size", "5x6"], "--size: got 5; allowed: 16 to 4096"),
        (["--aspect", "3:2"], "--aspect: got '3:2'"),
        (["--fps", "12"], "--fps: got '12'; allowed: 24 to 60 frames per second"),
        (["--crf", "99"], "--crf: got 99.0; allowed: 0 to 51"),
        (["--bitrate", "fast"], "--bitrate: got 'fast'"),
        (["--quality", "70"], "--quality: got '70'; allowed: a VMAF, 85 to 99, or draft, social, archive"),
        (
            ["--quality", "95", "--encoder", "h264_nvenc"],
            "--quality: got 95.0, which h264_nvenc does not have",
        ),
        (
            ["--preset", "ultrafst"],
            "--preset: got 'ultrafst' (did you mean 'ultrafast'?); allowed with libx264",
        ),
        (["--workers", "0"], "--workers: got 0; allowed: at least 1"),
        (["--config", "/nowhere/c.yaml"], "/nowhere/c.yaml: cannot be read"),
    ],
)
def test_wrong_options_are_refused(story: Path, tmp_path: Path, options: list[str], message: str) -> None:
    from video_pipeline.engine.render.encoders.choice import probe_encoder

    if options[1:] == ["h264_nvenc"] and probe_encoder("h264_nvenc").works:
        pytest.skip("this machine has NVENC")
    done = run("render", story, "-o", tmp_path / "v.mp4", *options)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "v.mp4").exists()


def test_an_unwritable_output_folder_is_named(story: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    done = run("render", story, "-o", tmp_path / "file/v.mp4", *SMALL)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_errors_are_events_with_json(tmp_path: Path) -> None:
    story = write(tmp_path / "in", scene(duration=-1))
    done = run("render", story, "-o", tmp_path / "v.mp4", "--json", *SMALL)
    event = json.loads(done.stdout.splitlines()[-1])
    assert event["event"] == "error"
    assert event["type"] == "StoryError"
    assert event["exit_status"] == 2
    assert "the_scene" in event["message"]


def test_a_render_from_the_cache_shows_no_frame_rate(story: Path, tmp_path: Path) -> None:
    environment = {"CACHE_PATH": str(tmp_path / "cache")}
    first = run("render", story, "-o", tmp_path / "1.mp4", *SMALL, environment=environment)
    assert "rendered at " in first.stdout
    again = run("render", story, "-o", tmp_path / "2.mp4", *SMALL, environment=environment)
    assert " segments from the cache)" in again.stdout
    assert "fps" not in again.stderr
    assert again.stdout.count("fps") == 1  # the video's own rate


def test_a_file_of_words_says_how_they_are_spoken_over_the_configuration_and_under_the_story(
    tmp_path: Path,
) -> None:
    config = write(tmp_path, "tts: {lexicon: {nike: config, gif: jiff}}", "c.yaml")
    words = write(tmp_path, "nike: option\nTom: option\nSiobhán: /ʃɪˈvɔːn/\n", "words.yaml")
    story = write(tmp_path, {**scene(text="Nike"), "lexicon": {"tom": "story"}})
    done = run("render", story, "-o", tmp_path / "v.mp4", "--config", config, "--lexicon", words, *SMALL)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "v.manifest.json").read_text(encoding="utf-8"))
    assert manifest["narration"]["lexicon"] == {
        "gif": "jiff",
        "nike": "option",
        "Siobhán": "/ʃɪˈvɔːn/",
        "tom": "story",
    }


def test_a_quality_overrides_the_files_crf_and_each_segment_gets_its_own(story: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("video: {crf: 40, size: 180x320, fps: 24, codec: libx264}", encoding="utf-8")
    environment = {"CACHE_PATH": str(tmp_path / "cache")}
    options = ("--config", config, "--quality", "draft")
    done = run("render", story, "-o", tmp_path / "v.mp4", *options, environment=environment)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "v.manifest.json").read_text(encoding="utf-8"))
    assert manifest["encoder"]["options"]["quality"] == 90
    assert "crf" not in manifest["encoder"]["options"]
    assert all(12 <= segment["crf"] <= 35 for segment in manifest["segments"])
    assert all(80 < segment["predicted_vmaf"] <= 100 for segment in manifest["segments"])
    plan = run("compile", story, *options, environment=environment)
    rates = json.loads(plan.stdout)["rates"]
    written = [{key: each[key] for key in ("crf", "predicted_vmaf")} for each in manifest["segments"]]
    assert rates == written


@pytest.mark.parametrize(
    ("max_bitrate", "duration", "is_capped"),
    [("40k", 2, True), ("50M", 2, False), ("2M", 0.25, False)],
    ids=["capped", "free", "a short one that its buffer is enough for"],
)
def test_segments_that_the_bit_rate_keeps_below_the_quality_are_told(
    max_bitrate: str, duration: float, is_capped: bool, tmp_path: Path
) -> None:
    seed = 3
    noise = np.random.default_rng(seed).integers(0, 256, (640, 360, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    story = write(tmp_path, scene(image="noise.png", duration=duration))
    video = {"max_bitrate": max_bitrate, "size": "180x320", "fps": 24, "codec": "libx264"}
    config = write(tmp_path, {"video": video}, "c.yaml")
    done = run("render", story, "-o", tmp_path / "v.mp4", "--config", config, "--quality", "97")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "v.manifest.json").read_text(encoding="utf-8"))
    capped = [segment["capped"] for segment in manifest["segments"]]
    told = f"video.quality: {len(capped)} of {len(capped)} segments may be below 97"
    assert capped == [is_capped] * len(capped)
    assert (told in done.stderr) == is_capped
    assert any(told in warning for warning in manifest["warnings"]) == is_capped
    assert ("than video.max_bitrate, 0.04 Mbit/s, allows" in done.stderr) == is_capped
