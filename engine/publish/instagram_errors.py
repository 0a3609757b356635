"""What errors of Instagram's API mean: by code and subcode of the Graph API, and by what its upload host says.

Source: developers.facebook.com, "Error Codes" of the Instagram Platform (2 June 2026) and "Handle Errors" of the Graph API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from video_pipeline.engine.errors import ServiceError, ServiceFault
from video_pipeline.engine.net.client import Fault, ServiceAnswer, message_of, usual_fault, usual_wait

TOKEN_ENDED: Final = 190
MISSING: Final = (100, 33)
"""Code and subcode of an object that is not there, or that cannot be read just now."""

QUOTA_SUBCODE: Final = 2207042
QUOTA_WAIT_SECONDS: Final = 3600.0
"""How long a post waits for a free place if the platform does not say when there is one."""

BUSY_CODES: Final = frozenset({-2, -1, 1, 2, 4, 17, 32, 341, 613, 80002})
"""Errors of the server, and limits of requests, which end by themselves."""

DENIED_CODES: Final = frozenset({9, 10, 25, 368})
BUSY_SUBCODES: Final = frozenset({2207001, 2207003, 2207008, 2207020, 2207027, 2207032, 2207053})
DENIED_SUBCODES: Final = frozenset({2207042, 2207050, 2207051})
REJECTED_SUBCODES: Final = frozenset({2207026, 2207052, 2207057})

NEW_CONTAINER: Final = frozenset({2207001, 2207003, 2207008, 2207020, 2207032, 2207053})
"""Subcodes of a container that failed, after which another one may succeed."""

BUSY_UPLOADS: Final = frozenset({"OffsetInvalidError", "PartialRequestError"})
"""What the upload host says if bytes are missing: the next attempt asks how many it holds."""


class TokenEndedError(ServiceError):
    """The access token is not valid any longer."""


class ContainerMissingError(ServiceError):
    """An object is not there, or cannot be read just now: Meta answers the same to both."""


def is_failure(answer: ServiceAnswer) -> bool:
    """Return whether an answer is an error, also one with the status of a success, or none that can be read."""
    told = answer.json()
    if answer.status >= 300 or not isinstance(told, Mapping):
        return True
    return "error" in told or "debug_info" in told or told.get("success") is False


def error_codes(answer: ServiceAnswer) -> tuple[int | None, int | None]:
    """Return code and subcode of an error, None for what it does not say."""
    error = _error_of(answer)
    code, subcode = error.get("code"), error.get("error_subcode")
    return (code if isinstance(code, int) else None, subcode if isinstance(subcode, int) else None)


def meta_fault(answer: ServiceAnswer) -> Fault:
    """Return what an error of the Graph API or of its upload host means, and its words."""
    told = answer.json()
    if not isinstance(told, Mapping):
        kind, _ = usual_fault(answer)
        return ("busy", "the answer cannot be read") if answer.status < 300 else (kind, "")
    if isinstance(info := told.get("debug_info"), Mapping):
        kind = "busy" if info.get("retriable") is True or info.get("type") in BUSY_UPLOADS else "rejected"
        return (
            "busy" if answer.status >= 500 else kind
        ), f"{info.get('type', '')}: {info.get('message', '')}"
    error, (code, subcode) = _error_of(answer), error_codes(answer)
    numbers = " ".join(str(number) for number in (code, subcode) if number is not None)
    words = str(error.get("error_user_msg") or message_of(told))
    return _kind_of(answer, error), f"{numbers}: {words}" if numbers else words or "it did not succeed"


def _kind_of(answer: ServiceAnswer, error: Mapping[str, Any]) -> ServiceFault:
    code, subcode = error_codes(answer)
    if subcode in DENIED_SUBCODES or code == TOKEN_ENDED:
        return "denied"
    if subcode in REJECTED_SUBCODES:
        return "rejected"
    if subcode in BUSY_SUBCODES or error.get("is_transient") is True:
        return "busy"
    if code in DENIED_CODES or (code is not None and 200 <= code < 300):
        return "denied"
    if code in BUSY_CODES or answer.status < 300:
        return "busy"
    return usual_fault(answer)[0]


def meta_wait(answer: ServiceAnswer, kind: ServiceFault) -> float | None:
    """Return the seconds after which to ask again, None if that is not known.

    The header X-Business-Use-Case-Usage tells minutes (`estimated_time_to_regain_access`).
    """
    if error_codes(answer)[1] == QUOTA_SUBCODE:
        return QUOTA_WAIT_SECONDS
    if (wait := usual_wait(answer, kind)) is not None or kind != "busy":
        return wait
    try:
        usage = json.loads(answer.headers.get("x-business-use-case-usage", "{}"))
        minutes = [each["estimated_time_to_regain_access"] for limits in usage.values() for each in limits]
        return max(minutes) * 60.0 or None
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


def container_subcode(status: str) -> int | None:
    """Return the subcode in the words that a failed container has."""
    found = re.search(r"(?<!\d)2207\d{3}(?!\d)", status)
    return int(found[0]) if found else None


def _error_of(answer: ServiceAnswer) -> Mapping[str, Any]:
    told = answer.json()
    error = told.get("error") if isinstance(told, Mapping) else None
    return error if isinstance(error, Mapping) else {}
