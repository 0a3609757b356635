"""OAuth 2.0 for programs on a user's machine: a grant by browser and loopback, its refresh and its end.

Source: RFC 6749; RFC 7636 (PKCE); RFC 8252 (loopback). What platforms do in another way is in `oauth_rules`.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict

from video_pipeline.engine.common.documents import DocumentError, read_document
from video_pipeline.engine.errors import InputError, ServiceError, ServiceFault
from video_pipeline.engine.net.client import ServiceAnswer, ServiceClient, ServiceRequest, usual_fault
from video_pipeline.engine.net.endpoint import checked_endpoint
from video_pipeline.engine.net.secret import Secret
from video_pipeline.engine.publish.oauth_rules import OAUTH_RULES, OauthPlatform, OauthRules
from video_pipeline.engine.publish.webhook import Unmetered

ALLOW_SECONDS: Final = 300.0
"""How long a person has to allow the access."""

ENDED: Final = frozenset({"invalid_grant", "unauthorized_client", "invalid_client", "deleted_client"})
"""Errors after which only a person can connect the account again."""


class OauthApp(BaseModel):
    """The app that asks for access, as its platform's console gives it. `platform` says whose OAuth it speaks."""

    model_config = ConfigDict(frozen=True)

    client_id: str
    client_secret: str
    auth_uri: str
    token_uri: str
    platform: OauthPlatform = "google"

    @property
    def rules(self) -> OauthRules:
        """How the platform departs from OAuth."""
        return OAUTH_RULES[self.platform]

    def __repr__(self) -> str:
        return f"OauthApp({self.client_id})"

    __str__ = __repr__


class Grant(BaseModel):
    """Access to an account. `expires_at` is that of the access token, in seconds since 1970.

    `refresh_seconds` is how long the refresh token lives, None if the platform does not say.
    """

    model_config = ConfigDict(frozen=True)

    access_token: str
    refresh_token: str
    expires_at: float
    refresh_seconds: float | None = None

    def __repr__(self) -> str:
        return "Grant()"

    __str__ = __repr__


def read_app(file: Path, platform: OauthPlatform = "google") -> OauthApp:
    """Return the app of a client file; raise InputError that shows nothing of its content."""
    rules = OAUTH_RULES[platform]
    if not file.is_file():
        raise InputError(f"--client {file}: there is no such file; {rules.file_words}")
    try:
        found = read_document(file, "json")
    except DocumentError:
        raise InputError(f"--client {file}: is no JSON; {rules.file_words}") from None
    section = found.get(rules.section) if rules.section and isinstance(found, Mapping) else found
    names = {
        "client_id": rules.client_key,
        "client_secret": "client_secret",
        "auth_uri": "auth_uri",
        "token_uri": "token_uri",
    }
    told = {**rules.endpoints, **section} if isinstance(section, Mapping) else {}
    if not all(isinstance(told.get(name), str) and told[name] for name in names.values()):
        needed = ", ".join(name for name in names.values() if name not in rules.endpoints)
        place = f"no `{rules.section}` with {needed}" if rules.section else f"not {needed} as texts"
        raise InputError(f"--client {file}: has {place}; {rules.file_words}")
    app = OauthApp(platform=platform, **{key: told[name] for key, name in names.items()})
    for key, url in (("auth_uri", app.auth_uri), ("token_uri", app.token_uri)):
        checked_endpoint(f"--client {file}: {key}", url, has_secret=True)
    return app


def ask_for_grant(
    app: OauthApp,
    scopes: Sequence[str],
    *,
    show: Callable[[str], object],
    seconds: float = ALLOW_SECONDS,
    timeout: float = 30.0,
) -> Grant:
    """Let a person allow access in a browser on this machine, and return the grant.

    `show` gets the address that the person opens. Raises ServiceError if access is not allowed within `seconds`.
    """
    rules = app.rules
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
    with _CodeServer(state) as server:
        redirect = f"http://127.0.0.1:{server.server_port}{rules.redirect_path}"
        query = {
            "response_type": "code",
            rules.client_key: app.client_id,
            "redirect_uri": redirect,
            "scope": rules.scope_separator.join(scopes),
            "state": state,
            "code_challenge": rules.challenge(verifier),
            "code_challenge_method": "S256",
            **rules.more_query,
        }
        show(f"{app.auth_uri}?{urlencode(query)}")
        code = server.wait_for_code(seconds)
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect,
        "code_verifier": verifier,
    }
    told = _token_answer(app, fields, timeout=timeout)
    granted = str(told.get("scope", " ".join(scopes))).replace(rules.scope_separator, " ").split()
    if missing := [scope for scope in scopes if scope not in granted]:
        raise ServiceError(f"account: access was not allowed to {', '.join(missing)}", kind="denied")
    return _grant_of(app, told, refresh_token="", now=time.time())


def refreshed_grant(app: OauthApp, grant: Grant, *, timeout: float, now: float) -> Grant:
    """Return a grant with a new access token; raise ServiceError, denied if the account must be connected again.

    A platform whose refresh tokens rotate ends the old one with its answer: store the grant before it is used.
    """
    fields = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}
    told = _token_answer(app, fields, timeout=timeout)
    return _grant_of(app, told, refresh_token=grant.refresh_token, now=now)


def revoke_grant(app: OauthApp, grant: Grant, *, timeout: float) -> str | None:
    """End a grant at the platform; return what went wrong, None if it is ended."""
    url = f"{app.token_uri.rstrip('/').rpartition('/')[0]}{app.rules.revoke}"
    token = getattr(grant, app.rules.revoked)
    fields = {"token": token}
    if app.rules.revoked == "access_token":
        fields |= {app.rules.client_key: app.client_id, "client_secret": app.client_secret}
    client = _oauth_client(app, [token], timeout)
    try:
        client.ask(_form(url, fields), check=lambda answer: _check_no_error(client, answer))
    except ServiceError as error:
        return str(error)
    return None


def _token_answer(app: OauthApp, fields: Mapping[str, str], *, timeout: float) -> Mapping[str, Any]:
    hidden = [fields.get(key, "") for key in ("code", "code_verifier", "refresh_token")]
    client = _oauth_client(app, hidden, timeout)
    own = {app.rules.client_key: app.client_id, "client_secret": app.client_secret}

    def check(answer: ServiceAnswer) -> None:
        _check_no_error(client, answer)
        told = answer.json()
        if not isinstance(told, Mapping) or not isinstance(told.get("access_token"), str):
            raise client.error("the answer has no access token", kind="busy")

    told: Mapping[str, Any] = client.ask(_form(app.token_uri, {**own, **fields}), check=check).json()
    return told


def _check_no_error(client: ServiceClient, answer: ServiceAnswer) -> None:
    """Raise ServiceError for an error that comes with the status of a success, as TikTok's do."""
    if _error_code(answer) not in ("", "ok"):
        kind, words = _oauth_fault(answer)
        raise client.error(words, kind=kind)


def _error_code(answer: ServiceAnswer) -> str:
    """Return the code of an error, which is a text (RFC 6749, 5.2) or an object with a `code`; empty if there is none."""
    told = answer.json()
    error = told.get("error") if isinstance(told, Mapping) else None
    return str((error.get("code") if isinstance(error, Mapping) else error) or "")


def _grant_of(app: OauthApp, told: Mapping[str, Any], *, refresh_token: str, now: float) -> Grant:
    kept = told.get("refresh_token") or refresh_token
    if not kept:
        raise ServiceError("account: the platform gave no refresh token; connect it again", kind="denied")
    lives, ends = told.get("expires_in"), told.get(app.rules.refresh_lifetime)
    return Grant(
        access_token=told["access_token"],
        refresh_token=str(kept),
        expires_at=now + (float(lives) if isinstance(lives, int | float) else 0.0),
        refresh_seconds=float(ends) if isinstance(ends, int | float) else None,
    )


def _form(url: str, fields: Mapping[str, str]) -> ServiceRequest:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return ServiceRequest(url=url, headers=headers, body=urlencode(fields).encode())


def _oauth_client(app: OauthApp, hidden: Sequence[str], timeout: float) -> ServiceClient:
    texts = filter(None, (app.client_secret, *hidden))
    return ServiceClient(
        service="account",
        timeout=timeout,
        meter=Unmetered(),
        secrets=tuple(Secret(text, "its file") for text in texts),
        fault=_oauth_fault,
    )


def _oauth_fault(answer: ServiceAnswer) -> tuple[ServiceFault, str]:
    """Return what an error of a token endpoint means (RFC 6749, 5.2)."""
    error = _error_code(answer)
    if error in ENDED:
        return (
            "denied",
            f"{error}: access has ended; connect the account again (`video-pipeline accounts add`)",
        )
    kind, _ = usual_fault(answer)
    return kind if kind == "busy" else "denied", error


class _CodeServer(HTTPServer):
    """Waits on 127.0.0.1 for the browser to come back with a code. What has another `state` is not the answer."""

    def __init__(self, state: str) -> None:
        self.code = ""
        self.error = ""
        self._state = state
        super().__init__(("127.0.0.1", 0), _CodeHandler)

    def take(self, query: Mapping[str, Sequence[str]]) -> bool:
        """Keep the code of an answer; return whether it is ours."""
        state = query.get("state", [""])[0]
        if not hmac.compare_digest(state.encode(), self._state.encode()):
            return False
        self.code, self.error = query.get("code", [""])[0], query.get("error", [""])[0]
        return bool(self.code or self.error)

    def wait_for_code(self, seconds: float) -> str:
        """Return the code; raise ServiceError if access is refused or nothing comes in time."""
        end = time.monotonic() + seconds
        while not self.code and not self.error:
            self.timeout = end - time.monotonic()
            if self.timeout <= 0:
                raise ServiceError(f"account: access was not allowed within {seconds:g} s", kind="denied")
            self.handle_request()
        if self.error:
            raise ServiceError(f"account: access was not allowed: {self.error[:80]!r}", kind="denied")
        return self.code


class _CodeHandler(BaseHTTPRequestHandler):
    server: _CodeServer
    timeout = 5.0

    def log_message(self, *arguments: Any) -> None:
        """Write nothing: the address holds the code."""

    def do_GET(self) -> None:
        is_ours = self.server.take(parse_qs(urlsplit(self.path).query))
        words = "You can close this page." if is_ours else "This is not the answer that is waited for."
        body = words.encode()
        self.send_response(200 if is_ours else 400)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
