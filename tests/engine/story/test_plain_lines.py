"""Inline Markdown in the texts of scenes, titles and cards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_pipeline.engine.story import parse_story, story_scenes
from video_pipeline.engine.story.cards import fill_card
from video_pipeline.engine.story.plain_lines import plain_line, plain_lines

MARKED = [
    ("**Bold** and __too__, *one* and _two_, ***both***", "Bold and too, one and two, both"),
    ("~~Old~~ new", "Old new"),
    ("Run `make`", "Run make"),
    ("A lamp[^1] went out [^b].", "A lamp went out."),
    ("See [the map](https://example.com/a_b).", "See the map."),
    ("A ![lamp](lamp.png)", "A"),
    (r"\*stars\* and \# and \[1\]", "*stars* and # and [1]"),
    (r"¯\_(ツ)_/¯", "¯_(ツ)_/¯"),
    ("# Chapter *one* #", "Chapter one"),
    ("2*3*4 is **24**", "2*3*4 is 24"),
]
PLAIN = [
    "2*3*4, f***, snake_case_name, 5 * 3 * 2, a * b",
    "C# and #1 and # ",
    r"C:\new\table, \server, 50\% and a\b",
    "[draft] [x] (see [1]) [^ and ]",
    "~20 km, ~ and ~~, 5~6",
    "`tis the season, don`t",
    "<b> & &amp; x < y > z",
    "*",
    "***",
    "_",
    "#",
    "```",
    "  two  blanks \n\n and\n  lines  ",
]


@pytest.mark.parametrize(("text", "plain"), MARKED)
def test_inline_marks_are_left_out_of_scenes_titles_and_cards_and_content_alike(
    text: str, plain: str
) -> None:
    data = {"title": text, "scenes": [{"scene_id": "a", "text": text, "narration": text, "title": text}]}
    story = parse_story(data)
    (scene,) = story_scenes(story)
    assert scene.text.rstrip() == scene.spoken == scene.title == story.title == plain
    assert fill_card(text, {}) == plain
    content = text if not text.startswith("#") else f"{text}\n"
    (split,) = story_scenes(parse_story({"title": "T", "content": content, "metadata": {"language": "en"}}))
    assert split.text == plain


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_stays_plain(text: str) -> None:
    assert plain_lines(text) == text


def test_marks_reach_over_lines_but_not_over_blank_lines() -> None:
    assert plain_lines("*one\n  two* three") == "one\n  two three"
    assert plain_lines("*one\n\ntwo*") == "*one\n\ntwo*"
    assert plain_lines("Mary: **No.**\nTom: *Yes*.") == "Mary: No.\nTom: Yes."


def test_code_between_fences_keeps_its_words_in_a_scenes_own_text() -> None:
    assert plain_lines("Type:\n```python\n__init__(*a*)\n```\n**Go**") == "Type:\n__init__(*a*)\nGo"


def test_footnotes_are_left_out_with_their_marks() -> None:
    assert plain_lines("A lamp[^1].\n\n[^1]: Of oil.").strip() == "A lamp."
    assert plain_lines("`[^1]` is a mark") == "[^1] is a mark"


def test_the_blanks_of_a_title_are_joined_only_if_it_has_marks() -> None:
    assert plain_line("A  *b*") == "A b"
    assert plain_line("A  b") == "A  b"
    assert plain_line("***") == "***"


@given(st.text(st.sampled_from("ab *_~`[]()!#\\^<&\n1") | st.characters(codec="utf-8"), max_size=80))
def test_letters_outside_of_links_and_notes_are_kept(text: str) -> None:
    plain = plain_lines(text)
    if "[" not in text and "`" not in text and "~" not in text:
        assert [c for c in plain if c.isalnum()] == [c for c in text if c.isalnum()]
    if text.strip():
        assert plain.strip()
