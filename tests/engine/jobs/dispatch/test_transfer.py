"""Files of attempts in a shared storage: whole and checked, or an error that names them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from video_pipeline.engine.common.object_store import FolderStore, content_key
from video_pipeline.engine.jobs.dispatch.failures import classify
from video_pipeline.engine.jobs.dispatch.transfer import (
    TransferError,
    fetch_inputs,
    fetch_staged,
    put_inputs,
    put_staged,
    remove_staged,
)
from video_pipeline.engine.storage.local import RESULT

JOB = "job-000000000000000000000001"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    (tmp_path / "store").mkdir()
    return FolderStore(tmp_path / "store")


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    folder = tmp_path / "staged"
    folder.mkdir()
    for name in (RESULT, "story.mp4", "Zażółć.srt"):
        (folder / name).write_bytes(name.encode() * 1000)
    return folder


def make_folder(path: Path) -> Path:
    path.mkdir()
    return path


def put_file(store: FolderStore, folder: Path, data: bytes) -> str:
    name = f"{hashlib.sha256(data).hexdigest()}.jpg"
    (folder / name).write_bytes(data)
    put_inputs(store, {name: folder / name})
    return name


def test_a_finished_attempt_arrives_with_the_same_bytes_its_result_last_and_leaves_nothing(
    store: FolderStore, staged: Path, tmp_path: Path
) -> None:
    files = put_staged(store, staged, JOB, 3)
    assert files[-1]["name"] == RESULT
    there = make_folder(tmp_path / "there")
    fetch_staged(store, files, there, JOB, 3)
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {
        path.name: path.read_bytes() for path in staged.iterdir()
    }
    remove_staged(store, JOB, 3)
    assert not list(store.list("staged"))


def test_attempts_with_other_fences_do_not_touch_each_other(
    store: FolderStore, staged: Path, tmp_path: Path
) -> None:
    old = put_staged(store, staged, JOB, 1)
    (staged / "story.mp4").write_bytes(b"of the second attempt")
    new = put_staged(store, staged, JOB, 11)
    remove_staged(store, JOB, 1)
    there = make_folder(tmp_path / "there")
    fetch_staged(store, new, there, JOB, 11)
    assert (there / "story.mp4").read_bytes() == b"of the second attempt"
    with pytest.raises(TransferError, match=r"as a file of job-0+1\.11"):
        fetch_staged(store, old, there, JOB, 11)


def test_a_damaged_object_is_not_used_and_is_deleted(
    store: FolderStore, staged: Path, tmp_path: Path
) -> None:
    files = put_staged(store, staged, JOB, 1)
    (tmp_path / "store" / files[0]["key"]).write_bytes(b"other")
    there = make_folder(tmp_path / "there")
    with pytest.raises(TransferError, match="not those that were stored"):
        fetch_staged(store, files, there, JOB, 1)
    assert not list(there.iterdir())
    assert store.get(files[0]["key"]) is None


@pytest.mark.parametrize("name", ["../out.mp4", "a/b", "..", ".", "", "a\0b"])
def test_a_machine_cannot_name_a_file_outside_the_staging_folder(
    store: FolderStore, tmp_path: Path, name: str
) -> None:
    there = make_folder(tmp_path / "there")
    file = {"key": f"staged/{JOB}.1/000", "name": name, "size": 1, "sha256": "0" * 64}
    with pytest.raises(TransferError, match="a file with the name"):
        fetch_staged(store, [file], there, JOB, 1)


def test_inputs_travel_by_content_and_only_once(store: FolderStore, tmp_path: Path) -> None:
    name = put_file(store, tmp_path, b"a picture")
    inbox = make_folder(tmp_path / "inbox")
    fetch_inputs(store, [name], inbox)
    assert (inbox / name).read_bytes() == b"a picture"
    store.delete(content_key(name[:64]))
    fetch_inputs(store, [name], inbox)
    (inbox / name).write_bytes(b"changed")
    with pytest.raises(TransferError, match="it is not there"):
        fetch_inputs(store, [name], inbox)


def test_trouble_with_the_storage_is_the_machines_fault_and_charges_no_job(
    store: FolderStore, tmp_path: Path
) -> None:
    name = put_file(store, tmp_path, b"a picture")
    (tmp_path / "store").rename(tmp_path / "gone")
    (tmp_path / "other.jpg").write_bytes(b"x")
    with pytest.raises(TransferError) as fetching:
        fetch_inputs(store, [name], make_folder(tmp_path / "inbox"))
    with pytest.raises(TransferError) as storing:
        put_inputs(store, {name: tmp_path / "other.jpg"})
    for caught in (fetching, storing):
        assert classify(caught.value).kind == "machine"
        assert "fleet.store" in str(caught.value)
