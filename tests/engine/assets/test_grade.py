"""The grade of a story: which LUT holds, at which strength, and errors that name field, file and line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from video_pipeline.engine.assets.cube import cube_text, identity, load_lut
from video_pipeline.engine.assets.grade import prepare_grade
from video_pipeline.engine.assets.grades import GRADE_SIZE, grade_table
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError, StoryError
from video_pipeline.engine.story import parse_story
from video_pipeline.engine.timeline import Grade


def prepared(tmp_path: Path, *, story: Any = None, config: dict[str, Any] | None = None) -> Grade | None:
    data = {"title": "T", "content": "x", **({"grade": story} if story is not None else {})}
    return prepare_grade(
        load_config({"grade": config or {}}, environ=False).grade,
        parse_story(data),
        base=tmp_path,
        cache=ContentCache(tmp_path / "cache", 10**9),
    )


def negative(tmp_path: Path) -> Path:
    file = tmp_path / "negative.cube"
    file.write_text(cube_text(1 - identity(3)))
    return file


def test_without_a_grade_there_is_none(tmp_path: Path) -> None:
    assert prepared(tmp_path) is None
    assert prepared(tmp_path, config={"lut": "warm", "strength": 0}) is None


def test_the_story_s_grade_holds_before_the_configuration_s(tmp_path: Path) -> None:
    negative(tmp_path)
    config = {"lut": "warm", "strength": 0.5}
    assert prepared(tmp_path, story="none", config=config) is None
    for story, name, strength in (
        (None, "warm", 0.5),
        ("mono", "mono", 0.5),
        ({"name": "mono", "strength": 1}, "mono", 1.0),
        ("negative.cube", "negative.cube", 0.5),
        ({"path": "negative.cube", "strength": 0.25}, "negative.cube", 0.25),
    ):
        grade = prepared(tmp_path, story=story, config=config)
        assert grade is not None
        assert (grade.name, grade.strength) == (name, strength)


def test_a_grade_of_the_package_is_its_formula_at_the_strength(tmp_path: Path) -> None:
    grade = prepared(tmp_path, config={"lut": "mono", "strength": 0.25})
    assert grade is not None
    wanted = 0.75 * identity(GRADE_SIZE) + 0.25 * grade_table("mono")
    assert np.allclose(load_lut(grade.path), wanted, atol=1e-6)


def test_a_damaged_table_in_the_cache_is_made_again(tmp_path: Path) -> None:
    grade = prepared(tmp_path, config={"lut": str(negative(tmp_path))})
    assert grade is not None
    whole = grade.path.read_bytes()
    grade.path.write_bytes(whole[: len(whole) // 2])
    again = prepared(tmp_path, config={"lut": str(negative(tmp_path))})
    assert again == grade
    assert grade.path.read_bytes() == whole


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"LUT_3D_SIZE 2\n0 0\n", "is no 3D LUT: line 2: got '0 0'; must be 3 finite numbers"),
        (b"\x89PNG\r\n\x1a\n", "is no 3D LUT: line 1"),
        (None, "does not exist; allowed: a .cube file, teal_orange"),
    ],
)
def test_an_error_names_the_field_the_file_and_the_line(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "a.cube"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StoryError, match=message) as story:
        prepared(tmp_path, story="a.cube")
    assert str(story.value).startswith(f"field 'grade': {file}: ")
    with pytest.raises(ConfigError, match=message) as config:
        prepared(tmp_path, config={"lut": str(file)})
    assert str(config.value).startswith(f"grade.lut: {file}: ")
    assert not list((tmp_path / "cache").rglob("*.cube"))


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "a.cube"
    with file.open("wb") as open_file:
        os.truncate(open_file.fileno(), 10**12)
    with pytest.raises(ConfigError, match="has 1000000000000 bytes; a LUT may have 32000000"):
        prepared(tmp_path, config={"lut": str(file)})


def test_a_folder_is_no_lut(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        prepared(tmp_path, config={"lut": str(tmp_path)})
