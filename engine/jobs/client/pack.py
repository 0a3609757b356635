"""Prepare stories for a node: make the paths of local files absolute, or send the files as parts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel

from video_pipeline.engine.common.arguments import as_path
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.jobs.messages import INLINE_PREFIX
from video_pipeline.engine.net.addresses import is_url
from video_pipeline.engine.story.asset_fields import AssetPlace, config_assets, is_font_file, story_assets
from video_pipeline.engine.story.reading import not_a_story, read_story

if TYPE_CHECKING:
    from video_pipeline.engine.config import Config
    from video_pipeline.engine.story import Story

    JobConfig: TypeAlias = Mapping[str, Any] | Config | None
    StoryLike: TypeAlias = Mapping[str, Any] | Story | str | os.PathLike[str]
else:  # importing these takes longer than a request, and typing.get_type_hints evaluates the aliases
    JobConfig = Mapping[str, Any] | BaseModel | None
    StoryLike = Mapping[str, Any] | BaseModel | str | os.PathLike[str]


def pack_job(
    story: StoryLike,
    config: Mapping[str, Any],
    *,
    base: Path | None = None,
    first_part: int = 0,
    send_assets: bool = False,
) -> tuple[dict[str, Any], dict[str, Any], tuple[bytes, ...]]:
    """Return the story and the configuration to send, and the parts (contents of files) to send with them.

    Relative paths in a story are relative to its file, or to `base` if the story is data; those in the configuration
    to the current folder. A profile that is a file becomes what the file holds. With `send_assets` each local file that they name becomes a part, numbered from
    `first_part`. Otherwise paths of existing files become absolute, for a node on the same machine; other paths, and
    all paths of a story that is data without a `base`, are sent unchanged.
    """
    if isinstance(story, Mapping):
        data = deepcopy(dict(story))
    elif isinstance(story, str | os.PathLike):
        path = as_path(story, "story")
        data, base = read_story(path), path.parent
    elif not hasattr(story, "model_dump"):
        raise not_a_story(story, where="story")
    else:
        data = story.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    settings = deepcopy(dict(config))
    _send_profile(settings)
    parts: list[bytes] = []
    numbers: dict[str, int] = {}

    def replace(at: AssetPlace, folder: Path | None) -> None:
        if not _is_local(at):
            return
        path = os.path.abspath((folder or Path()) / at.value)  # noqa: PTH100 - also removes `..`
        if send_assets:
            if path not in numbers:
                numbers[path] = first_part + len(parts)
                parts.append(read_part(Path(path), field=at.field))
            at.put(f"{INLINE_PREFIX}{numbers[path]}")
        elif folder is not None and Path(path).is_file():
            at.put(path)

    for at in story_assets(data):
        replace(at, base)
    for at in config_assets(settings):
        replace(at, Path())
    return data, settings, tuple(parts)


def _send_profile(settings: dict[str, Any]) -> None:
    """Replace a profile that is given as a file or a record by what it holds; raise ConfigError naming what is wrong."""
    sections = settings.get("video_pipeline", settings)
    video = sections.get("video") if isinstance(sections, dict) else None
    choice = video.get("profile") if isinstance(video, dict) else None
    if not isinstance(video, dict) or choice is None:
        return
    from video_pipeline.engine.config.profiles import Profile, is_profile_file, load_profile

    if isinstance(choice, Profile) or is_profile_file(choice):
        profile = choice if isinstance(choice, Profile) else load_profile(choice)
        video["profile"] = profile.as_data()


def read_parts(paths: Sequence[Path]) -> tuple[bytes, ...]:
    """Return the contents of files to send as parts."""
    return tuple(read_part(path, field=f"assets[{number}]") for number, path in enumerate(paths))


def read_part(path: Path, *, field: str) -> bytes:
    """Return the content of a file; raise InputError with the field that names the file."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"field {field!r}: {path}: cannot be read: {why}") from error


def _is_local(at: AssetPlace) -> bool:
    """Return whether a value names a file of this machine; False if it is not text, which the node rejects."""
    name = at.value
    if not isinstance(name, str) or not name or name.startswith(INLINE_PREFIX) or is_url(name):
        return False
    return at.kind != "font" or is_font_file(name)
