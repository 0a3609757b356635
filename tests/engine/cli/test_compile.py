"""What `compile` prints: data that agrees with the timeline, and a command that makes the same video."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.support.paths import ROOT
from tests.support.tolerances import SAME_AFTER_CODING_DB, assert_frames_equal
from tests.support.video import decode, draw, numbered_clip, run_ffmpeg, textured
from video_pipeline.engine.cli.compile import as_shell, plan_as_command, plan_as_data, plan_as_graphs
from video_pipeline.engine.config import load_config
from video_pipeline.engine.pipeline import render_story
from video_pipeline.engine.plan import VideoPlan, plan_video
from video_pipeline.engine.story import load_story
from video_pipeline.filters.graph import argv

SIZE_PX = (108, 192)

STORY: dict[str, Any] = {
    "id": "story",
    "title": 'It\'s a "story" & $(more) `than` one: 50 % \\ 日本',
    "scenes": [
        {
            "scene_id": "long",
            "text": "Plain words: %{pts} ':x=0 [0:v]",
            "image": "a b'c.png",
            "duration": 9.5,
        },
        {
            "scene_id": "clip",
            "text": "",
            "narration": "",
            "video": {"path": "clip.mp4", "start": 0.5},
            "duration": 2,
        },
        {
            "scene_id": "again",
            "text": "שלום",
            "narration": "",
            "image": "a b'c.png",
            "fit": "blur",
            "duration": 2,
            "animation": "fade",
        },
    ],
}
CONFIG = {
    "video": {"size": list(SIZE_PX), "fps": 24, "preset": "veryfast", "crf": 16, "compositor": "ffmpeg"},
    "tts": {"service": "none"},
    "scenes": {"transition_duration": 0.5},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, with a space and a quote in its name, that holds the story and all it names."""
    folder = tmp_path_factory.mktemp("compile") / "the user's stories"
    folder.mkdir()
    textured(folder / "a.png", 3).path.rename(folder / "a b'c.png")
    silent = numbered_clip(folder / "silent.mp4", times=[Fraction(n, 25) for n in range(80)])
    run_ffmpeg(
        *("-i", silent, "-f", "lavfi", "-i", "sine=frequency=440:duration=3.2"),
        *("-c:v", "copy", "-c:a", "aac", folder / "clip.mp4"),
    )
    (folder / "story.json").write_text(json.dumps(STORY))
    (folder / "config.yaml").write_text(json.dumps(CONFIG))  # JSON is YAML
    return folder


@pytest.fixture(scope="module")
def plan(folder: Path, session_cache: Path) -> VideoPlan:
    config = load_config({**CONFIG, "storage": {"cache_path": str(session_cache)}}, environ=False)
    return plan_video(load_story(folder / "story.json"), config=config, base=folder)


def seconds_of_sound(path: Path) -> float:
    return len(run_ffmpeg("-i", path, "-map", "0:a:0", "-ac", "1", "-f", "s16le", "-")) / 2 / 48000


def test_the_printed_command_runs_in_a_shell_and_makes_the_video_that_render_makes(
    folder: Path, plan: VideoPlan, session_cache: Path, tmp_path: Path
) -> None:
    printed = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "video_pipeline.engine.cli.main",
                "compile",
                str(folder / "story.json"),
                "--as",
                "command",
                "-q",
            ),
            *("--config", str(folder / "config.yaml"), "-o", str(tmp_path / "by command.mp4")),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "CACHE_PATH": str(session_cache)},
    ).stdout
    assert printed.count("\n") == 1
    script = tmp_path / "script.sh"
    script.write_text(printed)
    done = subprocess.run(
        ["sh", script], capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    rendered = render_story(
        plan.frames.story, tmp_path / "rendered.mp4", config=plan.frames.config, base=folder, workers=2
    ).outputs.video
    by_command = tmp_path / "by command.mp4"
    frames = decode(by_command, SIZE_PX)
    assert len(frames) == plan.frames.timeline.frame_count
    assert_frames_equal(frames, decode(rendered, SIZE_PX), min_psnr_db=SAME_AFTER_CODING_DB)
    assert abs(seconds_of_sound(by_command) - seconds_of_sound(rendered)) < 1 / 24
    with av.open(str(by_command)) as one, av.open(str(rendered)) as other:
        assert one.metadata["title"] == other.metadata["title"] == STORY["title"]
        assert one.streams.audio[0].codec_context.name == other.streams.audio[0].codec_context.name == "aac"
        a, b = one.streams.video[0], other.streams.video[0]
        assert a.average_rate == b.average_rate == 24
        assert a.frames == b.frames
        assert a.duration * a.time_base == b.duration * b.time_base  # type: ignore[operator]
        for name in ("color_primaries", "color_trc", "colorspace", "color_range", "pix_fmt", "profile"):
            assert getattr(a.codec_context, name) == getattr(b.codec_context, name), name


def test_the_command_draws_exactly_the_frames_of_a_render_before_they_are_coded(plan: VideoPlan) -> None:
    command = argv(
        plan.frames.compositor.program,
        [plan.frames.compositor.whole()],
        "-",
        f="rawvideo",
        pix_fmt="yuv420p",
        fps_mode="passthrough",
    )
    raw = np.frombuffer(run_ffmpeg(*command[1:]), np.uint8).reshape(-1, SIZE_PX[1] * 3 // 2, SIZE_PX[0])
    for segment in plan.frames.timeline.segments():
        assert_frames_equal(
            raw[segment.start : segment.stop], draw(plan.frames.compositor, segment.start, segment.stop)
        )
    assert len(raw) == plan.frames.timeline.frame_count


def test_the_command_carries_the_settings_of_the_encoder(plan: VideoPlan, tmp_path: Path) -> None:
    command = plan_as_command(plan, tmp_path / "o.mp4")
    options = dict(itertools.pairwise(command))
    assert options["-crf"] == "16"
    assert options["-preset"] == "veryfast"
    assert options["-g"] == "48"
    assert options["-c:a"] == "aac"
    assert options["-color_range"] == "tv"
    assert command[-1] == str(tmp_path / "o.mp4")
    assert shlex.split(as_shell(command)) == command


def test_the_plan_is_plain_data_that_agrees_with_the_timeline(plan: VideoPlan) -> None:
    data = json.loads(json.dumps(plan_as_data(plan)))
    timeline = plan.frames.timeline
    assert data["title"] == STORY["title"]
    assert data["size"] == list(SIZE_PX)
    assert Fraction(data["fps"]) == 24
    assert data["frames"] == timeline.frame_count
    assert data["segments"][0][0] == 0
    assert data["segments"][-1][1] == timeline.frame_count
    assert all(a[1] == b[0] for a, b in zip(data["segments"], data["segments"][1:], strict=False))
    assert [clip["kind"] for clip in data["clips"]] == ["still", "video", "still"]
    assert data["clips"][0]["motion"] == "perspective"
    assert data["clips"][1]["motion"] is None
    assert [(join["from"], join["name"]) for join in data["transitions"]] == [
        ("long", "fade"),
        ("clip", "fade"),
    ]
    assert [caption["scene_id"] for caption in data["captions"]] == ["long", "again"]
    assert [track["kind"] for track in data["audio"]] == ["footage"]
    assert data["encoder"]["crf"] == "16"


def test_every_segment_has_a_graph_of_its_own_in_the_printed_text(plan: VideoPlan) -> None:
    text = plan_as_graphs(plan.frames)
    segments = plan.frames.timeline.segments()
    assert len(segments) > 3
    for segment in segments:
        assert f"# frames [{segment.start}, {segment.stop})\n" in text
    assert "perspective=" in text
    assert "xfade=" in text
    assert "overlay=" in text
