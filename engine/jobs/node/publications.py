"""The node's side of publishing: finished videos become publications, and a process of its own carries them on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.common.clock import Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.errors import LedgerError
from video_pipeline.engine.jobs.node.helper_process import HelperProcess
from video_pipeline.engine.publish.records import Publications, publications_path
from video_pipeline.engine.publish.schema import PublicationsError
from video_pipeline.engine.story.publish import PublishSpec

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
RESTART_SECONDS: Final = 10.0


class NodePublications:
    """Adds publications, and keeps the process that publishes running while any is due. Use it in one thread."""

    def __init__(
        self, config: Config, folders: Folders, *, guard: Guard, clock: Clock, json_log: bool = False
    ) -> None:
        self._config, self._clock = config, clock
        self._helper = HelperProcess(
            "video_pipeline.engine.jobs.node.publisher",
            "publishes",
            config,
            folders,
            guard=guard,
            json_log=json_log,
        )
        self._path = publications_path(config)
        self._records: Publications | None = None
        self._look_at = 0.0

    @property
    def pid(self) -> int | None:
        """The id of the process that publishes, None while it does not run."""
        return self._helper.pid

    def add(self, job_id: str, owner: str, result: Mapping[str, Any]) -> None:
        """Store the publications that the result of a finished job names, durably; it may be called again.

        Raises LedgerError if they cannot be stored now, so that the job is completed later.
        """
        asked = result.get("publish")
        if not asked:
            return
        from video_pipeline.engine.publish.posts import FinishedVideo, add_posts  # it imports PyAV

        try:
            video = FinishedVideo.of(Path(result["video_path"]))
            specs = [PublishSpec.model_validate(spec) for spec in asked]
            add_posts(self._open(), video, specs, self._config, owner=owner, job_id=job_id)
        except PublicationsError as error:
            raise LedgerError(str(error)) from error
        except (
            InputError,
            ValueError,
        ) as error:  # the file was replaced, or another version wrote the result
            logger.error("job %s is not published: %s", job_id, error)
        self._look_at = 0.0

    def counts(self) -> dict[str, int]:
        """Return the number of publications by state; none if there never was one."""
        if self._records is None and not self._path.exists():
            return {}
        try:
            return self._open().counts()
        except PublicationsError:
            return {}

    def poll(self) -> None:
        """Start the process if a publication is due and it does not run."""
        if self._helper.has_failed():
            self._look_at = self._clock.monotonic() + RESTART_SECONDS
        if self._helper.pid is not None:
            return
        now = self._clock.monotonic()
        if now < self._look_at or (self._records is None and not self._path.exists()):
            return
        self._look_at = now + LOOK_SECONDS
        try:
            due = self._open().next_due()
        except PublicationsError as error:
            logger.error("%s", error)
            self._look_at = now + RESTART_SECONDS
            return
        if due is not None and due <= self._clock.wall():
            self._helper.start()

    def close(self) -> None:
        """Stop the process: let it end the step that is under way, then kill it."""
        self._helper.close()
        if self._records is not None:
            self._records.close()
            self._records = None

    def _open(self) -> Publications:
        if self._records is None:
            self._records = Publications(self._path)
        return self._records
