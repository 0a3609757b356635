"""Connection options of a client, and the transport that they open."""

from __future__ import annotations

import os
from typing import Final, TypedDict, Unpack

from video_pipeline.engine.common.arguments import wrong_type
from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.jobs.client.transport import (
    KEY_VARIABLES,
    Transport,
    TransportOptions,
    check_node_url,
)
from video_pipeline.engine.jobs.messages import Encoding

DEFAULT_URL: Final = "tcp://127.0.0.1:5570"
URL_VARIABLE: Final = "VIDEO_PIPELINE_CONNECT"


class ConnectOptions(TypedDict, total=False):
    """Options of a connection to a node."""

    timeout: float
    """Seconds to wait for a reply (15)."""
    retries: int
    """How often within `timeout` an unanswered request is sent again, on a new connection (2)."""
    encoding: Encoding
    """json (default) or msgpack."""
    key_file: str | os.PathLike[str] | None
    """File of the client's secret key, if the node uses CURVE; default: VIDEO_PIPELINE_KEY_FILE, "" for none."""
    node_key: str | os.PathLike[str] | None
    """The node's public key, a file or its 40 characters; default: VIDEO_PIPELINE_NODE_KEY, "" for none."""


def checked_transport(transport: Transport) -> Transport:
    """Return a transport; raise TypeError for any other object."""
    if not all(callable(getattr(transport, name, None)) for name in ("ask", "subscribe", "close")):
        raise wrong_type(transport, "transport", "a Transport, or None")
    return transport


def connect_to(url: str, **options: Unpack[ConnectOptions]) -> Transport:
    """Return a transport to the node at a URL; it connects at the first request.

    Environment variables are the defaults of the URL and the keys.
    """
    try:
        from video_pipeline.engine.jobs.client.zmq_transport import ZmqTransport
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"{error.name}: is not installed; clients of a render node need {the_extra('farm')}"
        ) from error
    unknown = options.keys() - ConnectOptions.__annotations__.keys()
    if unknown:
        allowed = ", ".join(ConnectOptions.__annotations__)
        raise TypeError(f"{', '.join(sorted(unknown))}: is no option of a connection; allowed: {allowed}")
    if not url and (default := os.environ.get(URL_VARIABLE)):
        check_node_url(default, f"environment variable {URL_VARIABLE}")
        url = default
    for option, variable in KEY_VARIABLES.items():
        if options.get(option) is None:
            options[option] = os.environ.get(variable)
    return ZmqTransport(TransportOptions(connect=url or DEFAULT_URL, **options))
