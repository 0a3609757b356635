"""Read story files as plain data, before the model checks them: JSON, YAML, Markdown or plain text."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.common.documents import (
    DOCUMENT_MAX_BYTES,
    DocumentError,
    decode_document,
    document_text,
    parse_document,
)
from video_pipeline.engine.errors import StoryError

STDIN = Path("-")
YAML_ENDINGS = (".yaml", ".yml")
TEXT_ENDINGS = (".md", ".markdown", ".txt", ".text")

FRONT_MATTER_FIELDS = frozenset(["id", "title", "metadata", "music", "loop", "lexicon", "speakers"])
"""What the front matter of a Markdown file may have beside its metadata."""

_YAML_STORY: Final = re.compile(r"^(?:content|scenes):(?:\s|$)", re.MULTILINE)
_FRONT_MATTER: Final = re.compile(r"\s*---[ \t]*\r?\n(?s:.*?)^---[ \t]*\r?$", re.MULTILINE)
_YAML_TITLE: Final = re.compile(r"^title:\s", re.MULTILINE)


def story_name(path: Path) -> str:
    """Return the name of a story file without its ending, or `story` for standard input."""
    return "story" if path == STDIN else path.stem


def read_story(path: Path) -> dict[str, Any]:
    """Return a story file as plain data, its fields unchecked; `-` is standard input.

    The ending decides: .yaml and .yml are YAML, .md, .markdown, .txt and .text are text in Markdown, others JSON.
    Standard input is JSON if it begins with a brace, YAML if it is a mapping with the fields of a story, else
    Markdown. Raises StoryError naming the file.
    """
    name = "standard input" if path == STDIN else str(path)
    try:
        text = (
            document_text(path)
            if path != STDIN
            else decode_document(sys.stdin.buffer.read(DOCUMENT_MAX_BYTES + 1), name)
        )
        ending = _ending_of_input(text) if path == STDIN else path.suffix.lower()
        if ending in TEXT_ENDINGS:
            return _read_text(text, name)
        data = parse_document(text, "yaml" if ending in YAML_ENDINGS else "json", name=name)
    except DocumentError as error:
        raise StoryError(str(error)) from error
    if not isinstance(data, dict):
        raise not_a_story(data, where=name)
    return data


def _ending_of_input(text: str) -> str:
    """Return the ending of the format in which a text without a name is written.

    YAML has a line `content:` or `scenes:`, each written in small letters and not indented, and parses as a mapping.
    """
    if text.lstrip().startswith("{"):
        return ".json"
    if _YAML_STORY.search(text) is None or _FRONT_MATTER.match(text) is not None:
        return ".md"
    try:
        data = parse_document(text, "yaml", name="standard input")
    except DocumentError:
        return ".yaml" if _YAML_TITLE.search(text) is not None else ".md"
    return ".yaml" if isinstance(data, dict) else ".md"


def _read_text(text: str, name: str) -> dict[str, Any]:
    from video_pipeline.engine.story.markdown import markdown_story

    try:
        story = markdown_story(text, fields=FRONT_MATTER_FIELDS)
    except ValueError as error:
        raise StoryError(f"{name}: {error}") from error
    return {"title": name, **story}


def not_a_story(data: Any, *, where: str) -> StoryError:
    """Return the error for data that is not an object."""
    return StoryError(f"{where}: got {type(data).__name__}; allowed: an object with title, content, scenes …")
