"""Watching, step by step: whatever is published, lost, doubled or late, the ledger's events are shown once, in order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.job_views import event, view
from tests.support.small_node import pong
from video_pipeline.engine.errors import UnreachableError
from video_pipeline.engine.jobs.client.steps import Call, Pause, Show
from video_pipeline.engine.jobs.client.watching import watch_steps
from video_pipeline.engine.jobs.messages import Events, EventsReply, EventView, JobView, Ping, Status
from video_pipeline.engine.jobs.model import EventKind, JobStatus

NAMES = tuple(f"job-{number:024x}" for number in range(3))
LIFE: tuple[tuple[EventKind, JobStatus], ...] = (
    ("queued", JobStatus.QUEUED),
    ("processing", JobStatus.PROCESSING),
    *((("progress", JobStatus.PROCESSING),) * 6),
    ("retrying", JobStatus.QUEUED),
    ("processing", JobStatus.PROCESSING),
    *((("progress", JobStatus.PROCESSING),) * 6),
)


class Node:
    """A ledger that grows while it is watched, and a publisher that cannot be relied on. Drives a watch."""

    def __init__(
        self, dice: random.Random, *, loss: float, user: str = "local", own: tuple[str, ...] = NAMES
    ) -> None:
        self.dice, self.loss, self.user, self.own = dice, loss, user, own
        self.events: list[EventView] = []
        self.status = dict.fromkeys(NAMES, JobStatus.QUEUED)
        self.published: list[EventView] = []
        self.away = 0
        self.left = {
            name: [*LIFE, dice.choice([("completed", JobStatus.COMPLETED), ("failed", JobStatus.FAILED)])]
            for name in NAMES
        }

    def grow(self) -> None:
        """Let something happen, and publish it or not."""
        for _ in range(self.dice.randrange(4)):
            name = self.dice.choice(NAMES)
            if not self.left[name]:
                continue
            kind, status = self.left[name].pop(0)
            happened = event(len(self.events) + 1, name, kind, status)
            self.events.append(happened)
            self.status[name] = status
            if status.is_terminal:  # a ledger forgets the progress of a job that has ended
                self.events = [
                    each
                    if each.job_id != name or each.kind != "progress"
                    else each.model_copy(update={"job_id": ""})
                    for each in self.events
                ]
            if self.dice.random() >= self.loss:
                self.published += [happened] * self.dice.choice([1, 1, 2])
                if self.dice.random() < 0.1:
                    self.dice.shuffle(self.published)

    def open(self, pong: Any, job_id: str | None) -> None:
        """Subscribe; earlier events are not received."""
        self.published.clear()

    def take(self) -> list[EventView]:
        taken, self.published = self.published, []
        return taken

    def answer(self, asking: Call) -> object:
        request = asking.request
        if isinstance(request, Ping):
            return pong(user=self.user, last_event=len(self.events))
        if isinstance(request, Status):
            return view(request.job_id, self.status[request.job_id])
        assert isinstance(request, Events)
        found = [
            each
            for each in self.events[request.after :]
            if each.job_id in self.own and request.job_id in (None, each.job_id)
        ]
        page = found[:3]
        return EventsReply(events=tuple(page), last=len(self.events), more=len(page) < len(found))

    def watch(self, job_id: str | None, after: int | None = None) -> Iterator[EventView]:
        """Run the steps; growing between them, and away now and then once it has been reached."""
        steps = watch_steps(self, job_id, after)  # type: ignore[arg-type]
        answer: object = None
        reached = 0
        while True:
            try:
                step = steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
            except StopIteration:
                return
            answer = None
            self.grow()
            if isinstance(step, Show):
                yield step.value
            elif isinstance(step, Pause):
                if step.news:
                    mine = [each for each in self.published if job_id in (None, each.job_id)]
                    self.published = mine
                    answer = bool(mine)
            elif reached > 3 and self.dice.random() < 0.1:
                answer = UnreachableError("away")
            else:
                reached += 1
                answer = self.answer(step)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("video_pipeline.engine.jobs.client.watching.REPLAY_EVERY_SECONDS", 0.0)


@pytest.mark.parametrize("loss", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("seed", range(40))
def test_a_jobs_watch_shows_every_change_once_and_ends_with_the_last(seed: int, loss: float) -> None:
    print(f"seed {seed}, loss {loss}")
    node = Node(random.Random(seed), loss=loss)
    shown = list(node.watch(NAMES[1]))
    numbers = [each.seq for each in shown]
    assert numbers == sorted(set(numbers))
    assert [each.kind for each in shown if each.kind != "progress"] == [
        "queued",
        "processing",
        "retrying",
        "processing",
        node.status[NAMES[1]].value,
    ]


@pytest.mark.parametrize("user", ["local", "ada"])
@pytest.mark.parametrize("loss", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("seed", range(20))
def test_a_watch_of_all_shows_every_change_of_every_job_once(seed: int, loss: float, user: str) -> None:
    print(f"seed {seed}, loss {loss}, user {user}")
    node = Node(random.Random(seed), loss=loss, user=user)
    shown: list[EventView] = []
    for each in node.watch(None, after=0):
        shown.append(each)
        if sum(one.status.is_terminal for one in shown) == len(NAMES):
            break
    numbers = [each.seq for each in shown]
    assert numbers == sorted(set(numbers))
    changes = [each.seq for each in shown if each.kind != "progress"]
    assert changes == [each.seq for each in node.events if each.kind != "progress"]


def test_watching_an_ended_job_shows_only_events_after_the_given_number() -> None:
    node = Node(random.Random(1), loss=0.0)
    everything = list(node.watch(NAMES[0]))
    assert list(node.watch(NAMES[0], after=everything[-1].seq)) == []
    assert [each.kind for each in node.watch(NAMES[0], after=everything[-2].seq)] == [everything[-1].kind]


def test_events_of_other_users_jobs_are_not_shown() -> None:
    """The node publishes the events of all users; only the ledger knows the owner of a job."""
    node = Node(random.Random(3), loss=0.0, user="ada", own=NAMES[:1])
    for each in node.watch(None, after=0):
        assert each.job_id == NAMES[0]
        if each.status.is_terminal:
            break


def test_a_job_that_cannot_be_seen_is_an_error_at_once() -> None:
    steps = watch_steps(Node(random.Random(0), loss=0.0), NAMES[0], None)  # type: ignore[arg-type]
    next(steps)
    steps.send(pong())
    with pytest.raises(UnreachableError):
        steps.throw(UnreachableError("gone"))
    assert isinstance(view(NAMES[0]), JobView)
