"""Signature Version 4, with which Amazon's services recognise a request's sender.

Source: "Create a signed AWS API request" in the AWS Identity and Access Management user guide.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from video_pipeline.engine.net.secret import Secret


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    """An access key; `token` belongs to temporary ones."""

    access_key: Secret
    secret_key: Secret
    token: Secret | None = None


def signed_headers(
    credentials: AwsCredentials,
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    region: str,
    service: str,
    now: datetime | None = None,
) -> dict[str, str]:
    """Return the headers that sign a request without a query; `headers` are signed, too."""
    at = (now or datetime.now(UTC)).astimezone(UTC)
    stamp, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    parts = urlsplit(url)
    added = {"X-Amz-Date": stamp}
    if credentials.token is not None:
        added["X-Amz-Security-Token"] = credentials.token.reveal()
    signed = {name.lower(): " ".join(value.split()) for name, value in {**headers, **added}.items()}
    signed["host"] = parts.netloc
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        [
            method,
            quote(parts.path or "/", safe="/-_.~"),
            "",
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_key.reveal()}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    added["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key.reveal()}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return added
