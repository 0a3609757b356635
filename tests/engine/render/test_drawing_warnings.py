"""Warnings about frames that turn up while they are drawn: in the result, in the manifest, and an error if strict."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.video import run_ffmpeg
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.outputs.paths import OutputPaths

FRAME_BYTES = 64 * 114 * 3 // 2
WHAT = re.compile(
    r"scene 'a' \(.*/clip\.mp4\): only 20 of frames \[0, \d+\) could be read; the last one is held"
)


@pytest.fixture
def story(tmp_path: Path) -> Path:
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x114:r=30:d=2", "-c:v", "mpeg4", tmp_path / "clip.mp4")
    path = tmp_path / "s.json"
    scene = {"scene_id": "a", "video": "clip.mp4", "text": "", "effects": []}
    path.write_text(json.dumps({"title": "t", "scenes": [scene]}))
    return path


def render(story: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Render with an ffmpeg that stops after 20 raw frames, as if a clip's file could be decoded no further."""
    program = story.parent / "ffmpeg"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in\n  *rawvideo*) "{find_ffmpeg().path}" "$@" | head -c {20 * FRAME_BYTES} ;;\n'
        f'  *) exec "{find_ffmpeg().path}" "$@" ;;\nesac\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    command = ("render", story.name, "-o", "v.mp4", "--size", "64x114", "--preset", "ultrafast", *options)
    environment = {"VIDEO_PIPELINE_FFMPEG": str(program), "CACHE_PATH": str(story.parent / "cache")}
    return run(*command, environment=environment, cwd=story.parent)


@pytest.mark.parametrize("compositor", ["native", "ffmpeg"])
def test_a_held_frame_is_a_warning_of_each_render(story: Path, compositor: str) -> None:
    # The second render would take the segment from the cache, if one with a warning were kept there.
    for _ in range(2):
        done = render(story, "--compositor", compositor)
        assert done.returncode == 0, done.stderr
        manifest = json.loads(OutputPaths(story.parent / "v.mp4").manifest.read_text())
        assert any(WHAT.fullmatch(warning) for warning in manifest["warnings"])


def test_a_held_frame_is_an_error_if_warnings_are(story: Path) -> None:
    done = render(story, "--strict", "--json")
    assert done.returncode == 2
    assert WHAT.search(done.stderr)
    assert sorted(path.name for path in story.parent.glob("v*")) == []
