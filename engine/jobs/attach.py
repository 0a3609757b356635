"""Stories on their way to a node: read, and their local files either named in full or sent along."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from engine.documents import DocumentError, read_document
from engine.errors import InputError, StoryError
from engine.jobs.messages import INLINE_PREFIX
from engine.story import Story

ELSEWHERE = (INLINE_PREFIX, "http://", "https://")
FONT_FILES = (".ttf", ".otf", ".ttc", ".otc")


def read_story(path: Path) -> dict[str, Any]:
    """Return a story file as plain data, unchecked; raise StoryError where it cannot be read."""
    try:
        data = read_document(path, "yaml" if path.suffix.lower() in (".yaml", ".yml") else "json")
    except DocumentError as error:
        raise StoryError(str(error)) from error
    if not isinstance(data, dict):
        raise StoryError(
            f"{path}: got {type(data).__name__}; allowed: an object with title, content, scenes …"
        )
    return data


def pack_story(
    story: Mapping[str, Any] | Story | str | os.PathLike[str],
    *,
    first_part: int = 0,
    send_assets: bool = False,
) -> tuple[dict[str, Any], tuple[bytes, ...]]:
    """Return a story as it is sent, and the parts that are sent with it.

    Relative paths are taken from the story's file, or from the current folder where it is data. With
    `send_assets` each local file that the story names is a part, numbered from `first_part`. Otherwise a path that
    is there beside the story's file is made absolute, for a node on the same machine; others go as they stand.
    """
    if isinstance(story, Story):
        data, base = story.model_dump(mode="json", exclude_none=True, exclude_unset=True), None
    elif isinstance(story, Mapping):
        data, base = deepcopy(dict(story)), None
    else:
        data, base = read_story(Path(story)), Path(story).parent
    parts: list[bytes] = []
    numbers: dict[Path, int] = {}

    def sent(field: str, name: str) -> str:
        path = ((base or Path()) / name).absolute()
        if path not in numbers:
            numbers[path] = first_part + len(parts)
            parts.append(read_part(path, field=field))
        return f"{INLINE_PREFIX}{numbers[path]}"

    def absolute(field: str, name: str) -> str:
        path = ((base or Path()) / name).absolute()
        return str(path) if base is not None and path.exists() else name

    _replace_files(data, sent if send_assets else absolute)
    return data, tuple(parts)


def read_parts(paths: Sequence[Path]) -> tuple[bytes, ...]:
    """Return the content of files that are sent as parts."""
    return tuple(read_part(path, field=f"assets[{number}]") for number, path in enumerate(paths))


def read_part(path: Path, *, field: str) -> bytes:
    """Return a file's content; raise InputError naming the field that names it."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"field {field!r}: {path}: cannot be read: {why}") from error


def _replace_files(story: dict[str, Any], replace: Callable[[str, str], str]) -> None:
    """Put what `replace(field, path)` returns in the place of each local path, wherever a story may hold one.

    What is not shaped like a story is left for the node to refuse.
    """

    def at(holder: Any, key: str, field: str) -> None:
        value = holder.get(key) if isinstance(holder, dict) else None
        if isinstance(value, dict):
            at(value, "path", f"{field}.path")
        elif isinstance(value, str) and value and not value.startswith(ELSEWHERE):
            holder[key] = replace(field, value)

    at(story, "music", "music")
    scenes = story.get("scenes")
    for number, scene in enumerate(scenes if isinstance(scenes, list) else []):
        if not isinstance(scene, dict):
            continue
        for key in ("image", "video"):
            at(scene, key, f"scenes[{number}].{key}")
        for holder, field in ((scene, "font"), (scene.get("text"), "text.font")):
            font = holder.get("font") if isinstance(holder, dict) else None
            if isinstance(font, str) and font.lower().endswith(FONT_FILES):
                at(holder, "font", f"scenes[{number}].{field}")
