"""Run the command line as a user does, in another process."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.forks import ForkServer

COMMAND = [sys.executable, "-m", "video_pipeline.engine.cli.main"]
SMALL = ["--size", "180x320", "--fps", "24", "--preset", "ultrafast", "--crf", "28"]

STORY: dict[str, Any] = {
    "id": "cli-story",
    "title": "From the command line",
    "scenes": [
        {"scene_id": "one", "text": "One", "narration": "", "duration": 1.0},
        {"scene_id": "two", "text": "Two", "narration": "", "duration": 1.0},
    ],
}


_FORKS = ForkServer(os.environ)
atexit.register(_FORKS.close)


def run(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    input: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command and return the finished process, which is a fork of one that has imported the engine."""
    environ = {**os.environ, **(environment or {})}
    argv = ("-m", "video_pipeline", *map(str, arguments))
    return _FORKS.run(*argv, environ=environ, stdin=input, timeout=120, cwd=cwd)


def write(folder: Path, data: Any, name: str = "story.json") -> Path:
    """Write a file (text, or data as JSON) into a folder, which is made if needed, and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def scene(**fields: Any) -> dict[str, Any]:
    """Return a story of one short silent scene with these fields."""
    return {"title": "T", "scenes": [{"scene_id": "the_scene", "duration": 0.5, "narration": "", **fields}]}
