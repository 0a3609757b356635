"""Fenced code in a text: neither shown nor spoken, with a warning; a fence around a whole text."""

from __future__ import annotations

from pathlib import Path

import pytest

from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.story import load_story, parse_story, story_scenes
from video_pipeline.engine.story.code_blocks import code_warnings, prose

STORY = "# The lamp\n\nIt was *dark*.\n\n```python\nName: Value\nOther: Value\n```\n\nNobody came."


def texts_of(content: str) -> list[str]:
    story = parse_story({"title": "T", "content": content, "metadata": {"language": "en"}})
    return [scene.text for scene in story_scenes(story)]


def test_code_is_in_no_scene_and_makes_no_speakers_and_a_warning_names_it() -> None:
    story = parse_story({"title": "T", "content": STORY})
    scenes = story_scenes(story)
    assert [scene.text for scene in scenes] == ["The lamp\n\nIt was dark.", "Nobody came."]
    assert [scene.speaker for scene in scenes] == [None, None]
    assert code_warnings(STORY) == (
        "field 'content': the code block that begins with 'Name: Value' is neither shown nor spoken",
    )


def test_several_blocks_are_one_warning_and_an_open_one_is_said_to_go_to_the_end() -> None:
    text = "A\n" + "".join(f"```\ncode {n}\n```\nText.\n" for n in range(4)) + "~~~\nlast\n\nlost"
    (warning,) = code_warnings(text)
    assert "5 code blocks, which begin with 'code 0', 'code 1', 'code 2' and 2 more, are neither" in warning
    assert warning.endswith("no line ~~~ ends the last one, so it goes to the end of the text")
    assert "lost" not in " ".join(texts_of(text))


@pytest.mark.parametrize("text", ["A `b` c", "A\n\n```\n\n```\n\nB", "x ~~~ y", "No code"])
def test_nothing_lost_is_no_warning(text: str) -> None:
    assert code_warnings(text) == ()


@pytest.mark.parametrize("fence", ["```", "```markdown", "~~~ md", "````text"])
def test_a_fence_around_the_whole_text_is_its_wrapping(fence: str, tmp_path: Path) -> None:
    mark = fence.strip("abcdefghijklmnopqrstuvwxyz ")
    wrapped = f"\n{fence}\n---\ngenre: horror\n---\n# The lamp\n\nIt was **dark**.\n{mark}\n"
    file = tmp_path / "story.md"
    file.write_text(wrapped)
    story = load_story(file)
    assert (story.title, story.metadata.genre) == ("The lamp", "horror")
    assert [scene.text for scene in story_scenes(story)] == ["It was dark."]
    assert texts_of(f"{fence}\nIt was **dark**.\n{mark}") == ["It was dark."]
    assert code_warnings(wrapped) == ()


def test_a_wrapped_text_may_have_code_of_its_own() -> None:
    text = f"```markdown\n{STORY}\n```"
    assert prose(text).split() == ["#", "The", "lamp", "It", "was", "*dark*.", "Nobody", "came."]
    assert len(code_warnings(text)) == 1


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_lines_may_end_as_on_other_systems(newline: str) -> None:
    text = "A\n\n```\ncode\n```\n\nB".replace("\n", newline)
    assert texts_of(text) == ["A", "B"]
    assert "no line" not in code_warnings(text)[0]
    assert texts_of("```md\nA\n```".replace("\n", newline)) == ["A"]


def test_a_text_of_code_alone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoryError, match="`content` has nothing but code between fences"):
        parse_story({"title": "T", "content": "```python\nprint(1)\n```"})
    file = tmp_path / "story.md"
    file.write_text("```python\nprint(1)\n```")
    with pytest.raises(StoryError, match="there is no text in it"):
        load_story(file)
