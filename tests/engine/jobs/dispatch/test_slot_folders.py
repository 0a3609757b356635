"""The folders of a machine's slots, which one slot at a time makes."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from tests.support.jobs import node_config
from video_pipeline.engine.jobs.dispatch.ray_slot import make_slot
from video_pipeline.engine.jobs.folders import Folders


def folders_of(machine: Path, name: str) -> Folders:
    return Folders.of(node_config(machine).override("node", state_path=machine / "slots" / name))


def test_a_slot_whose_folders_cannot_be_made_holds_up_no_other_slot(tmp_path: Path) -> None:
    place = tmp_path / "slots"
    place.mkdir()
    (place / "a file").touch()
    with pytest.raises(NotADirectoryError):
        make_slot(folders_of(tmp_path, "1"))
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # while the one that failed still says why
    finally:
        os.close(descriptor)
    (place / "a file").unlink()
    folders = folders_of(tmp_path, "2")
    make_slot(folders)
    assert folders.state.is_dir()
