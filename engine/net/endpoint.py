"""Base URLs of services, checked before anything is sent to them."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from video_pipeline.engine.errors import ConfigError


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def checked_endpoint(key: str, url: str, *, has_secret: bool) -> str:
    """Return a base URL without a slash at its end; raise ConfigError that names the configuration key.

    It has no user, password or query, which would reach logs and manifests. A secret travels only by https or within
    this machine.
    """
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise ConfigError(
            f"{key}: got a URL that cannot be read; give one such as https://HOST/PATH"
        ) from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            f"{key}: the URL has a user, a query or a fragment; give the address alone, and the key in a file or variable"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise ConfigError(f"{key}: got {url!r}; give a URL such as https://HOST/PATH")
    if has_secret and parts.scheme == "http" and not is_loopback(url):
        raise ConfigError(f"{key}: got {url!r}: the key would travel without encryption; give an https URL")
    return url.rstrip("/")
