"""The ledger: all jobs, from submit to end, kept durably in one SQLite file.

It is the only source of truth about jobs. Every process opens its own `Ledger`, and a `Ledger` belongs to one thread.
It is composed of parts, each a table or a role; they share one connection, the `LedgerFile`:

    ledger.file       connection, transactions, write lock, `group()`, `changed()`, `vacuum()`
    ledger.queue      submit jobs; keep their order, their waits and the queue's limit
    ledger.jobs       look up, list, cancel, retry and purge jobs, for users and operators
    ledger.attempts   claim jobs and report what became of them, for the scheduler
    ledger.events     the events of all jobs, in order

    jobs, attempts  →  queue  →  events  →  file

A row whose bytes have changed on the disk holds up nothing: its job is shown as failed, with the reason, and fails
when its turn comes or the node starts (`damage.py`).

A method that writes opens a transaction of the file and hands its connection to methods of the other parts, so that
a job's change and its event are one commit. Inside `file.group()` it joins the transaction of the group instead.

The states of a job and the calls that change them:

    submit ─▶ queued ─claim─▶ processing ─begin_publishing─▶ (publishing) ─complete─▶ completed
                ▲                 │ fail, attempts left: queued again after a wait
                │                 │ fail, no attempt left: failed
                │                 │ requeue: queued again at its old place
                └──── retry ──────┴ failed, cancelled                    cancel: cancelled

`claim` gives each attempt a fence that is one higher than the last. A report of an attempt counts only if the job is
processing and the fence is the job's latest; otherwise the call returns False and changes nothing. `complete` needs a
successful `begin_publishing`, which succeeds once for an attempt, so a job completes at most once.

A cancel of a processing job wins over `fail` and `requeue`. It loses to publishing: if publishing has begun, the job
completes, and if publishing then fails, the job is cancelled.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.jobs.ledger.attempts import LedgerAttempts
from video_pipeline.engine.jobs.ledger.events import LedgerEvents
from video_pipeline.engine.jobs.ledger.file import LedgerFile
from video_pipeline.engine.jobs.ledger.jobs import LedgerJobs
from video_pipeline.engine.jobs.ledger.queue import LedgerQueue


class Ledger:
    """One thread's connection to the ledger, as a context manager.

    Times are seconds; wall times count from 1970 (UTC). Every method of every part may raise LedgerFull, LedgerBusy
    or LedgerCorrupt, and has then changed nothing.
    """

    def __init__(self, path: str | os.PathLike[str], *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.file = LedgerFile(path)
        self.events = LedgerEvents(self.file, clock)
        self.queue = LedgerQueue(self.file, clock, self.events)
        self.jobs = LedgerJobs(self.file, clock, self.queue, self.events)
        self.attempts = LedgerAttempts(self.file, clock, self.queue, self.events)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; drop what was not committed."""
        self.file.close()
