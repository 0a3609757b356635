"""What TikTok's errors mean, by their codes, and why a post was not published.

The code in the body decides, not the status: TikTok answers some refusals with 200. Sources: the pages of the Content
Posting API on Direct Post (2026-08-24), Upload, Query Creator Info and Get Post Status (2026-08-04).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from video_pipeline.engine.errors import ServiceFault
from video_pipeline.engine.net.client import ServiceAnswer, message_of, usual_fault, usual_wait

DAY: Final = 86_400.0
HOUR: Final = 3_600.0
MINUTE: Final = 60.0

TOKEN_REFUSED: Final = "access_token_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class TiktokFault:
    """What a code means: the kind, what to do, and in how many seconds it is tried again by itself."""

    kind: ServiceFault
    remedy: str = ""
    retry_after: float | None = None


CODES: Final[Mapping[str, TiktokFault]] = MappingProxyType(
    {
        "rate_limit_exceeded": TiktokFault(kind="busy", retry_after=MINUTE),
        "internal_error": TiktokFault(kind="busy"),
        "internal": TiktokFault(kind="busy"),
        TOKEN_REFUSED: TiktokFault(
            kind="denied", remedy="connect the account again (`video-pipeline accounts add`)"
        ),
        "scope_not_authorized": TiktokFault(
            kind="denied",
            remedy="connect the account again and allow all that is asked for; the app needs the scope, too",
        ),
        "scope_permission_missed": TiktokFault(
            kind="denied", remedy="connect the account again and allow all that is asked for"
        ),
        "auth_removed": TiktokFault(kind="denied", remedy="connect the account again"),
        "spam_risk_too_many_posts": TiktokFault(
            kind="denied",
            remedy="a creator has about 15 posts in 24 hours by apps; it is tried again in a day",
            retry_after=DAY,
        ),
        "reached_active_user_cap": TiktokFault(
            kind="denied",
            remedy="the app has as many accounts in 24 hours as it may; it is tried again in a day",
            retry_after=DAY,
        ),
        "spam_risk_too_many_pending_share": TiktokFault(
            kind="busy",
            remedy="5 videos wait in the inbox: finish or discard one in the TikTok app; it is tried again in an hour",
            retry_after=HOUR,
        ),
        "spam_risk_user_banned_from_posting": TiktokFault(
            kind="denied", remedy="TikTok has banned the account from posting"
        ),
        "unaudited_client_can_only_post_to_private_accounts": TiktokFault(
            kind="denied",
            remedy="TikTok has not audited the app: set the account to private in the TikTok app, or use mode: inbox",
        ),
        "privacy_level_option_mismatch": TiktokFault(
            kind="rejected", remedy="the account does not offer this privacy"
        ),
        "token_not_authorized_for_specified_publish_id": TiktokFault(
            kind="denied", remedy="another account is connected than the one of this post"
        ),
    }
)

FINAL_BEGINNING: Final = "spam_risk"
"""Codes that begin so are final unless CODES says when to try again: TikTok asks not to."""


def error_code(answer: ServiceAnswer) -> str:
    """Return the code of an answer: `ok` for a success, empty if it has none."""
    told = answer.json()
    error = told.get("error") if isinstance(told, Mapping) else None
    return str(error.get("code") or "") if isinstance(error, Mapping) else ""


def code_fault(code: str) -> TiktokFault | None:
    """Return what a code or a reason of a failure means, None if only the status can tell."""
    if code in CODES:
        return CODES[code]
    return TiktokFault(kind="rejected") if code.startswith(FINAL_BEGINNING) else None


def answer_fault(answer: ServiceAnswer) -> tuple[ServiceFault, str, float | None]:
    """Return the kind of an answer that is no success, words for it, and the seconds to wait."""
    code = error_code(answer)
    told = code_fault(code)
    kind, words = usual_fault(answer)
    if answer.status < 300:
        kind = "rejected" if code else "busy"
    wait = usual_wait(answer, "busy")
    if told is not None:
        kind = told.kind
        wait = told.retry_after if wait is None or kind != "busy" else wait
    words = words or message_of(answer.json())
    parts = (code, "" if words == code else words, told.remedy if told else "")
    return kind, ": ".join(filter(None, parts)), wait if told is not None or kind == "busy" else None


def failure_fault(reason: str) -> TiktokFault:
    """Return what TikTok's reason for a failed post means; one that is not known is final."""
    return code_fault(reason) or TiktokFault(kind="rejected")
