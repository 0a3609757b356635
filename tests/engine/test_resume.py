"""Renders that reuse the results of earlier ones: after an edit, after a kill, and with nothing changed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.events import Event
from video_pipeline.engine.pipeline import RenderResult, render_story
from video_pipeline.engine.story import parse_story

SCENES = 6

STORY: dict[str, Any] = {
    "id": "resumed",
    "title": "Six Scenes",
    "metadata": {"genre": "mystery", "language": "en"},
    "scenes": [
        {
            "scene_id": f"s{number}",
            "text": f"Words of scene {number}",
            "narration": "",
            "duration": 1.0,
            "transition": {"name": "fade", "duration": 0.25},
        }
        for number in range(SCENES)
    ],
}

KILLED_RENDER = """
import os, signal, sys
from video_pipeline.engine.cli.main import main

finished = 0

def kill_at_the_third(event, arguments):
    global finished
    if event == "os.rename" and str(arguments[1]).endswith(".segment"):
        finished += 1
        if finished == 3:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill_at_the_third)
sys.exit(main(sys.argv[1:]))
"""
"""The command line, killed when its third segment is to get its name."""


def settings(cache: Path) -> dict[str, Any]:
    return {
        "video": {"size": [180, 320], "fps": 24, "preset": "ultrafast", "crf": 28},
        "storage": {"cache_path": str(cache)},
    }


def config(cache: Path) -> Config:
    return load_config(settings(cache), environ=False)


def segments_from_cache(result: RenderResult) -> int:
    manifest = json.loads(result.outputs.manifest.read_text(encoding="utf-8"))
    assert manifest["segments_from_cache"] == result.segments_from_cache
    assert len(manifest["segments"]) == result.segments >= SCENES
    return result.segments_from_cache


def same_files(one: RenderResult, other: RenderResult) -> None:
    for name in ("video", "thumbnail", "srt", "vtt", "ass", "words"):
        assert getattr(one.outputs, name).read_bytes() == getattr(other.outputs, name).read_bytes(), name


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> tuple[RenderResult, Path]:
    folder = tmp_path_factory.mktemp("cold")
    cache = folder / "cache"
    return render_story(parse_story(STORY), folder / "v.mp4", config=config(cache)), cache


def test_video_and_thumbnail_are_the_same_cold_warm_and_without_a_cache(
    cold: tuple[RenderResult, Path], tmp_path: Path
) -> None:
    first, cache = cold
    story = parse_story(STORY)
    before = sorted(cache.rglob("*"))
    warm = render_story(story, tmp_path / "warm.mp4", config=config(cache), workers=1)
    without = render_story(story, tmp_path / "without.mp4", config=config(cache), workers=1, use_cache=False)
    assert [segments_from_cache(result) for result in (first, warm, without)] == [0, first.segments, 0]
    same_files(first, warm)
    same_files(first, without)
    assert sorted(cache.rglob("*")) == before


def test_the_manifest_says_the_same_of_the_sound_whether_mixed_or_cached(
    cold: tuple[RenderResult, Path], tmp_path: Path
) -> None:
    first, cache = cold
    warm = render_story(parse_story(STORY), tmp_path / "v.mp4", config=config(cache))
    told = [
        json.loads(result.outputs.manifest.read_text(encoding="utf-8"))["audio"] for result in (first, warm)
    ]
    assert told[0] == told[1]
    for path in (cache / "sound").rglob("*.m4a"):
        path.write_bytes(path.read_bytes()[:-20])
    again = render_story(parse_story(STORY), tmp_path / "again.mp4", config=config(cache))
    same_files(first, again)


def test_another_title_is_on_the_thumbnail_and_draws_no_segment(
    cold: tuple[RenderResult, Path], tmp_path: Path
) -> None:
    first, cache = cold
    story = parse_story({**STORY, "title": "Another Title"})
    result = render_story(story, tmp_path / "v.mp4", config=config(cache))
    without = render_story(story, tmp_path / "w.mp4", config=config(cache), use_cache=False)
    assert segments_from_cache(result) == first.segments
    same_files(result, without)
    assert result.outputs.thumbnail.read_bytes() != first.outputs.thumbnail.read_bytes()


def test_one_caption_changed_draws_only_the_segments_that_show_it(
    cold: tuple[RenderResult, Path], tmp_path: Path
) -> None:
    first, cache = cold
    edited = deepcopy(STORY)
    edited["scenes"][2]["text"] = "Other words"
    events: list[Event] = []
    result = render_story(
        parse_story(edited), tmp_path / "v.mp4", config=config(cache), on_event=events.append
    )
    # A caption stays until the middle of the transition, with which the next segment begins.
    assert segments_from_cache(result) == first.segments - 2
    assert max(event.done for event in events if event.stage == "render") == result.info.frame_count
    without = render_story(parse_story(edited), tmp_path / "w.mp4", config=config(cache), use_cache=False)
    same_files(result, without)


def test_a_scene_that_grew_moves_the_later_ones_out_of_the_cache_to_their_new_places(
    cold: tuple[RenderResult, Path], tmp_path: Path
) -> None:
    first, cache = cold
    edited = deepcopy(STORY)
    edited["scenes"][1]["duration"] = 1.5
    result = render_story(parse_story(edited), tmp_path / "v.mp4", config=config(cache))
    # The next segment begins with the transition out of the scene that grew.
    assert segments_from_cache(result) == first.segments - 2
    without = render_story(parse_story(edited), tmp_path / "w.mp4", config=config(cache), use_cache=False)
    same_files(result, without)


def test_a_killed_render_resumes_from_its_finished_segments(
    cold: tuple[RenderResult, Path], tmp_path: Path
) -> None:
    first, _ = cold
    cache, story, target = tmp_path / "cache", tmp_path / "story.json", tmp_path / "out" / "v.mp4"
    story.write_text(json.dumps(STORY))
    (tmp_path / "config.json").write_text(json.dumps({"video_pipeline": settings(cache)}))
    command = [sys.executable, "-c", KILLED_RENDER, "render", str(story), "-o", str(target), "--workers", "1"]
    done = subprocess.run(
        [*command, "--config", str(tmp_path / "config.json")],
        cwd=ROOT,
        env={**os.environ, "CACHE_PATH": str(cache)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    kept = len(list(cache.glob("segments/*/[!.]*.segment")))
    assert kept == 2 < first.segments
    result = render_story(parse_story(STORY), target, config=config(cache))
    assert segments_from_cache(result) == kept
    same_files(first, result)
    assert [path.name for path in target.parent.iterdir() if path.name.startswith(".")] == []


def test_another_machine_uses_the_segments_of_a_shared_storage_and_draws_none(
    cold: tuple[RenderResult, Path], tmp_path: Path
) -> None:
    first, _ = cold
    (tmp_path / "shared").mkdir()
    results = []
    for machine in ("one", "two"):
        told = settings(tmp_path / f"cache-{machine}") | {"fleet": {"store": str(tmp_path / "shared")}}
        output = tmp_path / machine / "v.mp4"
        results.append(
            render_story(parse_story(STORY), output, config=load_config(told, environ=False), workers=1)
        )
        same_files(first, results[-1])
    assert [segments_from_cache(result) for result in results] == [0, first.segments]
    assert [result.segments_from_shared for result in results] == [0, first.segments]
    manifest = json.loads(results[1].outputs.manifest.read_text(encoding="utf-8"))
    assert manifest["segments_from_shared"] == first.segments
    for entry in (tmp_path / "shared").rglob("*.segment"):
        data = bytearray(entry.read_bytes())
        data[-1] ^= 1
        entry.write_bytes(data)
    told = settings(tmp_path / "cache-three") | {"fleet": {"store": str(tmp_path / "shared")}}
    third = render_story(
        parse_story(STORY), tmp_path / "three.mp4", config=load_config(told, environ=False), workers=1
    )
    same_files(first, third)
    assert (segments_from_cache(third), third.segments_from_shared) == (0, 0), "damaged segments are not used"
