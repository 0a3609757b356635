"""The rows of a batch have stories and names, or every fault is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import scene, write
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.story.batch import read_batch


def batch(folder: Path, rows: str, *, name: str | None = None) -> list[str]:
    template = write(folder, scene(text="{{city}}"), "city.json")
    return [row.name for row in read_batch(write(folder, rows, "t.csv"), template, name=name)]


def test_names_are_of_the_pattern_the_column_or_the_template(tmp_path: Path) -> None:
    assert batch(tmp_path, "city\n" + "Rome\n" * 10)[::9] == ["city-01", "city-10"]
    assert batch(tmp_path, "city,output\nRome,r.mp4\nParis,p\n") == ["r", "p"]
    assert batch(tmp_path, "city,output\nRome,r\n", name="{{city}} {{row}}") == ["Rome 1"]


def test_a_markdown_template_has_variables_too(tmp_path: Path) -> None:
    template = write(tmp_path, "# {{city}}\n\nWelcome to **{{city}}**.\n", "t.md")
    (row,) = read_batch(write(tmp_path, "city\nRome & Ostia\n", "t.csv"), template)
    assert row.story.title == "Rome & Ostia"
    assert row.digest() != row.digest(config={"video": {"crf": 21}})


def test_a_column_without_any_value_is_told_by_its_rows(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"t\.csv, row 1 \(line 2\): \{\{city\}\} has no value; fill the cell"
    ):
        batch(tmp_path, "fact,city\nold,\n")
    template = write(tmp_path, scene(text="{{city}}"), "city.json")
    with pytest.raises(InputError, match=r"t\.jsonl, row 1 \(line 1\): \{\{city\}\} has no value"):
        read_batch(write(tmp_path, '{"city": null}\n', "t.jsonl"), template)


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", "x" * 201, "a\tb"])
def test_a_name_that_is_no_file_name_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv, row 1 \(line 2\): name: got"):
        batch(tmp_path, "city\nRome\n", name=name)


def test_all_faults_are_told_in_one_error(tmp_path: Path) -> None:
    rows = "city,output\n,a\nRome,b\nParis,B\nOslo,\n" + ",c\n" * 10
    with pytest.raises(InputError) as caught:
        batch(tmp_path, rows)
    lines = str(caught.value).splitlines()
    assert "row 1 (line 2): {{city}} has no value" in lines[0]
    assert "row 4 (line 5): {{output}} has no value" in lines[1]
    assert lines[-1] == "and 3 more"
    with pytest.raises(InputError, match=r"row 2 \(line 3\): name 'B' is that of row 1 \(line 2\) too"):
        batch(tmp_path, "city,output\nRome,b\nParis,B\n")
