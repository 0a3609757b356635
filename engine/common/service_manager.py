"""Notify the service manager that started this program: ready, alive, stopping, and a line of status.

The protocol is systemd's sd_notify(3): datagrams of `NAME=VALUE` lines to the Unix socket that `NOTIFY_SOCKET` names.
Without that variable nothing is sent.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping
from typing import Final

from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock

logger = logging.getLogger(__name__)

VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
BEATS: Final = 3
"""Beats in each interval of the manager's watchdog."""

WAIT_SECONDS: Final = 2.0
"""A manager that is behind gets this long to take the start and the stop; beats and status are then left out."""

EXTEND_EVERY_SECONDS: Final = 5.0
EXTEND_SECONDS: Final = 30.0
"""While the program stops, it asks every 5 s for 30 s more, so that the manager's own limit need not fit."""


class ServiceManager:
    """The service manager's side of a program. Call `beat` at each turn of its main loop, in that loop's thread.

    Its variables are removed from `environ` (by default this process's environment), so that no child inherits them.
    """

    def __init__(
        self, environ: MutableMapping[str, str] | None = None, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        values = {
            name: value
            for name in VARIABLES
            if (value := (os.environ if environ is None else environ).pop(name, ""))
        }
        self._clock = clock
        self._address = _address_of(values.get("NOTIFY_SOCKET", ""))
        self._socket = (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if self._address else None
        )
        self._every = _beat_seconds(values)
        self._beat_at = self._extend_at = clock.monotonic()
        self._ready = self._stopping = self._failed = False
        self._status = ""

    def ready(self, status: str) -> None:
        """Report that the program has started; a second call changes the status alone."""
        first, self._ready = not self._ready, True
        self._send(*(["READY=1"] if first else []), *self._changed(status), wait=first)

    def status(self, status: str) -> None:
        """Report one line of status, if it has changed."""
        self._send(*self._changed(status))

    def stopping(self, status: str) -> None:
        """Report that the program stops."""
        self._stopping, self._extend_at = True, self._clock.monotonic()
        self._send("STOPPING=1", *self._changed(status), wait=True)
        self.beat()

    def beat(self) -> None:
        """Report, when it is time, that the program's loop runs; while it stops, ask for more time as well."""
        now = self._clock.monotonic()
        if self._every is not None and now >= self._beat_at:
            self._beat_at = now + self._every
            self._send("WATCHDOG=1")
        if self._stopping and now >= self._extend_at:
            self._extend_at = now + EXTEND_EVERY_SECONDS
            self._send(f"EXTEND_TIMEOUT_USEC={EXTEND_SECONDS * 1e6:.0f}")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _changed(self, status: str) -> list[str]:
        if status == self._status:
            return []
        self._status = status
        return [f"STATUS={' '.join(status.split())}"]

    def _send(self, *lines: str, wait: bool = False) -> None:
        if self._socket is None or not lines:
            return
        try:
            self._socket.settimeout(WAIT_SECONDS if wait else 0.0)
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._failed:
                self._failed = True
                logger.warning("cannot notify the service manager: %s", error)


def _address_of(value: str) -> str:
    if value.startswith("/"):
        return value
    if value.startswith("@"):
        return f"\0{value[1:]}"
    if value:
        logger.warning(
            "NOTIFY_SOCKET: got %r; only paths and @NAMES are supported, so nothing is notified", value
        )
    return ""


def _beat_seconds(values: MutableMapping[str, str]) -> float | None:
    """Return the seconds between two beats, None without a watchdog or if it watches another process."""
    microseconds, process = values.get("WATCHDOG_USEC", ""), values.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or int(microseconds) == 0 or process not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1e6 / BEATS
