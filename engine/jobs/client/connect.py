"""How a client connects to a node: its options and the transport that they open."""

from __future__ import annotations

import os
from typing import TypedDict, Unpack

from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.jobs.client.transport import Transport, TransportOptions
from video_pipeline.engine.jobs.messages import Encoding


class ConnectOptions(TypedDict, total=False):
    """How to talk to a node."""

    timeout: float
    """Seconds for an answer (15)."""
    retries: int
    """How often within them the request is sent anew on a fresh connection where nothing came (2)."""
    encoding: Encoding
    """json (default) or msgpack."""
    key_file: str | os.PathLike[str] | None
    """The client's secret key, where the node asks for keys (CURVE)."""
    node_key: str | os.PathLike[str] | None
    """The node's public key: a file, or the 40 characters themselves."""


def connect_to(url: str, **options: Unpack[ConnectOptions]) -> Transport:
    """Return a line to the node at a URL. It connects when it is first used."""
    try:
        from video_pipeline.engine.jobs.client.zmq_transport import ZmqTransport
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"{error.name}: is not installed; a render node is talked to with: pip install 'video-pipeline[farm]'"
        ) from error
    return ZmqTransport(TransportOptions(connect=url, **options))
