"""Disks that fill up in the middle of a job, on small file systems of their own (needs root)."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.audit import assert_sound
from tests.support.disks import small_disk
from tests.support.jobs import job_of, node_config, submit, tiny_story, turn_until, turn_until_ended
from tests.support.process_state import stop
from video_pipeline.engine.jobs.node.running_node import RunningNode


def fill(folder: Path) -> Path:
    """Leave no room on a folder's file system."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass
    return filler


@pytest.mark.parametrize("section", ["storage.output_path", "node.state_path"])
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


def test_a_job_is_rendered_without_a_cache_whose_disk_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", megabytes=4) as small:
        config = node_config(tmp_path, cache=small / "cache", node={"min_free_mb": 0})
        with RunningNode(config) as node:
            filler = fill(small)
            first = submit(node.ledger, tiny_story(), max_attempts=1)
            assert turn_until_ended(node, first).status == "completed"
            assert job_of(node.ledger, first).interruptions == 0
            filler.unlink()
            for _ in range(2):
                again = submit(node.ledger, tiny_story(), max_attempts=1)
                assert turn_until_ended(node, again).status == "completed"
            result = job_of(node.ledger, again).result
            assert result is not None
            assert result["segments_from_cache"] > 0
        assert_sound(node.folders, [first])


def disk_filler(folder: Path, *, seconds: float = 120) -> dict[str, Any]:
    """Return a story of noise: without loss a second of it takes several megabytes."""
    noise = np.random.default_rng(1).integers(0, 256, (568, 320, 3), np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    scene = {"scene_id": "a", "image": str(folder / "noise.png"), "narration": "", "duration": seconds}
    return {"id": "filler", "title": "Noise", "scenes": [scene]}


LOSSLESS = {"video": {"crf": 0, "size": [320, 568], "fps": 60}}


@pytest.mark.parametrize("min_free_mb", [0, 12], ids=["found when it fails", "found by the reserve"])
def test_a_job_that_fills_a_disk_is_charged_for_it_and_others_are_rendered(
    tmp_path: Path, session_cache: Path, min_free_mb: float
) -> None:
    with small_disk(tmp_path / "small", megabytes=48) as small:
        node_own = {"min_free_mb": min_free_mb, "asset_roots": [str(tmp_path)]}
        config = node_config(
            tmp_path,
            cache=tmp_path / "own",
            node=node_own | {"state_path": str(small / "state")},
            storage={"output_path": str(small / "out"), "max_storage_gb": 1e-6},
            processing={"retry_backoff_multiplier": 1},
        )
        with RunningNode(config) as node:
            filler = submit(node.ledger, disk_filler(tmp_path), config=LOSSLESS, max_attempts=2)
            job = turn_until_ended(node, filler, seconds=120)
            assert (job.status, job.error_type, job.attempts) == ("failed", "DiskLimit", 2)
            assert "its own files filled the disk" in (job.error_message or "")
            after = submit(node.ledger, tiny_story("after"), max_attempts=1)
            assert turn_until_ended(node, after).status == "completed"
        assert_sound(node.folders, [filler, after])


def test_an_attempt_over_its_quota_of_disk_is_killed_and_charged(tmp_path: Path, session_cache: Path) -> None:
    config = node_config(
        tmp_path, cache=session_cache, node={"worker_disk_mb": 8, "asset_roots": [str(tmp_path)]}
    )
    with RunningNode(config) as node:
        job_id = submit(node.ledger, disk_filler(tmp_path), config=LOSSLESS, max_attempts=1)
        job = turn_until_ended(node, job_id, seconds=60)
        assert (job.status, job.error_type, job.attempts) == ("failed", "DiskLimit", 1)
        assert "node.worker_disk_mb" in (job.error_message or "")
    assert_sound(node.folders, [job_id])


def test_the_ledger_has_room_for_the_ends_of_jobs_on_a_disk_that_others_have_filled(
    tmp_path: Path, session_cache: Path
) -> None:
    with small_disk(tmp_path / "small", megabytes=48) as small:
        config = node_config(
            tmp_path, cache=session_cache, node={"min_free_mb": 16, "state_path": str(small / "state")}
        )
        with RunningNode(config) as node:
            turn_until(node, lambda: node.trouble is None, what="warm workers")
            turn_until(node, node.folders.reserve.exists, what="the reserve")
            assert node.folders.reserve.stat().st_blocks * 512 == 2_002_944  # an eighth of 16 MB, in pages
            worker = node.dispatcher._slots[0].worker
            assert worker is not None
            stop(worker.pid)  # the attempt must not end before the disk is full
            job_id = submit(node.ledger, tiny_story(seconds=30), max_attempts=1)
            turn_until(node, lambda: node.dispatcher.running == 1, what="an attempt")
            filler = fill(small)
            os.kill(worker.pid, signal.SIGCONT)
            turn_until(node, lambda: node.dispatcher.running == 0, what="its end")
            turn_until(node, lambda: job_of(node.ledger, job_id).interruptions == 1, what="its record")
            assert job_of(node.ledger, job_id).status == "queued"
            filler.unlink()
            assert turn_until_ended(node, job_id).status == "completed"
            turn_until(node, lambda: node.folders.reserve.stat().st_blocks > 0, what="the reserve again")
        assert_sound(node.folders, [job_id])
