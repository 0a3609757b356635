"""Stories on their way to a node: read, and their local files either named in full or sent along."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_pipeline.engine.common.documents import DocumentError, read_document
from video_pipeline.engine.errors import InputError, StoryError
from video_pipeline.engine.jobs.messages import INLINE_PREFIX

if TYPE_CHECKING:
    from video_pipeline.engine.story import Story

ELSEWHERE = (INLINE_PREFIX, "http://", "https://")
CONFIG_FILES = (("watermark", "image"), ("audio", "music"), ("scenes", "text_font"))
FONT_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
"""As `video_pipeline.engine.jobs.inputs.references` and `video_pipeline.engine.assets.fonts` have them, which a client need not import: they bring in NumPy."""


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


def pack_job(
    story: Mapping[str, Any] | Story | str | os.PathLike[str],
    config: Mapping[str, Any],
    *,
    base: Path | None = None,
    first_part: int = 0,
    send_assets: bool = False,
) -> tuple[dict[str, Any], dict[str, Any], tuple[bytes, ...]]:
    """Return a story and a configuration as they are sent, and the parts that are sent with them.

    Relative paths of a story are taken from its file, or from `base` where it is data; those of the configuration
    from the current folder. With `send_assets` each local file that they name is a part, numbered from `first_part`.
    Otherwise a path that leads to a file is made absolute, for a node on the same machine; others, and all of a
    story that is data and has no `base`, go as they stand.
    """
    if isinstance(story, Mapping):
        data = deepcopy(dict(story))
    elif isinstance(story, str | os.PathLike):
        data, base = read_story(Path(story)), Path(story).parent
    else:
        data = story.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    settings = deepcopy(dict(config))
    parts: list[bytes] = []
    numbers: dict[str, int] = {}

    def replacing(folder: Path | None) -> Callable[[str, str], str]:
        def replace(field: str, name: str) -> str:
            path = os.path.abspath((folder or Path()) / name)  # noqa: PTH100 - also takes out `..`
            if not send_assets:
                return path if folder is not None and Path(path).is_file() else name
            if path not in numbers:
                numbers[path] = first_part + len(parts)
                parts.append(read_part(Path(path), field=field))
            return f"{INLINE_PREFIX}{numbers[path]}"

        return replace

    _replace_in_story(data, replacing(base))
    for section, key in CONFIG_FILES:
        _replace_at(settings.get(section), key, f"{section}.{key}", replacing(Path()))
    return data, settings, tuple(parts)


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


def _replace_in_story(story: dict[str, Any], replace: Callable[[str, str], str]) -> None:
    """Put what `replace(field, path)` returns in the place of each local path, wherever a story may hold one.

    What is not shaped like a story is left for the node to refuse.
    """
    _replace_at(story, "music", "music", replace)
    scenes = story.get("scenes")
    for number, scene in enumerate(scenes if isinstance(scenes, list) else []):
        for key in ("image", "video", "font"):
            _replace_at(scene, key, f"scenes[{number}].{key}", replace)
        if isinstance(scene, dict):
            _replace_at(scene.get("text"), "font", f"scenes[{number}].text.font", replace)


def _replace_at(holder: Any, key: str, field: str, replace: Callable[[str, str], str]) -> None:
    value = holder.get(key) if isinstance(holder, dict) else None
    if isinstance(value, dict):
        _replace_at(value, "path", f"{field}.path", replace)
    elif isinstance(value, str) and value and not value.startswith(ELSEWHERE):
        is_family = key.endswith("font") and not value.lower().endswith(FONT_SUFFIXES)
        if not is_family:
            holder[key] = replace(field, value)
