"""What tests of the page set up on a node without workers."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.ledgers import claim, submit
from tests.support.web import WebNode
from video_pipeline.engine.jobs.model import Failure
from video_pipeline.engine.jobs.node_messages import CacheView, DiskView, GpuView, MachineView
from video_pipeline.engine.publish.base import Handle, Post
from video_pipeline.engine.publish.records import Publications, publications_path
from video_pipeline.engine.publish.states import PublicationState


def opened(page: Page, node: WebNode, place: str = "") -> Page:
    page.goto(f"{node.url}/{place}")
    expect(page.locator("#connection")).to_have_text("live")
    return page


def machine(name: str = "one", **fields: Any) -> MachineView:
    known: dict[str, Any] = {
        "state": "ready",
        "version": "0.1.0",
        "cores": 2,
        "memory_bytes": 8_000_000_000,
        "slots": 2,
        "warm": 2,
        "running": 0,
        "gpus": (GpuView(name="<i>GPU</i>", memory_mib=8192, driver="1"),),
        "disks": (DiskView(folder="state", free_bytes=10**9, total_bytes=10**10),),
        "cache": CacheView(bytes=123_456, files=7, segments=10, segments_from_cache=4),
        "started_at": datetime.now(UTC),
        "seen_at": datetime.now(UTC),
    }
    return MachineView(name=name, **(known | fields))


def failed_job(node: WebNode, **values: Any) -> str:
    """Return a job that has failed; no other is queued with high priority."""
    with node.ledger() as ledger:
        job_id = submit(ledger, "failed", priority="high", **values)
        attempt = claim(ledger)
        assert attempt.job_id == job_id
        ledger.attempts.fail(
            job_id, attempt.fence, Failure("permanent", "StoryError", "no <b>scene</b>"), retry_in=None
        )
        return job_id


def unknown_publication(node: WebNode, title: str, owner: str = "local") -> int:
    """Return the number of a publication whose platform could not tell what became of it."""
    records = Publications(publications_path(node.config))
    try:
        post = Post(
            video=node.folders.output / f"{title[:8]}.mp4",
            sha256=hashlib.sha256(title.encode()).hexdigest(),
            size=1,
            duration=1,
            title=title,
        )
        made = records.add(post, platform="folder", account="default", owner=owner)
        made = records.move(made, PublicationState.SAVED, handle=Handle(fields={"id": 1}))
        return records.move(made, PublicationState.UNKNOWN).number
    finally:
        records.close()
