"""What a node says of its machine: slots and running jobs each second, disks, cache and GPUs now and then."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from video_pipeline.engine import __version__
from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.dispatch.capacity import memory_bytes, nvenc_sessions, this_machine
from video_pipeline.engine.jobs.dispatch.ray import RayDispatcher
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.machines import machine_name, write_machines
from video_pipeline.engine.jobs.node.fleet_report import fleet_views
from video_pipeline.engine.jobs.node.running_node import RunningNode
from video_pipeline.engine.jobs.node_messages import CacheView, DiskView, GpuView, MachineView
from video_pipeline.engine.jobs.views import moment
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.machine.gpus import gpus

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 30.0
FILES_MOST: Final = 200_000
"""Files of the cache that are counted: a larger cache is shown as if it had no more."""

State = Literal["ready", "draining", "not ready"]


@dataclass(frozen=True, slots=True)
class _Facts:
    gpus: tuple[GpuView, ...] = ()
    nvenc_sessions: int | None = None
    disks: tuple[DiskView, ...] = ()
    cache_bytes: int = 0
    cache_files: int = 0


class MachineReport:
    """Writes the file of machines for a node on one machine; a thread measures what takes time."""

    def __init__(self, config: Config, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._config, self._clock = config, clock
        self._path = Folders.of(config).machines
        self._name = machine_name()
        self._cores, self._memory = cpu_count(), memory_bytes()
        self._started = clock.wall()
        self._segments = self._from_cache = 0
        self._facts = _Facts()
        self._fault = ""
        self._closing = threading.Event()
        threading.Thread(target=self._measure, name="machine report", daemon=True).start()

    def count(self, segments: int, from_cache: int) -> None:
        """Count the segments of a finished video."""
        self._segments += segments
        self._from_cache += from_cache

    def write(self, node: RunningNode, reasons: Sequence[str], warnings: Sequence[str]) -> None:
        """Write how the machine is; if that fails, it is logged once."""
        state: State = "not ready" if reasons else "ready"
        if node.scheduler.draining:
            state = "draining"
        facts = self._facts
        view = MachineView(
            name=self._name,
            state=state,
            reasons=(*reasons, *warnings),
            version=__version__,
            cores=self._cores,
            memory_bytes=self._memory,
            slots=node.slots,
            warm=node.dispatcher.capacity,
            running=node.dispatcher.running,
            jobs=node.scheduler.running_jobs,
            gpus=facts.gpus,
            nvenc_sessions=facts.nvenc_sessions,
            disks=facts.disks,
            cache=CacheView(
                bytes=facts.cache_bytes,
                files=facts.cache_files,
                segments=self._segments,
                segments_from_cache=self._from_cache,
            ),
            started_at=moment(self._started),
            seen_at=moment(self._clock.wall()),
        )
        others: tuple[MachineView, ...] = ()
        if isinstance(node.dispatcher, RayDispatcher):
            # The server renders nothing itself.
            view = view.model_copy(update={"slots": 0, "warm": 0, "running": 0, "jobs": ()})
            others = fleet_views(node.dispatcher, started_at=view.started_at, seen_at=view.seen_at)
        try:
            write_machines(self._path, [view, *others])
            self._fault = ""
        except OSError as error:
            if not self._fault:
                logger.warning("cannot write %s: %s", self._path, error.strerror)
            self._fault = str(error)

    def close(self) -> None:
        """Stop measuring, and remove the file: a node that has ended has no machine."""
        self._closing.set()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _measure(self) -> None:
        cards, _ = gpus()
        shown = tuple(
            GpuView(name=card.name, memory_mib=card.memory_mib, driver=card.driver) for card in cards
        )
        encoding = this_machine(self._config).nvenc if cards else ()
        sessions = nvenc_sessions(encoding) if encoding else None
        while True:
            used, files = _cache_size(self._folder("cache"))
            disks = tuple(disk for name in ("state", "output", "temp", "cache") if (disk := self._disk(name)))
            self._facts = _Facts(shown, sessions, disks, used, files)
            if self._closing.wait(LOOK_SECONDS):
                return

    def _folder(self, name: str) -> Path | None:
        match name:
            case "state":
                return self._config.state_dir()
            case "output":
                return self._config.storage.output_path.absolute()
            case "temp":
                return self._config.storage.temp_path or Path(tempfile.gettempdir())
        try:
            return self._config.cache_dir()
        except ConfigError:  # no home folder: jobs have no cache
            return None

    def _disk(self, name: str) -> DiskView | None:
        folder = self._folder(name)
        if folder is None:
            return None
        try:
            found = os.statvfs(_existing(folder))
        except OSError:
            return None
        return DiskView(
            folder=name,
            free_bytes=found.f_bavail * found.f_frsize,
            total_bytes=found.f_blocks * found.f_frsize,
        )


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest above it that there is: the folder is made when it is needed."""
    return next((each for each in (folder, *folder.parents) if each.exists()), folder)


def _cache_size(folder: Path | None) -> tuple[int, int]:
    """Return the bytes and the number of files below a folder."""
    size = files = 0
    waiting = [] if folder is None else [folder]
    while waiting and files < FILES_MOST:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    elif entry.is_file(follow_symlinks=False):
                        size += entry.stat(follow_symlinks=False).st_size
                        files += 1
        except OSError:  # it was deleted just now
            continue
    return size, files
