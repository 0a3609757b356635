"""The native pixel kernels: C++ rows for this processor, where the extension was built.

`available()` says whether it was. The kernels themselves are in `native._core`; `native.reference` holds their
twins in float64.
"""

from __future__ import annotations

import importlib.util
from functools import cache


@cache
def available() -> bool:
    """Say whether the extension was built with this installation."""
    return importlib.util.find_spec("native._core") is not None


__all__ = ["available"]
