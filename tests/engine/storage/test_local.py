"""Publishing by one rename, and what a node makes of it that was killed on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.jobs import job_of, node_config, submit, tiny_story
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.recovery import recover
from video_pipeline.engine.storage.local import (
    RESULT,
    AlreadyPublishedError,
    NotStagedError,
    is_published,
    publish,
    published_result,
)

FILES = {
    "video": "s.mp4",
    "thumbnail": "s_thumb.jpg",
    "srt": "s.srt",
    "vtt": "s.vtt",
    "metadata": "s.json",
    "manifest": "s.manifest.json",
}


def stage(folder: Path, *, without: str = "") -> Path:
    folder.mkdir(parents=True)
    for name in FILES.values():
        if name != without:
            (folder / name).write_text(name)
    if without != RESULT:
        (folder / RESULT).write_text(json.dumps({"files": FILES, "encoder": "libx264"}))
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


def claimed(ledger: Ledger) -> tuple[str, int]:
    submit(ledger, tiny_story())
    attempt = ledger.attempts.claim()
    assert attempt is not None
    return attempt.job_id, attempt.fence


def test_a_whole_folder_moves_at_once_and_its_result_has_the_new_paths(tmp_path: Path) -> None:
    staged, target = stage(tmp_path / "staging"), tmp_path / "job"
    assert publish(staged, target) == target
    assert not staged.exists()
    result = published_result(target)
    assert result["video_path"] == str(target / "s.mp4")
    assert result["subtitles"] == [str(target / "s.srt"), str(target / "s.vtt")]
    assert result["encoder"] == "libx264"
    assert "files" not in result


def test_a_job_that_is_published_stays_as_it_is(tmp_path: Path) -> None:
    target = publish(stage(tmp_path / "one"), tmp_path / "job")
    (target / "s.mp4").write_text("the first")
    second = stage(tmp_path / "two")
    with pytest.raises(AlreadyPublishedError):
        publish(second, target)
    assert (target / "s.mp4").read_text() == "the first"
    assert second.exists()


@pytest.mark.parametrize("without", [RESULT, "s.mp4", "s.manifest.json"])
def test_what_is_not_whole_is_not_published(tmp_path: Path, without: str) -> None:
    with pytest.raises(NotStagedError):
        publish(stage(tmp_path / "staging", without=without), tmp_path / "job")
    assert not (tmp_path / "job").exists()


def test_killed_before_publishing_began_the_job_is_rendered_again_uncharged(
    ledger: Ledger, folders: Folders
) -> None:
    job_id, fence = claimed(ledger)
    stage(folders.staging(job_id, fence))
    folders.work(job_id, fence).mkdir()
    assert recover(ledger, folders) == {"completed": 0, "requeued": 1}
    job = job_of(ledger, job_id)
    assert (job.status, job.attempts, job.interruptions) == ("queued", 0, 1)
    assert list(folders.stagings.iterdir()) == list(folders.works.iterdir()) == []


def test_killed_between_the_right_to_publish_and_the_rename_the_job_is_published(
    ledger: Ledger, folders: Folders
) -> None:
    job_id, fence = claimed(ledger)
    stage(folders.staging(job_id, fence))
    assert ledger.attempts.begin_publishing(job_id, fence)
    assert recover(ledger, folders) == {"completed": 1, "requeued": 0}
    assert job_of(ledger, job_id).status == "completed"
    assert is_published(folders.published(job_id))
    assert list(folders.stagings.iterdir()) == []


def test_killed_between_the_rename_and_the_ledger_the_job_is_completed_from_its_folder(
    ledger: Ledger, folders: Folders
) -> None:
    job_id, fence = claimed(ledger)
    assert ledger.attempts.begin_publishing(job_id, fence)
    publish(stage(folders.staging(job_id, fence)), folders.published(job_id))
    assert recover(ledger, folders) == {"completed": 1, "requeued": 0}
    job = job_of(ledger, job_id)
    assert job.result is not None
    assert job.result["video_path"] == str(folders.published(job_id) / "s.mp4")
    assert recover(ledger, folders) == {"completed": 0, "requeued": 0}


def test_a_staging_folder_that_lost_a_file_is_rendered_again(ledger: Ledger, folders: Folders) -> None:
    job_id, fence = claimed(ledger)
    stage(folders.staging(job_id, fence), without="s.mp4")
    assert ledger.attempts.begin_publishing(job_id, fence)
    assert recover(ledger, folders) == {"completed": 0, "requeued": 1}
    assert not folders.published(job_id).exists()
    assert list(folders.stagings.iterdir()) == []


def test_a_cancel_that_was_asked_for_before_the_node_was_killed_is_kept(
    ledger: Ledger, folders: Folders
) -> None:
    job_id, _ = claimed(ledger)
    ledger.jobs.request_cancel(job_id)
    recover(ledger, folders)
    assert job_of(ledger, job_id).status == "cancelled"


def test_the_staging_folders_of_another_node_with_the_same_output_stay(
    ledger: Ledger, folders: Folders
) -> None:
    foreign = stage(folders.stagings / "job-0123456789abcdef01234567.1")
    recover(ledger, folders)
    assert foreign.exists()
