"""Jobs on a node whose cache is small, gone or no folder: none fails or waits for it."""

from __future__ import annotations

from pathlib import Path

from tests.engine.test_lost_cache import deleted_again_and_again
from tests.support.audit import assert_sound
from tests.support.jobs import node_config, submit, tiny_story, turn_until_ended
from video_pipeline.engine.jobs.node.running_node import RunningNode


def test_jobs_are_rendered_while_the_cache_is_emptied(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    config = node_config(tmp_path, cache=cache, processing={"max_concurrent_jobs": 2})
    with RunningNode(config) as node, deleted_again_and_again(cache, folders_too=True):
        jobs = [submit(node.ledger, tiny_story(f"s{number % 2}"), max_attempts=1) for number in range(6)]
        for job_id in jobs:
            job = turn_until_ended(node, job_id)
            assert (job.status, job.interruptions, job.error_message) == ("completed", 0, None)
    assert_sound(node.folders, jobs)


def test_a_small_cache_keeps_its_bound_and_fails_no_job(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    config = node_config(
        tmp_path, cache=cache, processing={"max_concurrent_jobs": 2}, storage={"max_storage_gb": 2e-4}
    )
    with RunningNode(config) as node:
        jobs = [
            submit(node.ledger, tiny_story(f"s{number}", text=f"Words {number}"), max_attempts=1)
            for number in range(6)
        ]
        for job_id in jobs:
            assert turn_until_ended(node, job_id).status == "completed"
            total = sum(
                path.stat().st_size for path in cache.rglob("*.*") if path.exists() and path.is_file()
            )
            assert total <= 200_100
    assert_sound(node.folders, jobs)


def test_a_cache_that_is_no_folder_fails_no_job(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.write_text("no folder")
    with RunningNode(node_config(tmp_path, cache=cache)) as node:
        job = turn_until_ended(node, submit(node.ledger, tiny_story(), max_attempts=1))
        assert (job.status, job.interruptions) == ("completed", 0)
        assert "storage.cache_path" in node.folders.log(job.job_id, job.fence).read_text()
    assert_sound(node.folders, [job.job_id])
