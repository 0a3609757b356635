"""JSON Schemas (draft 2020-12) of stories, configurations and messages, and the table of configuration keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from video_pipeline.engine.config import Config
from video_pipeline.engine.story import Story

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def story_schema() -> dict[str, Any]:
    """Return the JSON Schema of a story."""
    return {"$schema": DIALECT, **Story.model_json_schema(by_alias=False, mode="validation")}


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration: the part under `video_pipeline` in the YAML."""
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


def messages_schema() -> dict[str, Any]:
    """Return the JSON Schema of the message bodies of the node's protocol.

    The document describes any body; `$defs` has `request.VERB`, `reply.VERB`, `event` and `error`.
    """
    from video_pipeline.engine.jobs.messages import PROTOCOL, ErrorReply, EventView
    from video_pipeline.engine.jobs.verbs import REPLIES, REQUESTS

    bodies: dict[str, Any] = {f"request.{verb}": (model, "validation") for verb, model in REQUESTS.items()}
    bodies |= {f"reply.{verb}": (model, "serialization") for verb, model in REPLIES.items()}
    bodies |= {"event": (EventView, "serialization"), "error": (ErrorReply, "serialization")}
    references, found = models_json_schema(list(dict.fromkeys(bodies.values())))
    definitions: dict[str, Any] = found["$defs"]
    names = {name: references[body] for name, body in bodies.items()}
    return {
        "$schema": DIALECT,
        "title": f"Bodies of {PROTOCOL.decode()}, the protocol of the video-pipeline render node",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in names],
        "$defs": {**names, **definitions},
    }


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "story": story_schema,
    "config": config_schema,
    "messages": messages_schema,
}
"""The schemas that `video-pipeline schema` can print, by name."""


def config_table() -> str:
    """Return every configuration key as a Markdown table: key, default, meaning. NAME is a name that the user chooses."""
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for section, outer in Config.model_fields.items():
        model = outer.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        lines += _table_rows(section, model)
    return "\n".join(lines)


def _table_rows(prefix: str, model: type[BaseModel]) -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            lines += _table_rows(f"{prefix}.{name}", field.annotation)
            continue
        shown = "required" if field.is_required() else f"`{_yaml_text(default)}`"
        lines.append(f"| `{prefix}.{name}` | {shown} | {field.description} |")
        if get_origin(field.annotation) in (dict, Mapping):
            item = get_args(field.annotation)[1]
            if isinstance(item, type) and issubclass(item, BaseModel):
                lines += _table_rows(f"{prefix}.{name}.NAME", item)
    return lines


def _yaml_text(value: Any) -> str:
    """Return a default as YAML on one line."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, float | Fraction) and value == int(value):
        value = int(value)
    if isinstance(value, Fraction | Path):
        value = str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml_text(item)}" for key, item in value.items()) + "}"
    return value if isinstance(value, str) and _is_plain(value) else json.dumps(value)


def _is_plain(text: str) -> bool:
    """Return whether YAML reads an unquoted text as itself, unlike 9:16 (a number) and #FFFFFF (a comment)."""
    try:
        return bool(yaml.safe_load(f"[{text}]") == [text])
    except yaml.YAMLError:
        return False


if __name__ == "__main__":
    print(config_table())
