"""What YouTube's errors mean, by the reasons that Google gives, and when a quota begins anew."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from video_pipeline.engine.net.client import Fault, ServiceAnswer, message_of, usual_fault

QUOTA_ZONE: Final = "America/Los_Angeles"

WAITING: Final = frozenset({"quotaExceeded", "dailyLimitExceeded", "uploadLimitExceeded"})
"""Reasons that end at midnight Pacific time."""

BUSY: Final = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "backendError", "internalError"})


def youtube_fault(answer: ServiceAnswer) -> Fault:
    """Return what an error means, by the reason that Google gives."""
    reason = refusal_reason(answer)
    kind, words = usual_fault(answer)
    words = words or message_of(answer.json())
    if reason in BUSY:
        return "busy", words
    if reason in WAITING:
        return "denied", f"{reason}: it is tried again after midnight in {QUOTA_ZONE}"
    if reason.startswith("invalid"):
        return "rejected", f"{reason}: {words}"
    if answer.status in (401, 403):
        return "denied", f"{reason}: {words}" if reason else words
    return kind, f"{reason}: {words}" if reason else words


def part_fault(answer: ServiceAnswer) -> Fault:
    """Return what an error means for what belongs to a video: asked again, a refusal would only cost quota."""
    kind, words = youtube_fault(answer)
    return "rejected" if kind == "denied" and refusal_reason(answer) not in WAITING else kind, words


def refusal_reason(answer: ServiceAnswer) -> str:
    """Return the reason that Google gives for an error, empty if it gives none."""
    told = answer.json()
    error = told.get("error") if isinstance(told, Mapping) else None
    errors = error.get("errors") if isinstance(error, Mapping) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    return str(first.get("reason", "")) if isinstance(first, Mapping) else ""


def seconds_to_quota(now: float) -> float:
    """Return the seconds from a time (since 1970) to the next midnight Pacific, when quotas begin anew."""
    zone = ZoneInfo(QUOTA_ZONE)
    here = datetime.fromtimestamp(now, zone)
    midnight = datetime(here.year, here.month, here.day, tzinfo=zone) + timedelta(days=1)
    return midnight.timestamp() - now
