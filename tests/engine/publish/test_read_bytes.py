"""A video on its way to a platform is the one that was hashed, whether it is hashed again or known by its mark."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from video_pipeline.engine.common.cache import SETTLED_NS
from video_pipeline.engine.publish.base import Post
from video_pipeline.engine.publish.read_bytes import ReadBytes, is_the_video, is_unchanged, settled_mark

OLD, NEW = b"a" * 5000, b"b" * 5000


def a_post_of(path: Path, *, is_settled: bool = True) -> Post:
    """Return a post of a file as it is now, hashed long after it was written or at once."""
    now = time.time_ns() + (SETTLED_NS + 1 if is_settled else 0)
    return Post(
        video=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=path.stat().st_size,
        mark=settled_mark(path, before_ns=now),
        duration=1.0,
        title="Bytes",
    )


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "v.mp4"
    path.write_bytes(OLD)
    return path


def read_all(read: ReadBytes) -> bytes:
    return b"".join(read.parts(0, 2000)) + b"".join(read.parts(2000, 3000))


def test_a_file_that_was_written_just_now_has_no_mark_and_is_hashed_while_it_is_read(video: Path) -> None:
    post = a_post_of(video, is_settled=False)
    assert post.mark is None
    with ThreadPoolExecutor(1) as hashing:
        read = ReadBytes(post, hashing)
        assert read_all(read) == OLD
        assert read.is_the_video()
        video.write_bytes(NEW)
        read = ReadBytes(post, hashing)
        assert read_all(read) == NEW
        assert not read.is_the_video()


def test_an_unchanged_file_is_known_without_reading_it(video: Path) -> None:
    post = a_post_of(video).model_copy(update={"sha256": "0" * 64})  # a hash that the bytes do not have
    assert is_unchanged(post)
    assert is_the_video(post)
    with ThreadPoolExecutor(1) as hashing:
        read = ReadBytes(post, hashing)
        assert read_all(read) == OLD
        assert read.is_the_video()


@pytest.mark.parametrize("how", ["written", "replaced", "written with its old times"])
@pytest.mark.parametrize("when", ["before", "while it is read"])
def test_a_file_that_changed_is_hashed_and_refused_whatever_its_times_say(
    video: Path, how: str, when: str
) -> None:
    post, stat = a_post_of(video), video.stat()
    time.sleep(0.02)  # the clock of the file system has gone on

    def change() -> None:
        if how == "replaced":
            other = video.with_suffix(".new")
            other.write_bytes(NEW)
            other.replace(video)
        else:
            video.write_bytes(NEW)
            if how == "written with its old times":
                os.utime(video, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    with ThreadPoolExecutor(1) as hashing:
        if when == "before":
            change()
        read = ReadBytes(post, hashing)
        if when != "before":
            list(read.parts(0, 2000))
            change()
        read_all(read)
        assert not read.is_the_video()
        assert not is_the_video(post)


def test_a_file_that_was_copied_back_with_the_same_bytes_is_taken(video: Path) -> None:
    post = a_post_of(video)
    video.unlink()
    video.write_bytes(OLD)
    assert not is_unchanged(post)
    assert is_the_video(post)
    with ThreadPoolExecutor(1) as hashing:
        read = ReadBytes(post, hashing)
        assert read_all(read) == OLD
        assert read.is_the_video()
