"""Finished videos that are deleted to make room, and those that are never."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import yaml

from tests.engine.cli.test_validate_command import run
from tests.engine.jobs.node.test_publications import all_are, config_of
from tests.support.jobs import node_config, node_settings, submit, tiny_story, turn_until, turn_until_ended
from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.node.retention import (
    DAY_SECONDS,
    FinishedFolder,
    finished_folders,
    prune_videos,
    to_delete,
)
from video_pipeline.engine.jobs.node.running_node import RunningNode
from video_pipeline.engine.publish.due import carry_on_due
from video_pipeline.engine.publish.records import Publications, publications_path
from video_pipeline.engine.publish.states import PublicationState
from video_pipeline.engine.storage.local import RESULT

NOW = 1_800_000_000.0


def video(name: str, *, days: float, megabytes: int, deletable: bool = True) -> FinishedFolder:
    return FinishedFolder(
        job_id=name,
        path=Path(name),
        size=megabytes * 1_000_000,
        finished_at=NOW - days * DAY_SECONDS,
        deletable=deletable,
    )


VIDEOS = (
    video("kept", days=40, megabytes=500, deletable=False),
    video("old", days=31, megabytes=100),
    video("week", days=7, megabytes=300),
    video("today", days=0.1, megabytes=200),
)


@pytest.mark.parametrize(
    ("bounds", "chosen"),
    [
        ({}, []),
        ({"keep_output_days": 30}, ["old"]),
        ({"keep_output_days": 5}, ["old", "week"]),
        ({"max_output_gb": 1.1}, []),
        ({"max_output_gb": 1.0}, ["old"]),
        ({"max_output_gb": 0.9}, ["old", "week"]),
        ({"max_output_gb": 0.1}, ["old", "week", "today"]),
        ({"max_output_gb": 1.0, "keep_output_days": 5}, ["old", "week"]),
    ],
)
def test_the_oldest_are_deleted_first_and_never_what_is_not_delivered(
    tmp_path: Path, bounds: dict[str, float], chosen: list[str]
) -> None:
    config = node_config(tmp_path, storage=bounds)
    assert [each.job_id for each in to_delete(VIDEOS, config, now=NOW)] == chosen


def rendered(config: Config, *stories: dict[str, object]) -> list[str]:
    with RunningNode(config) as node:
        jobs = [submit(node.ledger, story) for story in stories]
        for job_id in jobs:
            turn_until_ended(node, job_id)
        wanted = sum(bool(story.get("publish")) for story in stories)
        turn_until(node, lambda: all_are(config, PublicationState.CONFIRMED, wanted), what="the posts")
    return jobs


def test_a_published_video_is_deleted_when_it_is_old_and_another_is_kept(
    tmp_path: Path, session_cache: Path
) -> None:
    config = config_of(tmp_path, session_cache)
    config = config.override("storage", keep_output_days=1.0)
    folders = Folders.of(config)
    shown, kept = rendered(
        config, {**tiny_story("shown"), "publish": [{"platform": "folder"}]}, tiny_story("kept")
    )
    assert prune_videos(config, folders, now=time.time()) == ()
    (other := folders.output / "another").mkdir()
    (other / RESULT).write_text("{}")
    old = time.time() - 2 * DAY_SECONDS
    for folder in (shown, kept):
        os.utime(folders.published(folder) / RESULT, (old, old))
    assert [each.job_id for each in prune_videos(config, folders, now=time.time())] == [shown]
    assert not folders.published(shown).exists()
    assert folders.published(kept).exists()
    assert other.exists(), "a folder of no job of this node is left alone"
    assert list(folders.stagings.iterdir()) == []
    anything = config.override("storage", deletable="finished")
    assert [each.job_id for each in finished_folders(anything, folders) if each.deletable] == [kept]
    with RunningNode(anything) as node:
        turn_until(node, lambda: not folders.published(kept).exists(), what="the node that prunes by itself")
        turn_until(node, lambda: node.retention.deleted_videos == 1, what="its count")


def test_a_video_that_somebody_posts_by_hand_is_kept_until_that_post_is_published(
    tmp_path: Path, session_cache: Path
) -> None:
    config = config_of(tmp_path, session_cache).override("storage", keep_output_days=1.0)
    folders = Folders.of(config)
    (job,) = rendered(config, {**tiny_story("shown"), "publish": [{"platform": "folder"}]})
    old = time.time() - 2 * DAY_SECONDS
    os.utime(folders.published(job) / RESULT, (old, old))
    records = Publications(publications_path(config))
    (done,) = records.listed()
    later = records.add(done.post, platform="folder", account="archive", due_at=time.time() + DAY_SECONDS)
    assert later.job_id is None
    assert prune_videos(config, folders, now=time.time()) == ()
    records.change(later.number, due_at=time.time() - 1)
    assert [each.state for each in carry_on_due(records, config)] == [PublicationState.CONFIRMED]
    records.close()
    assert [each.job_id for each in prune_videos(config, folders, now=time.time())] == [job]


def test_a_post_that_is_taken_up_again_by_hand_stays_one_of_its_job(
    tmp_path: Path, session_cache: Path
) -> None:
    config = config_of(tmp_path, session_cache)
    (job,) = rendered(config, {**tiny_story("shown"), "publish": [{"platform": "folder"}]})
    records = Publications(publications_path(config))
    (done,) = records.listed()
    second = records.add(done.post, platform="folder", account="second", job_id=job, due_at=time.time() + 99)
    records.cancel(second.number)
    again = records.add(done.post, platform="folder", account="second", due_at=time.time() + 99)
    assert (again.number, again.job_id, again.state) == (second.number, job, PublicationState.SCHEDULED)
    assert records.delivered_jobs() == set()
    records.close()


def test_the_command_shows_what_takes_space_and_prunes(tmp_path: Path, session_cache: Path) -> None:
    settings = node_settings(
        tmp_path, cache=session_cache, storage={"max_output_gb": 1e-9, "deletable": "finished"}
    )
    file = tmp_path / "node.yaml"
    file.write_text(yaml.safe_dump({"video_pipeline": settings}))
    done = run("storage", "--config", file)
    assert done.returncode == 2
    assert "has no ledger; name the state folder of a node" in done.stderr
    (job_id,) = rendered(node_config(tmp_path, cache=session_cache), tiny_story("one"))
    found = json.loads(run("storage", "--config", file, "--json").stdout)
    assert (found["videos"], found["deletable_videos"]) == (1, 1)
    assert found["bytes"]["videos"] > 10_000
    assert found["bytes"]["cache"] > 0
    done = run("storage", "--prune", "--config", file)
    assert done.returncode == 0, done.stderr
    assert f"deleted {job_id}" in done.stdout
    assert "0 finished videos" in done.stdout
    done = run("storage", "--prune", "--config", file)
    assert (
        "deleted nothing: storage.keep_output_days and storage.max_output_gb ask for nothing" in done.stdout
    )
    del settings["storage"]["max_output_gb"]
    file.write_text(yaml.safe_dump({"video_pipeline": settings}))
    done = run("storage", "--prune", "--config", file)
    assert "neither storage.keep_output_days nor storage.max_output_gb is set" in done.stdout
