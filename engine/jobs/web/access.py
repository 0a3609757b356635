"""Who makes an HTTP request: a token's user, or on a loopback address without a token the local user.

A browser sends requests for any page that it shows. So a request that names another origin is refused unless
web.allowed_origins has it, and without a token the name in `Host` must be a loopback one: a foreign name that was made to
point at this machine (DNS rebinding) is not, nor is the name under which a proxy serves others. Of pictures, scripts and
links a browser does not name the origin, only that it is another one (`Sec-Fetch-Site`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.common.validation import show
from video_pipeline.engine.jobs.messages import LOCAL_USER
from video_pipeline.engine.jobs.tokens import TokenList
from video_pipeline.engine.jobs.web.replies import Header, HttpError
from video_pipeline.engine.jobs.web.settings import WebSettings

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
METHODS: Final = "GET, HEAD, POST, DELETE"
SENT_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Range"
READ_HEADERS: Final = "Content-Range, ETag, Location, Retry-After"


@dataclass(frozen=True, slots=True)
class Caller:
    """The user of a request, and the token that said so ("" without one)."""

    user: str
    token: str = ""

    def __repr__(self) -> str:
        return f"Caller({self.user!r})"


class AccessCheck:
    """Tells who makes a request."""

    def __init__(self, settings: WebSettings) -> None:
        self.tokens = TokenList(settings.keys)
        self._required = settings.tokens == "required" or not is_loopback_host(settings.host)
        self._origins = frozenset(settings.allowed_origins)

    @property
    def token_required(self) -> bool:
        """Whether every request needs a token."""
        return self._required

    def cors_headers(self, headers: Mapping[str, str]) -> tuple[Header, ...]:
        """Return the headers that let a page of a listed origin read the reply."""
        if not self._origins:
            return ()
        origin = headers.get("origin")
        if origin not in self._origins:
            return (("Vary", "Origin"),)
        return (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", READ_HEADERS),
            ("Vary", "Origin"),
        )

    def preflight_headers(self, headers: Mapping[str, str]) -> tuple[Header, ...]:
        """Return the headers that answer a browser's question before a request, for a page of a listed origin."""
        self._check_origin(headers)
        return (
            ("Access-Control-Allow-Methods", METHODS),
            ("Access-Control-Allow-Headers", SENT_HEADERS),
            ("Access-Control-Max-Age", "600"),
        )

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Return who makes a request; raise HttpError (401, 403) if it may not be made."""
        self._check_origin(headers)
        given = headers.get("authorization")
        if given is None:
            if self._required:
                raise _unauthorized("Authorization: is missing; allowed: Bearer TOKEN", "")
            host = headers.get("host", "")
            if host and not is_loopback_host(_host_name(host)):
                raise HttpError(
                    403,
                    "FORBIDDEN",
                    f"Host: got {show(host[:100])}; allowed without a token: localhost, 127.0.0.1, [::1]",
                    field="Host",
                )
            return Caller(LOCAL_USER)
        scheme, _, token = given.partition(" ")
        token = token.strip()
        user = self.tokens.user_of(token) if scheme.lower() == "bearer" else None
        if user is None:
            raise _unauthorized(
                "Authorization: no such token; make one with: video-pipeline keys token NAME",
                ', error="invalid_token"',
            )
        return Caller(user, token)

    def still_valid(self, caller: Caller) -> bool:
        """Return whether a token that was valid still is."""
        return not caller.token or self.tokens.user_of(caller.token) == caller.user

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        origin = headers.get("origin")
        if origin is None:
            _check_site(headers)
            return
        if origin in self._origins:
            return
        host = headers.get("host", "")
        if host and origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return
        raise HttpError(
            403,
            "FORBIDDEN",
            f"Origin: got {show(origin[:100])}; allowed: this node's own, and those of web.allowed_origins",
            field="Origin",
        )


def _check_site(headers: Mapping[str, str]) -> None:
    """Raise HttpError (403) for what a page of another origin embeds; a link that a person opens is let through."""
    site = headers.get("sec-fetch-site", "none")
    if site in ("none", "same-origin") or headers.get("sec-fetch-dest") == "document":
        return
    raise HttpError(
        403,
        "FORBIDDEN",
        f"Sec-Fetch-Site: got {show(site[:100])}; allowed without Origin: same-origin, none",
        field="Sec-Fetch-Site",
    )


def _unauthorized(message: str, more: str) -> HttpError:
    challenge = ("WWW-Authenticate", f'Bearer realm="video-pipeline"{more}')
    return HttpError(401, "UNAUTHORIZED", message, field="Authorization", headers=(challenge,))


def _host_name(host: str) -> str:
    match = _HOST.fullmatch(host)
    return match.group(1).strip("[]") if match else ""


def is_loopback_host(host: str) -> bool:
    """Return whether a host is this machine alone: `localhost`, or a loopback address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
