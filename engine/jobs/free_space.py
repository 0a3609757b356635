"""Check the free space of a node's folders, and what the files of an attempt take."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config

CHECK_SECONDS: Final = 1.0
"""How long a result is reused: the disks are checked at most this often."""

RESERVED_SHARE: Final = 0.5
"""Share of node.min_free_mb that running attempts must leave."""

BLOCK_BYTES: Final = 512
"""The unit of `st_blocks`."""


class FreeSpace:
    """Checks the free space of the folders for state, output and temporary files.

    `least_mb`: what they need in MB, in place of node.min_free_mb.
    """

    def __init__(self, config: Config, *, clock: Clock = SYSTEM_CLOCK, least_mb: float | None = None) -> None:
        self._least_mb = config.node.min_free_mb if least_mb is None else least_mb
        self._folders = {
            "node.state_path": config.state_dir(),
            "storage.output_path": config.storage.output_path.absolute(),
            "storage.temp_path": config.storage.temp_path or Path(tempfile.gettempdir()),
        }
        self._rule = (
            f"node.min_free_mb requires {self._least_mb:.0f}"
            if least_mb is None
            else f"below {self._least_mb:.0f}, the alert's threshold"
        )
        self._clock = clock
        self._checked = float("-inf")
        self._shortage = ""

    def shortage(self) -> str:
        """Return which folder has less than `node.min_free_mb`, or no inode, and how much it has; empty if none."""
        now = self._clock.monotonic()
        if now - self._checked >= CHECK_SECONDS:
            self._checked, self._shortage = now, self.shortage_now()
        return self._shortage

    def shortage_now(self) -> str:
        """Return what `shortage` returns, but check now."""
        for name, folder in self._folders.items():
            try:
                free_mb = free_bytes(folder) / 1e6
            except FileNotFoundError:
                continue  # created when it is needed
            except OSError as error:
                return f"{name}: {error.strerror}"
            if free_mb < self._least_mb:
                return f"{name}: {free_mb:.0f} MB free; {self._rule}"
            if not free_inodes(folder):
                return f"{name}: no inode is free; delete files of its file system"
        return ""


def free_by_folder(config: Config) -> dict[str, int]:
    """Return the free bytes of the file systems of a node's folders (state, output, temp); a missing folder is left out."""
    folders = {
        "state": config.state_dir(),
        "output": config.storage.output_path.absolute(),
        "temp": config.storage.temp_path or Path(tempfile.gettempdir()),
    }
    found = {}
    for name, folder in folders.items():
        with contextlib.suppress(OSError):  # not created yet, or gone: `FreeSpace` says what is wrong
            found[name] = free_bytes(folder)
    return found


def free_bytes(folder: Path) -> int:
    """Return the bytes that are free for this user on a folder's file system; raise OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def free_inodes(folder: Path) -> bool:
    """Return whether a folder's file system can hold one more file; raise OSError."""
    found = os.statvfs(folder)
    return found.f_files == 0 or found.f_favail > 0  # file systems without a fixed number of inodes report 0


def used_bytes(*places: Path) -> int:
    """Return the disk space of files and folders with all that is in them.

    Files with several hard links, such as entries of the cache, do not count: deleting one link frees no space.
    """
    used = 0
    waiting = list(places)
    while waiting:
        place = waiting.pop()
        try:
            status = place.lstat()
            if stat.S_ISDIR(status.st_mode):
                with os.scandir(place) as entries:
                    waiting += [Path(entry.path) for entry in entries]
            elif status.st_nlink == 1:
                used += status.st_blocks * BLOCK_BYTES
        except OSError:
            continue  # it was deleted just now
    return used
