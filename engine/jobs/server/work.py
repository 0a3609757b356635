"""A request on its way through the front end."""

from __future__ import annotations

from dataclasses import dataclass

from video_pipeline.engine.jobs.messages import Message, Request
from video_pipeline.engine.jobs.server.wire import Encoded, Return
from video_pipeline.engine.jobs.server.writes import Write


@dataclass(slots=True)
class Work:
    """A request. `write`: what it asks to be written, after which it has its `answer`; `size` is in bytes.

    A request that is neither written nor answered is held.
    """

    user: str
    client: str | bytes
    back: Return
    size: int = 0
    request: Request | None = None
    write: Write | None = None
    has_parts: bool = False
    answer: Message | Encoded | None = None
