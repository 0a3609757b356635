"""Disks that fill up in the middle of a job, on small file systems of their own (needs root)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.audit import assert_sound
from tests.support.jobs import job_of, node_config, submit, tiny_story, turn_until, turn_until_ended
from video_pipeline.engine.jobs.node.running_node import RunningNode


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Path]:
    """Mount a file system of a size on a folder while the block runs."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no room on a folder's file system."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(bytes(65536))
                file.flush()
        except OSError:
            pass
    return filler


@pytest.mark.parametrize("section", ["storage.output_path", "storage.cache_path", "node.state_path"])
def test_a_full_disk_is_not_charged_to_the_job_which_is_done_when_there_is_room(
    tmp_path: Path, session_cache: Path, section: str
) -> None:
    with small_disk(tmp_path / "small", megabytes=24) as small:
        part, key = section.split(".")
        sections = {part: {key: str(small / "here")}}
        node_own = {"min_free_mb": 0} | sections.pop("node", {})
        config = node_config(tmp_path, cache=session_cache, node=node_own, **sections)
        with RunningNode(config) as node:
            turn_until(node, lambda: node.trouble is None, what="warm workers")
            job_id = submit(node.ledger, tiny_story(), max_attempts=1)
            filler = fill(small)
            for _ in range(100):
                node.turn()
            if part == "storage":
                turn_until(node, lambda: job_of(node.ledger, job_id).interruptions > 0, what="a setback")
            assert not job_of(node.ledger, job_id).status.is_terminal
            assert not node.folders.published(job_id).exists()
            filler.unlink()
            job = turn_until_ended(node, job_id)
            assert (job.status, job.attempts) == ("completed", 1)  # of one: the setbacks were not charged
        assert_sound(node.folders, [job_id])
