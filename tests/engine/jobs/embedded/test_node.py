"""A node in a thread of another program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.audit import assert_sound, processes_of
from tests.support.jobs import is_rendering, job_of, long_story, node_config, submit, tiny_story
from tests.support.waiting import wait_until
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.embedded.node import LocalNode


def test_a_node_renders_jobs_submitted_before_and_during_its_start(
    tmp_path: Path, session_cache: Path
) -> None:
    node = LocalNode(node_config(tmp_path, cache=session_cache))
    with node.ledger() as ledger:
        before = submit(ledger, tiny_story("before"))
        with node:
            meanwhile = submit(ledger, tiny_story("meanwhile"))
            for job_id in (before, meanwhile):
                wait_until(
                    lambda job_id=job_id: job_of(ledger, job_id).status == "completed", what="completed"
                )
        assert not node.running
        assert_sound(node.folders, [before, meanwhile])


def test_a_job_may_set_its_quality(tmp_path: Path, session_cache: Path) -> None:
    config = node_config(tmp_path, cache=session_cache, video={"crf": None})
    with LocalNode(config) as node, node.ledger() as ledger:
        job_id = submit(ledger, tiny_story("aimed"), config={"video": {"quality": 92}})
        wait_until(lambda: job_of(ledger, job_id).status == "completed", what="completed")
        result = job_of(ledger, job_id).result
        assert result is not None
    manifest = json.loads(Path(result["manifest_path"]).read_text(encoding="utf-8"))
    assert manifest["encoder"]["options"]["quality"] == 92
    assert all("crf" in segment for segment in manifest["segments"])


def test_a_node_stopped_without_draining_queues_its_job_again_and_continues_after_a_restart(
    tmp_path: Path, session_cache: Path
) -> None:
    node = LocalNode(node_config(tmp_path, cache=session_cache))
    with node.ledger() as ledger:
        node.start()
        node.start()  # nothing to do
        job_id = submit(ledger, long_story())
        wait_until(lambda: is_rendering(ledger, job_id), what="frames")
        node.stop(drain=False)
        assert processes_of(node.folders.state) == {}
        assert (job_of(ledger, job_id).status, job_of(ledger, job_id).interruptions) == ("queued", 1)
        node.start()
        wait_until(lambda: job_of(ledger, job_id).status == "completed", seconds=300, what="completed")
        node.stop()
        assert_sound(node.folders, [job_id])


def test_a_state_folder_in_use_is_refused_in_the_callers_thread(tmp_path: Path, session_cache: Path) -> None:
    config = node_config(tmp_path, cache=session_cache)
    with LocalNode(config):
        second = LocalNode(config)
        with pytest.raises(ConfigError, match=r"node\.state_path"):
            second.start()
        assert not second.running
