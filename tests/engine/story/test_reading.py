"""Story files, read as plain data."""

from __future__ import annotations

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
