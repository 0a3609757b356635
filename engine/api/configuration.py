"""The configuration of the high-level API: any accepted form, and the error policy of these classes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from video_pipeline.engine.common.arguments import as_mapping
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.config.load import by_sections

AnyConfig = Mapping[str, Any] | Config | str | os.PathLike[str] | None


def load_any(config: AnyConfig) -> Config:
    """Return a configuration from any accepted form; beside a key `video_pipeline`, a mapping's other keys are ignored.

    Unless it names an error policy, files that are unusable are replaced if fallbacks are on.
    """
    if isinstance(config, Mapping) and "video_pipeline" in config:
        config = {"video_pipeline": config["video_pipeline"]}
    loaded = load_config(config)
    if loaded.error_handling.policy is not None:
        return loaded
    replaces = loaded.error_handling.fallback_enabled and loaded.images.fallback_enabled
    # Not `override`, after which every key would count as given and be sent to a node.
    handling = loaded.error_handling.model_copy(update={"policy": "lenient" if replaces else "standard"})
    return loaded.model_copy(update={"error_handling": handling})


def job_sections(config: Mapping[str, Any] | Config | None) -> dict[str, Any]:
    """Return a job's own configuration by sections. If it turns fallbacks off, files are not replaced either."""
    given = config.model_dump(mode="json", exclude_unset=True) if isinstance(config, Config) else config
    sections = by_sections(as_mapping(given or {}, "config"), "config")
    handling = sections.get("error_handling", {})
    parts = (handling, sections.get("images"))
    if any(isinstance(part, Mapping) and part.get("fallback_enabled") is False for part in parts):
        sections["error_handling"] = {
            "policy": "standard",
            **(handling if isinstance(handling, Mapping) else {}),
        }
    return sections
