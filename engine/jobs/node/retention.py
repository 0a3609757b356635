"""Delete finished videos that are delivered, when they are old or take too much space; and say what takes space."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError, PipelineError
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.model import JobStatus
from video_pipeline.engine.publish.records import Publications, publications_path
from video_pipeline.engine.storage.local import RESULT

logger = logging.getLogger(__name__)

PRUNE_SECONDS: Final = 300.0
DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedFolder:
    """The folder of a finished job: its size in bytes, when it was finished, and whether it may be deleted."""

    job_id: str
    path: Path
    size: int
    finished_at: float
    deletable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageUse:
    """What takes space, in bytes by part, and the finished videos, oldest first."""

    parts: dict[str, int]
    videos: tuple[FinishedFolder, ...]
    free: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        deletable = [video for video in self.videos if video.deletable]
        return {
            "bytes": self.parts,
            "videos": len(self.videos),
            "deletable_videos": len(deletable),
            "deletable_bytes": sum(video.size for video in deletable),
            "free_bytes": self.free,
        }


def finished_folders(config: Config, folders: Folders) -> tuple[FinishedFolder, ...]:
    """Return the folders of this node's finished jobs, oldest first.

    One may be deleted if its posts are all confirmed, those that were made by hand from its video too, or whatever it is with storage.deletable: finished. Folders of jobs
    that the ledger does not know belong to others, unless they were published from here.
    """
    delivered: set[str] = set()
    needed: set[Path] = set()
    path = publications_path(config)
    if path.exists():
        records = Publications(path)
        try:
            delivered = records.delivered_jobs()
            needed = {video.parent for video in records.needed_videos()}
        finally:
            records.close()
    found = []
    with Ledger(folders.ledger) as ledger:
        for folder in _folders_with_results(folders.output):
            job = ledger.jobs.get(folder.name)
            is_own = job is not None and job.status is JobStatus.COMPLETED
            if not is_own and folder.name not in delivered:
                continue
            is_needed = folder.resolve() in needed
            is_delivered = (folder.name in delivered and not is_needed) or (
                is_own and config.storage.deletable == "finished"
            )
            found.append(
                FinishedFolder(
                    job_id=folder.name,
                    path=folder,
                    size=folder_bytes(folder),
                    finished_at=_modified(folder / RESULT),
                    deletable=is_delivered,
                )
            )
    return tuple(sorted(found, key=lambda video: (video.finished_at, video.job_id)))


def _folders_with_results(output: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(output) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and (Path(entry.path) / RESULT).is_file():
                yield Path(entry.path)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def folder_bytes(folder: Path) -> int:
    """Return the bytes of the files in a folder and its subfolders; links are not followed."""
    total = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    total += folder_bytes(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def to_delete(
    videos: tuple[FinishedFolder, ...], config: Config, *, now: float
) -> tuple[FinishedFolder, ...]:
    """Return the videos to delete: those that are too old, then the oldest until the rest fits. Only deletable ones."""
    storage = config.storage
    chosen = []
    total = sum(video.size for video in videos)
    limit = None if storage.max_output_gb is None else int(storage.max_output_gb * 1e9)
    for video in videos:
        if not video.deletable:
            continue
        is_old = (
            storage.keep_output_days is not None
            and now - video.finished_at > storage.keep_output_days * DAY_SECONDS
        )
        if is_old or (limit is not None and total > limit):
            chosen.append(video)
            total -= video.size
    return tuple(chosen)


def prune_videos(config: Config, folders: Folders, *, now: float) -> tuple[FinishedFolder, ...]:
    """Delete the videos that are to be deleted; return them. A folder disappears whole, by a rename."""
    deleted = []
    for video in to_delete(finished_folders(config, folders), config, now=now):
        doomed = folders.staging(video.job_id, 0)
        try:
            shutil.rmtree(doomed, ignore_errors=True)
            video.path.rename(doomed)
        except OSError as error:
            logger.error("cannot delete %s: %s", video.path, error.strerror)
            continue
        shutil.rmtree(doomed, ignore_errors=True)
        logger.info("deleted the video of %s (%.1f MB)", video.job_id, video.size / 1e6)
        deleted.append(video)
    return tuple(deleted)


def storage_use(config: Config, folders: Folders) -> StorageUse:
    """Return what takes space on this node."""
    videos = finished_folders(config, folders)
    parts = {
        "videos": sum(video.size for video in videos),
        "staging": folder_bytes(folders.stagings),
        "logs": folder_bytes(folders.logs),
        "inbox": folder_bytes(folders.inbox),
        "work": folder_bytes(folders.works),
        "ledger": sum(_file_bytes(path) for path in folders.state.glob("*.sqlite3*")),
        "reserve": _file_bytes(folders.reserve),
    }
    free = {"storage.output_path": _free_bytes(folders.output), "node.state_path": _free_bytes(folders.state)}
    with suppress(ConfigError):  # no home folder: no cache
        cache = config.cache_dir()
        parts["cache"] = folder_bytes(cache)
        free["storage.cache_path"] = _free_bytes(cache)
    return StorageUse(parts=parts, videos=videos, free=free)


def _file_bytes(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def _free_bytes(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


class Retention:
    """Prunes finished videos in a thread of its own, every few minutes if a bound is set."""

    def __init__(self, config: Config, folders: Folders, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._config, self._folders, self._clock = config, folders, clock
        self._is_bounded = (
            config.storage.max_output_gb is not None or config.storage.keep_output_days is not None
        )
        self._next = 0.0
        self._thread: threading.Thread | None = None
        self.deleted_videos = 0
        self.deleted_bytes = 0

    def poll(self) -> None:
        """Begin to prune if it is time."""
        if not self._is_bounded or self._clock.monotonic() < self._next:
            return
        if self._thread is not None and self._thread.is_alive():
            return
        self._next = self._clock.monotonic() + PRUNE_SECONDS
        self._thread = threading.Thread(target=self._prune, name="retention", daemon=True)
        self._thread.start()

    def _prune(self) -> None:
        try:
            deleted = prune_videos(self._config, self._folders, now=self._clock.wall())
        except (PipelineError, OSError) as error:
            logger.error("cannot delete old videos: %s", error)
            return
        self.deleted_videos += len(deleted)
        self.deleted_bytes += sum(video.size for video in deleted)
