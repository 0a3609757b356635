"""The lease of an attempt on another machine: the machine's end of it always comes before the node's.

    machine: reply n at w(n)  →  node: received at d(n) ≥ w(n), waits until d(n) + lease + margin
    node: "n was received"    →  machine: may run until w(n) + lease

Each side reads its own clock only, and neither needs to know the other's. The machine's clock goes on while the machine
is suspended. A machine that hears nothing more ends the attempt's processes before the node gives the job to another.
"""

from __future__ import annotations

import time
from collections.abc import Callable

MARGIN_SECONDS = 2.0
"""What the node waits beyond the lease: time for the machine to kill an attempt's processes."""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def machine_seconds() -> float:
    """Return the machine's clock in seconds; it also counts while the machine is suspended, if the system can tell."""
    return time.clock_gettime(_CLOCK)


class MachineLease:
    """The machine's side. Not thread-safe."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = machine_seconds) -> None:
        self._seconds, self._clock = seconds, clock
        self._sent: dict[int, float] = {}
        self._number = 0
        self.until = clock()
        """Until when, by the machine's clock, an attempt may run."""

    def number_reply(self) -> int:
        """Return the number of a reply that is about to be sent."""
        self._number += 1
        self._sent[self._number] = self._clock()
        return self._number

    def renew(self, received: int) -> None:
        """Take note that the node received the reply with this number; 0 or an unknown number changes nothing."""
        sent = self._sent.get(received)
        if sent is None:
            return
        self._sent = {number: at for number, at in self._sent.items() if number > received}
        self.until = max(self.until, sent + self._seconds)


class NodeLease:
    """The node's side. Times are monotonic seconds."""

    def __init__(self, seconds: float, *, now: float) -> None:
        self._seconds = seconds
        self.received = 0
        """Number of the last reply."""
        self.until = now + seconds + MARGIN_SECONDS
        """Until when the machine's attempt may run."""

    def renew(self, number: int, *, now: float) -> None:
        """Take note of a reply of the machine that was received before `now`."""
        self.received = max(self.received, number)
        self.until = max(self.until, now + self._seconds + MARGIN_SECONDS)

    def has_ended(self, now: float) -> bool:
        """Whether the machine has ended the attempt, even if it cannot be reached."""
        return now >= self.until
