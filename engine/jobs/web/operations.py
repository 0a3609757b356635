"""What each route does: it makes a request of the protocol from an HTTP request, and an HTTP reply from the answer."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from video_pipeline.engine.jobs.messages import BODY_MAX_BYTES, WAIT_MAX_SECONDS, JobFiles
from video_pipeline.engine.jobs.model import TERMINAL
from video_pipeline.engine.jobs.web.access import Caller
from video_pipeline.engine.jobs.web.downloads import send_file
from video_pipeline.engine.jobs.web.exchange import Exchange
from video_pipeline.engine.jobs.web.feeds import Feeds, UserFeed, read_events
from video_pipeline.engine.jobs.web.file_links import FileLinks
from video_pipeline.engine.jobs.web.replies import JSON_TYPE, HttpError, HttpReply
from video_pipeline.engine.jobs.web.server_client import REPLY_SECONDS, REQUESTS_MOST, ServerClient, checked
from video_pipeline.engine.jobs.web.settings import WebSettings
from video_pipeline.engine.jobs.web.shares import Shares
from video_pipeline.engine.jobs.web.uploads import MULTIPART, content_type, read_all, read_upload, with_key

HEARTBEAT_SECONDS: Final = 15.0
RECONNECT_MS: Final = 2000
STREAM_TYPE: Final = "text/event-stream"
KEPT_REPLY_BYTES: Final = 16 * 1024
"""Larger replies count against the limit on replies that clients have not read."""
DOWNLOADS_MOST, DOWNLOADS_OF_A_USER = 64, 32
WAITS_MOST, WAITS_OF_A_USER = REQUESTS_MOST // 2, REQUESTS_MOST // 8
"""Requests that wait for the end of a job. They leave room for the other requests to the server."""
UNREAD_REPLIES_BYTES: Final = 64 * 1024 * 1024
_WHOLE: Final = re.compile(r"-?[0-9]{1,20}")


@dataclass(slots=True)
class HeldByClients:
    """What clients hold at once: bytes of bodies and of unread replies, streams, downloads, waits."""

    bodies: Shares
    replies: Shares
    streams: Shares
    downloads: Shares
    waits: Shares

    @classmethod
    def of(cls, settings: WebSettings) -> HeldByClients:
        """Return the limits of a configuration."""
        most = settings.max_message_bytes
        return cls(
            Shares("bytes of requests wait", 4 * most, 2 * most),
            Shares("bytes of replies are unread", UNREAD_REPLIES_BYTES, UNREAD_REPLIES_BYTES // 4),
            Shares("streams of events are open", settings.max_streams, max(1, settings.max_streams // 4)),
            Shares("downloads are under way", DOWNLOADS_MOST, DOWNLOADS_OF_A_USER),
            Shares("requests wait for the end of a job", WAITS_MOST, WAITS_OF_A_USER),
        )


@dataclass(slots=True)
class SharedParts:
    """What operations need: the node's server, the events, the limits."""

    settings: WebSettings
    client: ServerClient
    feeds: Feeds
    held: HeldByClients
    links: FileLinks


@dataclass(slots=True)
class RouteCall:
    """A request to a route: who makes it, the values in its path and in its query."""

    shared: SharedParts
    exchange: Exchange
    caller: Caller
    values: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.headers = self.exchange.head.headers

    async def ask(self, verb: str, body: Mapping[str, Any], *, seconds: float = REPLY_SECONDS) -> bytes:
        """Ask the node's server; return the reply's body. Raises HttpError if it is an error."""
        reply = await self.shared.client.ask(
            self.caller.user, verb, json.dumps(body).encode(), seconds=seconds
        )
        return checked(reply).body

    async def reply(
        self, body: bytes, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Reply with JSON, which counts against the limit on unread replies if it is large."""
        size = len(body) if len(body) > KEPT_REPLY_BYTES else 0
        with self.shared.held.replies.taken(self.caller.user, size):
            await self.exchange.reply(HttpReply(status, body, headers))


WHOLE_FIELDS: Final = frozenset({"limit", "after", "lines"})


def query_fields(query: Mapping[str, str], whole: Collection[str] = WHOLE_FIELDS) -> dict[str, Any]:
    """Return a query as the fields of a request, those of `whole` as numbers; the server checks them."""
    return {
        name: int(value) if name in whole and _WHOLE.fullmatch(value) else value
        for name, value in query.items()
    }


async def submit_job(call: RouteCall) -> None:
    """Submit a story."""
    kind, parameters = content_type(call.headers)
    if kind not in (JSON_TYPE, MULTIPART) or parameters.get("charset", "utf-8").lower() not in (
        "utf-8",
        "utf8",
    ):
        raise HttpError(
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            f"Content-Type: allowed: {JSON_TYPE} (UTF-8), {MULTIPART}",
            field="Content-Type",
        )
    if "content-encoding" in call.headers:
        raise HttpError(
            415, "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding: allowed: none", field="Content-Encoding"
        )
    shared, user = call.shared, call.caller.user
    most = BODY_MAX_BYTES if kind == JSON_TYPE else shared.settings.max_message_bytes
    body, taken = await read_all(call.exchange, most=most, held=shared.held.bodies, user=user)
    try:
        upload = read_upload(kind, parameters, body, max_parts=shared.settings.max_parts)
        key = call.headers.get("idempotency-key")
        wanted = upload.body if key is None else with_key(upload.body, key)
        reply = checked(await shared.client.ask(user, "submit", wanted, upload.parts))
    finally:
        shared.held.bodies.give(user, taken)
    made = json.loads(reply.body)
    await call.reply(
        reply.body,
        status=201 if made["created"] else 200,
        headers=(("Location", f"/jobs/{made['job_id']}"),),
    )


async def list_jobs(call: RouteCall) -> None:
    """Get the caller's jobs, the latest first."""
    await call.reply(await call.ask("list", query_fields(call.query)))


async def get_job(call: RouteCall) -> None:
    """Get one job; with `wait`, when it has ended or after so many seconds."""
    query = dict(call.query)
    wait = query.pop("wait", None)
    if wait is None:
        await call.reply(await call.ask("status", {**query, **call.values}))
        return
    try:
        seconds: float | str = float(wait)
    except ValueError:
        seconds = wait
    if isinstance(seconds, float) and not 0 <= seconds <= WAIT_MAX_SECONDS:
        raise HttpError(400, "BAD_REQUEST", f"wait: allowed: 0 to {WAIT_MAX_SECONDS:g} seconds", field="wait")
    body = {**query, **call.values, "timeout": seconds}
    with call.shared.held.waits.taken(call.caller.user):
        found = await call.ask("wait", body, seconds=REPLY_SECONDS + WAIT_MAX_SECONDS)
    await call.reply(found)


async def cancel_job(call: RouteCall) -> None:
    """Cancel a job. 202: it is being stopped."""
    body = await call.ask("cancel", {**call.query, **call.values})
    await call.reply(body, status=200 if json.loads(body)["status"] in TERMINAL else 202)


async def retry_job(call: RouteCall) -> None:
    """Queue a failed or cancelled job again, with all its attempts."""
    await call.reply(await call.ask("retry", {**call.query, **call.values}))


async def list_files(call: RouteCall) -> None:
    """Get names, sizes and checksums of a completed job's files."""
    await call.reply(await call.ask("files", {**call.query, **call.values}))


async def get_file(call: RouteCall) -> None:
    """Get a file of a completed job, whole or a range of it."""
    listed = JobFiles.model_validate_json(await call.ask("files", {"job_id": call.values["job_id"]}))
    user = call.caller.user
    with call.shared.held.downloads.taken(user):
        await send_file(call.exchange, call.shared.client, user, listed, call.values["name"])


async def get_stats(call: RouteCall) -> None:
    """Get counts of the caller's jobs, the queue and the slots of the node."""
    await call.reply(await call.ask("stats", call.query))


async def get_ping(call: RouteCall) -> None:
    """Get the node's version and limits, and the caller's name."""
    await call.reply(await call.ask("ping", call.query))


async def get_events(call: RouteCall) -> None:
    """Get the caller's events: a stream, or with `Accept: application/json` one page."""
    await _events(call, job_id=None)


async def get_job_events(call: RouteCall) -> None:
    """Get the events of one job: a stream that ends with the job, or with `Accept: application/json` one page."""
    await _events(call, job_id=call.values["job_id"])


async def _events(call: RouteCall, *, job_id: str | None) -> None:
    query = query_fields(call.query)
    accepted = call.headers.get("accept", "")
    if JSON_TYPE in accepted and STREAM_TYPE not in accepted:
        await call.reply(await call.ask("events", {**query, **call.values}))
        return
    given = call.headers.get("last-event-id", query.pop("after", None))
    after = int(given) if isinstance(given, str) and _WHOLE.fullmatch(given) else given
    if query:
        raise HttpError(
            400, "BAD_REQUEST", f"{next(iter(query))[:100]}: allowed in a stream: after", field="query"
        )
    if after is not None and not (isinstance(after, int) and 0 <= after < 2**63):
        raise HttpError(
            400, "BAD_REQUEST", "Last-Event-ID, after: allowed: the number of an event", field="after"
        )
    user = call.caller.user
    with call.shared.held.streams.taken(user):
        feed = call.shared.feeds.open(user)
        try:
            await _stream(call, feed, job_id, after)
        finally:
            call.shared.feeds.close(user)


async def _stream(call: RouteCall, feed: UserFeed, job_id: str | None, after: int | None) -> None:
    """Write events until the client goes, or the job ends."""
    exchange, user = call.exchange, call.caller.user
    if after is None:
        after = 0 if job_id is not None else 2**63 - 1
    page = await read_events(call.shared.client, user, after=after, job_id=job_id)
    if (
        job_id is not None
        and not page.events
        and json.loads(await call.ask("status", call.values))["status"] in TERMINAL
    ):
        await exchange.reply(HttpReply(204))  # tells an EventSource not to come again
        return
    # The connection ends with the stream: what a client sends meanwhile ends it too.
    headers = [("Content-Type", STREAM_TYPE), ("X-Accel-Buffering", "no"), ("Connection", "close")]
    await exchange.start(200, headers)
    if exchange.is_head:
        await exchange.end()
        return
    await exchange.send(f"retry: {RECONNECT_MS}\n\n".encode())
    gone = asyncio.create_task(exchange.until_closed())
    try:
        while not gone.done():
            if page.events:
                lines = "".join(f"id: {each.seq}\ndata: {each.text}\n\n" for each in page.events)
                await exchange.send(lines.encode())
                if job_id is not None and not page.more and page.events[-1].ends:
                    break
            if not page.more and not feed.has_news(page.upto):
                changed = asyncio.create_task(feed.changed(page.upto, HEARTBEAT_SECONDS))
                await asyncio.wait({gone, changed}, return_when=asyncio.FIRST_COMPLETED)
                if not changed.done():
                    changed.cancel()
                elif not feed.has_news(page.upto):
                    await exchange.send(b": heartbeat\n\n")
            page = await _next_page(call, feed, page.upto, job_id)
    finally:
        gone.cancel()
    await exchange.end()


async def _next_page(call: RouteCall, feed: UserFeed, position: int, job_id: str | None) -> Any:
    """Return further events; while the node does not give any, heartbeats go on."""
    while True:
        try:
            return await feed.after(position, job_id)
        except HttpError as error:
            if error.status < 429:
                raise
            await call.exchange.send(b": the node does not reply\n\n")
            await asyncio.sleep(error.body.retry_after or 1.0)
