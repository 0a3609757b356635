"""Segments of large attempts that idle slots draw for the machine that renders: from the video's end, in small portions.

The machine that renders begins at the start and waits for no other, so what becomes of a portion decides nothing: what is in the
shared cache when it comes to it, it need not draw.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from video_pipeline.engine.jobs.dispatch.remote_slots import RemoteSlot, SlotKind
from video_pipeline.engine.jobs.model import Attempt

logger = logging.getLogger(__name__)

PORTION: Final = 3
"""Segments that a slot draws before it is asked again whether it has something better to do."""

IDLE_SECONDS: Final = 0.25
"""A slot for which no job has come within this time may draw segments of another's attempt."""

FAILURES: Final = 3
"""After so many failed portions an attempt is left to its own machine."""

AttemptKey = tuple[str, int]


def attempt_key(attempt: Attempt) -> AttemptKey:
    """Return job id and fence of an attempt."""
    return attempt.job_id, attempt.fence


@dataclass(slots=True)
class _Offer:
    attempt: Attempt
    kind: SlotKind
    plan: str
    left: list[int]
    failures: int = 0


@dataclass(slots=True)
class SharedSegments:
    """What idle slots may draw.

    `slots` are all there are, by number; `send` carries messages to their machines. `job_slots`: most slots of one job, its own
    included; 0: any number.
    """

    slots: Mapping[int, RemoteSlot]
    send: Callable[..., None]
    job_slots: int
    counts: Counter[str] = field(default_factory=Counter)
    """Segments of the finished jobs, and how many of them came from a machine's own cache and from the shared one."""

    _offers: dict[AttemptKey, _Offer] = field(default_factory=dict)
    _drawing: Counter[AttemptKey] = field(default_factory=Counter)
    _known: set[AttemptKey] = field(default_factory=set)

    def count(self, result: Mapping[str, Any]) -> None:
        """Count the segments of a finished job."""
        for name in ("segments", "segments_from_cache", "segments_from_shared"):
            self.counts[name] += int(result.get(name, 0))

    def offer(self, attempt: Attempt, kind: SlotKind, plan: str, numbers: Sequence[int]) -> None:
        """Take note of what an attempt on a slot of this kind lets others draw; only its first offer counts."""
        key = attempt_key(attempt)
        if key not in self._known:
            self._known.add(key)
            self._offers[key] = _Offer(attempt, kind, plan, list(numbers))

    def forget(self, key: AttemptKey) -> None:
        """Draw nothing more for an attempt that has ended."""
        self._offers.pop(key, None)
        self._known.discard(key)
        for slot in self.slots.values():
            if slot.drawing is not None and attempt_key(slot.drawing) == key:
                self.stop(slot)

    def share_out(self, now: float) -> None:
        """Let slots for which no job has come draw."""
        for slot in self.slots.values():
            if not slot.is_idle:
                slot.idle_at = now
            elif now - slot.idle_at >= IDLE_SECONDS and (portion := self._take(slot.kind)) is not None:
                slot.drawing = portion
                logger.info("%s draws segments of %s", slot.machine, portion.job_id)
                fields = {name: getattr(portion, name) for name in Attempt.__dataclass_fields__}
                self.send(draw=slot.number, text=json.dumps({**fields, "files": []}))

    def stop(self, slot: RemoteSlot) -> None:
        """Stop what a slot draws: at once if an attempt of its own waits for it."""
        assert slot.drawing is not None
        job_id, fence = attempt_key(slot.drawing)
        text = json.dumps({"job_id": job_id, "fence": fence, "now": slot.next_path is not None})
        self.send(stop=slot.number, text=text)

    def polled(self, slot: RemoteSlot, end: Mapping[str, Any] | None, now: float) -> str | None:
        """Process news of a slot that draws; return the file of the attempt that now starts there, if one has waited."""
        if slot.drawing is None:
            return None
        if end is None or (end["job_id"], end["fence"]) != attempt_key(slot.drawing):
            if slot.next_path is not None:
                self.stop(slot)
            return None
        self.ended(slot, f"{slot.machine}: {end['failed']['message']}"[:500] if "failed" in end else None)
        path, slot.next_path, slot.idle_at = slot.next_path, None, now
        return path

    def _take(self, kind: SlotKind) -> Attempt | None:
        """Return the next portion for a slot of this kind, of the attempt for which the fewest slots draw; None: there is none."""
        able = [
            (self._drawing[key], number, key)
            for number, (key, offer) in enumerate(self._offers.items())
            if (offer.kind != "nvenc" or kind == "nvenc")
            and (not self.job_slots or self._drawing[key] + 1 < self.job_slots)
        ]
        if not able:
            return None
        key = min(able)[2]
        offer = self._offers[key]
        portion, offer.left = offer.left[:PORTION], offer.left[PORTION:]
        if not offer.left:
            del self._offers[key]
        self._drawing[key] += 1
        return replace(offer.attempt, story={}, config={}, drawing={"plan": offer.plan, "numbers": portion})

    def ended(self, slot: RemoteSlot, failure: str | None) -> None:
        """Take note that a slot's portion has ended, and why it failed if it did."""
        if slot.drawing is None:
            return
        key, slot.drawing = attempt_key(slot.drawing), None
        self._drawing[key] -= 1
        if self._drawing[key] <= 0:
            del self._drawing[key]
        if failure is None:
            return
        logger.warning("segments are left to the machine that renders: %s", failure, extra={"job_id": key[0]})
        if offer := self._offers.get(key):
            offer.failures += 1
            if offer.failures >= FAILURES:
                del self._offers[key]
