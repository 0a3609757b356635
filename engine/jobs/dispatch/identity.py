"""What a node and its machines must share, so that a video has the same bytes wherever it is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import av

from video_pipeline.engine import __version__


def shared_versions() -> dict[str, Any]:
    """Return the versions on which the bytes of a video depend, as JSON data."""
    return {
        "video-pipeline": __version__,
        "PyAV": av.__version__,
        **{name: ".".join(map(str, numbers)) for name, numbers in av.library_versions.items()},
    }


def difference(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Return in words what a machine has other than the node, empty if nothing."""
    parts = [
        f"{name} {found.get(name, 'missing')}, the node has {wanted.get(name, 'none')}"
        for name in sorted({*wanted, *found})
        if wanted.get(name) != found.get(name)
    ]
    return "; ".join(parts)
