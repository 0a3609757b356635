"""Webhooks to a real receiver that fails in every way; each is accepted in the end, under one id."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.receiver import SECRET, Receiver, receiver
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.net.addresses import Address, is_public
from video_pipeline.engine.net.pinned import PinnedRequests
from video_pipeline.engine.notify import http_post
from video_pipeline.engine.notify.deliver import (
    AlreadyDeliveringError,
    deliver_note,
    deliver_to_target,
    delivering,
)
from video_pipeline.engine.notify.http_post import HttpPost
from video_pipeline.engine.notify.outbox import NewNote, Note, Outbox
from video_pipeline.engine.notify.target import Target
from video_pipeline.engine.notify.targets import connect_target


@pytest.fixture
def shop() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def config_of(folder: Path, url: str, *, secret: str = SECRET, **keys: Any) -> Config:
    file = folder / "secret"
    file.write_text(secret)
    webhook = {"url": url, "secret_file": str(file), "allow_private": True, "timeout": FAST_SECONDS, **keys}
    return load_config({"notifications": {"webhooks": {"shop": webhook}}}, environ=False)


class Clocked:
    """An outbox with a clock that a test sets."""

    def __init__(self, folder: Path) -> None:
        self.now = time.time()
        self.outbox = Outbox(folder / "notifications.sqlite3", clock=lambda: self.now)

    def add(self, number: int = 1, *, subject: str = "job-1") -> None:
        body = json.dumps({"id": f"msg_{number}", "type": "job.completed", "data": {"number": number}})
        note = NewNote(
            message_id=f"msg_{number}",
            target="webhook/shop",
            type="job.completed",
            subject=subject,
            body=body,
        )
        with self.outbox.writing() as db:
            self.outbox.add([note], db)

    def deliver(self, config: Config, *, rounds: int = 1) -> list[Note]:
        """Deliver, and go to the time of the next try, so many rounds."""
        for _ in range(rounds):
            deliver_to_target(self.outbox, "webhook/shop", config)
            self.now = max(self.now, self.outbox.next_due() or 0.0)
        return self.outbox.listed()


@pytest.fixture
def clocked(tmp_path: Path) -> Iterator[Clocked]:
    found = Clocked(tmp_path)
    yield found
    found.outbox.close()


FAULTS = {
    "lost": "no valid answer",
    "cut": "no valid answer",
    "not http": "no valid answer",
    "drip": "no answer within 0.5 s",
    "500 Broken": "500 Broken: <!DOCTYPE html>",
    "403 Forbidden": "403 Forbidden: <!DOCTYPE",
    "429 Slow": "429 Slow",
    "302 Found|Location: http://127.0.0.1/": "302 Found: redirects are not followed",
    "endless error": "500 No: xxxx",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_receiver_is_tried_again_with_the_same_id(
    shop: Receiver, clocked: Clocked, tmp_path: Path, fault: str
) -> None:
    shop.faults.extend([fault, fault])
    clocked.add()
    config = config_of(tmp_path, shop.url)
    faulty = config_of(tmp_path, shop.url, timeout=0.5) if fault == "drip" else config
    (note,) = clocked.deliver(faulty)
    assert note.state == "waiting"
    assert FAULTS[fault] in str(note.error)
    assert len(str(note.error)) <= 300
    clocked.deliver(faulty)
    wait_until(lambda: not shop.faults, what="the receiver has met both requests")
    (note,) = clocked.deliver(config)
    assert (note.state, note.attempts) == ("delivered", 3)
    assert [body["data"]["number"] for body in shop.got] == [1]
    assert set(shop.ids) == {"msg_1"}
    assert shop.problems == []


def test_a_receiver_that_is_not_there_gets_the_message_when_it_is(clocked: Clocked, tmp_path: Path) -> None:
    with receiver() as gone:
        port = gone.port
    clocked.add()
    (note,) = clocked.deliver(config_of(tmp_path, f"http://127.0.0.1:{port}/hook"))
    assert note.state == "waiting"
    assert "Connection refused" in str(note.error)


def test_waits_grow_and_retry_after_is_kept(shop: Receiver, clocked: Clocked, tmp_path: Path) -> None:
    shop.always = "500 Broken"
    clocked.add()
    config = config_of(tmp_path, shop.url)
    waits = []
    for _ in range(12):
        before = clocked.now
        clocked.deliver(config)
        waits.append(clocked.now - before)
    for number, wait in enumerate(waits):
        longest = min(3600.0, 5.0 * 2**number)
        assert longest / 2 <= wait <= longest
    shop.always = "429 Slow|Retry-After: 7200"
    before = clocked.now
    clocked.deliver(config)
    assert clocked.now - before == pytest.approx(7200)


def test_a_clock_that_was_wrong_holds_no_message_back(
    shop: Receiver, clocked: Clocked, tmp_path: Path
) -> None:
    config, right = config_of(tmp_path, shop.url), clocked.now
    clocked.now = right + 3e8
    clocked.add()
    clocked.now = right
    assert clocked.outbox.next_due() == right
    assert clocked.outbox.due_targets() == {"webhook/shop"}
    shop.faults.append("500 Broken")
    assert [note.attempts for note in clocked.deliver(config)] == [1]
    assert [note.state for note in clocked.deliver(config)] == ["delivered"]


def test_a_message_that_is_old_when_it_is_first_tried_is_tried_again(
    shop: Receiver, clocked: Clocked, tmp_path: Path
) -> None:
    clocked.add()
    clocked.now += 10 * 86_400  # the node did not run, or had no clock when it started
    shop.faults.extend(["500 Broken"] * 7)
    assert [note.state for note in clocked.deliver(config_of(tmp_path, shop.url), rounds=8)] == ["delivered"]


def test_after_days_a_message_is_a_dead_letter_that_can_be_resent(
    shop: Receiver, clocked: Clocked, tmp_path: Path
) -> None:
    shop.always = "500 Broken"
    clocked.add()
    config = config_of(tmp_path, shop.url)
    began = clocked.now
    (note,) = clocked.deliver(config, rounds=200)
    assert note.state == "dead"
    assert 2.9 < (clocked.now - began) / 86_400 <= 3.0
    assert clocked.outbox.numbers()["dead"] == 1
    shop.always = ""
    clocked.outbox.resend(note.number)
    (note,) = clocked.deliver(config)
    assert note.state == "delivered"
    assert set(shop.ids) == {"msg_1"}


def test_messages_of_one_job_keep_their_order_and_another_job_is_not_held_up(
    shop: Receiver, clocked: Clocked, tmp_path: Path
) -> None:
    clocked.add(1)
    clocked.add(2)
    clocked.add(3, subject="job-2")
    shop.faults.append("500 Broken")
    config = config_of(tmp_path, shop.url)
    clocked.deliver(config)
    assert [body["data"]["number"] for body in shop.got] == [3]
    clocked.deliver(config)
    assert [body["data"]["number"] for body in shop.got] == [3, 1, 2]


def test_gone_disables_the_receiver_until_its_messages_are_resent(
    shop: Receiver, clocked: Clocked, tmp_path: Path
) -> None:
    config = config_of(tmp_path, shop.url)
    shop.faults.append("410 Gone")
    clocked.add(1)
    clocked.deliver(config)
    clocked.add(2)
    first, second = clocked.deliver(config)
    assert (first.state, second.state) == ("dead", "dead")
    assert "410 Gone earlier" in str(second.error)
    assert shop.ids == ["msg_1"], "nothing more was sent"
    clocked.outbox.resend(2)
    clocked.outbox.resend(1)
    assert all(note.state == "delivered" for note in clocked.deliver(config))


def test_a_wrong_secret_is_refused_and_is_in_no_error(
    shop: Receiver, clocked: Clocked, tmp_path: Path
) -> None:
    clocked.add()
    wrong = "whsec_" + "b3RoZXIgc2VjcmV0IG9mIHRoZSBzYW1lIGZvcm0h"
    (note,) = clocked.deliver(config_of(tmp_path, shop.url, secret=wrong))
    assert "401 Unauthorized" in str(note.error)
    assert wrong not in str(note.error)
    assert shop.problems


HOSTILE = [
    "http://169.254.169.254/latest/meta-data/",
    "http://127.0.0.1:8080/",
    "http://[::1]:8080/",
    "http://[::ffff:10.0.0.1]/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://user:word@example.org/",
    "http://example.org:25/",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_an_address_that_is_not_public_is_refused_before_anything_is_sent(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"^notifications\.webhooks\.shop\.url: "):
        connect_target(config_of(tmp_path, url, allow_private=False), "webhook/shop")


def test_localhost_by_its_name_is_refused_when_it_is_looked_up(
    shop: Receiver, clocked: Clocked, tmp_path: Path
) -> None:
    clocked.add()
    url = f"http://localhost:{shop.port}/hook"
    (note,) = clocked.deliver(config_of(tmp_path, url, allow_private=False))
    assert "set allow_private" in str(note.error)
    assert shop.ids == []


def test_a_name_that_changes_its_address_after_the_check_is_asked_once(
    shop: Receiver, clocked: Clocked, tmp_path: Path
) -> None:
    asked = []

    def rebinding(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        return (ipaddress.ip_address("93.184.215.14" if len(asked) == 1 else "127.0.0.1"),)

    clocked.add()
    target = connect_target(
        config_of(tmp_path, f"http://shop.example:{shop.port}/", allow_private=False), "webhook/shop"
    )
    assert isinstance(target.send, HttpPost)
    post = target.send
    requests = PinnedRequests(idle=0.3, allow=is_public, resolver=rebinding)
    failure = HttpPost(url=post.url, secret=post.secret, hidden=(), timeout=0.3, requests=requests)(
        clocked.outbox.get(1)
    )
    assert failure is not None
    assert asked == ["shop.example"]
    second = HttpPost(url=post.url, secret=post.secret, hidden=(), timeout=0.3, requests=requests)(
        clocked.outbox.get(1)
    )
    assert second is not None
    assert "shop.example is 127.0.0.1" in second.error
    assert shop.ids == []


def test_a_url_of_a_file_is_in_no_error(clocked: Clocked, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("http://127.0.0.1:9/services/T0/B0/secret\n")
    settings = {"url_file": str(file), "allow_private": True, "timeout": 0.5}
    config = load_config({"notifications": {"webhooks": {"shop": settings}}}, environ=False)
    clocked.add()
    (note,) = clocked.deliver(config)
    assert "secret" not in str(note.error)
    settings["allow_private"] = False
    config = load_config({"notifications": {"webhooks": {"shop": settings}}}, environ=False)
    with pytest.raises(ConfigError) as told:
        connect_target(config, "webhook/shop")
    assert "secret" not in str(told.value)


def test_an_error_of_the_engine_itself_is_tried_again_later(clocked: Clocked) -> None:
    def broken(note: Note) -> None:
        raise RuntimeError("a mistake")

    clocked.add()
    target = Target(name="webhook/shop", address="", send=broken)
    deliver_note(clocked.outbox, clocked.outbox.get(1), target, give_up_days=3, share=0.5)
    note = clocked.outbox.get(1)
    assert (note.state, note.error) == ("waiting", "RuntimeError")
    assert note.due_at > clocked.now


def test_one_process_delivers_at_a_time(clocked: Clocked) -> None:
    with delivering(clocked.outbox), pytest.raises(AlreadyDeliveringError), delivering(clocked.outbox):
        pass


@pytest.mark.parametrize(("form", "key"), [("slack", "text"), ("discord", "content")])
def test_chat_services_get_text_in_their_own_form(form: Any, key: str) -> None:
    body = json.dumps({"data": {"text": "<!channel> disk & ledger " + "x" * 3000}})
    note = Note(
        number=1, message_id="msg_1", target="alert/webhook.ops", type="alert.raised", subject="", body=body,
        state="waiting", attempts=0, due_at=0, began_at=0, error=None, created_at=0, updated_at=0,
    )  # fmt: skip
    found = json.loads(http_post.shown_body(note, form))
    if form == "slack":
        assert found[key].startswith("&lt;!channel&gt; disk &amp; ledger")
    else:
        assert found["allowed_mentions"] == {"parse": []}
        assert len(found[key]) == 2000
