"""Read and check the CURVE keys of a client: libzmq would only fail later, without a reason."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zmq.utils import z85

from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.client.transport import KEY_NAMES
from video_pipeline.engine.jobs.curve import KeyPair, read_key


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """CURVE keys in Z85: the client's pair and the node's public key."""

    secret: bytes
    public: bytes
    node: bytes


def client_keys(
    key_file: str | os.PathLike[str] | None, node_key: str | os.PathLike[str] | None
) -> ClientKeys | None:
    """Return the checked keys of a client, or None if no key is given.

    Raises ConfigError naming the option.
    """
    if not key_file and not node_key:
        return None
    if not key_file or not node_key:
        missing = KEY_NAMES["node_key" if key_file else "key_file"]
        raise ConfigError(f"{missing}: is missing; give both keys or neither")
    own = _read_named_key("key_file", key_file)
    assert own.secret is not None
    text = os.fspath(node_key)
    return ClientKeys(
        own.secret,
        own.public,
        text.encode() if _is_key(text) else _read_named_key("node_key", node_key).public,
    )


def _read_named_key(option: Literal["key_file", "node_key"], path: str | os.PathLike[str]) -> KeyPair:
    try:
        return read_key(Path(path), secret=option == "key_file")
    except ConfigError as error:
        raise ConfigError(f"{KEY_NAMES[option]}: {error}") from error


def _is_key(text: str) -> bool:
    try:
        return len(text) == 40 and len(z85.decode(text.encode())) == 32
    except (ValueError, KeyError, OverflowError):
        return False
