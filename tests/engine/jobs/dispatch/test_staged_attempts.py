"""Attempts whose files in the shared storage are deleted late, again, or by the next node."""

from __future__ import annotations

from pathlib import Path

import pytest

from video_pipeline.engine.jobs.dispatch.staged_attempts import (
    AGAIN_SECONDS,
    AT_ONCE,
    RETRY_SECONDS,
    StagedAttempts,
)

KEY = ("job-000000000000000000000001", 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "staged"


def answer(attempts: StagedAttempts, key: tuple[str, int], now: float, failure: str | None = None) -> None:
    attempts.told({"discarded": key[0], "fence": key[1], "failure": failure}, now)


def test_a_deletion_that_fails_is_tried_again_until_it_succeeds(folder: Path) -> None:
    attempts = StagedAttempts(folder)
    attempts.begin(KEY)
    assert attempts.next(0) == [], "it runs"
    attempts.ended(KEY, 5)
    assert attempts.next(5) == [KEY]
    assert attempts.next(6) == [], "it was asked for"
    answer(attempts, KEY, 7, "fleet.store: gone")
    assert attempts.next(7 + RETRY_SECONDS - 1) == []
    assert attempts.next(7 + RETRY_SECONDS) == [KEY]
    answer(attempts, KEY, 20)
    assert attempts.next(1e9) == []
    assert not list(folder.iterdir())


def test_what_a_lost_bridge_did_not_answer_is_asked_for_again(folder: Path) -> None:
    attempts = StagedAttempts(folder)
    attempts.ended(KEY, 0)
    assert attempts.next(0) == [KEY]
    attempts.bridge_lost()
    assert attempts.next(1) == [KEY]


def test_the_files_of_a_lost_attempt_are_deleted_again_later(folder: Path) -> None:
    attempts = StagedAttempts(folder)
    attempts.begin(KEY)
    attempts.ended(KEY, 0, lost=True)
    now = 0.0
    for wait in (*AGAIN_SECONDS, None):
        assert attempts.next(now) == [KEY]
        assert list(folder.iterdir())
        answer(attempts, KEY, now)
        if wait is not None:
            assert attempts.next(now + wait - 1) == []
            now += wait
    assert attempts.next(1e9) == []
    assert not list(folder.iterdir())


def test_the_next_node_deletes_what_the_last_one_left_when_its_leases_have_ended(folder: Path) -> None:
    last = StagedAttempts(folder)
    last.begin(KEY)
    last.begin((KEY[0], 2))
    (folder / "not an attempt").touch()
    other = ("job-000000000000000000000002", 7)
    attempts = StagedAttempts(folder, [other], opens_at=10)
    assert attempts.next(9) == []
    assert attempts.next(10) == [KEY, (KEY[0], 2), other]


def test_a_storage_that_does_not_answer_takes_few_threads(folder: Path) -> None:
    attempts = StagedAttempts(folder)
    keys = [(KEY[0], fence) for fence in range(AT_ONCE + 3)]
    for key in keys:
        attempts.ended(key, 0)
    assert attempts.next(0) == keys[:AT_ONCE]
    assert attempts.next(0) == []
    answer(attempts, keys[0], 1)
    assert attempts.next(1) == [keys[AT_ONCE]]
