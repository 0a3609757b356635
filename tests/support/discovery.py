"""Requests and answers against a Google discovery document, which the package google-api-python-client carries.

A discovery document (developers.google.com/discovery/v1/reference/apis) has the methods of an API with their paths, and JSON
schemas in which `$ref` is the name of another one. An object has no properties but those that are named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema

from tests.support.service_fakes import ContractError


@cache
def discovery_document(name: str) -> dict[str, Any]:
    """Return a discovery document by its name, such as `texttospeech.v1beta1`."""
    folder = files("googleapiclient") / "discovery_cache" / "documents"
    document: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return document


class DiscoveryContract:
    """What one API takes and answers."""

    def __init__(self, name: str) -> None:
        self.document = discovery_document(name)
        self.schemas = {key: _json_schema(schema) for key, schema in self.document["schemas"].items()}

    def check_request(self, verb: str, path: str, body: bytes) -> dict[str, Any]:
        """Return the method that a request calls; raise ContractError if its path, its query or its body is wrong."""
        parts = urlsplit(path)
        method = next(
            (
                method
                for method in _methods(self.document)
                if method["httpMethod"] == verb and parts.path in _paths(method)
            ),
            None,
        )
        if method is None:
            raise ContractError(f"no such method: {verb} {parts.path}")
        given = parse_qs(parts.query).keys()
        if missing := {key for key, each in method["parameters"].items() if _in_query(each)} - given:
            raise ContractError(f"{method['id']} needs the parameter {missing}")
        unknown = given - method["parameters"].keys() - self.document["parameters"].keys()
        if unknown:
            raise ContractError(f"{method['id']} has no parameter {unknown}")
        is_media = parts.path != f"/{method['flatPath']}"
        if "request" in method:
            self._check(json.loads(body), method["request"]["$ref"])
        elif body and not is_media:
            raise ContractError(f"{method['id']} has no body")
        return method

    def check_answer(self, method: dict[str, Any], answer: Any) -> None:
        """Raise ContractError for an answer that the method does not make."""
        self._check(answer, method["response"]["$ref"])

    def _check(self, data: Any, name: str) -> None:
        schema = {"$ref": f"#/$defs/{name}", "$defs": self.schemas}
        error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(data))
        if error is not None:
            raise ContractError(f"{name}: {error.json_path}: {error.message}")


def _paths(method: dict[str, Any]) -> list[str]:
    """Return the paths of a method: its own, and that for a file which goes with the request."""
    media = method.get("mediaUpload", {}).get("protocols", {}).get("simple", {})
    return [f"/{method['flatPath']}", *([media["path"]] if media else [])]


def _in_query(parameter: dict[str, Any]) -> bool:
    return bool(parameter.get("required")) and parameter["location"] == "query"


def _methods(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from resource.get("methods", {}).values()
    for inner in resource.get("resources", {}).values():
        yield from _methods(inner)


def _json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of a discovery document as JSON Schema."""
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    found: dict[str, Any] = {
        key: schema[key] for key in ("type", "enum") if schema.get(key) not in (None, "any")
    }
    if schema.get("format") == "byte":
        found["pattern"] = "^[A-Za-z0-9+/_-]*={0,2}$"
    if "items" in schema:
        found["items"] = _json_schema(schema["items"])
    if schema.get("type") == "object":
        properties = {key: _json_schema(inner) for key, inner in schema.get("properties", {}).items()}
        more = schema.get("additionalProperties")
        found |= {"properties": properties, "additionalProperties": _json_schema(more) if more else False}
    return found
