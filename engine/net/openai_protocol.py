"""What OpenAI's services and servers with OpenAI's protocol have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from video_pipeline.engine.net.client import Fault, ServiceAnswer, usual_fault

OPENAI_HOST: Final = "api.openai.com"


def is_openai(endpoint: str) -> bool:
    """Return whether an address is OpenAI's own, which alone gets OpenAI's key."""
    return urlsplit(endpoint).hostname == OPENAI_HOST


def openai_fault(answer: ServiceAnswer) -> Fault:
    """Return what an error means: 429 with insufficient_quota is no matter of waiting."""
    kind, words = usual_fault(answer)
    data = answer.json()
    error = data.get("error") if isinstance(data, Mapping) else None
    if isinstance(error, Mapping) and "insufficient_quota" in (error.get("code"), error.get("type")):
        return "denied", "insufficient_quota: the account has no credit"
    return kind, words
