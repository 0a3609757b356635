"""The parts of a frame that captions keep clear of: margins, and what apps lay over tall videos."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from video_pipeline.engine.common.captions import TALL, Platform
from video_pipeline.filters.text import TextStyle


@dataclass(frozen=True, slots=True)
class SafeArea:
    """Margins without captions, in fractions of the frame, and where the figures come from."""

    left: float
    right: float
    top: float
    bottom: float
    source: str = ""

    @property
    def side(self) -> float:
        """The margin that captions keep on both sides, because they are centred on the frame."""
        return max(self.left, self.right)


MARGINS: Final = SafeArea(0.07, 0.07, 0.08, 0.08)
"""Those of frames that are not tall, which apps show without anything over them."""

PLATFORM_AREAS: Final[Mapping[Platform, SafeArea]] = MappingProxyType(
    {
        "generic": SafeArea(
            120 / 1080,
            192 / 1080,
            288 / 1920,
            672 / 1920,
            "the box x 120 to 888, y 288 to 1248 of 1080x1920, which is clear of all three: "
            "https://shotstack.io/learn/vertical-video-safe-zones/",
        ),
        "tiktok": SafeArea(
            120 / 1080,
            192 / 1080,
            167 / 1280,
            440 / 1280,
            "TikTok publishes templates (https://ads.tiktok.com/help/article/video-ads-specifications); top and bottom "
            "as measured on that of in-feed ads, 720x1280 (https://forum.logik.tv/t/14356), sides as for generic",
        ),
        "reels": SafeArea(
            0.06,
            0.06,
            0.14,
            0.35,
            "Meta's guidance for Reels ads: 14 % at the top, 35 % at the bottom, 6 % at the sides",
        ),
        "shorts": SafeArea(
            48 / 1080,
            192 / 1080,
            288 / 1920,
            672 / 1920,
            "Google's safe zone of vertical YouTube ads: 288, 672, 48 and 192 px of 1080x1920",
        ),
    }
)


def ink_reach_px(style: TextStyle) -> int:
    """Return how far a text's outline, shadow and box reach beyond its lines, in pixels."""
    shadow = style.shadow
    cast = 0.0
    if shadow is not None and shadow.color[3]:
        cast = max(abs(shadow.dx_px), abs(shadow.dy_px)) + 1.5 * shadow.blur_px + 1
    padding = style.box.padding_px if style.box is not None else 0
    return math.ceil(max(style.stroke_px + cast, padding))


def safe_area(width_px: int, height_px: int, platform: Platform = "generic") -> SafeArea:
    """Return the safe area of a frame of this shape on a platform."""
    return PLATFORM_AREAS[platform] if height_px > TALL * width_px else MARGINS
