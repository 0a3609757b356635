"""Recovery at the start of a node: complete or requeue the interrupted jobs, and delete leftovers."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from video_pipeline.engine.jobs.folders import Folders, parse_attempt_name
from video_pipeline.engine.jobs.ledger.errors import LedgerCorrupt
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.ledger.rows import InterruptedJob
from video_pipeline.engine.storage.local import is_published, publish, published_result

logger = logging.getLogger(__name__)


OnPublished = Callable[[str, str, Mapping[str, Any]], None]
"""Called with the id, owner and result of a finished job before it is completed."""

OnInterrupted = Callable[[str, int], None]
"""Called with the id and fence of each attempt that the end of the node interrupted, before its job is changed."""


def recover(
    ledger: Ledger,
    folders: Folders,
    *,
    on_published: OnPublished = lambda job_id, owner, result: None,
    on_interrupted: OnInterrupted = lambda job_id, fence: None,
) -> dict[str, int]:
    """Complete or requeue every job that was processing; return the counts. Call it while holding the node's lock.

    A job whose publishing had begun has complete files in its staging folder or is already published, and is
    completed. All others are queued again, uncharged. If an index of the ledger is damaged, it is rebuilt first.
    """
    try:
        return _recover(ledger, folders, on_published, on_interrupted)
    except LedgerCorrupt as error:
        logger.error("%s; trying again with rebuilt indexes", error)
        with ledger.file.writing():  # a transaction begins with the rebuilding
            pass
        return _recover(ledger, folders, on_published, on_interrupted)


def _recover(
    ledger: Ledger, folders: Folders, on_published: OnPublished, on_interrupted: OnInterrupted
) -> dict[str, int]:
    counts = {"completed": 0, "requeued": 0}
    for left in ledger.attempts.recover():
        job_id, fence = left.job.job_id, left.job.fence
        fields = {"job_id": job_id, "attempt": f"{left.job.attempts}.{fence}"}
        on_interrupted(job_id, fence)
        if _was_published(left, folders):
            result = published_result(folders.published(job_id))
            on_published(job_id, left.job.owner, result)
            ledger.attempts.complete(job_id, fence, result)
            logger.info("the node had ended after the job was rendered: completed", extra=fields)
            counts["completed"] += 1
        else:
            ledger.attempts.requeue(job_id, fence, reason="the node ended")
            logger.info("the node had ended while the job was rendered: queued again", extra=fields)
            counts["requeued"] += 1
    tidy(ledger, folders)
    return counts


def _was_published(left: InterruptedJob, folders: Folders) -> bool:
    """Return whether a job is published; finish an interrupted publishing first."""
    if not left.publishing:
        return False
    staged, target = folders.staging(left.job.job_id, left.job.fence), folders.published(left.job.job_id)
    if is_published(staged) and not target.exists():
        try:
            publish(staged, target)
        except OSError as error:
            logger.error("cannot publish %s: %s", staged, error)
    return is_published(target)


def tidy(ledger: Ledger, folders: Folders) -> int:
    """Delete leftover work and staging folders; return how many.

    Other nodes may share the output folder, so only folders of this ledger's jobs are deleted there.
    """
    found = 0
    for folder in folders.works.iterdir():
        shutil.rmtree(folder, ignore_errors=True)
        found += 1
    for folder in folders.stagings.iterdir():
        attempt = parse_attempt_name(folder.name)
        if attempt is not None and ledger.jobs.get(attempt[0]) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            found += 1
    return found
