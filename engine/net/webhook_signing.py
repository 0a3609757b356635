"""Sign webhooks as Standard Webhooks asks (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.net.secret import Secret, find_secret

SECRET_PREFIX: Final = "whsec_"


def webhook_headers(body: bytes, *, message_id: str, secret: Secret | None, now: float) -> Mapping[str, str]:
    """Return the headers of a webhook: id, time in seconds since 1970 and, with a secret, HMAC-SHA256 of both and the body.

    A secret that begins with `whsec_` is Base64 after that, as in Standard Webhooks; another is taken as it is.
    """
    seconds = str(int(now))
    headers = {"webhook-id": message_id, "webhook-timestamp": seconds}
    if secret is not None:
        value = secret.reveal()
        key = value.encode()
        if value.startswith(SECRET_PREFIX):
            key = base64.b64decode(value.removeprefix(SECRET_PREFIX))
        digest = hmac.new(
            key, b".".join((message_id.encode(), seconds.encode(), body)), hashlib.sha256
        ).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def find_webhook_secret(key: str, *, file: Path | None, variables: Sequence[str]) -> Secret | None:
    """Return the secret that signs webhooks, or None; raise ConfigError, as `find_secret`, and for one that is not Base64."""
    secret = find_secret(key, file=file, variables=variables)
    if secret is not None and secret.reveal().startswith(SECRET_PREFIX):
        try:
            base64.b64decode(secret.reveal().removeprefix(SECRET_PREFIX), validate=True)
        except ValueError:
            raise ConfigError(
                f"{key}: {secret.origin} begins with {SECRET_PREFIX} and is not Base64 after that"
            ) from None
    return secret
