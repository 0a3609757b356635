"""Files that are absent or whole, whatever happens to the one who writes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from video_pipeline.engine.common.files import (
    STAGING_PREFIX,
    StagedFiles,
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


def test_a_staged_file_that_was_never_written_keeps_the_others_back(tmp_path: Path) -> None:
    with StagedFiles(tmp_path) as files:
        files.stage(tmp_path / "a").write_text("x")
        files.stage(tmp_path / "b")
        with pytest.raises(FileNotFoundError):
            files.commit()
    assert names(tmp_path) == []


def test_only_files_of_the_folder_can_be_staged(tmp_path: Path) -> None:
    with StagedFiles(tmp_path) as files, pytest.raises(ValueError, match="allowed: files of the folder"):
        files.stage(tmp_path / "inner" / "a")


def test_what_a_killed_writer_left_is_swept_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
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


READER = """
import sys, time
from pathlib import Path
path, stop = Path(sys.argv[1]), time.monotonic() + 1.0
print("reading", flush=True)
while time.monotonic() < stop:
    data = path.read_bytes()
    assert data == data[:1] * 400_000, len(data)
"""


def test_a_reader_never_sees_half_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"0" * 400_000)
    turn = 0
    with subprocess.Popen([sys.executable, "-c", READER, str(path)], stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reading\n"
        while reader.poll() is None:
            turn += 1
            with whole_file(path) as partial:
                partial.write_bytes(bytes([turn % 256]) * 400_000)
    assert reader.returncode == 0
    assert turn > 3


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
