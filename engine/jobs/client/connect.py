"""How a client connects to a node: its options and the transport that they open."""

from __future__ import annotations

import os
from typing import Final, Literal, TypedDict, Unpack

from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.jobs.client.transport import Transport, TransportOptions
from video_pipeline.engine.jobs.messages import Encoding

DEFAULT_URL: Final = "tcp://127.0.0.1:5570"
URL_VARIABLE: Final = "VIDEO_PIPELINE_CONNECT"
KEY_VARIABLES: Final[dict[Literal["key_file", "node_key"], str]] = {
    "key_file": "VIDEO_PIPELINE_KEY_FILE",
    "node_key": "VIDEO_PIPELINE_NODE_KEY",
}
"""Options, and the environment variables that stand for them."""


class ConnectOptions(TypedDict, total=False):
    """How to talk to a node."""

    timeout: float
    """Seconds for an answer (15)."""
    retries: int
    """How often within them the request is sent anew on a fresh connection where nothing came (2)."""
    encoding: Encoding
    """json (default) or msgpack."""
    key_file: str | os.PathLike[str] | None
    """The client's secret key, where the node asks for keys (CURVE); default: VIDEO_PIPELINE_KEY_FILE, "" for none."""
    node_key: str | os.PathLike[str] | None
    """The node's public key: a file, or the 40 characters themselves; default: VIDEO_PIPELINE_NODE_KEY, "" for none."""


def connect_to(url: str, **options: Unpack[ConnectOptions]) -> Transport:
    """Return a transport to the node at a URL, which connects when it is first used.

    What is not given is taken from the environment, by which the commands and all clients find their node.
    """
    try:
        from video_pipeline.engine.jobs.client.zmq_transport import ZmqTransport
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"{error.name}: is not installed; a render node is talked to with: pip install 'video-pipeline[farm]'"
        ) from error
    url = url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
    for option, variable in KEY_VARIABLES.items():
        if options.get(option) is None:
            options[option] = os.environ.get(variable)
    return ZmqTransport(TransportOptions(connect=url, **options))
