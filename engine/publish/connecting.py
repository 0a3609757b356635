"""The platforms whose accounts a person connects in a browser: what is asked for, and whose an account is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.publish import tiktok, youtube
from video_pipeline.engine.publish.oauth_rules import OauthPlatform


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedPlatform:
    """One platform. `scopes` and `holder` take the configuration and the name of an account.

    `holder` asks the platform whose the account is; it raises ServiceError, and ConfigError for one that is not set up.
    """

    oauth: OauthPlatform
    scopes: Callable[[Config, str], tuple[str, ...]]
    holder: Callable[[Config, str], str]


CONNECTED: Final[Mapping[str, ConnectedPlatform]] = MappingProxyType(
    {
        "tiktok": ConnectedPlatform(
            oauth="tiktok",
            scopes=tiktok.tiktok_scopes,
            holder=lambda config, name: tiktok.tiktok_calls(config, name).holder(),
        ),
        "youtube": ConnectedPlatform(
            oauth="google",
            scopes=lambda config, name: youtube.SCOPES,
            holder=lambda config, name: youtube.youtube_calls(config, name).channel(),
        ),
    }
)
