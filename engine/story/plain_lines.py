"""Texts of scenes, cards and titles without the marks of inline Markdown; all else stays as it is written."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

ESCAPED: Final = "*_~`[]#\\"
"""Marks before which a backslash is one of Markdown's; before others it is a backslash."""

NOTE_MARK: Final = re.compile(r"[ \t]*\[\^[^\]\s]+\](?!\()")
"""The mark of a footnote, `[^1]`."""

NOTE: Final = re.compile(
    r"^ {0,3}\[\^[^\]\s]+\]:.*\n?(?:^(?!\s*$| {0,3}\[\^[^\]\s]+\]:).+\n?|^\s*\n(?=(?: {4}|\t)\s*\S))*",
    re.MULTILINE,
)
"""A footnote: its lines, and paragraphs after it that are indented."""

TIMES: Final = re.compile(r"(?<=\d)\*(?=\d)")
"""An asterisk between digits, which Markdown would read as emphasis in `2*3*4`."""

_MARKS: Final = re.compile(r"[*_`~]|\[|^[ \t]*#", re.MULTILINE)
_FENCED: Final = re.compile(
    r"^ {0,3}(```|~~~)[^`\n]*\n(?P<code>.*?)(?:^|\n) {0,3}\1[ \t]*$", re.DOTALL | re.MULTILINE
)
_BACKTICKS: Final = re.compile(
    r"(?<![\\\w`])(?P<code>(?P<mark>`+)(?!`).+?(?<!`)(?P=mark))(?![\w`])|(?<!\\)`+", re.DOTALL
)
"""Code, or backticks that are none of its marks, as in `don`t`: those have a letter on the wrong side."""

_HEADING: Final = re.compile(r"^[ \t]*#{1,6}[ \t]+(?=\S)|(?<=\S)[ \t]+#+[ \t]*$")
_BLANK_LINES: Final = re.compile(r"(\n[ \t]*\n\s*)")


@cache
def _inline_parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    unread = ["reference", "entity", "html_inline", "autolink", "newline", "text_join"]
    return MarkdownIt("commonmark").enable("strikethrough").disable(unread)


def plain_line(line: str) -> str:
    """Return a line such as a title without the marks of headings and inline Markdown, its blanks joined."""
    plain = plain_lines(line)
    return plain if plain == line else " ".join(plain.split()) or line


def plain_lines(text: str) -> str:
    """Return a text without marks of headings, emphasis, strikethrough, code, links and footnotes.

    Code between fences keeps its words; images are left out. Lines stay lines. HTML, entities and other backslashes
    than those before a mark are text.
    """
    if not _MARKS.search(text):
        return text
    found, at = [], 0
    for fence in _FENCED.finditer(text):
        found += [_without_marks(text[at : fence.start()]), fence["code"]]
        at = fence.end()
    return "".join([*found, _without_marks(text[at:])])


def _without_marks(text: str) -> str:
    if not _MARKS.search(text):
        return text
    if "[^" in text:
        text = without_notes(text)
    pieces = _BLANK_LINES.split(text)
    pieces[::2] = map(_paragraph, pieces[::2])
    return "".join(pieces)


def without_notes(text: str) -> str:
    """Return a text without its footnotes and their marks; code keeps its own."""
    parts = re.split(r"(`[^`\n]+`)", text)
    parts[::2] = [NOTE_MARK.sub("", NOTE.sub("\n", part)) for part in parts[::2]]
    return "".join(parts)


def _paragraph(text: str) -> str:
    if not _MARKS.search(text):
        return text
    lines = "\n".join(_unheaded(line) for line in text.split("\n"))
    (token,) = _inline_parser().parseInline(_BACKTICKS.sub(_unpaired, TIMES.sub(r"\\*", lines)))
    found = []
    for child in token.children or ():
        if child.type == "text_special":
            found.append(child.content if child.content in ESCAPED else child.markup)
        elif child.type in ("text", "code_inline"):
            found.append(child.content)
    plain = "".join(found)
    return plain if plain.strip() else text


def _unpaired(match: re.Match[str]) -> str:
    return match[0] if match["code"] else r"\`" * len(match[0])


def _unheaded(line: str) -> str:
    return _HEADING.sub("", line) if line.lstrip().startswith("#") else line
