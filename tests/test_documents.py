"""What README and docs say is so."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

import video_pipeline
from video_pipeline.engine.cli.main import COMMANDS, build_parser
from video_pipeline.engine.cli.schema import config_table
from video_pipeline.engine.config import load_config
from video_pipeline.engine.outputs.paths import OutputPaths
from video_pipeline.engine.pipeline import render_story
from video_pipeline.engine.story import StoryScene, load_story, parse_story
from video_pipeline.filters.geometry import EASINGS, FITS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FORMAT = (ROOT / "docs/story-format.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language in the README."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_configuration_table_is_the_one_that_the_code_gives() -> None:
    assert config_table() in README


def test_the_stories_in_the_readme_are_stories() -> None:
    assert parse_story(json.loads(blocks("json")[0])).title
    assert len(parse_story(yaml.safe_load(blocks("yaml")[0])).scenes or ()) == 2


def test_the_configuration_in_the_readme_is_one() -> None:
    assert load_config(yaml.safe_load(blocks("yaml")[1]), environ=False).video.crf == 21


def test_the_python_in_the_readme_names_what_exists() -> None:
    assert len(blocks("python")) >= 3
    for block in blocks("python"):
        names = re.findall(r"from video_pipeline import (.*)", block)[0].split(", ")
        assert all(hasattr(video_pipeline, name) for name in names)
        compile(block, "README", "exec")


def test_every_command_in_the_readme_is_one() -> None:
    named = {
        line.split()[1] for line in "".join(blocks("sh")).splitlines() if line.startswith("video-pipeline")
    }
    assert named == set(COMMANDS)
    build_parser().parse_args(
        ["render", "STORY", "-o", "OUT.mp4", "--aspect", "1:1", "--fps", "60", "--crf", "21"]
    )


def test_every_file_that_the_readme_names_exists() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_output_is_in_the_readme() -> None:
    paths = OutputPaths(Path("OUT.mp4"))
    assert [field.name for field in fields(paths)] == ["video"]
    for path in paths.by_role().values():
        assert f"`{path}`" in README


def test_every_field_of_a_scene_is_documented() -> None:
    for name in StoryScene.model_fields:
        assert f"`{name}`" in FORMAT, name
    for word in (*FITS, *EASINGS):
        assert f"`{word}`" in FORMAT, word


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.[jy]*")), ids=lambda path: path.name)
def test_the_examples_render_as_they_stand(path: Path, tmp_path: Path) -> None:
    config = load_config({"video": {"size": [90, 160], "fps": 24, "preset": "ultrafast", "crf": 35}})
    result = render_story(load_story(path), tmp_path / "out.mp4", config=config, base=path.parent)
    assert result.info.frame_count > 24 * 10
    assert not result.warnings
