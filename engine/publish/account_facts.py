"""What the account of a post adds to the facts of its video: how long it is connected, and how many posts are left."""

from __future__ import annotations

import time

from video_pipeline.engine.config import Config
from video_pipeline.engine.publish.accounts import AccountFiles, ConnectedAccount
from video_pipeline.engine.publish.facts import Fact
from video_pipeline.engine.publish.rules import Reason, check_facts, platform_table
from video_pipeline.engine.publish.specs import connect_account

DAY_SECONDS = 86_400.0


def account_facts(config: Config, *, platform: str, account: str) -> dict[str, Fact]:
    """Return the facts of an account of a table's publisher; the platform is asked for its quota.

    Raises ConfigError for an account that is not set up or not connected, ServiceError if the platform does not answer.
    """
    publisher = platform_table(platform).publisher
    calls = connect_account(config, platform=publisher, account=account)
    stored = AccountFiles.of(config).load(publisher, account, ConnectedAccount)
    facts: dict[str, Fact] = {}
    if stored.ends_at is not None:
        facts["token_days"] = round((stored.ends_at - time.time()) / DAY_SECONDS, 1)
    if float(facts.get("token_days", 1.0)) > 0:
        quota = calls.quota()
        if quota is not None:
            facts["quota_left"] = max(0, quota.limit - quota.used)
    return facts


def check_account(config: Config, *, platform: str, account: str) -> list[Reason]:
    """Return why an account cannot publish now, or soon no longer can; raises as `account_facts` does."""
    return check_facts(platform, account_facts(config, platform=platform, account=account))
