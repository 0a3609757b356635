"""Jobs of this process: workers and the transport to their ledger, without sockets."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from video_pipeline.engine.common.arguments import as_path
from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.embedded.node import LocalNode
from video_pipeline.engine.jobs.embedded.transport import LocalTransport
from video_pipeline.engine.machine.cores import cpu_count


class LocalJobs:
    """A node inside this program and the transport to it. `start` starts the workers, the first use opens the ledger.

    Stories may name any file of the machine, because this program can read it anyway.
    """

    def __init__(
        self,
        config: Config,
        *,
        state_path: str | os.PathLike[str] | None = None,
        slots: int | None = None,
    ) -> None:
        root = Path(Path.cwd().anchor)
        state = as_path(state_path, "state_path") if state_path is not None else None
        config = config.override("node", asset_roots=(root,), state_path=state)
        config = config.override("processing", max_concurrent_jobs=slots)
        self._lock = threading.Lock()
        self._node = LocalNode(config)
        self.transport = LocalTransport(
            self._node.ledger, config, slots=config.processing.max_concurrent_jobs or cpu_count()
        )

    def start(self) -> None:
        """Start the workers; raise ConfigError if another node uses the state folder."""
        with self._lock:
            self._node.start()

    def stop(self) -> None:
        """Stop the workers; the jobs that they render are queued again."""
        with self._lock:
            self._node.stop(drain=False)
