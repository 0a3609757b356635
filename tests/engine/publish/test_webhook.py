"""The publisher `webhook` and a receiver that verifies by the library of Standard Webhooks."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from tests.engine.publish.test_carry_on import a_post
from tests.support.service_fakes import Answer, Asked, ServiceFake, Vendor
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.publish.base import PlatformCalls
from video_pipeline.engine.publish.carry_on import CarryOn
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import Publications
from video_pipeline.engine.publish.specs import connect_account
from video_pipeline.engine.publish.states import PublicationState

SECRET = f"whsec_{base64.b64encode(b'0123456789abcdef0123456789abcdef').decode()}"


class Receiver(Vendor):
    """Keeps each post once, by its id, and refuses what the library of Standard Webhooks does not verify."""

    def __init__(self) -> None:
        self.posts: dict[str, dict[str, Any]] = {}
        self.status = HTTPStatus.OK
        self.said: bytes | None = None

    def is_work(self, asked: Asked) -> bool:
        return True

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        try:
            body = standardwebhooks.Webhook(SECRET).verify(asked.body, asked.headers)
        except standardwebhooks.WebhookVerificationError as error:
            return Answer(403, "application/json", json.dumps({"error": str(error)}).encode()), 0
        self.posts[asked.headers["webhook-id"]] = body
        said = json.dumps({"id": f"post{len(self.posts)}", "url": "https://example.org/1"}).encode()
        return Answer(int(self.status), "application/json", said if self.said is None else self.said), 0

    def throttled(self, headers: dict[str, str]) -> Answer:
        return Answer(429, "application/json", b"{}", headers)


@pytest.fixture
def receiver() -> Iterator[ServiceFake]:
    fake = ServiceFake(Receiver())
    yield fake
    fake.close()


def calls_to(fake: ServiceFake, folder: Path, secret: str = SECRET) -> PlatformCalls:
    """Return calls to the fake; they wait longer for an answer unless it is to drip."""
    file = folder / "secret"
    file.write_text(secret)
    account = {
        "url": f"{fake.url}/posts",
        "secret_file": str(file),
        "timeout": 2 if "drip" in fake.faults else FAST_SECONDS,
    }
    config = load_config({"publishing": {"accounts": {"webhook": {"default": account}}}}, environ=False)
    return connect_account(config, platform="webhook", account="default")


def published(fake: ServiceFake, folder: Path, *, secret: str = SECRET) -> Publication:
    """Publish a post, however often the receiver must be asked."""
    now = [1_800_000_000.0]
    records = Publications(folder / "publications.sqlite3", clock=lambda: now[0])
    records.add(a_post(folder), platform="webhook", account="default")
    for _ in range(20):
        found = CarryOn(records=records).run(1, calls_to(fake, folder, secret))
        if found.state not in (PublicationState.COMMITTED, PublicationState.SAVED):
            break
        now[0] = found.due_at
    records.close()
    return found


def test_a_post_is_told_once_with_a_signature_that_the_library_verifies(
    receiver: ServiceFake, tmp_path: Path
) -> None:
    found = published(receiver, tmp_path)
    assert found.state is PublicationState.CONFIRMED
    assert found.published is not None
    assert (found.published.remote_id, found.published.url) == ("post1", "https://example.org/1")
    vendor = receiver.vendor
    assert isinstance(vendor, Receiver)
    (body,) = vendor.posts.values()
    assert (body["type"], body["title"], body["sha256"]) == (
        "video.published",
        "The Lighthouse: a story",
        found.post.sha256,
    )


@pytest.mark.parametrize("fault", ["500", "429", "429 after 40", "cut", "drip"])
def test_a_fault_of_the_receiver_makes_no_second_post(
    receiver: ServiceFake, tmp_path: Path, fault: str
) -> None:
    receiver.faults.extend([fault, fault])
    found = published(receiver, tmp_path)
    assert found.state is PublicationState.CONFIRMED
    vendor = receiver.vendor
    assert isinstance(vendor, Receiver)
    assert len(vendor.posts) == 1
    assert len({asked.headers["webhook-id"] for asked in receiver.asked}) == 1


def test_a_wrong_secret_holds_the_post_and_is_in_no_error(receiver: ServiceFake, tmp_path: Path) -> None:
    wrong = f"whsec_{base64.b64encode(b'another secret of the same form.').decode()}"
    found = published(receiver, tmp_path, secret=wrong)
    assert found.state is PublicationState.HELD
    assert "403 Forbidden" in str(found.error)
    assert wrong not in str(found.error)


def test_a_dry_run_names_the_request_and_sends_nothing(receiver: ServiceFake, tmp_path: Path) -> None:
    (line,) = calls_to(receiver, tmp_path).plan(a_post(tmp_path))
    assert line.startswith(f"POST {receiver.url}/posts (signed, webhook-id post-")
    assert SECRET not in line
    assert receiver.asked == []


def test_a_wrong_account_is_refused_with_its_key(receiver: ServiceFake, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="begins with whsec_ and is not Base64"):
        calls_to(receiver, tmp_path, secret="whsec_%%%")
    config = load_config(
        {"publishing": {"accounts": {"webhook": {"default": {"url": "ftp://host/"}}}}}, environ=False
    )
    with pytest.raises(ConfigError, match=r"publishing\.accounts\.webhook\.default\.url: got 'ftp://host/'"):
        connect_account(config, platform="webhook", account="default")
    with pytest.raises(ConfigError, match="account of webhook: got 'second'; set up: default"):
        connect_account(config, platform="webhook", account="second")


@pytest.mark.parametrize(
    ("said", "remote_id", "url"),
    [
        (b'{"id": "a\\ud800b", "url": "https://h.example/\\ud800"}', "a?b", "https://h.example/?"),
        (b'{"id": "a\xed\xa0\x80b\\u0000"}', "a?b", None),
        (b'{"id": {"a": 1}, "url": "javascript:alert(1)"}', "post-", None),
        (b'{"id": true, "url": ["https://h.example"]}', "post-", None),
        (b'{"id": 7, "url": null}', "7", None),
        (b'{"id": "' + b"x" * 5000 + b'"}', "x" * 256, None),
        (b"[1]", "post-", None),
        (b"<html>", "post-", None),
        (b"", "post-", None),
    ],
)
def test_any_answer_of_a_receiver_that_took_a_post_can_be_stored(
    receiver: ServiceFake, tmp_path: Path, said: bytes, remote_id: str, url: str | None
) -> None:
    assert isinstance(receiver.vendor, Receiver)
    receiver.vendor.said = said
    found = published(receiver, tmp_path)
    assert found.state is PublicationState.CONFIRMED
    assert found.published is not None
    assert found.published.remote_id.startswith(remote_id)
    assert len(found.published.remote_id) <= 256
    assert found.published.url == url
    assert len(receiver.vendor.posts) == 1
