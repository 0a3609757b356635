"""Files that are opened once: hash and content agree, changes are noticed, links are not followed."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.durability import open_descriptors
from tests.support.swapping import Way, swapping
from tests.support.waiting import again_and_again
from video_pipeline.engine.common import input_files
from video_pipeline.engine.common.cache import DIGESTS_KEPT, FileDigests
from video_pipeline.engine.common.input_files import (
    ANY_FILES,
    FOLDER_FLAGS,
    IN_MEMORY_BYTES,
    InputFiles,
    NotAFileError,
    open_again,
    open_at_once,
    open_stepwise,
)
from video_pipeline.engine.errors import FileChangedError

LARGE = IN_MEMORY_BYTES + 1


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def aged(path: Path, data: bytes) -> Path:
    """Write a file that was modified long ago; its inode was changed now."""
    path.write_bytes(data)
    os.utime(path, (1e9, 1e9))
    return path


@pytest.mark.parametrize("data", [b"", b"abc", b"x" * IN_MEMORY_BYTES, b"x" * LARGE])
def test_the_hash_the_head_and_the_bytes_are_those_of_the_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    with ANY_FILES.open(path) as file:
        assert (file.size, file.sha256, file.head(2)) == (len(data), sha256(data), data[:2])
        assert file.stream.read() == data
        assert file.read() == data
        assert file.stream.name == str(path)
        file.check()


def test_an_open_small_file_keeps_its_content_when_it_is_overwritten(tmp_path: Path) -> None:
    path = aged(tmp_path / "a", b"before")
    with ANY_FILES.open(path) as file:
        path.write_bytes(b"after")
        assert (file.sha256, file.read()) == (sha256(b"before"), b"before")
        file.check()


CHANGES: dict[str, Callable[[Path], object]] = {
    "another byte": lambda path: path.write_bytes(b"y" + path.read_bytes()[1:]),
    "another byte with the old time": lambda path: aged(path, b"y" + path.read_bytes()[1:]),
    "one byte more": lambda path: path.write_bytes(path.read_bytes() + b"y"),
    "replaced": lambda path: aged(path.with_name("new"), path.read_bytes()).replace(path),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_file_that_is_read_from_the_disk_and_changes_is_noticed(
    tmp_path: Path, change: Callable[[Path], object], *, in_memory: bool
) -> None:
    path = aged(tmp_path / "a", b"x" * (LARGE if in_memory else 9))
    with ANY_FILES.open(path, in_memory=in_memory) as file:
        file.check()
        change(path)
        with pytest.raises(FileChangedError, match=f"^{path}: the file changed during the render") as caught:
            file.check()
    assert caught.value.details == {"permanent": False}


def test_bytes_that_are_changed_and_put_back_are_noticed(tmp_path: Path) -> None:
    path = aged(tmp_path / "a", b"before")
    with ANY_FILES.open(path, in_memory=False) as file:
        assert file.sha256 == sha256(b"before")
        aged(path, b"meanti")
        time.sleep(0.02)  # time stamps have ticks of up to 10 ms
        aged(path, b"before")
        with pytest.raises(FileChangedError):
            file.check()


def test_children_without_descriptors_open_the_path_which_is_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_files, "DESCRIPTORS", tmp_path / "none")
    path = aged(tmp_path / "a", b"before")
    with ANY_FILES.open(path, in_memory=False) as file:
        assert file.descriptor is None
        file.check()
        path.rename(tmp_path / "b")
        aged(path, b"before")
        os.utime(tmp_path / "b", (1e9, 1e9))
        with pytest.raises(FileChangedError):
            file.check()


def test_a_file_that_is_opened_again_must_be_the_same_to_its_end(tmp_path: Path) -> None:
    path = aged(tmp_path / "a", b"x" * LARGE)
    known = sha256(b"x" * LARGE)
    with open_again(path, sha256=known) as file:
        assert file.stream.read(3) == b"xxx"
    with pytest.raises(FileChangedError), open_again(path, sha256=sha256(b"other")):
        pytest.fail("it has another hash")
    with pytest.raises(FileChangedError), open_again(path, sha256=known):
        path.write_bytes(b"y" * LARGE)
    with open_again(path, sha256="") as file:
        path.write_bytes(b"z" * LARGE)
    path.unlink()
    with pytest.raises(FileChangedError), open_again(path, sha256=known):
        pytest.fail("it is gone")
    with pytest.raises(FileNotFoundError), open_again(path, sha256=""):
        pytest.fail("it is gone")


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_a_path_that_is_not_a_file_is_refused_without_waiting(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    path = tmp_path / "a"
    make(path)
    for files in (ANY_FILES, InputFiles({path: tmp_path})):
        with pytest.raises((NotAFileError, IsADirectoryError)):
            files.open(path)
    with pytest.raises(FileNotFoundError):
        ANY_FILES.open(tmp_path / "gone")


# -- beneath a folder ------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "d" / "e").mkdir(parents=True)
    (root / "d" / "e" / "x").write_bytes(b"inside")
    (root / "top").write_bytes(b"inside")
    (tmp_path / "outside" / "e").mkdir(parents=True)
    (tmp_path / "outside" / "e" / "x").write_bytes(b"outside")
    (root / "link").symlink_to(tmp_path / "outside" / "e" / "x")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "within").symlink_to("d")
    return root


@pytest.mark.parametrize("way", [open_at_once, open_stepwise])
def test_a_file_beneath_a_folder_is_opened_and_no_link_is_followed(
    root: Path, way: Callable[[int, Path, int], int | None]
) -> None:
    opened = os.open(root, FOLDER_FLAGS)
    before = open_descriptors(root.parent)
    flags = os.O_RDONLY | os.O_NOFOLLOW
    try:
        for name in ("d/e/x", "top"):
            found = way(opened, Path(name), flags)
            assert found is not None
            assert os.read(found, 99) == b"inside"
            os.close(found)
        for name in ("link", "folder/e/x", "within/e/x", "gone", "d/gone/x", "top/x"):
            with pytest.raises(OSError, match=r"\[Errno"):
                way(opened, Path(name), flags)
        assert open_descriptors(root.parent) == before
    finally:
        os.close(opened)


@pytest.mark.parametrize("at_once", [True, False])
def test_links_that_are_swapped_in_do_not_lead_out_of_the_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, at_once: bool
) -> None:
    if not at_once:
        monkeypatch.setattr(input_files, "open_at_once", lambda root, inner, flags: None)
    path = root / "d" / "e" / "x"
    plain, files = Counter[bytes](), Counter[bytes]()
    with swapping("relink", root / "d", root / "d", root.parent / "outside"):
        # The plain way out of the folder shows that the swapper was quick enough.
        for _ in again_and_again(seconds=1, until=lambda: plain[b"outside"] and files[b"inside"]):
            for seen, how in ((plain, ANY_FILES), (files, InputFiles({path: root}))):
                try:
                    with how.open(path) as file:
                        seen[file.read()] += 1
                except (OSError, FileChangedError):
                    seen[b""] += 1
    assert files[b"outside"] == 0


def test_the_error_names_the_file_and_the_link(root: Path) -> None:
    for name in ("link", "folder/e/x"):
        with pytest.raises(FileChangedError) as caught:
            InputFiles({root / name: root}).open(root / name)
        assert str(caught.value) == f"{root / name}: a link took its place after it was checked"


# -- hashes that are remembered --------------------------------------------------------------------


@pytest.mark.parametrize("way", ["replace", "rewrite"])
@pytest.mark.parametrize("size", [300_000, LARGE])
def test_hash_and_bytes_agree_while_the_file_is_swapped(tmp_path: Path, way: Way, size: int) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode() * size)
    path = aged(tmp_path / "x", b"a" * size)
    seen, both = Counter[str](), {sha256(name * size) for name in (b"a", b"b")}
    with swapping(way, path, tmp_path / "a", tmp_path / "b"):
        for _ in again_and_again(seconds=1.5, until=lambda: size >= LARGE or both <= set(seen)):
            with ANY_FILES.open(path) as file:
                digest, data = file.sha256, file.read()
                try:
                    file.check()
                except FileChangedError:
                    seen["changed"] += 1
                else:
                    assert digest == sha256(data)
                    seen[digest] += 1
    assert size >= LARGE or not seen["changed"]


def test_a_hash_is_remembered_by_the_file_and_not_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_pipeline.engine.common.cache.SETTLED_NS", -1)  # as if it were old
    digests, hashed = FileDigests(), []
    own = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: hashed.append(1) or own(*given))  # type: ignore[func-returns-value]
    one, two = aged(tmp_path / "1", b"one"), aged(tmp_path / "2", b"two")
    for _ in range(3):
        assert (digests(one), digests(two)) == (sha256(b"one"), sha256(b"two"))
    assert len(hashed) == 2
    two.replace(one)
    assert digests(one) == sha256(b"two")


def test_the_hash_of_a_file_that_was_just_written_is_not_remembered(tmp_path: Path) -> None:
    path, digests = aged(tmp_path / "a", b"one"), FileDigests()
    digests(path)
    assert not digests._known


def test_few_hashes_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("video_pipeline.engine.common.cache.SETTLED_NS", -1)
    monkeypatch.setattr("video_pipeline.engine.common.cache.DIGESTS_KEPT", 3)
    assert DIGESTS_KEPT > 1000
    digests = FileDigests()
    for number in range(9):
        (tmp_path / str(number)).write_bytes(b"%d" % number)
        digests(tmp_path / str(number))
    assert sorted(digests._known.values()) == sorted(sha256(b"%d" % number) for number in (6, 7, 8))
