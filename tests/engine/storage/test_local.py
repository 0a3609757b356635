"""Publishing by one rename, and recovery of a node that was killed meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.durability import disk_calls, open_descriptors
from tests.support.jobs import job_of, node_config, submit, tiny_story
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.recovery import recover
from video_pipeline.engine.storage.local import (
    RESULT,
    AlreadyPublishedError,
    NotStagedError,
    check_whole,
    is_published,
    publish,
    published_result,
    read_staged,
)

FILES = {
    "video": "s.mp4",
    "thumbnail": "s_thumb.jpg",
    "srt": "s.srt",
    "vtt": "s.vtt",
    "ass": "s.ass",
    "words": "s.words.json",
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
    assert result["subtitles"] == [str(target / f"s.{kind}") for kind in ("srt", "vtt", "ass")]
    assert result["words_path"] == str(target / "s.words.json")
    assert result["encoder"] == "libx264"
    assert "files" not in result


def test_a_published_job_does_not_change(tmp_path: Path) -> None:
    target = publish(stage(tmp_path / "one"), tmp_path / "job")
    (target / "s.mp4").write_text("the first")
    second = stage(tmp_path / "two")
    with pytest.raises(AlreadyPublishedError):
        publish(second, target)
    assert (target / "s.mp4").read_text() == "the first"
    assert second.exists()


@pytest.mark.parametrize("without", [RESULT, "s.mp4", "s.manifest.json"])
def test_incomplete_files_are_not_published(tmp_path: Path, without: str) -> None:
    with pytest.raises(NotStagedError):
        publish(stage(tmp_path / "staging", without=without), tmp_path / "job")
    assert not (tmp_path / "job").exists()


def test_a_folder_is_synced_before_it_is_renamed_and_both_of_its_parents_after(tmp_path: Path) -> None:
    (tmp_path / "stagings").mkdir()
    (tmp_path / "out").mkdir()
    staged = stage(tmp_path / "stagings" / "job.1")
    before = open_descriptors(tmp_path)
    with disk_calls(tmp_path) as calls:
        publish(staged, tmp_path / "out" / "job")
    assert calls == [
        "sync stagings/job.1/",
        "rename stagings/job.1 -> out/job",
        "sync out/",
        "sync stagings/",
    ]
    assert open_descriptors(tmp_path) == before


def test_a_folder_that_cannot_be_synced_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    staged = stage(tmp_path / "staging")
    monkeypatch.setattr(os, "fsync", refuse)
    before = open_descriptors(tmp_path)
    with pytest.raises(OSError, match="Input/output error"):
        publish(staged, tmp_path / "job")
    assert open_descriptors(tmp_path) == before
    assert staged.exists()
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize("in_the_way", ["a full folder", "a file"])
def test_an_existing_target_counts_as_published(tmp_path: Path, in_the_way: str) -> None:
    target = tmp_path / "job"
    if in_the_way == "a file":
        target.write_text("x")
    else:
        target.mkdir()
        (target / "x").write_text("x")
    with pytest.raises(AlreadyPublishedError, match="job: already exists"):
        publish(stage(tmp_path / "staging"), target)
    assert (tmp_path / "staging").exists()


def test_other_errors_of_the_disk_are_raised_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        publish(stage(tmp_path / "staging"), tmp_path / "no such folder" / "job")
    with pytest.raises(OSError, match="Invalid argument"):
        publish(tmp_path / "staging", tmp_path / "staging" / "inner")


@pytest.mark.parametrize(
    "name", ["../secret.mp4", "/etc/passwd", "inner/s.mp4", "..", ".", "", "./s.mp4", "s.mp4/"]
)
def test_a_result_that_names_a_file_outside_of_its_folder_is_not_whole(tmp_path: Path, name: str) -> None:
    folder = stage(tmp_path / "staging")
    (tmp_path / "secret.mp4").write_text("x")
    (folder / "inner").mkdir()
    (folder / "inner" / "s.mp4").write_text("x")
    (folder / RESULT).write_text(json.dumps({"files": {**FILES, "video": name}}))
    with pytest.raises(NotStagedError, match="staging: is missing "):
        publish(folder, tmp_path / "job")
    assert not is_published(folder)
    assert not (tmp_path / "job").exists()


def test_a_folder_in_the_place_of_a_file_is_not_whole(tmp_path: Path) -> None:
    folder = stage(tmp_path / "staging", without="s.mp4")
    (folder / "s.mp4").mkdir()
    with pytest.raises(NotStagedError, match=r"is missing s\.mp4$"):
        read_staged(folder)


WRONG_RESULTS: dict[str, bytes] = {
    "empty": b"",
    "cut short": b'{"files": {',
    "no UTF-8": b'{"files": "\xff"}',
    "a list": b"[]",
    "a number": b"7",
    "nothing": b"null",
    "no files": b"{}",
    "files of another kind": b'{"files": 7}',
    "files in a list": b'{"files": ["s.mp4"]}',
    "one file less": b'{"files": {"video": "s.mp4"}}',
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", WRONG_RESULTS)
def test_every_unreadable_result_is_reported(tmp_path: Path, name: str) -> None:
    folder = stage(tmp_path / "staging")
    (folder / RESULT).write_bytes(WRONG_RESULTS[name])
    with pytest.raises(NotStagedError, match="its result cannot be read"):
        read_staged(folder)
    assert not is_published(folder)


def test_a_result_in_an_unreadable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / RESULT).mkdir()
    with pytest.raises(NotStagedError, match="its result cannot be read"):
        read_staged(tmp_path / "folder")


def test_clients_get_the_published_result(tmp_path: Path) -> None:
    folder = stage(tmp_path / "job")
    expected: dict[str, Any] = {
        "video_path": str(folder / "s.mp4"),
        "thumbnail_path": str(folder / "s_thumb.jpg"),
        "subtitles": [str(folder / f"s.{kind}") for kind in ("srt", "vtt", "ass")],
        "words_path": str(folder / "s.words.json"),
        "metadata_path": str(folder / "s.json"),
        "manifest_path": str(folder / "s.manifest.json"),
        "encoder": "libx264",
    }
    assert published_result(folder) == expected
    assert read_staged(folder) == {"files": FILES, "encoder": "libx264"}
    with pytest.raises(NotStagedError):
        published_result(tmp_path)


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


def stage_whole(folder: Path) -> Path:
    """Stage files with a manifest that lists them."""
    stage(folder)
    outputs = [
        {
            "name": name,
            "size": (folder / name).stat().st_size,
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
        }
        for role, name in FILES.items()
        if role != "manifest"
    ]
    (folder / FILES["manifest"]).write_text(json.dumps({"outputs": outputs}))
    return folder


def test_a_published_folder_is_whole_if_every_file_has_its_size_and_its_hash(tmp_path: Path) -> None:
    folder = stage_whole(tmp_path / "job")
    check_whole(folder)
    (folder / FILES["video"]).write_text("S.mp4")  # the same size
    with pytest.raises(AlreadyPublishedError, match=r"s\.mp4 is not the file that its manifest names"):
        check_whole(folder)
    (folder / FILES["video"]).write_text("s.mp4 and more")
    with pytest.raises(AlreadyPublishedError, match="move it away and retry the job"):
        check_whole(folder)


def test_a_folder_that_holds_no_job_is_not_adopted(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    with pytest.raises(AlreadyPublishedError, match="is not a whole video"):
        check_whole(tmp_path / "job")


@pytest.mark.parametrize(
    "manifest",
    ["{}", '{"outputs": 3}', '{"outputs": [{"name": "s.mp4"}]}', '{"outputs": []}', "no JSON", "[" * 100_000],
    ids=lambda text: text[:30],
)
def test_a_published_folder_whose_manifest_does_not_list_its_files_is_not_whole(
    tmp_path: Path, manifest: str
) -> None:
    folder = stage_whole(tmp_path / "job")
    (folder / FILES["manifest"]).write_text(manifest)
    with pytest.raises(AlreadyPublishedError, match="is not a whole video"):
        check_whole(folder)
