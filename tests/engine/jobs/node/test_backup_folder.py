"""A folder of dated backups: the newest are kept, and nothing is deleted for a backup that could not be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.jobs import node_config, submit, tiny_story
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.backup import restore_backup
from video_pipeline.engine.jobs.node.backup_folder import make_dated_backup

OLD = [f"node-2020010{day}T030000Z.tar.gz" for day in range(1, 6)]
OTHERS = ["node.tar.gz", "node-20200101T030000Z.tar.gz.old", "notes.txt"]


def a_node(folder: Path) -> Config:
    config = node_config(folder)
    folders = Folders.of(config)
    folders.make()
    with Ledger(folders.ledger) as ledger:
        submit(ledger, tiny_story("kept"))
    return config


def a_folder(folder: Path) -> Path:
    folder.mkdir()
    for name in (*OLD, *OTHERS):
        (folder / name).write_bytes(b"old")
    return folder


def test_the_newest_backups_are_kept_and_other_files_are_left_alone(tmp_path: Path) -> None:
    config, backups = a_node(tmp_path), a_folder(tmp_path / "backups")
    summary = make_dated_backup(config, backups, keep=3)
    names = {path.name for path in backups.iterdir()}
    assert names == {*OLD[3:], *OTHERS, summary.path.name}
    assert restore_backup(config.override("node", state_path=tmp_path / "again"), summary.path).jobs == {
        "queued": 1
    } | dict.fromkeys(("processing", "completed", "failed", "cancelled"), 0)


def test_the_new_backup_is_kept_even_if_the_clock_went_back(tmp_path: Path) -> None:
    config, backups = a_node(tmp_path), tmp_path / "backups"
    backups.mkdir()
    later = [backups / f"node-299901{day:02}T030000Z.tar.gz" for day in (1, 2)]
    for path in later:
        path.write_bytes(b"")
    summary = make_dated_backup(config, backups, keep=1)
    assert list(backups.iterdir()) == [summary.path]


def test_nothing_is_deleted_if_no_backup_is_made(tmp_path: Path) -> None:
    config, backups = node_config(tmp_path), a_folder(tmp_path / "backups")
    with pytest.raises(InputError, match="has no ledger"):
        make_dated_backup(config, backups, keep=1)
    assert {path.name for path in backups.iterdir()} == {*OLD, *OTHERS}


def test_a_number_below_one_and_a_folder_that_is_missing_are_refused(tmp_path: Path) -> None:
    config = a_node(tmp_path)
    with pytest.raises(InputError, match="--keep: got 0; allowed: 1 or more"):
        make_dated_backup(config, tmp_path, keep=0)
    with pytest.raises(InputError, match="is not a folder; --keep needs one that exists"):
        make_dated_backup(config, tmp_path / "missing", keep=1)


def test_the_command_takes_the_folder_and_the_number(tmp_path: Path) -> None:
    a_node(tmp_path)
    backups = a_folder(tmp_path / "backups")
    file = tmp_path / "node.yaml"
    file.write_text(
        f"node: {{state_path: {tmp_path / 'state'}}}\nstorage: {{output_path: {tmp_path / 'out'}}}\n"
    )
    done = run("backup", backups, "--keep", "2", "--config", file)
    assert done.returncode == 0, done.stderr
    assert "holds jobs: 1 queued" in done.stdout
    assert len([path for path in backups.iterdir() if path.name not in OTHERS]) == 2
