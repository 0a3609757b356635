"""One alert for a cause in an hour, with what was left out, and one when it works again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from video_pipeline.engine.notify.alerts import AlertBook
from video_pipeline.engine.notify.outbox import Outbox


class Told:
    """An outbox, its clock and what alerts it has got."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_800_000_000.0
        self.outbox = Outbox(folder / "notifications.sqlite3", clock=lambda: self.now)
        self.book = AlertBook(self.outbox, ["alert/webhook.ops", "alert/email.ops"], repeat_after=3600)

    def happened(self, cause: str = "jobs fail: JobTimeout") -> None:
        with self.outbox.writing() as db:
            self.book.happened(cause, "job-1: too long", db)

    def ended(self, cause: str = "jobs fail: JobTimeout") -> None:
        with self.outbox.writing() as db:
            self.book.ended(cause, db)

    def stands(self, *causes: str) -> None:
        with self.outbox.writing() as db:
            self.book.stands("node: ", dict.fromkeys(causes, "detail"), db)

    def alerts(self) -> list[tuple[str, int]]:
        """Return title and number left out of each alert that the first target got."""
        notes = [note for note in self.outbox.listed() if note.target == "alert/webhook.ops"]
        bodies: list[dict[str, Any]] = [json.loads(note.body)["data"] for note in notes]
        assert len(self.outbox.listed()) == 2 * len(notes), "each target gets each alert"
        return [(body["title"], body["suppressed"]) for body in bodies]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    found = Told(tmp_path)
    yield found
    found.outbox.close()


def test_one_alert_in_an_hour_and_the_next_says_how_many_were_left_out(told: Told) -> None:
    for _ in range(10):
        told.happened()
        told.now += 60
    told.happened("jobs fail: DiskFull")
    told.now += 3600
    told.happened()
    assert told.alerts() == [
        ("jobs fail: JobTimeout", 0),
        ("jobs fail: DiskFull", 0),
        ("jobs fail: JobTimeout", 9),
    ]


def test_names_of_files_that_are_not_utf8_stop_no_alert(told: Told) -> None:
    told.happened("jobs fail: caf\udce9")
    told.ended("jobs fail: caf?")
    assert [title for title, _ in told.alerts()] == ["jobs fail: caf?", "works again: jobs fail: caf?"]


def test_what_came_back_early_is_told_although_the_clock_was_set_back(told: Told) -> None:
    told.stands("node: disk full")
    told.stands()
    told.stands("node: disk full")
    told.now -= 86_400
    told.stands("node: disk full")
    assert [title for title, _ in told.alerts()][2:] == ["node: disk full"]


def test_it_is_told_once_that_a_cause_has_ended(told: Told) -> None:
    told.happened()
    told.happened()
    told.ended()
    told.ended()
    assert told.alerts() == [("jobs fail: JobTimeout", 0), ("works again: jobs fail: JobTimeout", 1)]


def test_what_comes_and_goes_gives_one_alert_and_one_end_in_an_hour(told: Told) -> None:
    for _ in range(20):
        told.stands("node: disk full")
        told.now += 30
        told.stands()
        told.now += 30
    assert told.alerts() == [("node: disk full", 0), ("works again: node: disk full", 0)]


def test_what_stands_is_told_once_and_what_came_back_early_is_told_later(told: Told) -> None:
    for _ in range(10):
        told.stands("node: disk full")
        told.now += 3600
    told.stands()
    assert len(told.alerts()) == 2
    told.stands("node: disk full")
    told.now += 60
    told.stands()
    told.stands("node: disk full")
    told.now += 600
    assert len(told.alerts()) == 4
    told.now += 3600
    told.stands("node: disk full")
    assert told.alerts()[-1] == ("node: disk full", 1)
