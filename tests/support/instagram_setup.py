"""A connected account on the fake of Instagram, and a post of it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.engine.publish.test_carry_on import a_post
from tests.support.instagram_fake import (
    APP_ID,
    APP_SECRET,
    DAY,
    PERSON_ID,
    USER_ID,
    USERNAME,
    InstagramFake,
)
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.net.retry import RetryPolicy
from video_pipeline.engine.publish.accounts import AccountFiles
from video_pipeline.engine.publish.base import Post
from video_pipeline.engine.publish.carry_on import CarryOn
from video_pipeline.engine.publish.instagram import InstagramCalls, instagram_calls
from video_pipeline.engine.publish.meta_login import MetaAccount
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import Publications
from video_pipeline.engine.publish.states import PublicationState

S = PublicationState
CONTENT = bytes(range(256)) * 2400 + b"the last part"


def connected(fake: InstagramFake, folder: Path, *, lives: float = 60 * DAY, **keys: Any) -> Config:
    """Return the configuration of an account with a token that the fake knows."""
    account = {"endpoint": fake.url, "timeout": 3.0, "upload_timeout": 5.0, **keys}
    config = load_config(
        {
            "node": {"state_path": str(folder / "state")},
            "publishing": {"accounts": {"instagram": {"default": account}}},
        },
        environ=False,
    )
    now = time.time()
    stored = MetaAccount(
        app_id=APP_ID,
        app_secret=APP_SECRET,
        access_token=fake.vendor.new_token(lives=lives),
        issued_at=now - 2 * DAY,
        added_at=now - 2 * DAY,
        ends_at=now + lives,
        user_id=USER_ID,
        username=USERNAME,
        person_id=PERSON_ID,
    )
    AccountFiles.of(config).save("instagram", "default", stored)
    return config


def quick(config: Config, now: list[float] | None = None) -> InstagramCalls:
    calls = instagram_calls(config, "default")
    graph = replace(calls.graph, policy=RetryPolicy(attempts=3, first_wait=0.01))
    clock = (lambda: now[0]) if now else time.time
    return replace(calls, graph=graph, tokens=replace(calls.tokens, graph=graph, clock=clock), clock=clock)


def full_post(folder: Path, content: bytes = CONTENT) -> Post:
    (folder / "thumb.jpg").write_bytes(b"\xff\xd8jpeg")
    return a_post(folder, content).model_copy(
        update={
            "description": "Of the sea",
            "hashtags": ("#sea", "#lighthouse"),
            "thumbnail": folder / "thumb.jpg",
            "generated": True,
        }
    )


def published(
    fake: InstagramFake, config: Config, post: Post, state: Path, *, days: float = 5, skew: float = 0.0
) -> Publication:
    """Publish a post, however often Instagram must be asked; the fake's clock goes with ours, which `skew` is ahead."""
    began = time.time()
    now = [began + skew]
    records = Publications(state / "publications.sqlite3", clock=lambda: now[0])
    records.add(post, platform="instagram", account="default")
    while now[0] < began + skew + days * DAY:
        found = CarryOn(records=records).run(1, quick(config, now))
        is_over = found.state not in (S.PREPARED, S.SAVED, S.COMMITTED)
        if is_over and (found.state is not S.CONFIRMED or found.is_complete):
            break
        now[0] = max(found.due_at, now[0])
        fake.vendor.ahead = now[0] - skew - time.time()
    records.close()
    return found
