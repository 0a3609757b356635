"""The URLs and addresses that a node uses for others: http(s) on the public internet."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from video_pipeline.engine.errors import FetchError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

URL_MAX_CHARACTERS = 4096
DEFAULT_PORTS = {"http": 80, "https": 443}
FIRST_FREE_PORT = 1024
"""Lower ports, except 80 and 443, belong to protocols that serve no assets (SMTP, SSH, …)."""

ALLOWED = "http:// or https://, a public host, no user or password, port 80, 443 or from 1024 on"

_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")  # those of RFC 3986
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b:1::/48",  # local-use NAT64
        "100::/64",
        "2001::/23",  # Teredo, ORCHID and other special uses
        "5f00::/16",
        "fc00::/7",
        "fec0::/10",
    )
)
"""Non-public networks that some versions of `ipaddress` treat as public."""


@dataclass(frozen=True, slots=True)
class Url:
    """An http(s) URL in its parts. `target` is the path with the query; `host` has no brackets."""

    text: str
    scheme: Literal["http", "https"]
    host: str
    port: int
    target: str


def is_url(text: str) -> bool:
    """Return whether a reference is a URL."""
    return re.match(r"https?:", text, re.IGNORECASE) is not None


def check_url(text: str) -> Url:
    """Return a URL's parts; raise FetchError, of kind refused, naming the fault.

    This checks the syntax alone; the address is checked when the URL is fetched. Hosts written as numbers in an
    unusual form (2130706433, 0x7f.1, 0177.0.0.1) are refused.
    """

    def refuse(reason: str) -> FetchError:
        return FetchError(f"{text[:200]!r}: {reason}; allowed: {ALLOWED}", url=text, kind="refused")

    if len(text) > URL_MAX_CHARACTERS:
        raise refuse(f"is longer than {URL_MAX_CHARACTERS} characters")
    if not _CHARACTERS.fullmatch(text):
        raise refuse("holds characters that need percent-encoding (in a host: xn--…)")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise refuse(str(error)) from error
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https"):
        raise refuse(f"scheme {scheme!r}")
    if "@" in parts.netloc:
        raise refuse("contains a user or password")
    host = (parts.hostname or "").removesuffix(".")
    if not _is_host(host, bracketed=parts.netloc.startswith("[")):
        raise refuse(f"host {host[:100]!r} is not a valid name or address")
    if parts.netloc.endswith(":"):
        raise refuse("the port is missing after ':'")
    port = DEFAULT_PORTS[scheme] if port is None else port
    if port not in DEFAULT_PORTS.values() and port < FIRST_FREE_PORT:
        raise refuse(f"port {port}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(text, "https" if scheme == "https" else "http", host, port, target)


def _is_host(host: str, *, bracketed: bool) -> bool:
    if bracketed:
        try:
            return "%" not in host and ipaddress.ip_address(host).version == 6
        except ValueError:
            return False
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # a numeric last label means an address, as in browsers
        try:
            return ipaddress.ip_address(host).version == 4
        except ValueError:
            return False
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def check_written_address(url: Url) -> None:
    """Raise FetchError, of kind refused, if a URL's host is written as an address that is not public."""
    try:
        address = ipaddress.ip_address(url.host)
    except ValueError:
        return
    if not is_public(address):
        raise FetchError(f"{url.host} is not a public address", url=url.host, kind="refused")


def is_public(address: Address) -> bool:
    """Return whether an address belongs to the public internet.

    An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) is checked too; Teredo is never public.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped
        if inner is not None:
            return is_public(inner)
        if address.scope_id is not None:
            return False
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.sixtofour is not None:
            return is_public(address.sixtofour)
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and not (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )
