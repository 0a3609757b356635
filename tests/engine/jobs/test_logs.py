"""The lines of a node's log, as text and as JSON."""

from __future__ import annotations

import json
import logging

from video_pipeline.engine.jobs.logs import JsonFormatter, LineFormatter


def record(**extra: object) -> logging.LogRecord:
    made = logging.LogRecord("video_pipeline", logging.INFO, __file__, 1, "the node is ready", (), None)
    vars(made).update(extra)
    return made


def test_fields_of_the_node_are_in_json_only() -> None:
    ready = record(node={"pid": 7, "slots": 2}, job_id="job-1", other=3)
    found = json.loads(JsonFormatter().format(ready))
    assert (found["node"], found["job_id"], found["message"]) == (
        {"pid": 7, "slots": 2},
        "job-1",
        "the node is ready",
    )
    assert "other" not in found
    assert LineFormatter().format(ready).endswith(" INFO job_id=job-1 the node is ready")
