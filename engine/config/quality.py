"""The qualities that can be asked for: VMAF scores, and names for some of them."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

QUALITY_LEVELS: Final = MappingProxyType({"draft": 90, "social": 95, "archive": 97})
"""The VMAF of each named level of `video.quality`."""

QUALITY_MIN, QUALITY_MAX = 85, 99
QUALITY_WORDS: Final = ", ".join(f"{name} ({vmaf})" for name, vmaf in QUALITY_LEVELS.items())


def quality_vmaf(quality: float | str) -> float:
    """Return the VMAF of a value of `video.quality`: of a named level, or the number itself."""
    return float(QUALITY_LEVELS[quality] if isinstance(quality, str) else quality)
