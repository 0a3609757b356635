"""`video-pipeline doctor --probe`: render a second with every compositor and encoder that works here."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import PipelineError
from video_pipeline.engine.pipeline import render_story

STORY: Final[dict[str, Any]] = {
    "id": "probe",
    "title": "Probe",
    "scenes": [
        {"scene_id": "a", "text": "One second", "narration": "", "duration": 0.75},
        {"scene_id": "b", "text": "of video", "narration": "", "duration": 0.75},
    ],
}
"""A second of drawn pictures that move, with captions and a transition of half a second."""


def probe_paths(found: dict[str, Any], config: Config) -> Iterator[dict[str, Any]]:
    """Render a second on each path that `doctor` found to work; yield its speed, or the error in `reason`."""
    for compositor in found["compositors"]:
        for encoder in found["encoders"]:
            if compositor["works"] and encoder["works"]:
                yield _probe_path(compositor["name"], encoder["name"], config)


def _probe_path(compositor: str, encoder: str, config: Config) -> dict[str, Any]:
    path: dict[str, Any] = {"compositor": compositor, "encoder": encoder, "works": True, "reason": ""}
    chosen = config.override("video", compositor=compositor, codec=encoder, session_wait=0)
    chosen = chosen.override("tts", service="none")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="probe-", dir=config.storage.temp_path) as folder:
        output = Path(folder) / "probe.mp4"
        try:
            result = render_story(STORY, output, config=chosen, use_cache=False)
        except PipelineError as error:
            return path | {"works": False, "reason": str(error)}
        manifest = json.loads(result.outputs.manifest.read_text(encoding="utf-8"))
    seconds = result.timings["render"]
    return path | {
        "frames": manifest["frame_count"],
        "seconds": round(time.perf_counter() - started, 3),
        "render_seconds": round(seconds, 3),
        "frames_per_second": round(manifest["frame_count"] / seconds, 1),
    }


def path_line(path: dict[str, Any]) -> str:
    """Return a path's line of the report."""
    name = f"{path['compositor']} + {path['encoder']}"
    if not path["works"]:
        return f"probe         no  {name}: {path['reason']}"
    return (
        f"probe         yes {name}: {path['frames_per_second']:g} frames/s, "
        f"{path['frames']} frames in {path['render_seconds']:g} s, {path['seconds']:g} s in all"
    )
