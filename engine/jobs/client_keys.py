"""The CURVE keys of a client, read and checked: libzmq itself would only be refused later, without a word."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import zmq
from zmq.utils import z85

from engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """CURVE keys in Z85: the client's pair and the node's public key."""

    secret: bytes
    public: bytes
    node: bytes


def client_keys(
    key_file: str | os.PathLike[str] | None, node_key: str | os.PathLike[str] | None
) -> ClientKeys | None:
    """Return the keys that a client was given, checked; None where it was given none.

    Raises ConfigError naming the option.
    """
    if not key_file and not node_key:
        return None
    if not key_file or not node_key:
        missing = "key_file" if not key_file else "node_key"
        raise ConfigError(f"{missing}: is missing; allowed: both keys, or neither")
    secret = _read_key(Path(key_file), "secret-key", option="key_file")
    text = os.fspath(node_key)
    node = text.encode() if _is_key(text) else _read_key(Path(text), "public-key", option="node_key")
    return ClientKeys(secret, zmq.curve_public(secret), node)


def _is_key(text: str) -> bool:
    try:
        return len(text) == 40 and len(z85.decode(text.encode())) == 32
    except (ValueError, KeyError):
        return False


def _read_key(path: Path, name: str, *, option: str) -> bytes:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{option}: {path}: cannot be read: {why}") from error
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if key == name and _is_key(value.strip('"')):
            return value.strip('"').encode()
    raise ConfigError(f"{option}: {path}: has no {name}; allowed: a file made by `video-pipeline keys`")
