"""What `doctor` says about the accounts that videos are published and delivered on; no platform is asked."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from video_pipeline.engine.config import Config
from video_pipeline.engine.config.families import PUBLISHERS
from video_pipeline.engine.errors import PipelineError
from video_pipeline.engine.publish.accounts import AccountFiles, ConnectedAccount, warning_of
from video_pipeline.engine.publish.specs import check_node_specs, connect_account, publisher


def examine_accounts(config: Config) -> list[dict[str, Any]]:
    """Return each account of the configuration, whether it can be used, and until when it is connected or why not."""
    found = []
    for platform in PUBLISHERS.names:
        for account in sorted(getattr(config.publishing.accounts, platform)):
            works, reason = _examined_account(config, platform, account)
            found.append({"platform": platform, "account": account, "works": works, "reason": reason})
    return found


def delivery_problems(config: Config) -> list[str]:
    """Return why a node with this configuration would not start: it could not publish where it should."""
    try:
        check_node_specs(config)
    except PipelineError as error:
        return [str(error)]
    return []


def _examined_account(config: Config, platform: str, account: str) -> tuple[bool, str]:
    try:
        record = publisher(platform)
        connect_account(config, platform=platform, account=account)
        if not record.is_connected:
            missing = record.lacks(config, account) if record.lacks is not None else None
            return missing is None, missing or "is set up"
        stored = AccountFiles.of(config).load(platform, account, ConnectedAccount)
    except PipelineError as error:
        return False, str(error)
    now = time.time()
    is_over = stored.ends_at is not None and stored.ends_at <= now
    return not is_over, "; ".join(
        filter(None, (f"connected {stored.end_words}", warning_of(stored, now=now)))
    )


def account_lines(accounts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a line for each account."""
    return [
        f"account       {'yes' if each['works'] else 'no '} {each['platform']}/{each['account']}: {each['reason']}"
        for each in accounts
    ]
