"""The room that a node's folders must have before a job is taken or begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.jobs import node_config
from tests.support.ledgers import FakeClock
from video_pipeline.engine.jobs.free_space import CHECK_SECONDS, FreeSpace

FOLDERS = ("node.state_path", "storage.output_path", "storage.temp_path")


@pytest.mark.parametrize("name", FOLDERS)
def test_each_of_the_three_folders_is_looked_at(tmp_path: Path, name: str) -> None:
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
