"""What stands wrong in a node's files: publications that wait for a person, accounts that end, dead letters."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import PipelineError
from video_pipeline.engine.notify.outbox import DAY_SECONDS, Outbox
from video_pipeline.engine.publish.accounts import AccountFiles, ConnectedAccount
from video_pipeline.engine.publish.records import Publications, publications_path
from video_pipeline.engine.publish.states import PublicationState

EXPIRES_SECONDS: Final = 7 * DAY_SECONDS
NAMED: Final = 10
"""Publications that one alert names."""


def standing_causes(config: Config, outbox: Outbox) -> dict[str, dict[str, str]]:
    """Return causes with details, by how the names of their kind begin."""
    dead = outbox.numbers()["dead"]
    told = f"{dead:g} not delivered: see `video-pipeline webhooks list --state dead`"
    return {
        "dead letters": {"": told} if dead else {},
        "publications ": _waiting_publications(publications_path(config)),
        "account ": _ending_accounts(AccountFiles.of(config)),
    }


def _waiting_publications(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        records = Publications(path)
        try:
            found = {
                str(state): records.listed(state=state)
                for state in (PublicationState.HELD, PublicationState.UNKNOWN)
            }
        finally:
            records.close()
    except PipelineError as error:
        return {"cannot be read": str(error)}
    return {
        state: "; ".join(f"{each.name}: {each.error or each.post.title}" for each in publications[:NAMED])
        for state, publications in found.items()
        if publications
    }


def _ending_accounts(files: AccountFiles) -> dict[str, str]:
    """Return the accounts whose access ends within a week, and those that cannot be read."""
    found = {}
    for platform in sorted(path.name for path in files.folder.glob("*") if path.is_dir()):
        for name in files.names(platform):
            try:
                account = files.load(platform, name, ConnectedAccount)
            except PipelineError as error:
                found[f"{platform}/{name} cannot be used"] = str(error)
                continue
            if account.ends_at is not None and account.ends_at - time.time() < EXPIRES_SECONDS:
                connect = f"connect it again: `video-pipeline accounts add {platform} {name}`"
                found[f"{platform}/{name} expires"] = f"connected {account.end_words}; {connect}"
    return found
