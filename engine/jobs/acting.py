"""Requests that the node's HTTP process makes for a user whom it has authenticated.

    acting | secret | user's name | protocol + encoding | request id | verb | body | inline asset …

The secret is made by the node at each start and known only to its HTTP process and its server. A message that begins
otherwise, or comes from anyone else, is a request of its sender.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from video_pipeline.engine.jobs.curve import CLIENT_NAME, WEB_CLIENT
from video_pipeline.engine.jobs.messages import LOCAL_USER

ACTING = b"VP1-acting"
ACTING_FRAMES = 3


def acting_frames(secret: str, user: str, frames: Sequence[bytes]) -> list[bytes]:
    """Return the frames of a request for a user."""
    return [ACTING, secret.encode(), user.encode(), *frames]


@dataclass(frozen=True, slots=True)
class ActingCheck:
    """Tells for whom a request is; without `secret`, always for its sender."""

    secret: str | None = field(default=None, repr=False)

    def user_and_frames(
        self, sender: str, frames: Sequence[bytes], *, curve: bool
    ) -> tuple[str, Sequence[bytes]]:
        """Return the user for whom a request is, and its frames without those that name the user."""
        if (
            self.secret is None
            or len(frames) < ACTING_FRAMES
            or frames[0] != ACTING
            or sender != (WEB_CLIENT if curve else LOCAL_USER)
            or not hmac.compare_digest(frames[1], self.secret.encode())
        ):
            return sender, frames
        user = frames[2].decode("ascii", "replace")
        if not CLIENT_NAME.fullmatch(user):
            return sender, frames
        return user, frames[ACTING_FRAMES:]
