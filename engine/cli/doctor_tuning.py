"""What `doctor` says of `tune`: the metrics that can be measured here, and guided search."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from video_pipeline.engine.common.extras import install_extra
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.tuning.metrics import METRICS, Metric, find_measuring_ffmpeg


def examine_tuning() -> dict[str, Any]:
    """Return which metrics an ffmpeg program here measures, the program for all of them, and what guides a search."""
    try:
        ffmpeg: str | None = str(find_measuring_ffmpeg(METRICS).path)
    except UnavailableError:
        ffmpeg = None
    return {
        "metrics": {metric: _is_measured(metric) for metric in METRICS},
        "ffmpeg": ffmpeg,
        "guided": find_spec("optuna") is not None,
    }


def _is_measured(metric: Metric) -> bool:
    try:
        find_measuring_ffmpeg((metric,))
    except UnavailableError:
        return False
    return True


def tuning_lines(found: dict[str, Any]) -> list[str]:
    """Return the lines of the report on `tune`."""
    measured = [metric for metric, works in found["metrics"].items() if works]
    lacks = [metric for metric, works in found["metrics"].items() if not works]
    words = f"measures {', '.join(measured) or 'nothing'}"
    if lacks:
        words += f"; no ffmpeg has {', '.join(lacks)} (`pip install imageio-ffmpeg`)"
    guided = "guided search" if found["guided"] else f"no guided search ({install_extra('tune')})"
    return [f"tune          {words}; {guided}"]
