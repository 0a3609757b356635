"""Read and check the CURVE keys of a client: libzmq would only fail later, without a reason."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from zmq.utils import z85

from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.curve import read_key


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
        missing = "key_file" if not key_file else "node_key"
        raise ConfigError(f"{missing}: is missing; give both keys or neither")
    own = read_key(Path(key_file), secret=True)
    assert own.secret is not None
    text = os.fspath(node_key)
    return ClientKeys(own.secret, own.public, text.encode() if _is_key(text) else read_key(Path(text)).public)


def _is_key(text: str) -> bool:
    try:
        return len(text) == 40 and len(z85.decode(text.encode())) == 32
    except (ValueError, KeyError, OverflowError):
        return False
