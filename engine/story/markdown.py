"""Markdown in stories: a text as blocks without marks, and a Markdown file as a story."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from video_pipeline.engine.story.code_blocks import prose, unwrapped
from video_pipeline.engine.story.plain_lines import TIMES, without_notes

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

BULLET: Final = "• "
TITLE_WORDS: Final = 7
TITLE_CHARACTERS: Final = 60

_DEFINITION: Final = re.compile(r"^ {0,3}\[[^\]\n]+\]:(.*)$", re.MULTILINE)
_TASK: Final = re.compile(r"\[[ xX]\] +(?=\S)")
_TARGET: Final = re.compile(r"\s*<?(?:[a-z][a-z0-9+.-]*://|mailto:|www\.|[/#.])", re.IGNORECASE)
_TAG: Final = re.compile(
    r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|</?[A-Za-z][^<>]*>", re.DOTALL | re.IGNORECASE
)
_SENTENCE: Final = re.compile(r"[.!?…][\"”’»)]*$")
_SENTENCE_END: Final = re.compile(r"[.!?…:;,][\"”’»)]*$")
_FRONT_MATTER: Final = re.compile(
    r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
_BEGUN_FRONT_MATTER: Final = re.compile(r"\A---[ \t]*\n([\w-]+:(?:[ \t].*)?)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A heading, or blocks that belong together: a paragraph and the list after it. `level` is 0 but for a heading."""

    blocks: tuple[str, ...]
    level: int = 0


@cache
def _parser(*, references: bool) -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("code")
    return parser if references else parser.disable("reference")


@lru_cache(64)
def markdown_paragraphs(text: str) -> tuple[Paragraph, ...]:
    """Return the paragraphs of a Markdown text without its marks.

    Links are their text; emphasis, images, code between fences, footnotes and their marks are left out; items of lists
    begin with a bullet or their number, tasks without their box. What begins like the definition of a link but names no target, such as `[Mary]: Hello`, is text.
    """
    text = prose(text)
    if "[^" in text:
        text = without_notes(text)
    definitions = _DEFINITION.findall(text)
    references = bool(definitions) and all(map(_TARGET.match, definitions))
    tokens = _parser(references=references).parse(TIMES.sub(r"\\*", text))
    lines = text.split("\n")
    found: list[Paragraph] = []
    end = -1
    for level, blocks, (start, last) in _top_blocks(tokens):
        if not blocks:
            continue
        stop = last
        while stop > start and not lines[min(stop, len(lines)) - 1].strip():
            stop -= 1  # the blank lines after a list are counted as its own
        joins = level == 0 and found and found[-1].level == 0 and start == end
        if joins:
            found[-1] = Paragraph((*found[-1].blocks, *blocks))
        else:
            found.append(Paragraph(tuple(blocks), level))
        end = stop
    return tuple(found)


def plain_text(text: str) -> str:
    """Return a Markdown text without its marks, paragraphs separated by blank lines."""
    return "\n\n".join("\n".join(paragraph.blocks) for paragraph in markdown_paragraphs(text)) or text


def first_words(text: str) -> str:
    """Return the first words of a text, as a title."""
    words = [word for word in text.split() if word != BULLET.strip()] or text.split()
    sentence = next(
        (n for n, word in enumerate(words, start=1) if n > 1 and _SENTENCE.search(word)), len(words)
    )
    words = words[:sentence]
    title = " ".join(words[:TITLE_WORDS])
    if len(title) > TITLE_CHARACTERS:
        title = (
            title[:TITLE_CHARACTERS].rsplit(" ", 1)[0]
            if " " in title[:TITLE_CHARACTERS]
            else title[:TITLE_CHARACTERS]
        )
    cut = len(title) < len(" ".join(words))
    title = title.rstrip(" ,;:.、，。" if cut else " ,;:.")
    return f"{title}…" if cut else title


def _top_blocks(tokens: Sequence[Token]) -> Iterator[tuple[int, list[str], tuple[int, int]]]:
    """Yield the level (0 but for a heading), the texts and the lines of each block of the highest level."""
    index = 0
    while index < len(tokens):
        token = tokens[index]
        last = index
        if token.nesting == 1:
            while tokens[last].level > token.level or tokens[last].type != token.type.replace(
                "_open", "_close"
            ):
                last += 1
        inside = tokens[index : last + 1]
        lines = (token.map[0], token.map[1]) if token.map else (0, 0)
        level = 0
        if token.type == "heading_open":
            text = _inline(tokens[index + 1])
            # A line over dashes is a heading to Markdown; a sentence over them ends before a break.
            if not (token.markup == "-" and _SENTENCE_END.search(text)):
                level = int(token.tag[1])
            else:
                lines = (lines[0], lines[1] - 1)  # the dashes part it from what follows
        yield level, list(_texts(inside)), lines
        index = last + 1


def _texts(tokens: Sequence[Token]) -> Iterator[str]:
    """Yield the texts of some blocks and of those inside them."""
    mark = ""
    row: list[str] | None = None
    for token in tokens:
        if token.type == "list_item_open":
            mark = f"{token.info}{token.markup} " if token.info else BULLET
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close" and row is not None:
            yield ", ".join(filter(None, row))
            row = None
        elif token.type == "inline":
            text = " ".join(_inline(token).split())
            if mark == BULLET:
                text = _TASK.sub("", text, count=1) if _TASK.match(text) else text
            if row is not None:
                row.append(text)
            elif text:
                yield mark + text
                mark = ""
        elif token.type == "html_block":
            content = html.unescape(_TAG.sub(" ", token.content))
            if text := " ".join(content.split()):
                yield mark + text
                mark = ""


def _inline(token: Token) -> str:
    """Return the text of a line of Markdown."""
    found = []
    for child in token.children or ():
        if child.type in ("text", "code_inline", "text_special"):
            found.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            found.append(" ")
    return "".join(found)


def markdown_story(text: str, *, fields: frozenset[str]) -> dict[str, Any]:
    """Return a story file in Markdown or plain text as plain data.

    The title is that of the front matter, else the first heading if the text begins with it, else the first words.
    Front matter (YAML between lines of `---`) may have the story's `fields`; others become its metadata. Raises
    ValueError for front matter that does not end, is no object or has the fields `content` or `scenes`, and for a text
    without a letter, digit or symbol.
    """
    text = unwrapped(text.replace("\r\n", "\n").replace("\r", "\n"))
    story: dict[str, Any] = {}
    front = _FRONT_MATTER.match(text)
    if front:
        story = _front_matter(front[1], fields)
        text = text[front.end() :]
    elif begun := _BEGUN_FRONT_MATTER.match(text):
        raise ValueError(f"front matter: begins with {begun[1]!r} and has no line `---` at its end")
    paragraphs = markdown_paragraphs(text)
    if not any(
        unicodedata.category(letter)[0] in "LNS" for each in paragraphs for letter in "".join(each.blocks)
    ):
        raise ValueError("there is no text in it; a story needs one")
    if "title" not in story and paragraphs:
        story["title"] = first_words(" ".join(paragraphs[0].blocks))
        if paragraphs[0].level and len(paragraphs) > 1:
            story["title"] = paragraphs[0].blocks[0][:300]
            text = _without_first_heading(text)
    return {**story, "content": text.strip("\n")}


def _front_matter(text: str, fields: frozenset[str]) -> dict[str, Any]:
    from video_pipeline.engine.common.strict_yaml import load_yaml

    data = load_yaml(text)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ValueError(
            f"front matter: got {type(data).__name__}; allowed: an object with title, metadata …"
        )
    for key in ("content", "scenes"):
        if key in data:
            raise ValueError(f"front matter: field {key!r} is the text below it; leave it out")
    data = {key: value.isoformat() if isinstance(value, date) else value for key, value in data.items()}
    story = {key: value for key, value in data.items() if key in fields}
    others = {key: value for key, value in data.items() if key not in fields}
    if others:
        own = story.get("metadata")
        story["metadata"] = {**others, **own} if isinstance(own, dict) else own if own is not None else others
    return story


def _without_first_heading(text: str) -> str:
    tokens = _parser(references=False).parse(text)
    lines = text.split("\n")
    place = tokens[0].map
    return "\n".join(lines[place[1] :]) if place else text
