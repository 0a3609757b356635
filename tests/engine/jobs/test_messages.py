"""Requests and replies in both encodings, and their JSON Schema."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import msgpack
import pytest
from pydantic import ValidationError

from video_pipeline.engine.cli.schema import messages_schema
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.jobs.client.steps import call
from video_pipeline.engine.jobs.encoding import decode, encode
from video_pipeline.engine.jobs.messages import (
    Encoding,
    ErrorReply,
    EventView,
    JobView,
    Message,
    Submitted,
)
from video_pipeline.engine.jobs.model import JobStatus
from video_pipeline.engine.jobs.verbs import REPLIES, REQUESTS

SCHEMA = messages_schema()
JOB = "job-0123456789abcdef01234567"
STORY = {"title": "T", "content": "One."}

TAKEN: dict[str, list[Any]] = {
    "submit": [
        {"story": STORY},
        {
            "story": STORY,
            "config": {"video": {"fps": 25}},
            "priority": "high",
            "key": "k/1",
            "max_attempts": 1,
        },
        {"story": STORY, "scheduled_for": "2027-01-31T18:00:00Z"},
        {"story": STORY, "scheduled_for": "2027-01-31T18:00:00.5+01:00", "key": None, "max_attempts": None},
    ],
    "status": [{"job_id": JOB}],
    "list": [{}, {"status": "queued", "limit": 1, "before": JOB}, {"status": None}],
    "cancel": [{"job_id": JOB}],
    "retry": [{"job_id": JOB}],
    "wait": [{"job_id": JOB}, {"job_id": JOB, "timeout": 0}, {"job_id": JOB, "timeout": 1.5}],
    "events": [{}, {"after": 10, "limit": 1000, "job_id": JOB}],
    "files": [{"job_id": JOB}],
    "fetch": [{"job_id": JOB, "name": "a-1.metadata.json", "offset": 2**40, "length": 2**20}],
    "priority": [{"job_id": JOB, "priority": "low"}],
    "log": [{"job_id": JOB}, {"job_id": JOB, "lines": 1000}],
    "machines": [{}],
    "drain": [{}, {"machine": "node-1.example", "on": False}, {"machine": None}],
    "publications": [{}, {"state": "unknown", "limit": 1, "before": 7}, {"state": None, "before": None}],
    "resolve": [
        {"number": 7, "outcome": "missing"},
        {"number": 7, "outcome": "missing", "post_id": None, "url": None},
        {"number": 7, "outcome": "found", "post_id": "x"},
        {"number": 7, "outcome": "found", "post_id": "x", "url": "https://example.org/x"},
    ],
    "letters": [{}, {"limit": 1000}],
    "resend": [{"number": 2**63 - 1}],
    "stats": [{}],
    "ping": [{}],
}

REFUSED: dict[str, list[Any]] = {
    "submit": [
        {},
        {"story": "text"},
        {"story": STORY, "config": []},
        {"story": STORY, "priority": "urgent"},
        {"story": STORY, "key": ""},
        {"story": STORY, "key": "two words"},
        {"story": STORY, "key": "k" * 129},
        {"story": STORY, "key": 7},
        {"story": STORY, "scheduled_for": "2027-01-31T18:00:00"},
        {"story": STORY, "scheduled_for": "tomorrow"},
        {"story": STORY, "scheduled_for": "9999-12-31T23:59:59-12:00"},
        {"story": STORY, "scheduled_for": "9999-01-01T00:00:00Z"},
        {"story": STORY, "scheduled_for": "0001-01-01T00:00:00+14:00"},
        {"story": STORY, "scheduled_for": "1969-12-31T23:59:59Z"},
        {"story": STORY, "scheduled_for": 1800000000},
        {"story": STORY, "max_attempts": 0},
        {"story": STORY, "max_attempts": "3"},
        {"story": STORY, "max_attempts": True},
        {"story": STORY, "stroy": {}},
        [],
        "submit",
        None,
    ],
    "status": [{}, {"job_id": "job-1"}, {"job_id": JOB.upper()}, {"job_id": 1}, {"job_id": None}],
    "list": [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "5"},
        {"limit": 1.5},
        {"status": "done"},
        {"before": "x"},
        {"user": ""},
        {"user": 7},
    ],
    "cancel": [{"job": JOB}],
    "retry": [{"job_id": f"{JOB}0"}],
    "wait": [{"job_id": JOB, "timeout": -1}, {"job_id": JOB, "timeout": 31}, {"job_id": JOB, "timeout": "1"}],
    "events": [{"after": -1}, {"after": 2**63}, {"after": None}, {"limit": 0}],
    "files": [{}, {"job_id": "job-1"}, {"job_id": JOB, "name": "film.mp4"}],
    "fetch": [
        {"job_id": JOB},
        *(
            {"job_id": JOB, "name": name}
            for name in ("", "..", "../a", "a/b", "/a", ".hidden", "a\0", "a\\b", 7)
        ),
        {"job_id": JOB, "name": "a" * 201},
        {"job_id": JOB, "name": "a", "offset": -1},
        {"job_id": JOB, "name": "a", "offset": 2**63},
        {"job_id": JOB, "name": "a", "offset": "0"},
        {"job_id": JOB, "name": "a", "length": 0},
        {"job_id": JOB, "name": "a", "length": 2**20 + 1},
    ],
    "priority": [
        {"job_id": JOB},
        {"job_id": JOB, "priority": "urgent"},
        {"job_id": JOB, "priority": None},
        {"priority": "low"},
    ],
    "log": [{}, {"job_id": JOB, "lines": 0}, {"job_id": JOB, "lines": 1001}, {"job_id": JOB, "lines": "5"}],
    "machines": [{"name": "x"}],
    "drain": [{"on": "yes"}, {"on": 1}, {"machine": "../x"}, {"machine": ""}, {"machine": "a" * 65}],
    "publications": [{"state": "lost"}, {"limit": 0}, {"before": 0}, {"before": 2**63}, {"before": "7"}],
    "resolve": [
        {"number": 7},
        {"number": 7, "outcome": "found"},
        {"number": 7, "outcome": "found", "post_id": None},
        {"number": 7, "outcome": "found", "post_id": ""},
        {"number": 7, "outcome": "missing", "post_id": "x"},
        {"number": 7, "outcome": "missing", "url": "https://example.org/x"},
        {"number": 0, "outcome": "missing"},
        {"outcome": "missing"},
    ],
    "letters": [{"limit": 0}, {"state": "dead"}],
    "resend": [{}, {"number": "7"}, {"number": 0}],
    "stats": [{"all": True}],
    "ping": [{"x": 1}],
}


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


def cases(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(verb, body, id=f"{verb}-{n}") for verb in table for n, body in enumerate(table[verb])
    ]


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@pytest.mark.parametrize(("verb", "body"), cases(TAKEN))
def test_the_schema_accepts_what_the_node_accepts(verb: str, body: Any, encoding: Encoding) -> None:
    packed = json.dumps(body).encode() if encoding == "json" else msgpack.packb(body)
    request = REQUESTS[verb].model_validate(decode(packed, encoding))
    assert not [error.message for error in validator(f"request.{verb}").iter_errors(body)]
    again = decode(encode(request, encoding), encoding)
    assert not [error.message for error in validator(f"request.{verb}").iter_errors(again)]


@pytest.mark.parametrize(("verb", "body"), cases(REFUSED))
def test_the_schema_refuses_what_the_node_refuses(verb: str, body: Any) -> None:
    with pytest.raises(ValidationError):
        REQUESTS[verb].model_validate(body)
    assert not validator(f"request.{verb}").is_valid(body)


def test_every_verb_is_tried_and_has_a_reply() -> None:
    assert set(TAKEN) == set(REFUSED) == set(REQUESTS) == set(REPLIES)


NOW = datetime(2027, 1, 31, 18, tzinfo=UTC)
ANSWERS: dict[str, Message] = {
    "reply.submit": Submitted(job_id=JOB, status=JobStatus.QUEUED, created=True),
    "reply.status": JobView(
        job_id=JOB,
        story_id="s",
        status=JobStatus.COMPLETED,
        priority="low",
        attempts=1,
        max_attempts=3,
        created_at=NOW,
        log_tail=("one",),
        result={"video_path": "x.mp4"},
    ),
    "event": EventView(
        seq=1,
        at=NOW,
        job_id=JOB,
        kind="progress",
        status=JobStatus.PROCESSING,
        attempt=1,
        details={"fps": 2.5},
    ),
    "error": ErrorReply(code="BUSY", message="full", retry_after=1.5, allowed=("later",)),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_replies_of_the_node_match_the_schema(name: str, encoding: Encoding) -> None:
    data = decode(encode(ANSWERS[name], encoding), encoding)
    assert not [error.message for error in validator(name).iter_errors(data)]
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(data)


def test_the_schema_is_valid_names_its_draft_and_has_every_body() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    names = {f"request.{verb}" for verb in REQUESTS} | {f"reply.{verb}" for verb in REPLIES}
    assert names | {"event", "error"} <= set(SCHEMA["$defs"])
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize(
    ("verb", "body", "message"),
    [
        ("list", {"status": "qued"}, "list: status: got 'qued'; allowed: queued, processing, completed, "),
        ("list", {"limit": 0}, "list: limit: got 0; allowed: 1 to 1000"),
        (
            "status",
            {"job_id": "x"},
            "status: job_id: got 'x'; allowed: the id of a job as `submit` and `list`",
        ),
        (
            "submit",
            {"story": {}, "key": "a b"},
            "submit: key: got 'a b'; allowed: 1 to 128 letters, digits and",
        ),
        ("submit", {"story": {}, "key": ""}, "submit: key: got ''; allowed: 1 to 128 "),
        ("submit", {"story": {}, "max_attempts": 0}, "submit: max_attempts: got 0; allowed: 1 to 100"),
    ],
)
def test_an_error_about_a_field_says_in_words_what_is_allowed(
    verb: str, body: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        call(verb, **body)
    assert str(caught.value).startswith(message)
    assert "^" not in str(caught.value)
