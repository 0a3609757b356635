"""Jobs whose pictures come from an image service over HTTP: published, killed, refused; paid for once."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.audit import processes_of
from tests.support.jobs import job_of, node_config, submit, tiny_story, turn_until, turn_until_ended
from tests.support.picture_setup import image_services, set_picture_environment
from tests.support.picture_vendors import PICTURE_KEY, PICTURE_VENDORS
from tests.support.service_fakes import Answer, Asked, ServiceFake, service_fake
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.jobs.model import Job, JobStatus
from video_pipeline.engine.jobs.node.running_node import RunningNode
from video_pipeline.engine.net.spending import PICTURES


@contextmanager
def asking(
    vendor: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **images: Any
) -> Iterator[tuple[RunningNode, ServiceFake]]:
    """Run a node whose operator has set up one image service, which its jobs may choose."""
    set_picture_environment(monkeypatch)
    with service_fake(PICTURE_VENDORS[vendor]()) as fake:
        services = {"services": image_services(fake, folder), "parallel_requests": 1, "timeout": 20, **images}
        with RunningNode(node_config(folder, images=services)) as node:
            turn_until(node, lambda: node.trouble is None, what="warm workers")
            yield node, fake
        assert processes_of(node.folders.state) == {}


def published(job: Job, name: str) -> dict[str, Any]:
    """Return a JSON file of a completed job."""
    assert job.status == JobStatus.COMPLETED, job.error_message
    assert job.result is not None
    content: dict[str, Any] = json.loads(Path(job.result[name]).read_text())
    return content


def test_a_job_has_its_pictures_from_the_service_that_it_chooses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"images": {"service": "stable_diffusion"}}
    with asking("stable_diffusion", tmp_path, monkeypatch) as (node, fake):
        job = turn_until_ended(node, submit(node.ledger, tiny_story("first"), config=chosen))
        manifest = published(job, "manifest_path")["pictures"]
        assert list(manifest["services"]) == ["a", "b"]
        assert manifest["drawn"] == {}
        assert "Words a" in manifest["services"]["a"]["prompt"]
        assert manifest["paid"][0]["pictures"] == len(fake.worked) == 2
        assert job.result is not None
        (media,) = job.result["metadata"]["generated_media"]
        assert (media["service"], media["scenes"]) == ("stable_diffusion", ["a", "b"])
        assert published(job, "metadata_path")["generated_media"] == [media]
        # The next job finds them in the node's cache, and a job that chooses none has drawn ones.
        again = turn_until_ended(node, submit(node.ledger, tiny_story("first"), config=chosen))
        assert published(again, "manifest_path")["pictures"]["services"] == manifest["services"]
        drawn = turn_until_ended(node, submit(node.ledger, tiny_story("drawn")))
        assert list(published(drawn, "manifest_path")["pictures"]["drawn"]) == ["a", "b"]
        assert "generated_media" not in published(drawn, "metadata_path")
        assert len(fake.worked) == 2
        log = node.folders.log(job.job_id, job.fence).read_text()
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        assert PICTURE_KEY.encode() not in path.read_bytes(), path
    assert PICTURE_KEY not in log


def test_a_worker_that_is_killed_while_it_waits_pays_again_only_for_what_was_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asking("stable_diffusion", tmp_path, monkeypatch, service="stable_diffusion") as (node, fake):
        killed, answer = threading.Event(), fake.vendor.answer

        def answer_late(asked: Asked) -> tuple[Answer, int]:
            if len(fake.worked) == 2:
                killed.wait(FAST_SECONDS)
            return answer(asked)

        monkeypatch.setattr(fake.vendor, "answer", answer_late)
        job_id = submit(node.ledger, tiny_story("killed"))
        turn_until(node, lambda: len(fake.worked) == 2, what="the second picture is under way")
        (slot,) = node.dispatcher._slots
        assert slot.worker is not None
        os.kill(slot.worker.pid, signal.SIGKILL)
        turn_until(node, lambda: job_of(node.ledger, job_id).attempts == 1, what="a failed attempt")
        killed.set()
        job = turn_until_ended(node, job_id)
        assert list(published(job, "manifest_path")["pictures"]["services"]) == ["a", "b"]
        bodies = [asked.body for asked in fake.worked]
        assert len(bodies) == 3
        assert bodies[1] == bodies[2]
        counted = json.loads((node.folders.state / PICTURES.file).read_text()).popitem()[1]
        assert counted == {"stable_diffusion": 3}


def test_a_service_that_refuses_its_key_is_replaced_or_fails_the_job_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asking("stable_diffusion", tmp_path, monkeypatch, service="stable_diffusion") as (node, fake):
        fake.faults.extend(["key"] * 2)
        job = turn_until_ended(node, submit(node.ledger, tiny_story("replaced")))
        assert list(published(job, "manifest_path")["pictures"]["drawn"]) == ["a", "b"]
        assert job.result is not None
        assert any("the key is refused" in warning for warning in job.result["warnings"])
        strict = {"images": {"fallback_enabled": False}}
        job = turn_until_ended(node, submit(node.ledger, tiny_story("strict"), config=strict))
        assert (job.status, job.attempts) == (JobStatus.FAILED, 1)
        assert "the key is refused" in (job.error_message or "")
        assert PICTURE_KEY not in str(job)
