"""What the commands of operators print of one publication or notification."""

from __future__ import annotations

from datetime import UTC, datetime

from video_pipeline.engine.cli.operator_commands import _letter_line, _listed_line
from video_pipeline.engine.jobs.node_messages import DeadLetter, ListedPublication

AT = datetime(2027, 1, 31, 17, 0, tzinfo=UTC)


def test_a_publication_that_waits_for_its_time_is_shown_with_it() -> None:
    fields = {"number": 7, "title": "A light", "user": "local", "platform": "folder", "account": "default"}
    waits = ListedPublication(**fields, state="scheduled", due_at=AT)
    assert _listed_line(waits) == "    7  scheduled  folder/default  A light  at 2027-01-31 17:00Z"
    done = ListedPublication(**fields, state="confirmed", due_at=AT)
    assert _listed_line(done) == "    7  confirmed  folder/default  A light"


def test_a_dead_letter_is_shown_with_what_it_is_about() -> None:
    letter = DeadLetter(
        number=3,
        target="command/on_failed",
        type="job.failed",
        subject="job-6b0c24b20ae20794034195b5",
        state="dead",
        attempts=5,
        error="exit status 1",
        created_at=AT,
        updated_at=AT,
    )
    line = "    3  dead      command/on_failed  job.failed  job-6b0c24b20ae20794034195b5  exit status 1"
    assert _letter_line(letter) == line
