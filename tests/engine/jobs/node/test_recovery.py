"""How a starting node treats jobs that were in processing; `test_local` has the tests of publishing."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import job_of, node_config, submit, tiny_story
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.recovery import recover, tidy
from video_pipeline.engine.storage.local import RESULT, ROLES, is_published, published_result


def stage(folder: Path, content: str = "new") -> Path:
    folder.mkdir(parents=True)
    for role in ROLES:
        (folder / role).write_text(content)
    (folder / RESULT).write_text(json.dumps({"files": {role: role for role in ROLES}, "frames": 7}))
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    found = Folders.of(node_config(tmp_path))
    found.make()
    return found


@pytest.fixture
def ledger(folders: Folders) -> Iterator[Ledger]:
    with Ledger(folders.ledger) as opened:
        yield opened


def publishing(ledger: Ledger) -> tuple[str, int]:
    """Return a job that was given the right to publish."""
    job_id, fence = processing(ledger)
    assert ledger.attempts.begin_publishing(job_id, fence)
    return job_id, fence


def processing(ledger: Ledger) -> tuple[str, int]:
    submit(ledger, tiny_story())
    attempt = ledger.attempts.claim()
    assert attempt is not None
    return attempt.job_id, attempt.fence


def test_a_published_job_is_kept_if_it_is_staged_again(ledger: Ledger, folders: Folders) -> None:
    job_id, fence = publishing(ledger)
    stage(folders.published(job_id), "first")
    stage(folders.staging(job_id, fence), "second")
    assert recover(ledger, folders) == {"completed": 1, "requeued": 0}
    assert (folders.published(job_id) / "video").read_text() == "first"
    assert job_of(ledger, job_id).result == published_result(folders.published(job_id))
    assert list(folders.stagings.iterdir()) == []


@pytest.mark.parametrize("in_the_way", ["a folder", "a full folder", "a file"])
def test_a_foreign_file_at_the_target_is_kept_and_the_job_queued_again(
    ledger: Ledger, folders: Folders, in_the_way: str
) -> None:
    job_id, fence = publishing(ledger)
    stage(folders.staging(job_id, fence))
    target = folders.published(job_id)
    if in_the_way == "a file":
        target.write_text("mine")
    else:
        target.mkdir()
        if in_the_way == "a full folder":
            (target / "notes").write_text("mine")
    assert recover(ledger, folders) == {"completed": 0, "requeued": 1}
    assert target.exists()
    assert not is_published(target)
    assert job_of(ledger, job_id).status == "queued"


def test_a_disk_that_refuses_to_publish_stops_nothing(
    ledger: Ledger, folders: Folders, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refused, fence = publishing(ledger)
    stage(folders.staging(refused, fence))
    kept, _ = publishing(ledger)
    stage(folders.published(kept))
    real = os.rename

    def rename(old: Any, new: Any, **options: Any) -> None:
        if Path(new) == folders.published(refused):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(old, new, **options)

    monkeypatch.setattr(os, "rename", rename)
    assert recover(ledger, folders) == {"completed": 1, "requeued": 1}
    assert "cannot publish" in caplog.text
    assert "[Errno 28] No space left on device" in caplog.text
    assert job_of(ledger, refused).status == "queued"
    assert job_of(ledger, kept).status == "completed"


def test_a_whole_staging_folder_without_the_right_to_publish_is_rendered_again(
    ledger: Ledger, folders: Folders
) -> None:
    job_id, fence = processing(ledger)
    stage(folders.staging(job_id, fence))
    assert recover(ledger, folders) == {"completed": 0, "requeued": 1}
    assert not folders.published(job_id).exists()
    (event,) = (event for event in ledger.events.page(after=0, limit=99) if event.kind == "requeued")
    assert event.details == {"reason": "the node ended"}


def test_the_log_names_job_and_attempt(
    ledger: Ledger, folders: Folders, caplog: pytest.LogCaptureFixture
) -> None:
    completed, fence = publishing(ledger)
    stage(folders.staging(completed, fence))
    queued, other = processing(ledger)
    with caplog.at_level(logging.INFO):
        recover(ledger, folders)
    told = [(vars(record)["job_id"], vars(record)["attempt"]) for record in caplog.records]
    assert told == [(completed, f"1.{fence}"), (queued, f"1.{other}")]


def test_tidying_counts_and_deletes_what_belongs_to_this_ledger_alone(
    ledger: Ledger, folders: Folders
) -> None:
    job_id, fence = processing(ledger)
    (folders.works / "anything").mkdir()
    (folders.works / f"{job_id}.{fence}").mkdir()
    (folders.works / "a file").write_text("x")
    for name in (f"{job_id}.{fence}", f"{job_id}.99", "job-of-another-node.1", "notes", f"{job_id}.x"):
        (folders.stagings / name).mkdir()
        (folders.stagings / name / "inner").mkdir()
    (folders.stagings / f"{job_id}.7").write_text("a file")
    assert tidy(ledger, folders) == 3 + 3
    assert sorted(path.name for path in folders.works.iterdir()) == ["a file"]
    assert sorted(path.name for path in folders.stagings.iterdir()) == sorted(
        [f"{job_id}.x", f"{job_id}.7", "job-of-another-node.1", "notes"]
    )
