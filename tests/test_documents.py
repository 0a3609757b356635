"""The commands, keys, Python and links in README and docs are right."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

import video_pipeline
from tests.support.paths import ROOT
from video_pipeline.engine.assets.music.moods import MOODS, NOTES
from video_pipeline.engine.cli.main import COMMANDS, build_parser
from video_pipeline.engine.cli.schema import config_table
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.load import ENVIRONMENT
from video_pipeline.engine.outputs.paths import OutputPaths
from video_pipeline.engine.pipeline import render_story
from video_pipeline.engine.story import StoryScene, load_story, parse_story
from video_pipeline.filters.geometry import EASINGS, FITS

DOCUMENTS = sorted(path.relative_to(ROOT) for path in (ROOT / "docs").glob("*.md"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
COMPATIBILITY = (ROOT / "docs/compatibility.md").read_text(encoding="utf-8")
FORMAT = (ROOT / "docs/story-format.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language in the README."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_configuration_table_is_the_one_that_the_code_gives() -> None:
    assert config_table() in CONFIGURATION


def test_the_page_about_music_has_every_mood_as_the_code_has_it() -> None:
    page = (ROOT / "docs/music.md").read_text(encoding="utf-8")
    for mood in MOODS:
        keys = f"{', '.join(NOTES[tonic] for tonic in mood.tonics)} {mood.scale}"
        assert f"| `{mood.name}` | {mood.tempo[0]}–{mood.tempo[1]} | {keys} | {mood.description} |" in page


def test_every_environment_variable_is_documented() -> None:
    for variable, (section, key) in ENVIRONMENT.items():
        assert f"| `{variable}` | `{section}.{key}` |" in CONFIGURATION


def test_the_stories_in_the_readme_are_stories() -> None:
    assert parse_story(json.loads(blocks("json")[0])).title
    assert len(parse_story(yaml.safe_load(blocks("yaml")[0])).scenes or ()) == 2


def test_the_configuration_in_the_readme_is_one() -> None:
    assert load_config(yaml.safe_load(blocks("yaml")[1]), environ=False).video.crf == 14


def test_the_python_in_the_readme_names_what_exists() -> None:
    assert len(blocks("python")) >= 3
    for block in blocks("python"):
        names = re.findall(r"from video_pipeline import (.*)", block)[0].split(", ")
        assert all(hasattr(video_pipeline, name) for name in names)
        compile(block, "README", "exec")


def test_every_command_in_the_readme_exists() -> None:
    named = {
        line.split()[1] for line in "".join(blocks("sh")).splitlines() if line.startswith("video-pipeline")
    }
    assert named == set(COMMANDS)
    build_parser().parse_args(
        ["render", "STORY", "-o", "OUT.mp4", "--aspect", "1:1", "--fps", "60", "--crf", "21"]
    )


@pytest.mark.parametrize("document", [Path("README.md"), *DOCUMENTS], ids=str)
def test_every_file_that_a_document_links_to_exists(document: Path) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (ROOT / document.parent / target).exists(), target


@pytest.mark.parametrize("document", [Path("README.md"), Path("CHANGELOG.md"), *DOCUMENTS], ids=str)
def test_every_path_of_the_source_that_a_document_names_exists(document: Path) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = re.findall(r"`((?:engine|filters|native|benchmarks|tests|docs|examples)/[\w./-]*)`", text)
    for path in named:
        assert (ROOT / path).exists() or "NAME" in path or path == "engine/publish/", path


def test_the_table_of_the_high_level_classes_agrees_with_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)\.(\w+)` \| (sync|async) \|", COMPATIBILITY, re.M)
    for owner, method, kind in rows:
        function = getattr(getattr(video_pipeline, owner), method)
        assert inspect.iscoroutinefunction(function) == (kind == "async"), f"{owner}.{method}"
    coroutines = {
        (owner, name)
        for owner in {owner for owner, _, _ in rows}
        for name, member in inspect.getmembers(getattr(video_pipeline, owner), inspect.iscoroutinefunction)
        if not name.startswith("_") and name != "close"
    }
    assert coroutines <= {(owner, method) for owner, method, _ in rows}


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


def test_the_example_of_a_node_keeps_everything_in_a_folder_that_git_ignores() -> None:
    config = load_config(ROOT / "docs" / "node.yaml", environ=False)
    assert {config.node.state_path, config.storage.output_path, config.storage.cache_path} == {
        Path("node/state"),
        Path("node/videos"),
        Path("node/cache"),
    }
    assert "/node/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
