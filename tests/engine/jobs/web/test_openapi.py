"""The OpenAPI document is valid, names every route, and describes what the node replies."""

from __future__ import annotations

from typing import Any

import httpx
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.support.finished_jobs import finished_job
from tests.support.server import STORY
from tests.support.web import WebNode
from video_pipeline.engine.jobs.web.routes import ROUTES


def test_the_document_is_valid_and_has_every_route(local: httpx.Client) -> None:
    document = local.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    found = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert found == {*((route.method, route.path) for route in ROUTES), ("GET", "/openapi.json")}
    names = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert len(names) == len(set(names))
    assert local.post("/openapi.json").status_code == 405


def check(document: dict[str, Any], path: str, method: str, reply: httpx.Response) -> None:
    """Raise if a reply is not what the document says of its route and status."""
    described = document["paths"][path][method]["responses"][str(reply.status_code)]
    schema = described["content"]["application/json"]["schema"]
    registry = Registry().with_resource("urn:doc", Resource.from_contents(document, DRAFT202012))
    Draft202012Validator({"$ref": f"urn:doc{schema['$ref']}"}, registry=registry).validate(reply.json())


def test_replies_are_what_the_document_says(web_node: WebNode, local: httpx.Client) -> None:
    document = local.get("/openapi.json").json()
    with web_node.ledger() as ledger:
        done = finished_job(ledger, web_node.config.storage.output_path, size=10)
    made = local.post("/jobs", json={"story": STORY})
    job_id = made.json()["job_id"]
    check(document, "/jobs", "post", made)
    check(document, "/jobs", "post", local.post("/jobs", json={"story": 5}))
    check(document, "/jobs", "post", local.post("/jobs", content=b"x"))
    check(document, "/jobs", "get", local.get("/jobs"))
    check(document, "/jobs/{job_id}", "get", local.get(f"/jobs/{job_id}"))
    check(document, "/jobs/{job_id}", "get", local.get("/jobs/x"))
    check(document, "/jobs/{job_id}", "get", local.get(f"/jobs/job-{'0' * 24}"))
    check(document, "/jobs/{job_id}", "delete", local.delete(f"/jobs/{job_id}"))
    check(document, "/jobs/{job_id}/cancel", "post", local.post(f"/jobs/{done}/cancel"))
    check(document, "/jobs/{job_id}/retry", "post", local.post(f"/jobs/{job_id}/retry"))
    check(document, "/jobs/{job_id}/files", "get", local.get(f"/jobs/{done}/files"))
    check(document, "/jobs/{job_id}/files", "get", local.get(f"/jobs/{job_id}/files"))
    check(document, "/events", "get", local.get("/events", headers={"Accept": "application/json"}))
    check(document, "/stats", "get", local.get("/stats"))
    check(document, "/ping", "get", local.get("/ping"))
    check(document, "/ping", "get", local.get("/ping", headers={"Authorization": "Bearer x"}))
    check(document, "/ping", "get", local.get("/ping", headers={"Origin": "http://x"}))


def test_the_stories_of_the_document_are_those_of_the_node(local: httpx.Client) -> None:
    document = local.get("/openapi.json").json()
    registry = Registry().with_resource("urn:doc", Resource.from_contents(document, DRAFT202012))
    submit = Draft202012Validator({"$ref": "urn:doc#/components/schemas/Submit"}, registry=registry)
    assert submit.is_valid({"story": STORY, "priority": "high"})
    for wrong in (
        {"story": {"title": 5}},
        {"story": STORY, "what": 1},
        {"story": STORY, "priority": "top"},
        {},
    ):
        assert not submit.is_valid(wrong)
