"""The request handler, without sockets: failing commits, limits that need no clock, large pages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import PNG, STORY, node_config
from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.encoding import encode
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.machines import write_machines
from video_pipeline.engine.jobs.messages import ErrorReply, Jobs, JobView, Message, StatsReply, Submitted
from video_pipeline.engine.jobs.model import Failure, JobStatus, NewJob
from video_pipeline.engine.jobs.node_messages import MachineView
from video_pipeline.engine.jobs.server.handler import RequestHandler
from video_pipeline.engine.jobs.server.limits import (
    CLIENTS_MAX,
    WAITS_PER_CLIENT,
    HeldWait,
    HeldWaits,
    RateLimit,
    ReplyRoute,
)
from video_pipeline.engine.jobs.server.wire import IncomingRequest


@dataclass
class Clock:
    """A clock that only the test moves."""

    now: float = 1000.0

    def wall(self) -> float:
        return 1_800_000_000 + self.now

    def monotonic(self) -> float:
        return self.now


@dataclass
class House:
    """A request handler with its ledger."""

    config: Config
    ledger: Ledger
    handler: RequestHandler
    clock: Clock

    def ask(
        self, *requests: tuple[str, Any], user: str = "local", parts: tuple[bytes, ...] = ()
    ) -> list[Message]:
        batch = [
            IncomingRequest(
                b"\0peer", user, [b"VP1J", b"1", verb.encode(), json.dumps(body).encode(), *parts], 100
            )
            for verb, body in requests
        ]
        return [body for _, body in self.handler.answer(batch)]

    def submit(self, **fields: Any) -> str:
        (answer,) = self.ask(("submit", {"story": STORY, **fields}))
        assert isinstance(answer, Submitted)
        return answer.job_id


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    config = node_config(tmp_path, max_requests_per_second=1e6)
    clock = Clock()
    with Ledger(config.state_dir() / "ledger.sqlite3") as ledger:
        yield House(config, ledger, RequestHandler(ledger, config, slots=2, clock=clock), clock)


def codes(answers: list[Message]) -> list[str]:
    return [answer.code if isinstance(answer, ErrorReply) else "ok" for answer in answers]


def test_a_batch_is_one_commit(house: House) -> None:
    commits = []
    house.ledger.file._db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    job_id = house.submit()
    commits.clear()
    answers = house.ask(*[("submit", {"story": STORY})] * 50, ("cancel", {"job_id": job_id}))
    assert codes(answers) == ["ok"] * 51
    assert commits == ["COMMIT"]


def test_a_full_disk_acknowledges_nothing_of_the_batch_and_recovers(house: House) -> None:
    job_id = house.submit()
    pages = house.ledger.file._db.execute("PRAGMA page_count").fetchone()[0]
    house.ledger.file._db.execute(f"PRAGMA max_page_count = {pages + 2}")  # as if the disk ended there
    wide = {"title": "T", "content": "word " * 4000}
    answers = house.ask(*[("submit", {"story": wide})] * 10, ("cancel", {"job_id": job_id}), ("ping", {}))
    assert codes(answers) == ["STORAGE"] * 11 + ["ok"]
    assert isinstance(answers[0], ErrorReply)
    assert answers[0].retry_after
    assert [job.job_id for job in house.ledger.jobs.page(limit=20)] == [job_id]
    assert house.ledger.jobs.page(limit=1)[0].status is JobStatus.QUEUED
    house.ledger.file._db.execute("PRAGMA max_page_count = 1000000")
    assert codes(house.ask(("submit", {"story": wide}))) == ["ok"]


def test_a_write_that_breaks_the_commit_fails_alone(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = house.ledger.queue.submit_all

    def fragile(jobs: Sequence[NewJob], **options: Any) -> Any:
        if any(new.key == "poison" for new in jobs):
            raise ZeroDivisionError("a fault of the program")
        return real(jobs, **options)

    monkeypatch.setattr(house.ledger.queue, "submit_all", fragile)
    keys = ["a", "b", "poison", "c"]
    answers = house.ask(*(("submit", {"story": STORY, "key": key}) for key in keys))
    assert codes(answers) == ["ok", "ok", "INTERNAL", "ok"]
    assert isinstance(answers[2], ErrorReply)
    assert "ZeroDivisionError" not in answers[2].message
    assert "ZeroDivisionError: a fault of the program" in caplog.text
    assert len(house.ledger.jobs.page(limit=9)) == 3


def test_an_inbox_that_cannot_be_written_refuses_those_with_assets_and_no_others(house: House) -> None:
    inbox = house.config.state_dir() / "inbox"
    inbox.write_text("in the way")
    story = {"title": "T", "scenes": [{"scene_id": "a", "image": "inline:0"}]}
    assert codes(house.ask(("submit", {"story": story}), parts=(PNG,))) == ["STORAGE"]
    assert codes(house.ask(("submit", {"story": STORY}))) == ["ok"]
    assert len(house.ledger.jobs.page(limit=9)) == 1
    inbox.unlink()
    assert codes(house.ask(("submit", {"story": story}), parts=(PNG,))) == ["ok"]


def test_a_page_is_bounded_by_its_bytes_and_leads_to_the_rest(house: House) -> None:
    made = [house.submit(max_attempts=1) for _ in range(30)]
    for _ in made:
        attempt = house.ledger.attempts.claim()
        assert attempt is not None
        failure = Failure("permanent", "E", "m", log_tail=tuple("x" * 500 for _ in range(40)))
        house.ledger.attempts.fail(attempt.job_id, attempt.fence, failure, retry_in=None)
    seen: list[str] = []
    before: str | None = None
    pages = 0
    while True:
        (page,) = house.ask(("list", {"limit": 1000, "before": before}))
        assert isinstance(page, Jobs)
        assert len(page.model_dump_json()) < 400_000
        seen += [job.job_id for job in page.jobs]
        before, pages = page.before, pages + 1
        if before is None:
            break
    assert seen == made[::-1]
    assert pages > 2


def test_waits_are_answered_by_the_clock_and_by_events(house: House) -> None:
    one, two = house.submit(), house.submit()
    assert house.ask(("wait", {"job_id": one, "timeout": 5}), ("wait", {"job_id": two, "timeout": 9})) == []
    after = house.ledger.events.last_seq()
    house.clock.now += 4.9
    assert house.handler.expired() == []
    house.ask(("cancel", {"job_id": two}))
    ((_, woken),) = house.handler.wake(house.ledger.events.page(after=after, limit=9))
    assert isinstance(woken, JobView)
    assert (woken.job_id, woken.status) == (two, "cancelled")
    house.clock.now += 0.2
    ((_, timed_out),) = house.handler.expired()
    assert isinstance(timed_out, JobView)
    assert (timed_out.job_id, timed_out.status) == (one, "queued")
    assert not house.handler.holds_replies


def test_the_rate_limit_saves_up_a_second_and_forgets_quiet_clients() -> None:
    limit = RateLimit(10)
    assert [limit.take("a", 0.0) for _ in range(10)] == [0.0] * 10
    assert limit.take("a", 0.0) == pytest.approx(0.1)
    assert limit.take("b", 0.0) == 0.0
    assert limit.take("a", 0.1) == pytest.approx(0.0)
    assert limit.take("a", 0.1) > 0
    for number in range(CLIENTS_MAX * 2):
        limit.take(str(number), 1.0)
    assert len(limit) == CLIENTS_MAX


def test_held_waits_are_bounded_and_leave_nothing_behind() -> None:
    waits = HeldWaits()
    route = ReplyRoute(b"r", (), b"1", "json")
    for number in range(WAITS_PER_CLIENT):
        assert waits.add(HeldWait(f"job-{number % 7}", "a", route, float(number)))
    assert not waits.add(HeldWait("job-0", "a", route, 1.0))
    assert waits.add(HeldWait("job-0", "b", route, 1e9))
    ended = waits.pop_job("job-0")
    assert {held.client for held in ended} == {"a", "b"}
    assert waits.add(HeldWait("job-0", "a", route, 1.0))
    assert len(waits.pop_expired(1e6)) == len(range(WAITS_PER_CLIENT)) - (len(ended) - 1) + 1
    assert len(waits) == 0
    for _ in range(5000):
        waits.add(HeldWait("job-1", "a", route, 1e9))
        waits.pop_job("job-1")
    assert len(waits._queue) < 200
    assert not waits._of_job
    assert not waits._of_client


def test_the_order_of_replies_is_that_of_the_requests(house: House) -> None:
    answers = house.ask(("ping", {}), ("submit", {"story": STORY}), ("pong", {}), ("stats", {}))
    assert [type(answer).__name__ for answer in answers] == ["Pong", "Submitted", "ErrorReply", "StatsReply"]


def test_no_job_is_taken_without_room_for_temporary_files(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = node_config(tmp_path).override("storage", temp_path=tmp_path / "file" / "temp")
    with Ledger(config.state_dir() / "ledger.sqlite3") as ledger:
        handler = RequestHandler(ledger, config, slots=2)
        (answer,) = House(config, ledger, handler, Clock()).ask(("submit", {"story": STORY}))
    assert isinstance(answer, ErrorReply)
    assert (answer.code, answer.message) == ("STORAGE", "storage.temp_path: Not a directory")


def test_scheduled_jobs_are_listed_by_that_name(house: House) -> None:
    later = house.submit(scheduled_for="2099-01-01T00:00:00Z")
    now = house.submit()
    listed = {}
    for status in ("scheduled", "queued", "completed"):
        (answer,) = house.ask(("list", {"status": status}))
        assert isinstance(answer, Jobs)
        listed[status] = [job.job_id for job in answer.jobs]
    assert listed == {"scheduled": [later], "queued": [now, later], "completed": []}


def test_clients_on_other_machines_get_errors_without_logs_and_the_paths_of_the_server(house: House) -> None:
    job_ids = {}
    for user in ("ann", "local"):
        (answer,) = house.ask(("submit", {"story": STORY}), user=user)
        assert isinstance(answer, Submitted)
        job_ids[user] = answer.job_id
        attempt = house.ledger.attempts.claim()
        assert attempt is not None
        failure = Failure("permanent", "AssetError", "/srv/state/inbox/a.png: is cut short", ("Traceback …",))
        house.ledger.attempts.fail(attempt.job_id, attempt.fence, failure, retry_in=None)
    seen = {}
    for user, job_id in job_ids.items():
        verbs = (
            ("status", {"job_id": job_id}),
            ("wait", {"job_id": job_id, "timeout": 5}),
            ("list", {"limit": 1}),
        )
        for answer in house.ask(*verbs, user=user):
            job = answer.jobs[0] if isinstance(answer, Jobs) else answer
            assert isinstance(job, JobView)
            seen.setdefault(user, set()).add((job.error_message, job.log_tail))
        (events,) = house.ask(("events", {"job_id": job_id}), user=user)
        assert (b"/srv/state" in encode(events, "json")) == (user == "local")
    assert seen["ann"] == {("…/a.png: is cut short", ())}
    assert seen["local"] == {("/srv/state/inbox/a.png: is cut short", ("Traceback …",))}


def test_a_queued_job_shows_that_it_waits_for_disk_space(house: House) -> None:
    job_id = house.submit()
    house.submit(scheduled_for="2099-01-01T00:00:00Z")
    house.handler.full = True
    (answer,) = house.ask(("list", {}))
    assert isinstance(answer, Jobs)
    assert [job.stage for job in answer.jobs] == [None, "waits for disk space"]
    house.handler.full = False
    (job,) = house.ask(("status", {"job_id": job_id}))
    assert isinstance(job, JobView)
    assert job.stage is None


def test_the_slots_are_those_of_the_machines_that_have_reported(house: House) -> None:
    def slots() -> int:
        (answer,) = house.ask(("stats", {}))
        assert isinstance(answer, StatsReply)
        return answer.slots

    assert slots() == 2  # what the node started with
    path, now = Folders.of(house.config).machines, datetime.now(UTC)
    for counts, total in (((0, 3, 1), 4), ((0,), 0)):
        views = [
            MachineView(
                name=f"m{number}",
                state="ready",
                version="0.1.0",
                cores=4,
                memory_bytes=1,
                slots=count,
                warm=count,
                running=0,
                started_at=now,
                seen_at=now,
            )
            for number, count in enumerate(counts)
        ]
        write_machines(path, views)
        assert slots() == total
