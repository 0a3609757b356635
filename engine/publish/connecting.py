"""The platforms whose accounts a person connects: how, and the calls with which an account is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from video_pipeline.engine.config import Config
from video_pipeline.engine.publish import instagram, tiktok, youtube
from video_pipeline.engine.publish.base import Quota
from video_pipeline.engine.publish.oauth_rules import OauthPlatform


class AccountCalls(Protocol):
    """The calls that say what an account is. Both raise ServiceError."""

    def owner(self) -> str:
        """Return the name of whom the account is."""

    def quota(self) -> Quota | None:
        """Return how many posts the account may still make; None if the platform does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedPlatform:
    """One platform. `calls` and `scopes` take the configuration and the name of an account; both raise ConfigError.

    `oauth` and `scopes` are those of a connection by a browser, None if it is made by a token.
    """

    calls: Callable[[Config, str], AccountCalls]
    oauth: OauthPlatform | None = None
    scopes: Callable[[Config, str], tuple[str, ...]] = lambda config, name: ()


CONNECTED: Final[Mapping[str, ConnectedPlatform]] = MappingProxyType(
    {
        "instagram": ConnectedPlatform(calls=instagram.instagram_calls),
        "tiktok": ConnectedPlatform(calls=tiktok.tiktok_calls, oauth="tiktok", scopes=tiktok.tiktok_scopes),
        "youtube": ConnectedPlatform(
            calls=youtube.youtube_calls, oauth="google", scopes=lambda config, name: youtube.SCOPES
        ),
    }
)
