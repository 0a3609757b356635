"""Whose job is next if one user's jobs, or a machine's slots, are limited."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.ledgers import assert_sound, publish, quick_folder, submit
from video_pipeline.engine.jobs.ledger.ledger import Ledger


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as made:
        yield made


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    with Ledger(folder / "l") as opened:
        yield opened
    assert_sound(folder / "l")


def is_for_cpu(config: Mapping[str, Any]) -> bool:
    return config.get("video") != {"codec": "h264_nvenc"}


def test_a_user_with_many_jobs_leaves_slots_to_others(ledger: Ledger) -> None:
    for number in range(5):
        submit(ledger, f"anna {number}", owner="anna", priority="high")
    submit(ledger, "ben", owner="ben", priority="low")
    first = ledger.attempts.claim(user_slots=2)
    names = [first and first.story_id]
    while (attempt := ledger.attempts.claim(user_slots=2)) is not None:
        names.append(attempt.story_id)
    assert names == ["anna 0", "anna 1", "ben"]
    assert first is not None
    publish(ledger, first)
    following = ledger.attempts.claim(user_slots=2)
    assert following is not None
    assert following.story_id == "anna 2"
    without = ledger.attempts.claim()
    assert without is not None
    assert without.story_id == "anna 3"


def test_a_job_that_fits_no_free_slot_waits_and_does_not_hold_up_those_behind_it(ledger: Ledger) -> None:
    submit(ledger, "gpu", priority="high", config={"video": {"codec": "h264_nvenc"}})
    submit(ledger, "cpu", priority="low")
    found = ledger.attempts.claim(accepts=is_for_cpu)
    assert found is not None
    assert found.story_id == "cpu"
    assert ledger.attempts.claim(accepts=is_for_cpu) is None
    waiting = ledger.attempts.claim()
    assert waiting is not None
    assert waiting.story_id == "gpu"


def test_a_damaged_configuration_fails_its_job_and_not_the_node(ledger: Ledger, folder: Path) -> None:
    damaged = submit(ledger, "damaged")
    submit(ledger, "whole")
    with sqlite3.connect(folder / "l") as database:
        database.execute("UPDATE payloads SET config = '[' WHERE position = 1")
    found = ledger.attempts.claim(accepts=is_for_cpu)
    assert found is not None
    assert found.story_id == "whole"
    job = ledger.jobs.get(damaged)
    assert job is not None
    assert job.status == "failed"
