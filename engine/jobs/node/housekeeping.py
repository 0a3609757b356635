"""Delete what a node no longer needs: old ended jobs, their logs, and assets of no job."""

from __future__ import annotations

import logging
import shutil
from typing import Any

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.folders import Folders, parse_attempt_name
from video_pipeline.engine.jobs.inputs.inbox import INBOX_PREFIX, inbox_names, sweep_inbox
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.collect import read_before_purge
from video_pipeline.engine.notify.outbox import OutboxError

logger = logging.getLogger(__name__)

EVERY_SECONDS = 86400.0

INBOX_SECONDS = 3600.0
"""How long an inline asset without a job is kept: its job may be about to be committed."""


def purge(ledger: Ledger, folders: Folders, config: Config) -> dict[str, int]:
    """Delete jobs that ended more than node.keep_days ago, logs and inline assets of no job; return the counts.

    Notifications of their events are stored before; if that fails, the jobs stay until the next time.
    """
    try:
        read_until = read_before_purge(ledger, config)
        jobs = ledger.jobs.purge(config.node.keep_days, read_until=read_until)
    except OutboxError as error:
        logger.error("no old job is deleted: %s", error)
        jobs = 0
    files = 0
    for log in folders.logs.glob("job-*.log"):
        attempt = parse_attempt_name(log.stem)
        if attempt is not None and ledger.jobs.get(attempt[0]) is None:
            log.unlink(missing_ok=True)
            files += 1
    if folders.inbox.is_dir() and next(folders.inbox.iterdir(), None) is not None:
        payloads = ledger.jobs.payloads_containing(INBOX_PREFIX)
        needed = {name for payload in payloads for name in inbox_names(payload)}
        files += sweep_inbox(folders.inbox, needed, INBOX_SECONDS)
    return {"jobs": jobs, "files": files}


def vacuum(config: Config) -> dict[str, Any]:
    """Purge, then return the ledger's free space to the file system. A node may be running."""
    folders = Folders.of(config)
    if not folders.ledger.exists():
        raise ConfigError(f"node.state_path: {folders.state} has no ledger; name the state folder of a node")
    with Ledger(folders.ledger) as ledger:
        done: dict[str, Any] = purge(ledger, folders, config)
        ledger.file.vacuum()
    done["state_path"] = str(folders.state)
    return {**done, "ledger_bytes": folders.ledger.stat().st_size, "free_bytes": _free(folders)}


def _free(folders: Folders) -> int:
    return shutil.disk_usage(folders.state).free
