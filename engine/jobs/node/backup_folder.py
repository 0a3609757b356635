"""A folder of dated backups, of which the newest are kept."""

from __future__ import annotations

import logging
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.jobs.node.backup import BackupError, BackupSummary, make_backup

logger = logging.getLogger(__name__)

NAME: Final = re.compile(r"node-\d{8}T\d{6}Z\.tar\.gz")


def make_dated_backup(config: Config, folder: Path, *, keep: int) -> BackupSummary:
    """Write `node-YYYYMMDDTHHMMSSZ.tar.gz` into a folder; then delete all but the `keep` newest of such names there.

    Nothing is deleted if no backup could be made. Raises what `make_backup` raises, and InputError for `keep` below 1.
    """
    if keep < 1:
        raise InputError(f"--keep: got {keep}; allowed: 1 or more")
    if not folder.is_dir():
        raise InputError(f"backup: {folder} is not a folder; --keep needs one that exists")
    made = datetime.fromtimestamp(time.time(), UTC)
    summary = make_backup(config, folder / f"node-{made:%Y%m%dT%H%M%SZ}.tar.gz")
    try:
        _delete_old(folder, newest=summary.path, keep=keep)
    except OSError as error:
        raise BackupError(
            f"backup: {summary.path} is made, but old ones cannot be deleted: {error}"
        ) from error
    return summary


def _delete_old(folder: Path, *, newest: Path, keep: int) -> None:
    """Delete old backups by their names; the one just made stays, whatever the clock says."""
    names = sorted(path.name for path in folder.iterdir() if NAME.fullmatch(path.name))
    others = [name for name in names if name != newest.name]
    for name in others[: max(0, len(others) - (keep - 1))]:
        (folder / name).unlink()
        logger.info("deleted the old backup %s", folder / name)
