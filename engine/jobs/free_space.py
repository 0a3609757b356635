"""Check the free disk space of a node's folders."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.config import Config

CHECK_SECONDS: Final = 1.0
"""How long a result is reused: the disks are checked at most this often."""


class FreeSpace:
    """Checks the free space of the folders for state, output and temporary files."""

    def __init__(self, config: Config, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._least_mb = config.node.min_free_mb
        self._folders = {
            "node.state_path": config.state_dir(),
            "storage.output_path": config.storage.output_path.absolute(),
            "storage.temp_path": config.storage.temp_path or Path(tempfile.gettempdir()),
        }
        self._clock = clock
        self._checked = float("-inf")
        self._shortage = ""

    def shortage(self) -> str:
        """Return which folder has less than `node.min_free_mb` and how much it has; empty if none."""
        now = self._clock.monotonic()
        if now - self._checked >= CHECK_SECONDS:
            self._checked, self._shortage = now, self._find_shortage()
        return self._shortage

    def _find_shortage(self) -> str:
        for name, folder in self._folders.items():
            try:
                free_mb = shutil.disk_usage(folder).free / 1e6
            except FileNotFoundError:
                continue  # created when it is needed
            except OSError as error:
                return f"{name}: {error.strerror}"
            if free_mb < self._least_mb:
                return f"{name}: {free_mb:.0f} MB free; node.min_free_mb requires {self._least_mb:.0f}"
        return ""
