"""Stories that are rendered in half a second, and the configuration for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def tiny_story(title: str = "Tiny", *, seconds: float = 0.5, scenes: int = 1) -> dict[str, Any]:
    """Return a story without speech."""
    return {
        "title": title,
        "scenes": [
            {"scene_id": f"s{number}", "text": title, "narration": "", "duration": seconds}
            for number in range(scenes)
        ],
    }


def tiny_config(folder: Path, **node: Any) -> dict[str, Any]:
    """Return a configuration of small pictures whose node keeps everything in a folder, but the cache."""
    return {
        "video": {"size": [90, 160], "fps": 24, "preset": "ultrafast", "crf": 35},
        "tts": {"service": "none"},
        "scenes": {"effects": [], "transition": "cut"},
        "node": {"state_path": str(folder / "state"), "min_free_mb": 1, "drain_timeout": 20, **node},
        "storage": {"output_path": str(folder / "out")},
        "processing": {"max_concurrent_jobs": 1},
    }
