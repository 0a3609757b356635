"""The folders of a node: private, and locked for one node."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.disks import small_disk
from tests.support.jobs import node_config, submit, tiny_story
from tests.support.other_user import without_root
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.errors import LedgerMoved
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.running_node import NodeLock


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders.of(node_config(tmp_path))


def modes(folders: Folders) -> dict[str, str]:
    found = (folders.state, *folders.state.iterdir())
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in found}


def test_folders_and_files_that_others_could_read_are_closed_to_them(folders: Folders) -> None:
    folders.make()
    with Ledger(folders.ledger):
        NodeLock(folders.lock).close()
        for path in (folders.state, *folders.state.iterdir()):
            path.chmod(0o777 if path.is_dir() else 0o666)
        folders.make()
        assert set(modes(folders).values()) == {"0o700", "0o600"}
        assert {"ledger.sqlite3", "ledger.sqlite3-wal", "node.lock", "inbox"} <= modes(folders).keys()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user and act as one")
def test_a_state_folder_of_another_user_that_others_may_read_is_refused(
    folders: Folders, tmp_path: Path
) -> None:
    folders.make()
    folders.state.chmod(0o777)
    for parent in (tmp_path, *tmp_path.parents):
        if not stat.S_IMODE(parent.stat().st_mode) & 0o001:
            pytest.skip(f"other users cannot enter {parent}")
    with without_root(), pytest.raises(ConfigError, match=r"others may read .* cannot be changed"):
        folders._close_to_others()


def test_no_second_node_starts_after_the_lock_file_was_deleted(folders: Folders) -> None:
    folders.make()
    lock = NodeLock(folders.lock)
    try:
        folders.lock.unlink()
        with pytest.raises(ConfigError, match="is in use by another node"):
            NodeLock(folders.lock)
        assert lock.restore()
        assert folders.lock.read_text() == f"{os.getpid()}\n"
        assert not lock.restore()
        with pytest.raises(ConfigError, match=f"process {os.getpid()}"):
            NodeLock(folders.lock)
    finally:
        lock.close()
    NodeLock(folders.lock).close()


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced", "the folder moved"])
def test_a_moved_ledger_acknowledges_nothing(folders: Folders, how: str) -> None:
    folders.make()
    with Ledger(folders.ledger) as ledger:
        submit(ledger, tiny_story("before"))
        aside = folders.ledger.with_name("aside")
        if how == "the folder moved":
            folders.state.rename(folders.state.with_name("elsewhere"))
        elif how == "deleted":
            folders.ledger.unlink()
        else:
            folders.ledger.rename(aside)
            if how == "replaced":
                shutil.copy(aside, folders.ledger)
        assert not ledger.file.in_place
        for _ in range(2):
            with pytest.raises(LedgerMoved, match="was moved, deleted or replaced"):
                submit(ledger, tiny_story("after"))
        if how == "moved":
            aside.rename(folders.ledger)
            submit(ledger, tiny_story("after"))
            assert [job.story_id for job in ledger.jobs.page()] == ["after", "before"]


def test_a_state_folder_on_a_read_only_disk_is_not_taken_for_one_in_use(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(ConfigError, match=r"disk: cannot be locked: Read-only file system"):
            NodeLock(disk / "node.lock")
