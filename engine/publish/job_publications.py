"""The publications of a node's jobs, for whoever shows a job."""

from __future__ import annotations

import logging
from pathlib import Path

from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import Publications
from video_pipeline.engine.publish.schema import PublicationsError

logger = logging.getLogger(__name__)


class JobPublications:
    """Reads the publications of jobs, for one thread; there is no file before the first one is stored."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: Publications | None = None

    def of_job(self, job_id: str) -> list[Publication]:
        """Return a job's publications; none if the file cannot be read, which is logged."""
        try:
            if self._records is None:
                if not self._path.exists():
                    return []
                self._records = Publications(self._path)
            return self._records.listed(job_id=job_id)
        except PublicationsError as error:
            logger.warning("%s", error)
            return []
