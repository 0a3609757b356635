"""The disk space of running attempts: a quota for each, and a reserve that they must leave."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.dispatch.failures import DISK_LIMIT
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.free_space import RESERVED_SHARE, FreeSpace, free_bytes, used_bytes
from video_pipeline.engine.jobs.model import Failure

FULL_WORDS: Final = re.compile(r"No space left on device|Disk quota exceeded")

LEAST_BYTES: Final = 1_000_000
"""An attempt whose files take less has not filled a disk."""

AttemptKey = tuple[str, int]
"""Job id and fence of an attempt."""

Use = Mapping[int, int]
"""Bytes by the device number of their file system."""


class DiskUse:
    """Measures the files of running attempts and finds the one that takes too much."""

    def __init__(self, config: Config, folders: Folders) -> None:
        self._folders = folders
        self._quota_mb = config.node.worker_disk_mb
        self._reserve_bytes = config.node.min_free_mb * 1e6 * RESERVED_SHARE
        self._space = FreeSpace(config)
        self._most: dict[AttemptKey, int] = {}
        self._disks = {"node.state_path": folders.state, "storage.output_path": folders.output}

    def excess(self, attempts: Sequence[AttemptKey]) -> tuple[AttemptKey, Failure] | None:
        """Return an attempt to kill and its failure, or None.

        One over its quota is charged. If a disk has less than the reserve, the attempt with the most on it has to
        end; `judged` then tells whether it was the cause.
        """
        used = {key: self._use(*key) for key in attempts}
        for key, use in used.items():
            self._most[key] = max(self._most.get(key, 0), sum(use.values()))
        for key, use in used.items():
            total_mb = sum(use.values()) / 1e6
            if total_mb > self._quota_mb:
                message = f"its files took {total_mb:.0f} MB; node.worker_disk_mb allows {self._quota_mb:g}"
                return key, Failure("retryable", DISK_LIMIT, message)
        for name, folder in self._disks.items() if used else ():
            try:
                free, device = free_bytes(folder), folder.stat().st_dev
            except OSError:
                continue
            key = max(used, key=lambda key: used[key].get(device, 0))
            own = used[key].get(device, 0)
            if free < self._reserve_bytes and own >= LEAST_BYTES:
                message = (
                    f"{name}: No space left on device: {free / 1e6:.0f} MB are free, "
                    f"and this attempt's files took {own / 1e6:.0f} MB"
                )
                return key, Failure("machine", "DiskFull", message)
        return None

    def judged(self, key: AttemptKey, failure: Failure) -> Failure:
        """Return the failure of an attempt whose files are deleted by now, charged if these had filled the disk.

        They had if they were many and there is room now.
        """
        if failure.kind != "machine" or not FULL_WORDS.search(failure.message):
            return failure
        if self._most.get(key, 0) < LEAST_BYTES:
            return failure
        if self._space.shortage_now() or any(_is_full(folder) for folder in self._disks.values()):
            return failure
        message = f"its own files filled the disk: {failure.message}"
        return replace(failure, kind="retryable", error_type=DISK_LIMIT, message=message)

    def forget(self, key: AttemptKey) -> None:
        """Forget an attempt that has ended."""
        self._most.pop(key, None)

    def _use(self, job_id: str, fence: int) -> Use:
        folders = self._folders
        places = {
            folders.state: (folders.work(job_id, fence), folders.log(job_id, fence)),
            folders.output: (folders.staging(job_id, fence),),
        }
        use: dict[int, int] = {}
        for folder, own in places.items():
            try:
                device = folder.stat().st_dev
            except OSError:
                continue
            use[device] = use.get(device, 0) + used_bytes(*own)
        return use


def _is_full(folder: Path) -> bool:
    try:
        return free_bytes(folder) < LEAST_BYTES
    except OSError:
        return True
