"""Looks: named values for captions, colours, transitions, pace and music, below those that are set.

A look is a YAML file: a part of the configuration with a name. Those in the folder `looks` are part of the package.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from video_pipeline.engine.common.documents import DocumentError, read_document
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.common.validation import explain, show
from video_pipeline.engine.config.card_keys import whole_section
from video_pipeline.engine.config.load import Config, validate
from video_pipeline.engine.config.look_keys import NO_LOOK, SHIPPED_LOOKS, LookKeys
from video_pipeline.engine.errors import ConfigError, StoryError
from video_pipeline.engine.story.asset_fields import config_assets, is_font_file
from video_pipeline.engine.story.fields import expand_user

LOOKS_FOLDER: Final = Path(__file__).resolve().with_name("looks")
LOOK_SUFFIXES: Final = (".yaml", ".yml")
LOOK_SECTIONS: Final[Mapping[str, frozenset[str] | None]] = {
    "captions": frozenset({"style"}),
    "scenes": None,
    "grade": None,
    "watermark": None,
    "progress_bar": None,
    "title_card": None,
    "end_card": None,
    "intro": None,
    "outro": None,
    "audio": None,
    "images": frozenset({"style", "prompt_style", "negative_prompt", "prompt_template"}),
    "tts": frozenset({"speech_rate", "pitch"}),
}
"""The sections that a look may set, and which of their keys (None: all)."""

LOOK_WORDS: Final = ("name", "description", "inherits")
_MOST_PARENTS: Final = 8
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class NamedLook:
    """A look with what it inherits: its sections as plain data, and the SHA-256 of these as JSON."""

    name: str
    description: str
    sections: Mapping[str, Mapping[str, Any]]

    @property
    def sha256(self) -> str:
        """The hash of the values, in whatever order they are written."""
        return hashlib.sha256(json.dumps(self.sections, sort_keys=True).encode()).hexdigest()


def is_look_file(value: Any) -> bool:
    """Return whether a look is given as a file."""
    return isinstance(value, os.PathLike) or (
        isinstance(value, str) and value.lower().endswith(LOOK_SUFFIXES)
    )


def look_names(folder: Path | None = None) -> tuple[str, ...]:
    """Return the names of the package's looks and of those in a folder, which replace ones of the same name."""
    return tuple(dict.fromkeys((*SHIPPED_LOOKS, *_folder_looks(folder))))


def _folder_looks(folder: Path | None) -> dict[str, Path]:
    """Return the looks of a folder by name; .yaml holds before .yml, and none is no look's name.

    Raises ConfigError if the folder is not there.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise ConfigError(
            f"look.folder: got {show(str(folder))}, which is no folder; give one with NAME.yaml for each look"
        )
    found = {path.stem: path for ending in reversed(LOOK_SUFFIXES) for path in folder.glob(f"*{ending}")}
    return {name: found[name] for name in sorted(found) if name != NO_LOOK}


def load_look(
    choice: str | os.PathLike[str], *, folder: Path | None = None, place: str = "look"
) -> NamedLook:
    """Return a look by its name or from a YAML file.

    Raises ConfigError that names the file, a key that is unknown or wrong, and what is allowed; `place` names the
    field that chose the look.
    """
    path = _look_path(choice, folder, place)
    names = [path]
    name, data = _read_look(path)
    description, sections = data.pop("description", ""), data
    while (parent := sections.pop("inherits", None)) is not None:
        path = _look_path(parent, folder, f"{names[-1]}: inherits", beside=names[-1].parent)
        if path in names or len(names) > _MOST_PARENTS:
            raise ConfigError(f"{names[-1]}: inherits: got {show(parent)}, which leads back to {names[0]}")
        names.append(path)
        below = _read_look(path)[1]
        below.pop("description", None)
        keys = [key for key in (*below, *sections) if key != "inherits"]
        merged = {key: {**below.get(key, {}), **sections.get(key, {})} for key in dict.fromkeys(keys)}
        sections = merged | ({"inherits": below["inherits"]} if "inherits" in below else {})
    return NamedLook(name, description, sections)


def _look_path(choice: Any, folder: Path | None, place: str, beside: Path | None = None) -> Path:
    if is_look_file(choice):
        return ((beside or Path()) / expand_user(str(choice))).absolute()
    names = look_names(folder)
    if not isinstance(choice, str) or choice not in names:
        raise ConfigError(
            f"{place}: got {show(choice)}; allowed: {', '.join(names if beside else (*names, NO_LOOK))} or a YAML file{closest(str(choice), names)}"
        )
    return _folder_looks(folder).get(choice, LOOKS_FOLDER / f"{choice}.yaml")


def _read_look(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the name of a look and its data; relative files start at its folder."""
    try:
        data = read_document(path, "yaml")
    except DocumentError as error:
        raise ConfigError(str(error)) from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: got {type(data).__name__}; allowed: a mapping of sections")
    data = {key: whole_section(key, value) for key, value in data.items()}
    _check_keys(path, data)
    words = {key: data.pop(key) for key in LOOK_WORDS if key in data}
    for key, value in words.items():
        if not isinstance(value, str):
            raise ConfigError(f"{path}: {key}: got {show(value)}; must be text")
    name = words.pop("name", path.stem)
    if not _NAME.fullmatch(name) or name == NO_LOOK:
        raise ConfigError(
            f"{path}: name: got {show(name)}; must be letters, digits, '_', '.', '-', and not none"
        )
    try:
        Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, Config, where=str(path)))) from error
    for place in config_assets(data):
        if isinstance(place.value, str) and (place.kind != "font" or is_font_file(place.value)):
            place.put(str((path.parent / expand_user(place.value)).absolute()))
    return name, {**data, **words}


def _check_keys(path: Path, data: Mapping[str, Any]) -> None:
    known = (*LOOK_WORDS, *LOOK_SECTIONS)
    for key, values in data.items():
        if key not in known:
            raise ConfigError(
                f"{path}: unknown key {show(key)}{closest(str(key), known)}; allowed in a look: {', '.join(known)}"
            )
        allowed = LOOK_SECTIONS.get(key)
        if allowed is None or not isinstance(values, Mapping):
            continue
        for inner in values:
            if inner not in allowed:
                raise ConfigError(
                    f"{path}: {key}: unknown key {show(inner)}; allowed in a look: {', '.join(sorted(allowed))}"
                )


def chosen_look(settings: LookKeys, story_look: str | None = None) -> NamedLook | None:
    """Return the look of a story, or else of the configuration; None without one.

    Raises StoryError or ConfigError as `load_look` does.
    """
    name = settings.name if story_look is None else story_look
    if name == NO_LOOK:
        return None
    if story_look is None:
        return load_look(name, folder=settings.folder, place="look.name")
    try:
        return load_look(name, folder=settings.folder, place="field 'look'")
    except ConfigError as error:
        raise StoryError(str(error)) from error


def with_look(config: Config, story_look: str | None = None) -> Config:
    """Return the configuration with the values of its look, or the story's, for keys that are not set."""
    look = chosen_look(config.look, story_look)
    if look is None:
        return config
    own = config.model_dump(exclude_unset=True)
    merged = {**own, "look": {**own.get("look", {}), "name": story_look or config.look.name}}
    for section, values in look.sections.items():
        merged[section] = {**values, **own.get(section, {})}
    return validate(merged, where=f"look {look.name}")
