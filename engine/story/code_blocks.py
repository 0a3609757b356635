"""Fenced code in a Markdown text: it is neither shown nor spoken. A fence around the whole text is only its wrapping."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_FENCES: Final = re.compile(r"`{3}|~{3}")
_WRAPPING: Final = frozenset(["", "markdown", "md", "text", "txt"])
"""What may stand beside the fence around a whole text, as chat programs wrap their answers."""

_MARKDOWN_FENCE: Final = re.compile(r"(?:`{3,}|~{3,}) *(?:markdown|md) *", re.IGNORECASE)
_NAMED_MOST: Final = 3
_NAMED_CHARACTERS: Final = 40


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """Code between fences, on the lines `start` to `stop` of a text, fences included. `fence` is the mark it begins with."""

    content: str
    start: int
    stop: int
    language: str
    fence: str
    is_closed: bool


@cache
def _fence_parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").disable("code")


def _blocks(tokens: list[Token], lines: list[str]) -> tuple[CodeBlock, ...]:
    found = []
    for token in tokens:
        if token.type == "fence" and token.map:
            start, stop = token.map
            last = lines[stop - 1].strip(" \t>") if stop - start > 1 else ""
            closed = len(last) >= len(token.markup) and not last.strip(token.markup[0])
            language = token.info.strip().split(" ")[0]
            found.append(CodeBlock(token.content, start, stop, language, token.markup, closed))
    return tuple(found)


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def unwrapped(text: str) -> str:
    """Return a text without the fence around all of it, unless the fence names a language of programs."""
    stripped = _with_newlines(text.strip())
    if not stripped.startswith(("```", "~~~")):
        return text
    lines = stripped.split("\n")
    if _MARKDOWN_FENCE.fullmatch(lines[0]) and not lines[-1].strip(" `~"):
        return "\n".join(lines[1:-1])  # code inside it may have the same fences
    tokens = _fence_parser().parse(stripped)
    blocks = _blocks(tokens, lines)
    if len(tokens) != 1 or not blocks or blocks[0].language.lower() not in _WRAPPING:
        return text
    return blocks[0].content


@lru_cache(64)
def code_blocks(text: str) -> tuple[CodeBlock, ...]:
    """Return the fenced code of a text that is not wrapped in a fence."""
    text = _with_newlines(text)
    return _blocks(_fence_parser().parse(text), text.split("\n")) if _FENCES.search(text) else ()


@lru_cache(64)
def prose(text: str) -> str:
    """Return a text without its fenced code, whose lines are blank, and without a fence around all of it."""
    text = unwrapped(text)
    blocks = code_blocks(text)
    if not blocks:
        return text
    lines = _with_newlines(text).split("\n")
    for block in blocks:
        lines[block.start : block.stop] = [""] * (min(block.stop, len(lines)) - block.start)
    return "\n".join(lines)


def code_warnings(text: str) -> tuple[str, ...]:
    """Return the warning that names the code which a text loses, or nothing."""
    blocks = [block for block in code_blocks(unwrapped(text)) if block.content.strip()]
    if not blocks:
        return ()
    names = [repr(_first_code(block)) for block in blocks[:_NAMED_MOST]]
    more = f" and {len(blocks) - _NAMED_MOST} more" if len(blocks) > _NAMED_MOST else ""
    what = "the code block that begins" if len(blocks) == 1 else f"{len(blocks)} code blocks, which begin"
    are = " is" if len(blocks) == 1 else ", are"
    warning = f"field 'content': {what} with {', '.join(names)}{more}{are} neither shown nor spoken"
    if not blocks[-1].is_closed:
        warning += f"; no line {blocks[-1].fence} ends the last one, so it goes to the end of the text"
    return (warning,)


def _first_code(block: CodeBlock) -> str:
    line = next(line for line in block.content.split("\n") if line.strip()).strip()
    return line if len(line) <= _NAMED_CHARACTERS else f"{line[: _NAMED_CHARACTERS - 1]}…"
