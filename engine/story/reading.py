"""Read story files as plain data, before the model checks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from video_pipeline.engine.common.documents import DocumentError, read_document
from video_pipeline.engine.errors import StoryError


def read_story(path: Path) -> dict[str, Any]:
    """Return a story file (YAML by its ending .yaml or .yml, otherwise JSON) as plain data, its fields unchecked.

    Raises StoryError naming the file.
    """
    try:
        data = read_document(path, "yaml" if path.suffix.lower() in (".yaml", ".yml") else "json")
    except DocumentError as error:
        raise StoryError(str(error)) from error
    if not isinstance(data, dict):
        raise not_a_story(data, where=str(path))
    return data


def not_a_story(data: Any, *, where: str) -> StoryError:
    """Return the error for data that is not an object."""
    return StoryError(f"{where}: got {type(data).__name__}; allowed: an object with title, content, scenes …")
