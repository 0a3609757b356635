"""Which slots draw segments for whom: bookkeeping without machines."""

from __future__ import annotations

import json
from typing import Any

from video_pipeline.engine.jobs.dispatch.lease import NodeLease
from video_pipeline.engine.jobs.dispatch.remote_slots import RemoteAttempt, RemoteSlot, SlotKind
from video_pipeline.engine.jobs.dispatch.shared_segments import FAILURES, PORTION, SharedSegments
from video_pipeline.engine.jobs.model import Attempt


class Desk:
    """Slots that render or are idle, and what was sent to them."""

    def __init__(self, *kinds: SlotKind, job_slots: int = 0) -> None:
        self.sent: list[dict[str, Any]] = []
        self.slots = {
            number: RemoteSlot(number, kind, NodeLease(10, now=0), phase="usable", machine=f"m{number}")
            for number, kind in enumerate(kinds)
        }
        self.shared = SharedSegments(self.slots, lambda **message: self.sent.append(message), job_slots)
        self.now = 0.0

    def render(self, slot: int, name: str, segments: int) -> Attempt:
        """Let a slot render a job that offers so many segments."""
        attempt = Attempt(name, 1, 1, name, {"title": "secret words"}, {}, "normal")
        self.slots[slot].running = RemoteAttempt(attempt, "m", 0)
        self.shared.offer(attempt, self.slots[slot].kind, "0" * 64, list(range(segments))[::-1])
        return attempt

    def turn(self, seconds: float = 1.0) -> list[tuple[int, str, list[int]]]:
        """Let time pass; return slot, job and segments of what is newly drawn."""
        self.sent.clear()
        self.now += seconds
        self.shared.share_out(self.now)
        texts = [(message["draw"], json.loads(message["text"])) for message in self.sent]
        return [(slot, text["job_id"], text["drawing"]["numbers"]) for slot, text in texts]

    def end(self, slot: int, **how: Any) -> str | None:
        drawing = self.slots[slot].drawing
        assert drawing is not None
        end = {"job_id": drawing.job_id, "fence": drawing.fence, **how}
        return self.shared.polled(self.slots[slot], end, self.now)


def test_idle_slots_draw_from_the_end_in_portions_and_get_no_story() -> None:
    desk = Desk("cpu", "cpu", "cpu")
    desk.render(0, "a", 2 * PORTION + 1)
    last = list(range(2 * PORTION + 1))[::-1]
    assert desk.turn(0.1) == [], "a job may still come"
    assert desk.turn() == [(1, "a", last[:PORTION]), (2, "a", last[PORTION : 2 * PORTION])]
    assert "secret words" not in str(desk.sent)
    assert desk.turn() == []
    assert desk.end(1, finished={}) is None
    assert desk.turn() == [(1, "a", last[2 * PORTION :])]
    assert desk.end(1, finished={}) is None
    assert desk.turn() == [], "nothing is left"


def test_slots_are_shared_evenly_and_a_job_has_no_more_than_it_may() -> None:
    desk = Desk("cpu", "cpu", "cpu", "cpu", "cpu", "cpu")
    desk.render(0, "a", 100)
    desk.render(1, "b", 100)
    assert sorted(job for _, job, _ in desk.turn()) == ["a", "a", "b", "b"]
    bounded = Desk("cpu", "cpu", "cpu", "cpu", job_slots=2)
    bounded.render(0, "a", 100)
    assert [job for _, job, _ in bounded.turn()] == ["a"]
    assert bounded.turn() == []


def test_what_nvenc_encodes_is_drawn_by_slots_with_a_session_alone() -> None:
    desk = Desk("nvenc", "cpu", "nvenc")
    desk.render(0, "a", 100)
    assert [slot for slot, _, _ in desk.turn()] == [2]


def test_a_job_that_waits_for_a_slot_ends_what_it_draws_and_starts_then() -> None:
    desk = Desk("cpu", "cpu")
    desk.render(0, "a", 100)
    desk.turn()
    slot = desk.slots[1]
    assert slot.can_start
    slot.running, slot.next_path = RemoteAttempt(desk.render(0, "a", 1), "m", 0), "attempt.json"
    desk.sent.clear()
    assert desk.shared.polled(slot, None, desk.now) is None
    assert json.loads(desk.sent[0]["text"])["now"] is True
    assert desk.end(1, stopped=True) == "attempt.json"
    assert (slot.drawing, slot.next_path) == (None, None)


def test_an_attempt_that_ended_or_fails_elsewhere_again_and_again_is_offered_no_more() -> None:
    desk = Desk("cpu", "cpu", "cpu")
    attempt = desk.render(0, "a", 100)
    desk.turn()
    desk.sent.clear()
    desk.shared.forget((attempt.job_id, attempt.fence))
    assert [message["stop"] for message in desk.sent] == [1, 2]
    for slot in (1, 2):
        desk.end(slot, stopped=True)
    assert desk.turn() == []
    desk.render(0, "b", 100)
    for _ in range(FAILURES):
        assert desk.turn()
        desk.end(1, failed={"message": "no plan"})
        desk.end(2, finished={})
    assert desk.turn() == []
