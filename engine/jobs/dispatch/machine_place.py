"""Where a machine of a fleet keeps what its slots need: `worker --join` writes it down, slots read it."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.processes import NODE_VARIABLE

PLACE_FILE: Final = "place.json"


@dataclass(frozen=True, slots=True)
class MachinePlace:
    """The folders of one machine. `store` is the shared storage as it is found here, None: as the node says."""

    state: Path
    cache: Path
    store: str | None = None


def write_place(state: Path, config: Config) -> None:
    """Write down this machine's folders, for the slots that Ray starts here. Raises OSError."""
    found = {"cache": str(config.cache_dir().resolve()), "store": config.fleet.store}
    (state / PLACE_FILE).write_text(json.dumps(found), encoding="utf-8")


def read_place() -> MachinePlace:
    """Return the folders of this machine; without a file, a folder for temporary files."""
    own = os.environ.get(NODE_VARIABLE)
    state = Path(own) if own else Path(tempfile.gettempdir()) / f"video-pipeline-{os.getuid()}"
    try:
        found = json.loads((state / PLACE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return MachinePlace(state, state / "cache")
    return MachinePlace(state, Path(found["cache"]), found["store"])
