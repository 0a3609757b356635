"""Markdown and plain text in: paragraphs, headings, lists, emphasis, links; story files."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.story import load_story, parse_story, story_scenes
from video_pipeline.engine.story.code_blocks import prose
from video_pipeline.engine.story.markdown import first_words, markdown_paragraphs, plain_text

CHAPTERS = """# Chapter 1

It was **dark**. The wind was _cold_.

* One owl
* Two owls

1. First, run.
2. Then hide.

> "Help!"

See [the map](https://example.com/map?x=1&y=2) for `details`.

---

The end.
"""


def scenes_of(content: str) -> list[tuple[str | None, str]]:
    story = parse_story({"title": "T", "content": content, "metadata": {"language": "en"}})
    return [(scene.title, scene.text) for scene in story_scenes(story)]


def test_paragraphs_are_scenes_headings_chapters_and_marks_are_gone() -> None:
    assert scenes_of(CHAPTERS) == [
        ("Chapter 1", "Chapter 1\n\nIt was dark. The wind was cold."),
        ("", "• One owl\n• Two owls"),
        ("", "1. First, run.\n2. Then hide."),
        ("", '"Help!"'),
        ("", "See the map for details."),
        ("", "The end."),
    ]


def test_without_headings_each_scene_is_a_chapter_named_by_its_first_words() -> None:
    text = "A boat drifted in without any sails or oars at all.\n\nNobody was in it."
    assert scenes_of(text) == [
        ("A boat drifted in without any sails…", "A boat drifted in without any sails or oars at all."),
        ("Nobody was in it", "Nobody was in it."),
    ]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("A lamp[^1] went out.\n\n[^1]: Of kerosene.\n", "A lamp went out."),
        (
            "One[^a], two [^b].\n\n[^a]: First\n    goes on.\n\n    And on.\n[^b]: Second.\n\nEnd.",
            "One, two.\n\nEnd.",
        ),
        ("See [the map][m].[^1]\n\n[m]: https://example.com\n[^1]: Old.", "See the map."),
        ("- [ ] buy oil\n- [x] light it\n- [y] no box", "• buy oil\n• light it\n• [y] no box"),
        ("2*3*4 and f*** and snake_case_name", "2*3*4 and f*** and snake_case_name"),
        ("[Mary]: Hello", "[Mary]: Hello"),
        ("See [a] and [b][1].\n\n[1]: https://b.org", "See [a] and b."),
        ("You need:\n- 2 eggs\n  - white\n- milk", "You need:\n• 2 eggs\n• white\n• milk"),
        ("![a pic](x.png)\n\nText <b>bold</b> &amp; ~~old~~", "Text bold & old"),
        ("<!-- hidden -->\n\nShown", "Shown"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b\n1, 2"),
        ("It ended.\n---\nNext", "It ended.\n\nNext"),
        ("#hashtag and # not a heading", "#hashtag and # not a heading"),
        ("    indented as prose", "indented as prose"),
        ("line one\nline two  \nline three", "line one line two line three"),
        ("A\n```py\ncode()\n```\nB", "A\n\nB"),
        ("- a\n  ```\n  code()\n  ```\n- b", "• a\n• b"),
        ("> a\n> ~~~\n> code()\n> ~~~\n> b", "a\n\nb"),
        ("A <script>\nlet x\n</script>\n\nB", "A let x\n\nB"),
        ("<style>\np {}\n</style>\n\nB", "B"),
        ("---", "---"),
        ("\\*stars\\*", "*stars*"),
    ],
)
def test_text_keeps_its_words_without_the_marks(text: str, plain: str) -> None:
    assert plain_text(text) == plain


def test_first_words_are_cut_between_words() -> None:
    assert first_words("• One owl\n• Two owls") == "One owl Two owls"
    assert first_words("It rained. Nobody came.") == "It rained"
    assert first_words("word " * 20) == "word word word word word word word…"
    assert len(first_words("x" * 500)) <= 61


def test_a_long_heading_is_a_scene_of_its_own_and_headings_in_a_row_are_one_chapter() -> None:
    assert scenes_of("# Part\n\n## One\n\nGo.") == [("Part – One", "Part\n\nOne\n\nGo.")]
    long = "word " * 20
    assert [title for title, _ in scenes_of(f"# {long}\n\n{long}")] == [
        "word word word word word word word…",
        "",
    ]
    assert scenes_of("Hi.\n\n# End") == [("Hi", "Hi."), ("End", "End")]


def test_a_markdown_file_has_front_matter_and_its_first_heading_is_the_title(tmp_path: Path) -> None:
    file = tmp_path / "story.md"
    file.write_text(
        "---\ngenre: horror\nauthor: Ann\nlexicon: {owl: oul}\n---\n# The *last* lamp\n\nOne night.\n"
    )
    story = load_story(file)
    assert (story.title, story.content, story.lexicon) == (
        "The last lamp",
        "\nOne night.".strip(),
        {"owl": "oul"},
    )
    assert story.metadata.model_dump() == {"genre": "horror", "language": None, "author": "Ann"}
    assert [scene.text for scene in story_scenes(story)] == ["One night."]


def test_a_text_file_without_a_heading_is_named_by_its_first_words(tmp_path: Path) -> None:
    file = tmp_path / "story.txt"
    file.write_bytes("\ufeffOne night.\r\n\r\nNobody came.\r\n".encode())
    story = load_story(file)
    assert story.title == "One night"
    assert [scene.text for scene in story_scenes(story)] == ["One night.", "Nobody came."]


@pytest.mark.parametrize(
    ("text", "title"),
    [("# A lamp\n\nLit.", "A lamp"), ('{"title": "J", "content": "x"}', "J"), ("Just words.", "Just words")],
)
def test_standard_input_is_json_or_markdown(text: str, title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert load_story(Path("-")).title == title


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no text in it"),
        (" \n\n", "there is no text in it"),
        ("...\n\n— !?", "there is no text in it"),
        ("<!-- only a comment -->", "there is no text in it"),
        ("![](a.png)", "there is no text in it"),
        ("---\ntitle: x\nHi there.", "front matter: begins with 'title: x' and has no line `---`"),
        ("---\n- a\n---\nText", "front matter: got list; allowed: an object"),
        ("---\ncontent: x\n---\nText", "front matter: field 'content' is the text below it"),
        ("---\na: [\n---\nText", "story.md: "),
        ("---\nmusic: 5\n---\nText", "field 'music'"),
    ],
)
def test_faults_of_a_text_file_name_the_file(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "story.md"
    file.write_text(text)
    with pytest.raises(StoryError) as error:
        load_story(file)
    assert why in str(error.value)
    assert str(file) in str(error.value)


@given(st.text(st.sampled_from("ab .#*_-`[]()<>!|~=:\\&\n1\t") | st.characters(codec="utf-8"), max_size=80))
def test_any_text_has_paragraphs_and_scenes_within_bounds(text: str) -> None:
    for paragraph in markdown_paragraphs(text):
        assert paragraph.blocks
        assert all(block.strip() for block in paragraph.blocks)
    if prose(text).strip():  # code alone is an error
        story = parse_story({"title": "T", "content": text, "metadata": {"language": "en"}})
        assert all(len(scene.text) <= 5000 for scene in story_scenes(story))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Hello[^1] there.\n\n[^1]: A note.\n    Its second line.\n\nNext.", "Hello there.\n\nNext."),
        (
            "One.[^a]\n\n[^a]: A note.\n\n    Its second paragraph.\n\nTwo.[^b]\n\n[^b]: Another.",
            "One.\n\nTwo.",
        ),
        ("A note[^1] and [a link][home].\n\n[home]: https://x.org\n[^1]: Its text.", "A note and a link."),
        ("Write `[^1]` so.", "Write [^1] so."),
        ("- [ ] Buy milk\n- [x] Feed the cat", "• Buy milk\n• Feed the cat"),
        ("[x] marks the place.", "[x] marks the place."),
        ("Here <!-- aside --> and ~~there~~.", "Here and there."),
    ],
)
def test_footnotes_boxes_of_tasks_and_comments_are_left_out(text: str, shown: str) -> None:
    assert plain_text(text) == shown
