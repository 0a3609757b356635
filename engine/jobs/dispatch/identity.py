"""What a node and its machines must share, so that a video has the same bytes wherever it is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import av

from video_pipeline.engine import __version__

ENGINE: Final = "video-pipeline"


def shared_versions() -> dict[str, Any]:
    """Return the versions on which the bytes of a video depend, as JSON data."""
    return {
        ENGINE: __version__,
        "PyAV": av.__version__,
        **{name: ".".join(map(str, numbers)) for name, numbers in av.library_versions.items()},
    }


def version_of(versions: Mapping[str, Any]) -> str:
    """Return the engine's version among the versions of a machine, empty if it is missing."""
    return str(versions.get(ENGINE, ""))[:100]


def difference(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Return in words what a machine has other than the node, empty if nothing."""
    parts = [
        f"{name} {found.get(name, 'missing')}, the node has {wanted.get(name, 'none')}"
        for name in sorted({*wanted, *found})
        if wanted.get(name) != found.get(name)
    ]
    return "; ".join(parts)
