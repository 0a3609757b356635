"""Ask the Redis behind a fleet's server whether it is there, before Ray waits for it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from video_pipeline.engine.errors import ConfigError

REDIS_PORT: Final = 6379
ANSWER_SECONDS: Final = 3.0
REFUSALS: Final = ("WRONGPASS", "NOAUTH", "NOPERM", "DENIED")
"""How errors begin that are about who may log in; others, such as LOADING, pass."""


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """Where a Redis is, and how to log in; the password is in no text of this object."""

    host: str
    port: int
    encrypted: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The place without user and password."""
        return f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """The place as Ray wants it."""
        return f"{'rediss' if self.encrypted else 'redis'}://{self.name}"


def parse_redis_url(url: str) -> RedisPlace:
    """Return the place that redis://[[USER]:PASSWORD@]HOST[:PORT][/0] names; raise ConfigError."""
    allowed = "allowed: redis:// or rediss://[[USER]:PASSWORD@]HOST[:PORT], database 0"
    parts = urlsplit(url)
    try:
        port = parts.port or REDIS_PORT
    except ValueError as error:
        raise ConfigError(f"processing.redis_url: its port is no port; {allowed}") from error
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or parts.path not in ("", "/", "/0"):
        raise ConfigError(f"processing.redis_url: this is no such URL; {allowed}")
    return RedisPlace(
        parts.hostname,
        port,
        parts.scheme == "rediss",
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


@dataclass(frozen=True, slots=True)
class RedisTrouble:
    """What is wrong with a Redis; `for_good` if only a person can mend it, in its configuration or in this one."""

    reason: str
    for_good: bool = False


def redis_trouble(place: RedisPlace, *, seconds: float = ANSWER_SECONDS) -> RedisTrouble | None:
    """Return why a Redis does not answer, None if it does."""
    try:
        with socket.create_connection((place.host, place.port), seconds) as plain:
            if not place.encrypted:
                return _login_and_ping(plain, place)
            try:
                encrypted = ssl.create_default_context().wrap_socket(plain, server_hostname=place.host)
            except ssl.SSLCertVerificationError as error:
                return RedisTrouble(
                    f"the certificate of Redis at {place.name} is refused: {error.verify_message}"
                )
            except OSError:
                return RedisTrouble(
                    f"Redis at {place.name} does not answer with TLS, which rediss:// asks for"
                )
            with encrypted:
                return _login_and_ping(encrypted, place)
    except OSError as error:
        return RedisTrouble(f"Redis at {place.name} does not answer: {error.strerror or error}")


def _login_and_ping(connection: socket.socket, place: RedisPlace) -> RedisTrouble | None:
    login = [place.user, place.password] if place.user else [place.password]
    for command in ([["AUTH", *login]] if place.password else []) + [["PING"]]:
        data = [part.encode() for part in command]
        connection.sendall(
            b"*%d\r\n" % len(data) + b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in data)
        )
        answer = connection.recv(512)
        if answer.startswith(b"-"):
            said = answer.splitlines()[0][1:].decode("ascii", "replace")[:100]
            for_good = said.startswith(REFUSALS) or "AUTH" in said
            return RedisTrouble(f"Redis at {place.name} refuses {command[0]}: {said}", for_good)
        if not answer.startswith(b"+"):
            what = (
                "does not answer as Redis does; another program has the port"
                if answer
                else "closes connections"
            )
            return RedisTrouble(f"{place.name} {what}")
    return None
