"""Native pixel kernels in C++, compiled for several instruction sets; optional.

`available()` reports whether the extension was built. `native.kernels` has the kernels, `native.reference` the same
formulas in float64.
"""

from __future__ import annotations

import importlib.util
from functools import cache


@cache
def available() -> bool:
    """Return whether this installation includes the native extension."""
    return importlib.util.find_spec("video_pipeline.native._core") is not None


def target() -> str:
    """Return the instruction set in use: `baseline`, `avx2` or `avx512`."""
    from video_pipeline.native import kernels

    return kernels.active_target()


__all__ = ["available", "target"]
