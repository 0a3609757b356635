"""Files are complete or absent, even if their writer is killed."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.durability import disk_calls, open_descriptors
from tests.support.paths import ROOT
from tests.support.waiting import FAST_SECONDS, again_and_again
from video_pipeline.engine.common import files
from video_pipeline.engine.common.files import (
    PARTIAL_PREFIX,
    STAGING_PREFIX,
    StagedFiles,
    link_or_copy,
    sweep_staging,
    sync_folder,
    whole_file,
    write_text,
)

WRITER = """
import sys, time
from pathlib import Path
from video_pipeline.engine.common.files import StagedFiles
folder = Path(sys.argv[1])
with StagedFiles(folder) as files:
    files.stage(folder / "a.mp4").write_bytes(b"half")
    print("staged", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_staged_files_appear_together_at_the_commit(tmp_path: Path) -> None:
    video, text = tmp_path / "a.mp4", tmp_path / "a.srt"
    video.write_text("old")
    with StagedFiles(tmp_path) as files:
        files.stage(video).write_text("new")
        files.stage(text).write_text("words")
        assert video.read_text() == "old"
        assert not text.exists()
        assert files.path(video).read_text() == "new"
        files.commit()
        assert (video.read_text(), text.read_text()) == ("new", "words")
    assert names(tmp_path) == ["a.mp4", "a.srt"]


def test_nothing_appears_without_a_commit_or_after_an_error(tmp_path: Path) -> None:
    with StagedFiles(tmp_path) as files:
        files.stage(tmp_path / "a").write_text("x")

    def interrupted() -> None:
        with StagedFiles(tmp_path) as files:
            files.stage(tmp_path / "b").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(tmp_path) == []


def test_no_file_is_published_if_a_staged_one_was_not_written(tmp_path: Path) -> None:
    with StagedFiles(tmp_path) as files:
        files.stage(tmp_path / "a").write_text("x")
        files.stage(tmp_path / "b")
        with pytest.raises(FileNotFoundError):
            files.commit()
    assert names(tmp_path) == []


def test_only_files_of_the_folder_can_be_staged(tmp_path: Path) -> None:
    with StagedFiles(tmp_path) as files, pytest.raises(ValueError, match="allowed: files of the folder"):
        files.stage(tmp_path / "inner" / "a")


def test_files_of_killed_writers_are_swept_and_those_of_live_ones_are_kept(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT
    ) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"staged\n"
            assert sweep_staging(tmp_path) == 0
            assert [name.startswith(STAGING_PREFIX) for name in names(tmp_path)] == [True]
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
    assert len(names(tmp_path)) == 1, "a killed writer cannot clean up"
    assert sweep_staging(tmp_path) == 1
    assert names(tmp_path) == []


def test_a_whole_file_takes_the_place_of_the_old_one_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with whole_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.suffix == ".json"
        assert partial.parent == tmp_path
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.json"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def broken() -> None:
        with whole_file(path) as partial:
            partial.write_text("half of it")
            raise RuntimeError("the writer broke")

    with pytest.raises(RuntimeError, match="the writer broke"):
        broken()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_text_is_utf_8_with_line_feeds(tmp_path: Path) -> None:
    write_text(tmp_path / "a.srt", "灯台\nlight\n")
    assert (tmp_path / "a.srt").read_bytes() == "灯台\nlight\n".encode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def crammed() -> None:
        with whole_file(path) as partial:
            partial.symlink_to("/dev/full")
            partial.write_bytes(b"new" * 100_000)

    with pytest.raises(OSError, match="No space left"):
        crammed()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_staged_files_are_on_the_disk_before_they_have_their_names_and_the_first_staged_moves_last(
    tmp_path: Path,
) -> None:
    with disk_calls(tmp_path) as calls, StagedFiles(tmp_path) as files:
        for name, text in (("a.mp4", "video"), ("a.srt", "one"), ("a.json", "{}")):
            files.stage(tmp_path / name).write_text(text)
        files.commit()
    assert calls == [
        "sync .staging-*/a.mp4 5",
        "sync .staging-*/a.srt 3",
        "sync .staging-*/a.json 2",
        "rename .staging-*/a.json -> a.json",
        "rename .staging-*/a.srt -> a.srt",
        "rename .staging-*/a.mp4 -> a.mp4",
        "sync ./",
    ]


def test_a_whole_file_is_on_the_disk_before_it_has_its_name_and_its_folder_is_synced_after(
    tmp_path: Path,
) -> None:
    with disk_calls(tmp_path) as calls, whole_file(tmp_path / "a.json") as partial:
        partial.write_text("text")
    assert calls == ["sync .partial-*.json 4", "rename .partial-*.json -> a.json", "sync ./"]


def test_a_text_is_on_the_disk_when_it_is_written(tmp_path: Path) -> None:
    with disk_calls(tmp_path) as calls:
        write_text(tmp_path / "a.srt", "words\n")
    assert calls == ["sync .partial-*.srt 6", "rename .partial-*.srt -> a.srt", "sync ./"]


def test_a_folder_that_refuses_to_be_synced_takes_no_file_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def sync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_dir():
            raise OSError(22, "Invalid argument")  # as some network file systems answer
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    before = open_descriptors(tmp_path)
    write_text(tmp_path / "a.txt", "words")
    assert (tmp_path / "a.txt").read_text() == "words"
    assert open_descriptors(tmp_path) == before


def test_two_writers_of_one_file_at_once_have_private_files(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with whole_file(path) as one, whole_file(path) as two:
        assert one != two
        assert one.name.startswith(PARTIAL_PREFIX)
        one.write_text("one")
        two.write_text("two")
    assert path.read_text() == "one", "the one that ends last wins"
    with StagedFiles(tmp_path) as first, StagedFiles(tmp_path) as second:
        first.stage(path).write_text("first")
        second.stage(path).write_text("second")
        second.commit()
        first.commit()
    assert path.read_text() == "first"
    assert names(tmp_path) == ["a.json"]


def test_threads_that_write_one_file_at_once_never_mix_and_leave_nothing(tmp_path: Path) -> None:
    path, start, errors = tmp_path / "a.bin", threading.Barrier(4), list[BaseException]()

    def write(turn: int) -> None:
        try:
            start.wait(FAST_SECONDS)
            for _ in range(40):
                with whole_file(path) as partial:
                    partial.write_bytes(bytes([turn]) * 5000)
        except BaseException as error:  # reported by the test itself
            errors.append(error)

    threads = [threading.Thread(target=write, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    data = path.read_bytes()
    assert data == data[:1] * 5000
    assert names(tmp_path) == ["a.bin"]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    def once() -> None:
        write_text(tmp_path / "a.txt", "x")
        with StagedFiles(tmp_path) as files:
            files.stage(tmp_path / "b.txt").write_text("x")
            files.commit()
        (tmp_path / f"{STAGING_PREFIX}left").mkdir()
        with StagedFiles(tmp_path):
            assert sweep_staging(tmp_path) == 1  # the other is locked: its descriptor must be closed too

    once()
    before = open_descriptors(tmp_path)
    for _ in range(10):
        once()
    assert open_descriptors(tmp_path) == before


def test_a_broken_link_does_not_stop_the_sweep(tmp_path: Path) -> None:
    (tmp_path / f"{STAGING_PREFIX}1").symlink_to(tmp_path / "nowhere")
    (tmp_path / f"{STAGING_PREFIX}2").mkdir()
    (tmp_path / "another").mkdir()
    assert sweep_staging(tmp_path) == 1
    assert names(tmp_path) == [f"{STAGING_PREFIX}1", "another"]


def test_folders_that_cannot_be_locked_are_written_in_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    before = open_descriptors(tmp_path)
    with StagedFiles(tmp_path) as files:
        files.stage(tmp_path / "a").write_text("x")
        files.commit()
    assert names(tmp_path) == ["a"]
    assert open_descriptors(tmp_path) == before


def test_a_hidden_folder_deleted_by_another_process_is_no_error(tmp_path: Path) -> None:
    with StagedFiles(tmp_path) as files:
        files.path(tmp_path / "a").parent.rmdir()
    assert names(tmp_path) == []


def test_a_block_that_writes_nothing_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "b"):
        pass
    assert names(tmp_path) == []


READER = """
import select, sys
from pathlib import Path
path, seen = Path(sys.argv[1]), set()
print("reading", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    data = path.read_bytes()
    assert data == data[:1] * 400_000, len(data)
    seen.add(data[:1])
    if len(seen) == 3:
        print("three contents", flush=True)
"""


def test_a_reader_never_sees_half_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"0" * 400_000)
    turn, command = 0, [sys.executable, "-c", READER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reading\n"
        for _ in again_and_again(seconds=1, until=lambda: select.select([reader.stdout], [], [], 0)[0]):
            turn += 1
            with whole_file(path) as partial:
                partial.write_bytes(bytes([turn % 256]) * 400_000)
        told, _ = reader.communicate()
    assert told.startswith(b"three contents\n")
    assert reader.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_folder_that_cannot_be_synced_is_no_failure() -> None:
    descriptor = os.open("/proc", os.O_RDONLY)
    with pytest.raises(OSError, match="Invalid argument"):
        os.fsync(descriptor)
    os.close(descriptor)
    sync_folder(Path("/proc"))


def test_a_folder_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")


def test_a_folder_is_staged_in_although_others_sweep_it_all_the_time(tmp_path: Path) -> None:
    done = threading.Event()

    def sweep() -> None:
        while not done.is_set():
            sweep_staging(tmp_path)

    sweepers = [threading.Thread(target=sweep) for _ in range(2)]
    for sweeper in sweepers:
        sweeper.start()
    try:
        for number in range(300):
            with StagedFiles(tmp_path) as files:
                write_text(files.stage(tmp_path / f"{number}.txt"), "whole")
                files.commit()
    finally:
        done.set()
        for sweeper in sweepers:
            sweeper.join()
    assert len(list(tmp_path.glob("*.txt"))) == 300
    assert not list(tmp_path.glob(f"{STAGING_PREFIX}*"))


def test_a_file_gets_a_second_name_or_on_another_file_system_a_copy(tmp_path: Path) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(b"content")
    link_or_copy(source, tmp_path / "b.bin")
    assert (tmp_path / "b.bin").samefile(source)
    if Path("/dev/shm").is_dir() and Path("/dev/shm").stat().st_dev != tmp_path.stat().st_dev:
        elsewhere = Path("/dev/shm") / f"{tmp_path.name}-{os.getpid()}.bin"
        try:
            link_or_copy(source, elsewhere)
            assert elsewhere.read_bytes() == b"content"
        finally:
            elsewhere.unlink(missing_ok=True)


def test_a_file_is_copied_where_links_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "links are not allowed")

    source = tmp_path / "a.bin"
    source.write_bytes(b"content")
    monkeypatch.setattr(os, "link", refused)
    link_or_copy(source, tmp_path / "b.bin")
    assert (tmp_path / "b.bin").read_bytes() == b"content"
    assert not (tmp_path / "b.bin").samefile(source)


def test_a_file_that_is_not_there_cannot_be_linked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        link_or_copy(tmp_path / "a.bin", tmp_path / "b.bin")
    assert raised.value.filename2 == str(tmp_path / "b.bin")  # the link's own error, not the copy's
    assert names(tmp_path) == []


def test_a_folder_swept_after_it_was_locked_leaves_no_descriptor_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, swept = files.lock_folder, 0

    def locked_and_swept(folder: Path) -> int | None:
        nonlocal swept
        descriptor = lock(folder)
        if swept < 3:
            swept += 1
            folder.rmdir()
        return descriptor

    monkeypatch.setattr(files, "lock_folder", locked_and_swept)
    before = open_descriptors(tmp_path)
    with StagedFiles(tmp_path) as staged:
        staged.stage(tmp_path / "a.mp4").write_bytes(b"whole")
        assert open_descriptors(tmp_path) == before + 1
        staged.commit()
    assert swept == 3
    assert open_descriptors(tmp_path) == before


@pytest.mark.parametrize("swept", ["before it is locked", "after it was locked"])
def test_a_folder_that_is_swept_every_time_is_an_error_after_a_hundred_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swept: str
) -> None:
    lock = files.lock_folder
    tried: list[str] = []

    def locked(folder: Path) -> int | None:
        tried.append(folder.name)
        if swept == "before it is locked":
            folder.rmdir()
            return lock(folder)
        descriptor = lock(folder)
        folder.rmdir()
        return descriptor

    monkeypatch.setattr(files, "lock_folder", locked)
    with pytest.raises(OSError, match=str(tmp_path)) as raised, StagedFiles(tmp_path):
        pass
    assert raised.value.errno == errno.EAGAIN
    assert len(tried) == len(set(tried)) == 100
