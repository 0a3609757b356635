"""The output of `compile`: data that agrees with the timeline, and a command that makes the same video."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av import library_versions

from tests.support import samples
from tests.support.paths import ROOT
from tests.support.tolerances import SAME_AFTER_CODING_DB, assert_frames_equal
from tests.support.video import decode, draw, numbered_clip, run_ffmpeg, textured
from video_pipeline.engine.cli.compile import (
    as_shell,
    mixed_sound,
    plan_as_command,
    plan_as_data,
    plan_as_graphs,
)
from video_pipeline.engine.common.cache import ContentCache, file_sha256
from video_pipeline.engine.config import load_config
from video_pipeline.engine.pipeline import render_story
from video_pipeline.engine.plan import FramePlan, VideoPlan, plan_video
from video_pipeline.engine.render.encoders.choice import choose_encoding
from video_pipeline.engine.render.sound import track
from video_pipeline.engine.render.sound.track import produce_sound
from video_pipeline.engine.story import load_story
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.graph import argv

SIZE_PX = (108, 192)

STORY: dict[str, Any] = {
    "id": "story",
    "title": 'It\'s a "story" & $(more) `than one: 50 % \\ 日本',
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
    assert options["-g"] == "96"
    assert options["-c:a"] == "aac"
    assert options["-color_range"] == "tv"
    assert command[-1] == str(tmp_path / "o.mp4")
    assert shlex.split(as_shell(command)) == command


def test_the_command_of_a_quality_has_a_zone_for_each_segment(
    folder: Path, plan: VideoPlan, tmp_path: Path
) -> None:
    video = plan.frames.config.video.model_copy(update={"crf": None, "quality": 90})
    encoding = choose_encoding(video.model_copy(update={"codec": "libx264"}))
    aimed = VideoPlan(plan.frames, encoding)
    command = plan_as_command(aimed, tmp_path / "o.mp4")
    options = dict(itertools.pairwise(command))
    assert "-crf" not in options
    zones = options["-x264-params"].rpartition(":zones=")[2].split("/")
    segments, rates = plan.frames.compositor.segments(), plan_as_data(aimed)["rates"]
    expected = zip(segments, rates, strict=True)
    assert zones == [f"{each.start},{each.stop - 1},crf={rate['crf']:g}" for each, rate in expected]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


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
    kinds = {clip["scene_id"]: clip["kind"] for clip in data["clips"]}
    assert list(kinds.values()) == ["still", "video", "still"]
    assert len(data["clips"]) == len(plan.frames.timeline.clips) > len(kinds)
    assert data["clips"][0]["motion"] == "perspective"
    assert [clip["motion"] for clip in data["clips"] if clip["kind"] == "video"] == [None]
    assert [(join["from"], join["name"]) for join in data["transitions"]] == [
        ("long", "fade"),
        ("clip", "fade"),
    ]
    assert list(dict.fromkeys(caption["scene_id"] for caption in data["captions"])) == ["long", "again"]
    shown = [caption["frames"] for caption in data["captions"]]
    assert shown == sorted(shown)
    assert len(shown) > 2, "the phrases of a scene are shown one after another"
    assert [track["kind"] for track in data["audio"]] == ["footage"]
    assert data["encoder"]["crf"] == "16"


def test_the_printed_text_has_a_graph_for_every_segment(plan: VideoPlan) -> None:
    text = plan_as_graphs(plan.frames)
    segments = plan.frames.timeline.segments()
    assert len(segments) > 3
    for segment in segments:
        assert f"# frames [{segment.start}, {segment.stop})\n" in text
    assert "perspective=" in text
    assert "xfade=" in text
    assert "overlay=" in text


# --- the cached sound and its key -----------------------------------------------------------------


def with_track(plan: FramePlan, **fields: Any) -> FramePlan:
    return replace(plan, timeline=replace(plan.timeline, audio=(replace(plan.timeline.audio[0], **fields),)))


def with_frames(plan: FramePlan, frames: int) -> FramePlan:
    clip = replace(plan.timeline.clips[0], frames=FrameRange(0, frames))
    return replace(plan, timeline=replace(plan.timeline, clips=(clip,)))


def with_another_file(plan: FramePlan) -> FramePlan:
    path = plan.timeline.audio[0].path.with_name("another.wav")
    path.write_bytes(samples.sound())
    return with_track(plan, path=path, sha256=file_sha256(path))


INGREDIENTS: dict[str, Callable[[FramePlan], FramePlan]] = {
    "kind": lambda plan: with_track(plan, kind="music"),
    "file": with_another_file,
    "place": lambda plan: with_track(plan, at=Fraction(1, 24)),
    "start": lambda plan: with_track(plan, start=Fraction(1, 24)),
    "length": lambda plan: with_track(plan, duration=Fraction(1, 2)),
    "gain": lambda plan: with_track(plan, gain_db=-3.0),
    "duration": lambda plan: with_frames(plan, 20),
    "settings": lambda plan: replace(plan, config=plan.config.override("audio", target_lufs=-20.0)),
    "ffmpeg": lambda plan: replace(plan, ffmpeg=replace(plan.ffmpeg, version="another")),
}
VERSIONS: dict[str, tuple[object, str, object]] = {
    "format": (track, "FORMAT", track.FORMAT + 1),
    "package": (track, "__version__", "another"),
    "pyav": (av, "__version__", "another"),
    "libraries": (track, "library_versions", {**library_versions, "libswresample": (0, 0, 0)}),
}


@pytest.fixture(scope="module")
def short(plan: VideoPlan) -> FramePlan:
    """A plan of a second, with a sound."""
    return with_frames(with_track(plan.frames, at=Fraction(0), duration=Fraction(1)), 24)


@pytest.fixture(scope="module")
def sounds(short: FramePlan, tmp_path_factory: pytest.TempPathFactory) -> ContentCache:
    """A cache that has the sound of the short plan, for `compile` and for `render`."""
    cache = ContentCache(tmp_path_factory.mktemp("sounds"))
    kept_sounds(short, cache)
    return cache


def kept_sounds(plan: FramePlan, cache: ContentCache) -> tuple[set[Path], set[Path]]:
    """Make a plan's sound as `compile` does and as `render` does; return the files of each in the cache."""
    mixed_sound(plan, cache)
    produce_sound(
        plan.timeline,
        settings=plan.config.audio,
        target=cache.folder / "sound.m4a",
        cache=cache,
        ffmpeg=plan.ffmpeg.path,
        ffmpeg_version=plan.ffmpeg.version,
    )
    return set(cache.folder.glob("sound/**/*.wav")), set(cache.folder.glob("sound/**/*.m4a"))


@pytest.mark.parametrize("ingredient", [*INGREDIENTS, *VERSIONS])
def test_compile_and_render_make_a_sound_again_when_what_it_is_made_from_has_changed(
    short: FramePlan, sounds: ContentCache, ingredient: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed, encoded = kept_sounds(short, sounds)
    if ingredient in VERSIONS:
        monkeypatch.setattr(*VERSIONS[ingredient])
    changed = INGREDIENTS[ingredient](short) if ingredient in INGREDIENTS else short
    mixed_then, encoded_then = kept_sounds(changed, sounds)
    assert len(mixed_then - mixed) == 1
    assert len(encoded_then - encoded) == 1


def test_compile_and_render_keep_a_sound_that_nothing_has_changed(
    short: FramePlan, sounds: ContentCache
) -> None:
    assert kept_sounds(short, sounds) == kept_sounds(short, sounds)
