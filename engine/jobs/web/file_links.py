"""Links to files: a video element of a page cannot send a token, so its URL lets whoever has it read one file.

A link is for one file of one job, ends after an hour, and is no longer good if its user's token is taken away. Links
are kept in the memory of the HTTP process: if that is restarted, pages ask for new ones.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.jobs.web.access import Caller

LINKS: Final = "links"
LINK_SECONDS: Final = 3600.0
LINKS_MOST: Final = 4096
LINKS_OF_A_USER: Final = 256


@dataclass(frozen=True, slots=True)
class LinkedFile:
    """What a link is for, who made it, and when it ends (monotonic seconds)."""

    caller: Caller
    job_id: str
    name: str
    until: float


class FileLinks:
    """The links that are good; of a user who has the most, the oldest gives way."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._links: OrderedDict[str, LinkedFile] = OrderedDict()

    def __len__(self) -> int:
        return len(self._links)

    def make(self, caller: Caller, job_id: str, name: str) -> str:
        """Return the text of a new link."""
        now = self._now()
        while self._links and next(iter(self._links.values())).until <= now:
            self._links.popitem(last=False)
        own = [text for text, link in self._links.items() if link.caller.user == caller.user]
        if len(own) >= LINKS_OF_A_USER:
            del self._links[own[0]]
        elif len(self._links) >= LINKS_MOST:
            self._links.popitem(last=False)
        text = secrets.token_urlsafe(32)
        self._links[text] = LinkedFile(caller, job_id, name, now + LINK_SECONDS)
        return text

    def get(self, text: str) -> LinkedFile | None:
        """Return what a link is for, None if it is none or has ended."""
        link = self._links.get(text)
        return link if link is not None and self._now() < link.until else None
