"""How platforms depart from OAuth 2.0: the names of fields, the form of the PKCE challenge, how access is revoked.

Sources: Google's "OAuth 2.0 for iOS & Desktop Apps"; TikTok's "Login Kit for Desktop" (developers.tiktok.com) and its
pages on user access tokens, last updated 2026-11-02.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

OauthPlatform = Literal["google", "tiktok"]


def base64_challenge(verifier: str) -> str:
    """Return the PKCE challenge of RFC 7636: the verifier's SHA-256 as Base64 for URLs, without padding."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def hex_challenge(verifier: str) -> str:
    """Return TikTok's PKCE challenge for desktop apps: the verifier's SHA-256 in hexadecimal digits."""
    return hashlib.sha256(verifier.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class OauthRules:
    """One platform's OAuth.

    `client_key` and `secret_key` name the app's fields in the client file and `client_key` also the one in requests;
    `section` is where the client file has them, None for its top. `endpoints` are used if the file names none.
    `revoked` is the token that ends the access, at `revoke` beside or below `token_uri`.
    """

    client_key: str = "client_id"
    section: str | None = None
    file_words: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    scope_separator: str = " "
    challenge: Callable[[str], str] = base64_challenge
    redirect_path: str = "/"
    more_query: Mapping[str, str] = field(default_factory=dict)
    refresh_lifetime: str = "refresh_token_expires_in"
    revoke: str
    revoked: Literal["access_token", "refresh_token"] = "refresh_token"
    ended_at: str


OAUTH_RULES: Final[Mapping[OauthPlatform, OauthRules]] = MappingProxyType(
    {
        "google": OauthRules(
            section="installed",
            file_words="make an OAuth client of the type Desktop app and download its JSON",
            more_query={"access_type": "offline", "prompt": "consent"},
            revoke="/revoke",
            ended_at="myaccount.google.com",
        ),
        "tiktok": OauthRules(
            client_key="client_key",
            file_words='write {"client_key": "…", "client_secret": "…"} with the values of the app\'s page',
            endpoints={
                "auth_uri": "https://www.tiktok.com/v2/auth/authorize/",
                "token_uri": "https://open.tiktokapis.com/v2/oauth/token/",
            },
            scope_separator=",",
            challenge=hex_challenge,
            redirect_path="/callback/",
            refresh_lifetime="refresh_expires_in",
            revoke="/revoke/",
            revoked="access_token",
            ended_at="the TikTok app (Settings, Security, Manage app permissions)",
        ),
    }
)
