"""The publications of a node's jobs, for whoever shows a job."""

from __future__ import annotations

import logging
from pathlib import Path

from video_pipeline.engine.errors import InputError
from video_pipeline.engine.publish.base import Published
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import Publications
from video_pipeline.engine.publish.schema import PublicationsError
from video_pipeline.engine.publish.states import PublicationState

logger = logging.getLogger(__name__)


class JobPublications:
    """Reads the publications of jobs, for one thread; there is no file before the first one is stored."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: Publications | None = None

    def _open(self) -> Publications | None:
        if self._records is None and self._path.exists():
            self._records = Publications(self._path)
        return self._records

    def page(
        self, *, state: PublicationState | None, owner: str | None, limit: int, before: int | None
    ) -> list[Publication]:
        """Return publications, the latest first; raise PublicationsError if the file cannot be read."""
        records = self._open()
        return [] if records is None else records.page(state=state, owner=owner, limit=limit, before=before)

    def get(self, number: int) -> Publication | None:
        """Return a publication, None if there is none of this number; raise PublicationsError."""
        records = self._open()
        try:
            return None if records is None else records.get(number)
        except InputError:
            return None

    def resolve(self, number: int, published: Published | None) -> Publication:
        """End the state unknown of a publication that is there; see `Publications.resolve`."""
        records = self._open()
        assert records is not None
        return records.resolve(number, published)

    def of_job(self, job_id: str) -> list[Publication]:
        """Return a job's publications; none if the file cannot be read, which is logged."""
        try:
            records = self._open()
            return [] if records is None else records.listed(job_id=job_id)
        except PublicationsError as error:
            logger.warning("%s", error)
            return []
