"""What services charge for pictures: prices as they were read, with date and source.

They estimate the cost in the manifest, and decide nothing. OpenAI charges by tokens, which this table does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class PicturePrice(NamedTuple):
    """US dollars for a picture; `read` is the day on which `source` said so."""

    service: str
    model: str
    usd: float
    read: str
    source: str


_STABILITY: Final = "https://platform.stability.ai/pricing"

PICTURE_PRICES: Final = (
    PicturePrice("stable_diffusion", "core", 0.03, "2026-11-27", _STABILITY),
    PicturePrice("stable_diffusion", "sd3.5-medium", 0.035, "2026-11-27", _STABILITY),
    PicturePrice("stable_diffusion", "sd3.5-large-turbo", 0.04, "2026-11-27", _STABILITY),
    PicturePrice("stable_diffusion", "sd3.5-large", 0.065, "2026-11-27", _STABILITY),
    PicturePrice("stable_diffusion", "ultra", 0.08, "2026-11-27", _STABILITY),
)


def picture_costs(service: str, model: str, pictures: int) -> Mapping[str, Any]:
    """Return what so many pictures cost, for the manifest; `usd` is None if the price is not known."""
    price = next((each for each in PICTURE_PRICES if (each.service, each.model) == (service, model)), None)
    return {
        "service": service,
        "model": model,
        "pictures": pictures,
        "usd": round(pictures * price.usd, 6) if price else None,
        "usd_per_picture": price.usd if price else None,
        "price_read": price.read if price else None,
        "price_source": price.source if price else None,
    }
