"""The part of the configuration that a job may set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from video_pipeline.engine.common.validation import show
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.load import by_sections, validate
from video_pipeline.engine.config.looks import is_look_file
from video_pipeline.engine.config.profiles import NO_PROFILE, SHIPPED, is_profile_file, layered
from video_pipeline.engine.errors import ConfigError

NODE_SECTIONS = frozenset({"fleet", "node", "notifications", "processing", "publishing", "storage", "web"})
"""Sections that only the node's operator sets: folders, number of jobs, time limits."""

OPERATORS_KEYS = {
    ("look", "folder"): "it is a folder of the node's machine",
    ("tts", "services"): "the address would get the operator's key",
    ("images", "services"): "the address would get the operator's key",
    ("images", "api_endpoint"): "the address would get the operator's key",
}
"""Keys of other sections that only the node's operator sets, and why."""

LIMITED = {
    ("images", "max_megapixels"): "more than 0, at most",
    ("images", "max_frames"): "1 to",
    ("images", "max_moving_megapixels"): "more than 0, at most",
    ("images", "max_pictures"): "0 to",
    ("images", "max_pictures_per_day"): "0 to",
    ("images", "parallel_requests"): "1 to",
    ("images", "max_retries"): "0 to",
    ("images", "timeout"): "more than 0, at most",
    ("video", "gpu_memory_mb"): "64 to",
    ("tts", "max_characters"): "0 to",
    ("tts", "max_characters_per_day"): "0 to",
    ("tts", "parallel_requests"): "1 to",
    ("tts", "max_retries"): "0 to",
    ("tts", "timeout"): "more than 0, at most",
}
"""Keys of other sections that a job may lower and not raise, and how their errors begin the range."""


def job_config(config: Config, overrides: Mapping[str, Any]) -> Config:
    """Return a node's configuration overridden by a job's sections.

    `overrides` has any accepted shape: nested, by sections, or flat keys. Raises ConfigError naming a wrong key, or a
    section that only the operator sets.
    """
    if not overrides:
        return config
    given = by_sections(overrides, "config")
    for section in given:
        if section in NODE_SECTIONS:
            allowed = sorted(set(type(config).model_fields) - NODE_SECTIONS)
            raise ConfigError(
                f"config: {section}: is set by the node's operator; allowed: {', '.join(allowed)}"
            )
    data: dict[str, Any] = config.model_dump(exclude_unset=True)
    for section, values in given.items():
        for (name, key), why in OPERATORS_KEYS.items():
            if section == name and isinstance(values, Mapping) and key in values:
                raise ConfigError(f"config: {name}.{key}: is set by the node's operator: {why}")
        if not isinstance(values, Mapping):
            data[section] = values
        elif section == "look":
            _check_look(values.get("name"))
            data[section] = {**data.get(section, {}), **values}
        elif section == "video":
            _check_profile(values.get("profile"))
            data[section] = layered(data.get(section, {}), values)
        else:
            data[section] = {**data.get(section, {}), **values}
    merged = validate(data, where="config")
    for (section, key), start in LIMITED.items():
        limit, asked = (getattr(getattr(each, section), key) for each in (config, merged))
        if asked > limit:
            raise ConfigError(
                f"config: {section}.{key}: got {asked:.15g}; allowed here: {start} {limit:.15g}"
            )
    return merged


def _check_look(choice: Any) -> None:
    """Refuse a look by the name of a file, which is one of the client's machine: clients send its values."""
    if is_look_file(choice):
        raise ConfigError(
            f"config: look.name: got {show(choice)}, a file; a job's look is one of the node's, by its name"
        )


def _check_profile(choice: Any) -> None:
    """Refuse a profile by the name of a file, which is one of the client's machine: clients send what it holds."""
    if is_profile_file(choice):
        raise ConfigError(
            f"config: video.profile: got {show(choice)}, a file; a job's profile is one of the node's "
            f"({', '.join(SHIPPED)}, {NO_PROFILE}), or the content of the file as an object"
        )
