"""Answers HTTP requests: who makes them, which route they take, and what becomes of their errors."""

from __future__ import annotations

import asyncio
import json
import logging

from video_pipeline.engine.jobs.web.access import AccessCheck, Caller
from video_pipeline.engine.jobs.web.exchange import DisconnectedError, Exchange
from video_pipeline.engine.jobs.web.feeds import Feeds
from video_pipeline.engine.jobs.web.file_links import LINKS, FileLinks
from video_pipeline.engine.jobs.web.openapi import openapi_document
from video_pipeline.engine.jobs.web.operations import HeldByClients, RouteCall, SharedParts
from video_pipeline.engine.jobs.web.page_files import page_file, send_page_file
from video_pipeline.engine.jobs.web.replies import HttpError, HttpReply
from video_pipeline.engine.jobs.web.routes import OPENAPI_PATH, find_route, not_allowed, read_target
from video_pipeline.engine.jobs.web.server_client import ServerClient
from video_pipeline.engine.jobs.web.settings import WebSettings

logger = logging.getLogger(__name__)


class Application:
    """Answers requests by asking the node's server."""

    def __init__(self, settings: WebSettings, client: ServerClient) -> None:
        self.access = AccessCheck(settings)
        self.held = HeldByClients.of(settings)
        self._links = FileLinks()
        self._shared = SharedParts(settings, client, Feeds(client), self.held, self._links)
        self._callers: dict[asyncio.Task[None], Caller] = {}
        """Who makes the requests that are under way, by the tasks that answer them."""
        self._openapi: bytes | None = None

    async def serve(self, exchange: Exchange) -> None:
        """Answer a request. Raises DisconnectedError if the connection is of no more use."""
        try:
            try:
                exchange.more = self.access.cors_headers(exchange.head.headers)
                await self._answer(exchange)
            except HttpError as error:
                await _reply_error(exchange, error)
            except (DisconnectedError, OSError):
                raise
            except Exception:
                logger.exception("an HTTP request failed")
                await _reply_error(
                    exchange, HttpError(500, "INTERNAL", "an internal error; see the node's log")
                )
        except OSError as error:
            raise DisconnectedError from error

    def reload_tokens(self) -> None:
        """Read the tokens again if they have changed, and end the requests that revoked ones began."""
        if self.access.tokens.reload():
            for fault in self.access.tokens.faults:
                logger.error("%s", fault)
            for task, caller in list(self._callers.items()):
                if not self.access.still_valid(caller):
                    task.cancel()

    async def _answer(self, exchange: Exchange) -> None:
        head = exchange.head
        if head.method == "OPTIONS":
            await exchange.reply(HttpReply(204, headers=self.access.preflight_headers(head.headers)))
            return
        target = read_target(head.target)
        if (page := page_file(target.parts)) is not None:
            await send_page_file(exchange, page)
            return
        caller = self._linked_caller(target.parts) or self.access.caller(head.headers)
        if target.parts == (OPENAPI_PATH[1:],):
            await self._describe(exchange)
            return
        route, values = find_route(head.method, target.parts)
        task = asyncio.current_task()
        assert task is not None
        self._callers[task] = caller
        try:
            await route.answer(RouteCall(self._shared, exchange, caller, values, target.query))
        finally:
            del self._callers[task]

    def _linked_caller(self, parts: tuple[str, ...]) -> Caller | None:
        """Return who made the link that a request follows, if it may still be followed."""
        link = self._links.get(parts[1]) if len(parts) == 2 and parts[0] == LINKS else None
        return link.caller if link is not None and self.access.still_valid(link.caller) else None

    async def _describe(self, exchange: Exchange) -> None:
        if exchange.head.method not in ("GET", "HEAD"):
            raise not_allowed(exchange.head.method, {"GET", "HEAD"})
        if self._openapi is None:
            self._openapi = await asyncio.to_thread(_openapi_text)
        await exchange.reply(HttpReply(200, self._openapi))


def _openapi_text() -> bytes:
    return json.dumps(openapi_document()).encode()


async def _reply_error(exchange: Exchange, error: HttpError) -> None:
    if exchange.status:  # the reply has begun: a cut connection is all that can be told
        raise DisconnectedError from error
    await exchange.reply(error.reply())
