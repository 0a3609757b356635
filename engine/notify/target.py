"""What delivers notifications: one target is a URL, a mailbox or a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.notify.outbox import Note

SHOWN_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDelivered:
    """Why a notification was not delivered.

    `retry_after`: seconds that the receiver asks for. `gone`: the receiver wants nothing more. `left`: the body with which
    it is tried again, if a part was accepted.
    """

    error: str
    retry_after: float | None = None
    gone: bool = False
    left: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A receiver. `send` returns None once the notification was accepted.

    `address` stands for where it is sent, without secrets; `attempts` limits how often it is tried, None by time alone.
    """

    name: str
    address: str
    send: Callable[[Note], NotDelivered | None]
    attempts: int | None = None


def one_line(text: str) -> str:
    """Return a text on one line of limited length."""
    shown = " ".join(text.split())
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[: SHOWN_CHARACTERS - 1]}…"
