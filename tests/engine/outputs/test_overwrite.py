"""A render never replaces a file that it reads."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.support import samples
from tests.support.command import run
from tests.support.video import numbered_clip
from video_pipeline.engine.outputs.paths import ROLES, OutputPaths

SMALL = ("--size", "90x160", "--fps", "24", "--preset", "ultrafast", "--crf", "40", "--no-cache")


def story(folder: Path, *, name: str = "story.json", **fields: Any) -> str:
    """Write a story of one short scene and return its file name."""
    scene = {"scene_id": "one", "duration": 0.5, "narration": "", **fields.pop("scene", {})}
    data = {"title": "T", "scenes": [scene], **fields}
    (folder / name).write_text(json.dumps(data), encoding="utf-8")
    return name


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("how", ["itself", "a symbolic link", "a hard link"])
def test_no_output_replaces_a_file_that_the_story_reads(role: str, how: str, tmp_path: Path) -> None:
    target = OutputPaths(tmp_path / "out.mp4").by_role()[role]
    source = target if how == "itself" else tmp_path / "source"
    if role in ("video", "srt", "vtt", "ass"):
        source.write_bytes(samples.clip())
        field = {"video": source.name}
    else:
        source.write_bytes(samples.picture())
        field = {"image": source.name}
    if how != "itself":
        target.symlink_to(source) if how == "a symbolic link" else target.hardlink_to(source)
    name = story(tmp_path, scene=field)
    before = contents(tmp_path)
    done = run("render", name, "-o", "out.mp4", *SMALL, cwd=tmp_path)
    assert done.returncode == 2
    assert f"output {target.name}: would replace {source.name}" in done.stderr.replace(f"{tmp_path}/", "")
    assert f"scenes[0].{next(iter(field))}" in done.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize("key", ["music", "watermark", "the configuration", "the story"])
def test_neither_sound_nor_watermark_nor_configuration_nor_story_is_replaced(
    key: str, tmp_path: Path
) -> None:
    taken = {"music": "o.mp4", "watermark": "o_thumb.jpg"}.get(key, "o.metadata.json")
    if key == "music":
        (tmp_path / taken).write_bytes(samples.sound())
    elif key == "watermark":
        (tmp_path / taken).write_bytes(samples.picture())
    watermark = {"image": str(tmp_path / taken)} if key == "watermark" else {}
    configured = taken if key == "the configuration" else "config.yaml"
    (tmp_path / configured).write_text(json.dumps({"video_pipeline": {"watermark": watermark}}))
    name = story(
        tmp_path,
        name=taken if key == "the story" else "story.json",
        **({"music": taken} if key == "music" else {}),
    )
    before = contents(tmp_path)
    done = run("render", name, "-o", "o.mp4", "--config", configured, *SMALL, cwd=tmp_path)
    assert (done.returncode, contents(tmp_path) == before) == (2, True), done.stderr
    assert f"would replace {tmp_path / taken if key == 'watermark' else taken}" in done.stderr
    assert key in done.stderr


def test_a_preview_does_not_replace_the_picture_that_it_shows(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(samples.picture())
    name = story(tmp_path, scene={"image": "photo.jpg"})
    before = contents(tmp_path)
    done = run("preview", name, "--frame", "0", "-o", "./photo.jpg", "--size", "90x160", cwd=tmp_path)
    assert done.returncode == 2
    assert "would replace photo.jpg, which is read (scenes[0].image)" in done.stderr
    assert contents(tmp_path) == before


def test_a_video_named_after_its_story_is_beside_it(tmp_path: Path) -> None:
    name = story(tmp_path, name="mystory.json")
    before = (tmp_path / name).read_bytes()
    done = run("render", name, "-o", "mystory.mp4", *SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name).read_bytes() == before
    assert all(path.is_file() for path in OutputPaths(tmp_path / "mystory.mp4").by_role().values())


def test_without_an_output_the_video_is_named_after_the_story_file(tmp_path: Path) -> None:
    name = story(tmp_path, name="mystory.json", id="quite-another")
    done = run("render", name, *SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.rglob("*.mp4")] == ["mystory.mp4"]


def test_no_command_is_printed_that_would_replace_a_clip(tmp_path: Path) -> None:
    numbered_clip(tmp_path / "s.command.mp4", times=[Fraction(number, 25) for number in range(5)])
    name = story(tmp_path, name="s.json", scene={"video": "s.command.mp4"})
    refused = run("compile", name, "--as", "command", "--size", "90x160", cwd=tmp_path)
    assert refused.returncode == 2
    assert (
        "output s.command.mp4: would replace s.command.mp4, which is read (scenes[0].video.path)"
        in refused.stderr
    )
    assert refused.stdout == ""
    other = run("compile", name, "--as", "command", "--size", "90x160", "-o", "other.mp4", cwd=tmp_path)
    assert other.returncode == 0, other.stderr
    assert run("compile", name, "--as", "plan", cwd=tmp_path).returncode == 0
