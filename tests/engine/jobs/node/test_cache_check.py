"""Whether the cache can be written, seen from the side."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from video_pipeline.engine.jobs.node import cache_check
from video_pipeline.engine.jobs.node.cache_check import CacheCheck


def test_a_fault_of_the_cache_comes_and_goes(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.write_text("")
    disk = tmp_path / "disk"
    folder = disk / "cache"
    point(disk, good)
    check = CacheCheck(folder, every_seconds=0.01)
    try:
        wait_until(folder.is_dir)
        assert check.fault is None
        wait_until(lambda: list(folder.iterdir()) == [])
        point(disk, bad)
        # Which of the two depends on how far the check was when the link changed.
        faults = [
            f"storage.cache_path: {folder} cannot be written: {why}"
            for why in ("Not a directory", "File exists")
        ]
        wait_until(lambda: check.fault in faults)
        point(disk, good)
        wait_until(lambda: check.fault is None)
    finally:
        check.close()


def point(link: Path, target: Path) -> None:
    """Make a link, or point it elsewhere in one step: the check creates missing folders at any moment."""
    new = link.with_name("new")
    new.symlink_to(target)
    new.replace(link)


def test_a_disk_that_does_not_answer_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()
    monkeypatch.setattr(cache_check, "LATE_SECONDS", 0.05)
    monkeypatch.setattr(cache_check, "cache_fault", lambda folder: answer.wait(20) and None)
    check = CacheCheck(tmp_path, every_seconds=0.05)
    try:
        wait_until(lambda: check.fault is not None)
        assert check.fault == f"storage.cache_path: {tmp_path} does not answer"
    finally:
        answer.set()
        check.close()
