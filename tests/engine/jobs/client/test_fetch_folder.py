"""The folder into which files are fetched: what is kept, what is discarded, and who may write."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.support.disks import small_disk
from tests.support.finished_jobs import video_bytes
from video_pipeline.engine.errors import InputError, RenderingError
from video_pipeline.engine.jobs.client.fetch_folder import FetchFolder
from video_pipeline.engine.jobs.messages import JobFile

JOB = "job-" + "0" * 24
DATA = video_bytes(5000)


def file_of(data: bytes, name: str = "film.mp4", role: str = "video") -> JobFile:
    return JobFile(name=name, role=role, size=len(data), sha256=hashlib.sha256(data).hexdigest())


FILE = file_of(DATA)


def fill(folder: FetchFolder, file: JobFile, data: bytes) -> bool:
    folder.append(data[folder.begin(file) :])
    return folder.is_whole(file)


def test_files_appear_together_at_the_end_and_nothing_else_is_left(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    words = file_of(b"{}", "film.words.json", "words")
    folder = FetchFolder(out, JOB, [FILE, words])
    assert fill(folder, FILE, DATA)
    assert fill(folder, words, b"{}")
    assert [path.name for path in out.iterdir()] == [f".fetch-{JOB}"]
    assert folder.commit() == {"video": out / "film.mp4", "words": out / "film.words.json"}
    folder.close()
    assert sorted(path.name for path in out.iterdir()) == ["film.mp4", "film.words.json"]
    assert (out / "film.mp4").read_bytes() == DATA


@pytest.mark.parametrize("there", [0, 1, 4999, 5000])
def test_a_fetch_goes_on_where_another_ended(tmp_path: Path, there: int) -> None:
    first = FetchFolder(tmp_path, JOB, [FILE])
    assert first.begin(FILE) == 0
    first.append(DATA[:there])
    first.close()
    second = FetchFolder(tmp_path, JOB, [FILE])
    assert second.begin(FILE) == there
    second.append(DATA[there:])
    assert second.is_whole(FILE)
    second.commit()
    second.close()
    assert (tmp_path / "film.mp4").read_bytes() == DATA


def test_what_has_another_checksum_or_is_too_long_is_discarded(tmp_path: Path) -> None:
    folder = FetchFolder(tmp_path, JOB, [FILE])
    assert not fill(folder, FILE, b"x" * 5000)
    assert folder.begin(FILE) == 0
    folder.append(b"x" * 6000)
    folder.close()
    folder = FetchFolder(tmp_path, JOB, [FILE])
    assert fill(folder, FILE, DATA)
    folder.close()


def test_a_file_that_was_fetched_before_is_kept_and_another_one_of_its_name_replaced(tmp_path: Path) -> None:
    target = tmp_path / "film.mp4"
    target.write_bytes(DATA)
    inode = target.stat().st_ino
    folder = FetchFolder(tmp_path, JOB, [FILE])
    assert folder.begin(FILE) == 5000
    assert folder.is_whole(FILE)
    folder.commit()
    folder.close()
    assert target.stat().st_ino == inode
    target.write_bytes(b"y" * 5000)
    folder = FetchFolder(tmp_path, JOB, [FILE])
    assert fill(folder, FILE, DATA)
    folder.commit()
    folder.close()
    assert target.read_bytes() == DATA


def test_a_second_fetch_of_the_job_into_the_folder_is_refused_while_the_first_goes_on(tmp_path: Path) -> None:
    first = FetchFolder(tmp_path, JOB, [FILE])
    with pytest.raises(RenderingError, match="another program is fetching this job"):
        FetchFolder(tmp_path, JOB, [FILE])
    first.close()
    assert list(tmp_path.iterdir()) == []
    FetchFolder(tmp_path, JOB, [FILE]).close()


def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="is no folder"):
            FetchFolder(folder, JOB, [FILE])
    (tmp_path / "out/film.mp4").mkdir(parents=True)
    with pytest.raises(InputError, match=r"out/film\.mp4 is a folder"):
        FetchFolder(tmp_path / "out", JOB, [FILE])


def test_a_disk_that_is_too_small_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        big = JobFile(name="film.mp4", role="video", size=2 << 20, sha256="0" * 64)
        folder = FetchFolder(disk, JOB, [big])
        with pytest.raises(
            RenderingError, match=r"has [\d,]+ bytes free, and film\.mp4 needs 2,097,152 more"
        ):
            folder.begin(big)
        folder.close()


def test_a_disk_that_fills_meanwhile_keeps_what_is_there(tmp_path: Path) -> None:
    data = video_bytes(900_000)
    file = file_of(data)
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        folder = FetchFolder(disk, JOB, [file])
        folder.begin(file)
        folder.append(data[:400_000])
        (disk / "other").write_bytes(b"z" * 400_000)
        with pytest.raises(
            RenderingError, match=r"cannot write film\.mp4: No space left on device; what was"
        ):
            folder.append(data[400_000:])
        folder.close()
        (disk / "other").unlink()
        folder = FetchFolder(disk, JOB, [file])
        there = folder.begin(file)
        assert there >= 400_000
        folder.append(data[there:])
        assert folder.is_whole(file)
        folder.commit()
        folder.close()
        assert (disk / "film.mp4").read_bytes() == data
