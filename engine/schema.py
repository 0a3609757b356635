"""The formats as JSON Schema (draft 2020-12)."""

from __future__ import annotations

from typing import Any

from engine.config import Config
from engine.story import Story

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def story_schema() -> dict[str, Any]:
    """Return the JSON Schema of a story."""
    return {"$schema": DIALECT, **Story.model_json_schema(by_alias=False, mode="validation")}


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration, as it stands under `video_pipeline` in the YAML."""
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {"video_pipeline": {"$ref": "#/$defs/Config"}},
        "required": ["video_pipeline"],
        "additionalProperties": False,
        "$defs": _with_definitions(Config.model_json_schema(mode="validation")),
    }


def _with_definitions(schema: dict[str, Any]) -> dict[str, Any]:
    definitions: dict[str, Any] = schema.pop("$defs", {})
    return {**definitions, "Config": schema}
