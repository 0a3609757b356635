"""What services charge for speech: prices as they were read, with date and source.

They estimate the cost in the manifest, and decide nothing. Taxes, free tiers and discounts are not in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class SpeechPrice(NamedTuple):
    """US dollars for a million characters; `read` is the day on which `source` said so, UNCHECKED if not known."""

    service: str
    model: str
    usd_per_million: float
    read: str
    source: str


UNCHECKED: Final = "not checked"

_GOOGLE: Final = "https://cloud.google.com/text-to-speech/pricing"
_POLLY: Final = (
    "https://aws.amazon.com/polly/pricing/"  # as the repository api-evangelist/amazon-polly quotes it
)
_AZURE: Final = "https://azure.microsoft.com/pricing/details/cognitive-services/speech-services/"
_OPENAI: Final = "https://developers.openai.com/api/docs/models/"

PRICES: Final = (
    SpeechPrice("amazon_polly", "standard", 4, "2026-10-07", _POLLY),
    SpeechPrice("amazon_polly", "neural", 16, "2026-10-07", _POLLY),
    SpeechPrice("amazon_polly", "generative", 30, "2026-10-07", _POLLY),
    SpeechPrice("amazon_polly", "long-form", 100, "2026-10-07", _POLLY),
    SpeechPrice("google_tts", "Standard", 4, UNCHECKED, _GOOGLE),
    SpeechPrice("google_tts", "Wavenet", 4, UNCHECKED, _GOOGLE),
    SpeechPrice("google_tts", "Neural2", 16, UNCHECKED, _GOOGLE),
    SpeechPrice("google_tts", "Polyglot", 16, UNCHECKED, _GOOGLE),
    SpeechPrice("google_tts", "Chirp3", 30, UNCHECKED, _GOOGLE),
    SpeechPrice("google_tts", "Studio", 160, UNCHECKED, _GOOGLE),
    SpeechPrice("azure_speech", "Neural", 15, UNCHECKED, _AZURE),
    SpeechPrice("openai_compatible", "tts-1", 15, "2026-11-29", f"{_OPENAI}tts-1"),
    SpeechPrice("openai_compatible", "tts-1-hd", 30, "2026-11-29", f"{_OPENAI}tts-1-hd"),
    SpeechPrice("piper", "piper", 0, "2026-11-28", "a server of your own"),
)


def price_of(service: str, model: str) -> SpeechPrice | None:
    """Return the price of a service's model, or None if it is not known."""
    return next((price for price in PRICES if (price.service, price.model) == (service, model)), None)


def cost_report(service: str, model: str, characters: int) -> Mapping[str, Any]:
    """Return what so many characters cost, for the manifest; `usd` is None if the price is not known."""
    price = price_of(service, model)
    return {
        "service": service,
        "model": model,
        "characters": characters,
        "usd": round(characters * price.usd_per_million / 1e6, 6) if price else None,
        "usd_per_million_characters": price.usd_per_million if price else None,
        "price_read": price.read if price else None,
        "price_source": price.source if price else None,
    }
