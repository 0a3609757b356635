"""Publish to a URL: a platform of one's own that is told of each video and fetches it itself.

Each post is one request with a JSON body, signed as Standard Webhooks (https://www.standardwebhooks.com) asks. The same post
has the same `webhook-id` however often it is sent, so the receiver knows one that it has.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.net.client import ServiceAnswer, ServiceClient, ServiceRequest
from video_pipeline.engine.net.endpoint import checked_endpoint
from video_pipeline.engine.net.meter import Meter
from video_pipeline.engine.net.retry import RetryPolicy
from video_pipeline.engine.net.secret import Secret
from video_pipeline.engine.net.webhook_signing import find_webhook_secret, webhook_headers
from video_pipeline.engine.publish.base import (
    Handle,
    OnSent,
    Post,
    Published,
    PublisherRecord,
    Standing,
    account_of,
)

SECRET_VARIABLE: Final = "PUBLISH_WEBHOOK_SECRET"
ID_CHARACTERS: Final = 32
ID_LENGTH: Final = 256
URL_LENGTH: Final = 2048


class Unmetered:
    """Nothing is paid for."""

    def take(self, service: str, amount: int) -> None:
        """Count nothing."""

    def give_back(self, service: str, amount: int) -> None:
        """Count nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookCalls:
    """Sends posts to one URL."""

    url: str
    secret: Secret | None
    timeout: float
    meter: Meter
    clock: Callable[[], float] = time.time

    def plan(self, post: Post) -> list[str]:
        """Return the one request."""
        signed = "signed" if self.secret else "not signed"
        message_id = self.prepare(post).fields["id"]
        return [f"POST {self.url} ({signed}, webhook-id {message_id}): {_post_message(post).decode()}"]

    def prepare(self, post: Post) -> Handle:
        """Choose the id of the message: the video's hash, so that it is the same after a crash."""
        return Handle(fields={"id": f"post-{post.sha256[:ID_CHARACTERS]}"})

    def send(self, post: Post, handle: Handle, *, on_sent: OnSent) -> None:
        """Send nothing: the receiver fetches the video."""

    def commit(self, post: Post, handle: Handle) -> Published:
        """Send the message; any success counts."""
        message_id = str(handle.fields["id"])
        body = _post_message(post)
        client = ServiceClient(
            service="webhook",
            timeout=self.timeout,
            meter=self.meter,
            policy=RetryPolicy(attempts=1),
            secrets=(self.secret,) if self.secret else (),
        )
        answer = client.ask(
            ServiceRequest(
                url=self.url,
                headers={"Content-Type": "application/json"},
                body=body,
                accepts=(),
                sign=lambda request: webhook_headers(
                    body, message_id=message_id, secret=self.secret, now=self.clock()
                ),
            )
        )
        return _published_by(answer, message_id)

    def ask(self, post: Post, handle: Handle) -> Published | Standing:
        """Return that it may be sent: sending it again is no second post, because its id is the same."""
        return "open"

    def complete(self, post: Post, published: Published) -> None:
        """Do nothing: the message has everything."""

    def quota(self) -> None:
        """Return None: what the receiver allows is its own matter."""


def _post_message(post: Post) -> bytes:
    message = {
        "type": "video.published",
        "sha256": post.sha256,
        "size": post.size,
        "duration": post.duration,
        "video": str(post.video),
        "thumbnail": str(post.thumbnail) if post.thumbnail else None,
        "subtitles": str(post.subtitles) if post.subtitles else None,
        "title": post.title,
        "description": post.description,
        "hashtags": list(post.hashtags),
        "language": post.language,
        "contains_generated_media": post.generated,
    }
    return json.dumps(message, ensure_ascii=False, sort_keys=True).encode()


def _published_by(answer: ServiceAnswer, message_id: str) -> Published:
    """Return the receiver's own id and URL of the post if its answer has them."""
    body = answer.json()
    told = body if isinstance(body, Mapping) else {}
    said, url = told.get("id"), told.get("url")
    remote_id = str(said) if isinstance(said, str | int) and not isinstance(said, bool) else ""
    shown = url if isinstance(url, str) and url.startswith(("https://", "http://")) else None
    return Published(
        remote_id=storable(remote_id)[:ID_LENGTH] or message_id,
        url=None if shown is None else storable(shown)[:URL_LENGTH],
    )


def storable(text: str) -> str:
    """Return a receiver's text without what UTF-8 cannot encode and without control characters."""
    clean = text.encode(errors="ignore").decode()
    return "".join(letter for letter in clean if letter.isprintable())


def _connect_webhook(config: Config, account: str) -> WebhookCalls:
    keys = account_of(config.publishing.accounts.webhook, account, platform="webhook")
    place = f"publishing.accounts.webhook.{account}"
    secret = find_webhook_secret(f"{place}.secret_file", file=keys.secret_file, variables=(SECRET_VARIABLE,))
    url = checked_endpoint(f"{place}.url", keys.url, has_secret=False)
    return WebhookCalls(url=url, secret=secret, timeout=keys.timeout, meter=Unmetered())


PUBLISHER: Final = PublisherRecord(name="webhook", connect=_connect_webhook)
