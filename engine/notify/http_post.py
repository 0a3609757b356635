"""Deliver notifications to URLs: signed, without redirects, to public addresses unless private ones are allowed."""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from video_pipeline.engine import __version__
from video_pipeline.engine.config.notifications import AlertWebhook, HttpTarget
from video_pipeline.engine.errors import ConfigError, FetchError
from video_pipeline.engine.net.addresses import Address, Url, check_url, check_written_address, is_public
from video_pipeline.engine.net.pinned import (
    NO_ANSWER_ERRORS,
    AddressRefusedError,
    PinnedRequests,
    TooSlowError,
)
from video_pipeline.engine.net.retry import retry_after_seconds
from video_pipeline.engine.net.secret import Secret, find_secret, hide_secrets
from video_pipeline.engine.net.webhook_signing import find_webhook_secret, webhook_headers
from video_pipeline.engine.notify.outbox import Note
from video_pipeline.engine.notify.target import NotDelivered, Target, one_line

SECRET_VARIABLE: Final = "NOTIFY_WEBHOOK_SECRET"
READ_BYTES: Final = 4096
"""Bytes of an answer that are read: only its status matters."""

GONE: Final = 410
DISCORD_CHARACTERS: Final = 2000
PRIVATE_ADVICE: Final = "set allow_private for a receiver of your own network"


def any_address(address: Address) -> bool:
    """Allow every address."""
    return True


def shown_body(note: Note, form: Literal["standard", "slack", "discord"]) -> bytes:
    """Return the body of a request: the notification as it is, or its text in the form of a chat service."""
    if form == "standard":
        return note.body.encode()
    text = str(json.loads(note.body)["data"]["text"])
    if form == "slack":
        # https://docs.slack.dev/messaging/formatting-message-text: these three have a meaning.
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return json.dumps({"text": escaped}).encode()
    content: dict[str, Any] = {"content": text[:DISCORD_CHARACTERS], "allowed_mentions": {"parse": []}}
    return json.dumps(content).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPost:
    """Sends notifications to one URL."""

    url: Url
    secret: Secret | None
    hidden: tuple[Secret, ...]
    timeout: float
    requests: PinnedRequests
    form: Literal["standard", "slack", "discord"] = "standard"
    clock: Callable[[], float] = field(default=time.time)

    def __call__(self, note: Note) -> NotDelivered | None:
        """Send one; return why it was not accepted, None if it was."""
        body = shown_body(note, self.form)
        headers = {
            "User-Agent": f"video-pipeline/{__version__}",
            "Content-Type": "application/json",
            "Connection": "close",
            **webhook_headers(body, message_id=note.message_id, secret=self.secret, now=self.clock()),
        }
        deadline = time.monotonic() + self.timeout
        try:
            with self.requests.answer(
                self.url, "POST", headers=headers, body=body, deadline=deadline
            ) as answer:
                return self._judge(answer)
        except AddressRefusedError as error:
            return self._failed(f"{error}; {PRIVATE_ADVICE}")
        except ssl.SSLCertVerificationError as error:
            return self._failed(f"its certificate is not valid: {error.verify_message or error.reason}")
        except TooSlowError:
            return self._failed(f"no answer within {self.timeout:g} s")
        except NO_ANSWER_ERRORS as error:
            return self._failed(f"no valid answer: {str(error) or type(error).__name__}")

    def _judge(self, answer: http.client.HTTPResponse) -> NotDelivered | None:
        if 200 <= answer.status < 300:
            return None
        what = f"{answer.status} {answer.reason[:80]}".strip()
        if 300 <= answer.status < 400:
            return self._failed(f"{what}: redirects are not followed")
        words = answer.read1(READ_BYTES).decode("utf-8", "replace")
        wait = retry_after_seconds(answer.headers.get("Retry-After"))
        return NotDelivered(
            error=self._shown(f"{what}: {words}" if words else what),
            retry_after=wait,
            gone=answer.status == GONE,
        )

    def _failed(self, error: str) -> NotDelivered:
        return NotDelivered(error=self._shown(error))

    def _shown(self, text: str) -> str:
        return one_line(hide_secrets(text, self.hidden))


def http_target(name: str, keys: HttpTarget, *, place: str) -> Target:
    """Return the target of a URL; raise ConfigError that names the key at `place`."""
    hidden: list[Secret] = []
    if keys.url is not None:
        text, key = keys.url, f"{place}.url"
    else:
        key = f"{place}.url_file"
        found = find_secret(key, file=keys.url_file, variables=())
        assert found is not None
        text = found.reveal()
        hidden.append(found)
    try:
        url = check_url(text)
    except FetchError as error:
        raise ConfigError(f"{key}: {hide_secrets(str(error), hidden)}") from None
    try:
        if not keys.allow_private:
            check_written_address(url)
    except FetchError as error:
        raise ConfigError(f"{key}: {hide_secrets(str(error), hidden)}; {PRIVATE_ADVICE}") from None
    if hidden and url.target != "/":
        hidden.append(Secret(url.target, hidden[0].origin))
    secret = find_webhook_secret(f"{place}.secret_file", file=keys.secret_file, variables=(SECRET_VARIABLE,))
    allow = any_address if keys.allow_private else is_public
    post = HttpPost(
        url=url,
        secret=secret,
        hidden=(*hidden, *([secret] if secret else [])),
        timeout=keys.timeout,
        requests=PinnedRequests(idle=keys.timeout, allow=allow),
        form=keys.format if isinstance(keys, AlertWebhook) else "standard",
    )
    return Target(name=name, address=hashlib.sha256(text.encode()).hexdigest(), send=post)
