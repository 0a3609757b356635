"""What can be asked of the ledger. Nothing here writes."""

from __future__ import annotations

from video_pipeline.engine.jobs.inputs.inbox import INBOX_PREFIX, inbox_names
from video_pipeline.engine.jobs.ledger.errors import UnknownJob
from video_pipeline.engine.jobs.ledger.file import LedgerFile
from video_pipeline.engine.jobs.ledger.rows import EVENT_COLUMNS, JOB_COLUMNS, event_of, job_from_row
from video_pipeline.engine.jobs.model import PRIORITIES, Job, JobEvent, JobStatus, Priority

INBOX_PAGE = 200


class LedgerQueries(LedgerFile):
    """The reading half of the ledger."""

    def job(self, job_id: str) -> Job | None:
        """Return a job, or None where there is none of that id."""
        rows = self._rows(f"SELECT {JOB_COLUMNS} FROM jobs WHERE job_id = ?", (job_id,))
        return job_from_row(rows[0]) if rows else None

    def jobs(
        self,
        *,
        owner: str | None = None,
        status: JobStatus | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> tuple[Job, ...]:
        """Return jobs, the latest submitted first; `before`: only those submitted before that job.

        Raise UnknownJob where there is no job `before`.
        """
        where: dict[str, str | int | None] = {"owner = ?": owner, "status = ?": status}
        if before is not None:
            found = self._rows("SELECT position FROM jobs WHERE job_id = ?", (before,))
            if not found:
                raise UnknownJob(before)
            where["position < ?"] = found[0][0]
        terms = [term for term, value in where.items() if value is not None]
        values = [value for value in where.values() if value is not None]
        rows = self._rows(
            f"SELECT {JOB_COLUMNS} FROM jobs {'WHERE ' if terms else ''}{' AND '.join(terms)} "
            "ORDER BY position DESC LIMIT ?",
            (*values, limit),
        )
        return tuple(map(job_from_row, rows))

    def counts(self, owner: str | None = None) -> dict[JobStatus, int]:
        """Return how many jobs are in each state; every state is there."""
        terms, values = ("WHERE owner = ?", (owner,)) if owner is not None else ("", ())
        rows = self._rows(f"SELECT status, sum(n) FROM tallies {terms} GROUP BY status", values)
        return dict.fromkeys(JobStatus, 0) | {JobStatus(status): n for status, n in rows}

    def queued(self) -> int:
        """Return how many jobs are queued, waiting ones among them."""
        return int(self._rows("SELECT coalesce(sum(n), 0) FROM tallies WHERE status = 'queued'")[0][0])

    def queued_by_priority(self) -> dict[Priority, int]:
        """Return how many jobs of each priority are queued."""
        rows = self._rows("SELECT priority, sum(n) FROM tallies WHERE status = 'queued' GROUP BY priority")
        return dict.fromkeys(PRIORITIES, 0) | {PRIORITIES[rank]: n for rank, n in rows}

    def inbox_names(self) -> set[str]:
        """Return the names of inline assets that jobs may still need: those that have not completed."""
        names: set[str] = set()
        after = -1
        while True:
            rows = self._rows(
                "SELECT position, story, config FROM payloads JOIN jobs USING (position) WHERE position > ? "
                "AND status <> 'completed' AND (instr(story, ?) OR instr(config, ?)) ORDER BY position LIMIT ?",
                (after, INBOX_PREFIX, INBOX_PREFIX, INBOX_PAGE),
            )
            for _, story, config in rows:
                names |= inbox_names(story) | inbox_names(config)
            if len(rows) < INBOX_PAGE:
                return names
            after = rows[-1][0]

    def events(
        self, *, after: int, limit: int, owner: str | None = None, job_id: str | None = None
    ) -> tuple[JobEvent, ...]:
        """Return the first `limit` events with a number above `after`, in the order of their numbers."""
        terms: list[str] = ["seq > ?"]
        values: list[str | int] = [after]
        if job_id is not None:
            terms.append("events.position = (SELECT position FROM jobs WHERE job_id = ?)")
            values.append(job_id)
        if owner is not None:
            # With a job given its few events are found by the job; `+` keeps the owner's index out of it.
            terms.append("events.owner = ?" if job_id is None else "+events.owner = ?")
            values.append(owner)
        rows = self._rows(
            f"SELECT {EVENT_COLUMNS} FROM events JOIN jobs USING (position) WHERE {' AND '.join(terms)} "
            "ORDER BY seq LIMIT ?",
            (*values, limit),
        )
        return tuple(map(event_of, rows))

    def last_event(self) -> int:
        """Return the number of the latest event there ever was, 0 where there was none."""
        rows = self._rows("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        return int(rows[0][0]) if rows else 0

    def cancel_requests(self) -> tuple[tuple[str, int], ...]:
        """Return job id and fence of the attempts to be stopped; not of those that are being published."""
        return tuple(
            (job_id, fence)
            for job_id, fence in self._rows(
                "SELECT job_id, fence FROM jobs INDEXED BY jobs_processing "
                "WHERE status = 'processing' AND cancel_requested = 1 AND publishing = 0 ORDER BY position"
            )
        )
