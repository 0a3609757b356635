"""The room that a node's folders must have before a job is taken or begun."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.disks import small_disk
from tests.support.jobs import node_config
from tests.support.ledgers import FakeClock
from video_pipeline.engine.jobs.free_space import (
    CHECK_SECONDS,
    FreeSpace,
    free_by_folder,
    free_inodes,
    used_bytes,
)

FOLDERS = ("node.state_path", "storage.output_path", "storage.temp_path")


@pytest.mark.parametrize("name", FOLDERS)
def test_the_free_space_of_each_of_the_three_folders_is_checked(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    section, key = name.split(".")
    config = node_config(tmp_path, **{section: {key: str(tmp_path / "file" / "inner")}})
    assert FreeSpace(config).shortage() == f"{name}: Not a directory"


def test_too_little_free_space_is_reported_with_the_required_amount(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    shortage = FreeSpace(node_config(tmp_path, node={"min_free_mb": 1e12})).shortage()
    assert shortage.startswith("storage.output_path: ")
    assert shortage.endswith(" MB free; node.min_free_mb requires 1000000000000")


def test_a_folder_that_is_yet_to_be_made_is_no_shortage(tmp_path: Path) -> None:
    temp = {"temp_path": str(tmp_path / "temp")}
    assert FreeSpace(node_config(tmp_path, node={"min_free_mb": 1e12}, storage=temp)).shortage() == ""


def test_the_disks_are_asked_once_a_second(tmp_path: Path) -> None:
    out, clock = tmp_path / "out", FakeClock()
    out.touch()
    config = node_config(tmp_path, storage={"output_path": str(out / "inner")})
    space = FreeSpace(config, clock=clock)
    assert space.shortage() == "storage.output_path: Not a directory"
    out.unlink()
    clock.run(CHECK_SECONDS / 2)
    assert space.shortage() != ""
    clock.run(CHECK_SECONDS / 2)
    assert space.shortage() == ""


def test_a_disk_without_a_free_inode_is_a_shortage(tmp_path: Path) -> None:
    with small_disk(tmp_path / "out", "nr_inodes=8") as small:
        space = FreeSpace(node_config(tmp_path, node={"min_free_mb": 0}))
        assert space.shortage_now() == ""
        for number in range(7):
            (small / str(number)).touch()
        assert not free_inodes(small)
        assert (
            space.shortage_now() == "storage.output_path: no inode is free; delete files of its file system"
        )


def test_the_files_of_an_attempt_are_counted_but_not_those_that_the_cache_has_too(tmp_path: Path) -> None:
    work, kept = tmp_path / "work", tmp_path / "kept"
    (work / "inner").mkdir(parents=True)
    (work / "inner" / "own").write_bytes(bytes(100_000))
    kept.write_bytes(bytes(500_000))
    os.link(kept, work / "shared")
    (work / "link").symlink_to(kept)
    log = tmp_path / "log"
    log.write_bytes(bytes(8192))
    assert 108_192 <= used_bytes(work, log, tmp_path / "gone") < 130_000


def test_the_free_bytes_of_folders_that_are_there_are_told(tmp_path: Path) -> None:
    config = node_config(tmp_path, storage={"temp_path": str(tmp_path), "output_path": str(tmp_path)})
    found = free_by_folder(config)
    assert set(found) == {"output", "temp"}  # the state folder is made when the node starts
    assert 0 < found["temp"] < shutil.disk_usage(tmp_path).total
    config.state_dir().mkdir()
    assert set(free_by_folder(config)) == {"state", "output", "temp"}
