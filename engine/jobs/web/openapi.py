"""The OpenAPI 3.1 document of the HTTP interface, from the table of routes and the models of the protocol."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from video_pipeline.engine import __version__
from video_pipeline.engine.jobs.messages import WAIT_MAX_SECONDS, Submit
from video_pipeline.engine.jobs.web.replies import JSON_TYPE, HttpErrorReply, reason_of
from video_pipeline.engine.jobs.web.routes import OPENAPI_PATH, ROUTES, Route
from video_pipeline.engine.jobs.web.uploads import JOB_FIELD, MULTIPART

_SCHEMAS: Final = "#/components/schemas/"
COMMON_ERRORS: Final = (400, 401, 403, 429, 500, 503)
"""Statuses that every route can have."""
_WORDS: Final[dict[int, str]] = {
    200: "Done.",
    201: "The job is queued, and on the node's disk.",
    202: "The job is being stopped.",
    204: "The job has ended, and there is no event after the given one.",
    206: "The range of the file.",
    304: "The file is the one of If-None-Match.",
}


def openapi_document() -> dict[str, Any]:
    """Return the document."""
    from video_pipeline.engine.story import Story  # not needed to serve

    replies = [route.reply for route in ROUTES if route.reply is not None]
    models: list[tuple[type[BaseModel], Any]] = [(Submit, "validation"), (HttpErrorReply, "serialization")]
    models += [(model, "serialization") for model in dict.fromkeys(replies)]
    _, found = models_json_schema(models, ref_template=_SCHEMAS + "{model}")
    schemas: dict[str, Any] = found["$defs"]
    story = Story.model_json_schema(
        by_alias=False, mode="validation", ref_template=_SCHEMAS + "Story.{model}"
    )
    for name, schema in story.pop("$defs", {}).items():
        schemas[f"Story.{name}"] = schema
    schemas["Story"] = story
    schemas["Submit"]["properties"]["story"] = {"$ref": f"{_SCHEMAS}Story"}
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    paths[OPENAPI_PATH] = {"get": {"operationId": "get_openapi", "summary": "Get this document.",
                                   "responses": {"200": _content("This document.", {"type": "object"}), **_errors(())}}}  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "video-pipeline render node",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _operation(route: Route) -> dict[str, Any]:
    name = route.answer.__name__
    words = (route.answer.__doc__ or "").strip()
    parameters = [
        {"name": each, "in": "path", "required": True, "schema": {"type": "string"}} for each in route.names
    ]
    parameters += [_header_or_query(*each) for each in _parameters(route)]
    made: dict[str, Any] = {
        "operationId": "delete_job" if route.method == "DELETE" else name,
        "summary": words,
        "responses": {
            **{str(status): _reply(route, status) for status in route.statuses},
            **_errors(route.errors),
        },
    }
    if parameters:
        made["parameters"] = parameters
    if name == "submit_job":
        made["requestBody"] = _submit_body()
    return made


def _parameters(route: Route) -> list[tuple[str, str, dict[str, Any], str]]:
    found: list[tuple[str, str, dict[str, Any], str]] = []
    if route.query is not None:
        schema = route.query.model_json_schema(mode="validation")
        for name, about in schema["properties"].items():
            if name not in route.names and "$ref" not in str(about):
                found.append((name, "query", about, about.get("description", "")))
            elif name in ("status", "state"):
                kind = "JobStatus" if name == "status" else "PublicationState"
                choices = [*schema["$defs"][kind]["enum"], *(["scheduled"] if name == "status" else [])]
                found.append((name, "query", {"enum": choices}, about["description"]))
    match route.answer.__name__:
        case "submit_job":
            found.append(("Idempotency-Key", "header", {"type": "string"}, "The same as `key` in the body."))
        case "get_job":
            seconds = {"type": "number", "minimum": 0, "maximum": WAIT_MAX_SECONDS}
            found.append(("wait", "query", seconds, "Seconds to wait for the end of the job."))
        case "get_events" | "get_job_events":
            words = "The number of the last event received; before `after`."
            found.append(("Last-Event-ID", "header", {"type": "string"}, words))
        case "get_file":
            for name in ("Range", "If-Range", "If-Match", "If-None-Match"):
                found.append(
                    (name, "header", {"type": "string"}, "As RFC 9110 describes it; one range of bytes.")
                )
    return found


def _header_or_query(name: str, place: str, schema: dict[str, Any], words: str) -> dict[str, Any]:
    plain = {key: value for key, value in schema.items() if key not in ("title", "description")}
    return {"name": name, "in": place, "schema": plain, "description": words}


def _reply(route: Route, status: int) -> dict[str, Any]:
    words = _WORDS[status]
    if status in (204, 304):
        return {"description": words}
    if route.reply is None:
        return {"description": words, "content": {"*/*": {}}}
    made = _content(words, {"$ref": _SCHEMAS + route.reply.__name__})
    if route.path.endswith("/events"):
        made["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    return made


def _content(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {JSON_TYPE: {"schema": schema}}}


def _errors(more: tuple[int, ...]) -> dict[str, Any]:
    error = {"$ref": f"{_SCHEMAS}HttpErrorReply"}
    return {
        str(status): _content(f"{reason_of(status)}.", error) for status in sorted({*COMMON_ERRORS, *more})
    }


def _submit_body() -> dict[str, Any]:
    submit = {"$ref": f"{_SCHEMAS}Submit"}
    fields = {
        "type": "object",
        "properties": {JOB_FIELD: submit},
        "required": [JOB_FIELD],
        "additionalProperties": {"type": "string", "contentMediaType": "application/octet-stream"},
    }
    encoding = {JOB_FIELD: {"contentType": JSON_TYPE}}
    return {
        "required": True,
        "content": {JSON_TYPE: {"schema": submit}, MULTIPART: {"schema": fields, "encoding": encoding}},
    }
