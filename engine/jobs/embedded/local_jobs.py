"""Jobs of this process: workers, and the link to their ledger, without sockets."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.embedded.node import LocalNode
from video_pipeline.engine.jobs.embedded.transport import LocalTransport
from video_pipeline.engine.machine.cores import cpu_count


class LocalJobs:
    """A node inside this program and the link to it. The workers begin with `start`, the ledger at first use.

    Whoever may write this program may read any file, so a story may name any file of the machine.
    """

    def __init__(
        self,
        config: Config,
        *,
        state_path: str | os.PathLike[str] | None = None,
        slots: int | None = None,
    ) -> None:
        root = Path(Path.cwd().anchor)
        state = Path(state_path) if state_path is not None else None
        config = config.override("node", asset_roots=(root,), state_path=state)
        config = config.override("processing", max_concurrent_jobs=slots)
        self._lock = threading.Lock()
        self._node = LocalNode(config)
        self.transport = LocalTransport(
            self._node.ledger, config, slots=config.processing.max_concurrent_jobs or cpu_count()
        )

    def start(self) -> None:
        """Have workers; raises ConfigError where another node has the state folder."""
        with self._lock:
            self._node.start()

    def stop(self) -> None:
        """End the workers; what they render is queued again."""
        with self._lock:
            self._node.stop(drain=False)
