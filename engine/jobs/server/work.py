"""The state of one request inside the server."""

from __future__ import annotations

from dataclasses import dataclass

from video_pipeline.engine.jobs.messages import Message
from video_pipeline.engine.jobs.server.result_files import FileRead
from video_pipeline.engine.jobs.server.wire import EncodedReply, ReplyRoute
from video_pipeline.engine.jobs.server.writes import Write
from video_pipeline.engine.jobs.verbs import Request


@dataclass(slots=True)
class Work:
    """One request until it has its reply. `size` is in bytes; `write` is the change of the ledger that it asks for,
    `read` what it asks for of a job's files.

    A request with neither `write`, `read` nor `reply` is held until its job ends or it times out.
    """

    user: str
    client: str | bytes
    route: ReplyRoute
    size: int = 0
    request: Request | None = None
    write: Write | None = None
    read: FileRead | None = None
    has_parts: bool = False
    reply: Message | EncodedReply | None = None
