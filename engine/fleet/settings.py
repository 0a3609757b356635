"""What Ray's processes on a machine need to know, from the configuration."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import secrets
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from video_pipeline.engine.common.extras import install_extra
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError, UnavailableError
from video_pipeline.engine.fleet.certificates import FleetTls, check_certificate

DEFAULT_PORT: Final = 6379
TOKEN_BYTES: Final = 32
TOKEN_CHARACTERS_LEAST: Final = 16
TEMP_CHARACTERS_MOST: Final = 40
"""The paths of Ray's sockets are 65 characters longer, and a socket's path has 107 at most."""


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """A machine's place in a fleet.

    `address` is HOST:PORT of the server's Ray, `bind` the machine's own IP address, `folder` its place for what lasts
    (absolute), `temp` a folder with a short path for Ray's sockets and logs, `lease` in seconds.
    """

    address: str
    bind: str
    token: Path
    tls: FleetTls | None
    lease: float
    folder: Path
    temp: Path
    redis_url: str | None = None

    @property
    def host(self) -> str:
        """The host of `address`, an IPv6 address without its brackets."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port of `address`."""
        return int(self.address.rpartition(":")[2])


def server_settings(config: Config, state: Path, *, make: bool = True) -> FleetSettings:
    """Return the settings of the machine that the others join; with `make`, make its token if there is none.

    `state` is the node's state folder. Raises ConfigError.
    """
    bind = config.fleet.bind
    if bind is None and config.fleet.address is not None:
        bind = _address_of_host(config.fleet.address.rpartition(":")[0].strip("[]"))
    if bind is None:
        raise ConfigError(
            "fleet.bind: not set; set it to this machine's IP address in the network of the other machines"
        )
    _check_own(bind)
    host = f"[{bind}]" if ":" in bind else bind
    address = config.fleet.address or f"{host}:{DEFAULT_PORT}"
    token = _token_path(config, state)
    if make and not token.exists():
        make_joining_token(token)
    return _settings(config, state, address=address, bind=bind, redis_url=config.processing.redis_url)


def machine_settings(config: Config, state: Path) -> FleetSettings:
    """Return the settings of a machine that joins `fleet.address`; raise ConfigError."""
    address = config.fleet.address
    if address is None:
        raise ConfigError("fleet.address: not set; give HOST:PORT of the server: worker --join HOST:PORT")
    host = address.rpartition(":")[0].strip("[]")
    towards = None if config.fleet.bind else _address_of_host(host)
    if towards is not None and ipaddress.ip_address(towards).is_loopback:
        raise ConfigError(
            f"fleet.address: got {address}; give the server's address in the network of the machines (its fleet.bind), on "
            "the server's own machine too"
        )
    bind = config.fleet.bind or _address_towards(str(towards))
    _check_own(bind)
    return _settings(config, state, address=address, bind=bind)


def client_settings(config: Config, state: Path) -> FleetSettings:
    """Return the settings with which a program asks `fleet.address` about the fleet; raise ConfigError."""
    if config.fleet.address is None and config.fleet.bind is not None:
        return server_settings(config, state, make=False)
    return machine_settings(config, state)


def check_ray() -> None:
    """Raise UnavailableError if Ray is not installed."""
    import importlib.util

    if importlib.util.find_spec("ray") is None:
        raise UnavailableError(f"fleet: ray is not installed; {install_extra('fleet')}")


def make_joining_token(path: Path) -> None:
    """Write a new token to a file that only its owner may read; raise ConfigError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(TOKEN_BYTES))
    except FileExistsError:
        return  # another process made it
    except OSError as error:
        raise ConfigError(f"fleet.token_path: cannot write {path}: {error.strerror}") from error


def check_joining_token(path: Path) -> None:
    """Raise ConfigError if a token's file is missing, open to others, or holds no token."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise ConfigError(
            f"fleet.token_path: cannot read {path}: {error.strerror}; copy the server's token (fleet/token in its state "
            "folder) to this file"
        ) from error
    if mode & 0o027:
        raise ConfigError(f"fleet.token_path: others may use {path} (mode {mode:04o}); chmod 600 it")
    if len(text) < TOKEN_CHARACTERS_LEAST or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(
            f"fleet.token_path: {path} holds no token; allowed: one line of at least {TOKEN_CHARACTERS_LEAST} ASCII letters"
        )


def _settings(
    config: Config, state: Path, *, address: str, bind: str, redis_url: str | None = None
) -> FleetSettings:
    port = int(address.rpartition(":")[2])
    if not 1024 <= port <= 65535:
        raise ConfigError(f"fleet.address: got port {port}; allowed: 1024 to 65535")
    token = _token_path(config, state)
    check_joining_token(token)
    return FleetSettings(
        address=address,
        bind=bind,
        token=token.resolve(),
        tls=_tls(config, bind),
        lease=config.fleet.lease,
        folder=state / "fleet",
        temp=_temp(config, state),
        redis_url=redis_url,
    )


def _token_path(config: Config, state: Path) -> Path:
    return config.fleet.token_path or state / "fleet" / "token"


def _tls(config: Config, bind: str) -> FleetTls | None:
    files = {name: getattr(config.fleet, name) for name in ("tls_cert", "tls_key", "tls_ca")}
    if not any(files.values()):
        return None
    for name, path in files.items():
        if path is None:
            raise ConfigError(f"fleet.{name}: not set; tls_cert, tls_key and tls_ca belong together")
        if not os.access(path, os.R_OK):
            raise ConfigError(f"fleet.{name}: cannot read {path}")
    tls = FleetTls(*(path.resolve() for path in files.values()))
    check_certificate(tls, bind)
    return tls


def _temp(config: Config, state: Path) -> Path:
    base = (config.storage.temp_path or Path(tempfile.gettempdir())).resolve()
    temp = base / f"vp-{hashlib.sha256(os.fsencode(state)).hexdigest()[:8]}"
    if len(str(temp)) > TEMP_CHARACTERS_MOST:
        raise ConfigError(
            f"storage.temp_path: {base} is too long for the sockets of a fleet; allowed: {TEMP_CHARACTERS_MOST - 12} characters"
        )
    return temp


def _address_of_host(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise ConfigError(f"fleet.address: no machine is named {host}: {error.strerror}") from error


def _address_towards(host: str) -> str:
    """Return this machine's address on the way to another; nothing is sent."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError as error:
            raise ConfigError(f"fleet.address: there is no way to {host}: {error.strerror}") from error
        return str(probe.getsockname()[0])


def _check_own(bind: str) -> None:
    """Raise ConfigError unless an address is one of this machine's, at which others can reach it."""
    try:
        address = ipaddress.ip_address(bind)
    except ValueError as error:
        raise ConfigError(f"fleet.bind: got {bind}; allowed: an IP address of this machine") from error
    if address.is_unspecified:
        raise ConfigError(f"fleet.bind: got {bind}; allowed: one IP address, that of the fleet's network")
    if address.is_loopback:
        raise ConfigError(
            f"fleet.bind: got {bind}; give an address at which other machines reach this one, as `ip addr` shows it: Ray "
            "does not work on a loopback address"
        )
    with socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET) as probe:
        try:
            probe.bind((bind, 0))
        except OSError as error:
            raise ConfigError(
                f"fleet.bind: {bind} is not an address of this machine ({error.strerror}); allowed: one of `ip addr`"
            ) from error
