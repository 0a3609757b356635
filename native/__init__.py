"""The native pixel kernels: C++ rows for this processor, where the extension was built.

`available()` says whether it was. `native.kernels` holds the kernels, `native.reference` their twins in float64.
"""

from __future__ import annotations

import importlib.util
from functools import cache


@cache
def available() -> bool:
    """Say whether the extension was built with this installation."""
    return importlib.util.find_spec("video_pipeline.native._core") is not None


def target() -> str:
    """Return the instruction set whose rows are in use: `baseline`, `avx2` or `avx512`."""
    from video_pipeline.native import kernels

    return kernels.active_target()


__all__ = ["available", "target"]
