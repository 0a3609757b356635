"""Ping a node's own server through its socket; its ledger writer answers each ping too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import zmq

from video_pipeline.engine.jobs.curve import KeyPair
from video_pipeline.engine.jobs.encoding import encode
from video_pipeline.engine.jobs.messages import MARKS, Ping

PING: Final = encode(Ping(writer=True), "json")
WAITING_MOST: Final = 4
"""Most unsent pings, if the server does not read them."""


class ServerProbe:
    """A client of the server for its node. Nothing here blocks; not thread-safe."""

    def __init__(self) -> None:
        public, secret = zmq.curve_keypair()
        self.key = KeyPair(public, secret)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None
        self._number = 0

    def connect(self, endpoints: Mapping[str, Any]) -> None:
        """Connect to a server; `endpoints` is its `ready` message."""
        self.disconnect()
        socket = self._context.socket(zmq.DEALER)
        socket.linger, socket.sndhwm = 0, WAITING_MOST
        url = str(endpoints["requests"])
        socket.ipv6 = "[" in url
        if endpoints["curve"]:
            socket.curve_publickey, socket.curve_secretkey = self.key.public, self.key.secret
            socket.curve_serverkey = str(endpoints["public_key"]).encode()
        socket.connect(reachable(url))
        self._socket = socket

    def ask(self) -> None:
        """Send a ping, unless WAITING_MOST are unsent."""
        if self._socket is None:
            return
        self._number += 1
        frames = [MARKS["json"], b"%d" % self._number, Ping.VERB.encode(), PING]
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return

    def answered(self) -> bool:
        """Return whether the server has answered a ping since the last call; an error, such as BUSY, counts too."""
        found = False
        while self._socket is not None:
            try:
                self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            found = True
        return found

    def disconnect(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close(0)
            self._socket = None

    def close(self) -> None:
        """Close the connection and release resources."""
        self.disconnect()
        self._context.destroy(0)


def reachable(url: str) -> str:
    """Return the URL at which this machine reaches a bound address: the loopback address if it is bound to all."""
    return (
        url.replace("//0.0.0.0:", "//127.0.0.1:")
        .replace("//[::]:", "//[::1]:")
        .replace("//*:", "//127.0.0.1:")
    )
