"""Story files, read as plain data."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.jobs.client.pack import pack_job
from video_pipeline.engine.story import load_story, parse_story
from video_pipeline.engine.story.reading import read_story

FAULTS = {
    "list.json": "[]",
    "empty.yaml": "",
    "broken.yml": "{",
    "broken.JSON": "title: T",
    "twice.json": '{"a":1,"a":2}',
}


@pytest.mark.parametrize("name", ["story.yaml", "story.YML", "story.json", "story"])
def test_the_format_follows_from_the_file_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("title: T" if "y" in name[5:].lower() else '{"title": "T"}')
    assert read_story(path) == {"title": "T"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_client_and_a_render_refuse_a_file_with_the_same_words(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(FAULTS[name])
    words = set()
    for read in (load_story, lambda path: pack_job(path, {})):
        with pytest.raises(StoryError) as caught:
            read(path)
        words.add(str(caught.value))
    assert len(words) == 1
    assert words.pop().startswith(str(path))


def test_data_that_is_no_object_is_refused_like_a_file_that_holds_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(StoryError) as of_file:
        read_story(tmp_path / "a.json")
    with pytest.raises(StoryError) as of_data:
        parse_story([], where=str(tmp_path / "a.json"))
    assert str(of_file.value) == str(of_data.value)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('{"title": "T", "content": "C"}', {"title": "T", "content": "C"}),
        ("title: T\ncontent: C\n", {"title": "T", "content": "C"}),
        ("# first\ntitle: T\nscenes:\n  - {scene_id: a}\n", {"title": "T", "scenes": [{"scene_id": "a"}]}),
    ],
)
def test_standard_input_may_be_json_or_yaml(
    text: str, fields: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert read_story(Path("-")) == fields


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("A list.\n\ncontent: gold and silver.\n", "content: gold and silver."),
        ("---\ntitle: T\n---\nscenes: three in all.\n", "scenes: three in all."),
        ("Mary: Where is it?\n\nTom: Here.\n", "Tom: Here."),
    ],
)
def test_standard_input_with_other_lines_is_a_text(
    text: str, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert last in read_story(Path("-"))["content"]


def test_a_fault_in_yaml_from_standard_input_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'title: T\ncontent: "C\n')))
    with pytest.raises(StoryError, match=r"standard input: .*line"):
        read_story(Path("-"))
