"""The publisher `tiktok` against a fake that follows TikTok's pages."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.publish.test_carry_on import a_post
from tests.support.kill_points import kill_points, killed_before_line
from tests.support.tiktok_fake import CREATOR, DIRECT, INBOX, TiktokFake
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import ConfigError, ServiceError
from video_pipeline.engine.net.retry import RetryPolicy
from video_pipeline.engine.publish import tiktok_upload
from video_pipeline.engine.publish.accounts import AccountFiles, StoredAccount
from video_pipeline.engine.publish.base import Post
from video_pipeline.engine.publish.carry_on import CarryOn
from video_pipeline.engine.publish.oauth import Grant, read_app
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import Publications
from video_pipeline.engine.publish.specs import check_specs
from video_pipeline.engine.publish.states import PublicationState
from video_pipeline.engine.publish.tiktok import DIRECT_SCOPES, INBOX_SCOPES, TiktokCalls, tiktok_calls
from video_pipeline.engine.publish.tiktok_post import tiktok_caption
from video_pipeline.engine.publish.tiktok_upload import chunk_plan, chunk_span, chunks_held
from video_pipeline.engine.story.publish import PublishSpec

MODULES = "video_pipeline.engine.publish"
S = PublicationState
SMALL = 10_000
"""What counts as a megabyte here, so that chunks are of 100 KB."""

CONTENT = bytes(range(256)) * 1400 + b"the last chunk"
"""Three chunks, the last one longer."""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[TiktokFake]:
    monkeypatch.setattr(tiktok_upload, "CHUNK_BYTES", 10 * SMALL)
    server = TiktokFake()
    server.vendor.megabyte = SMALL
    yield server
    server.close()


def connected(fake: TiktokFake, folder: Path, *, lives: float = 86_400, **keys: Any) -> Config:
    """Return the configuration of an account with tokens that the fake knows."""
    account = {"endpoint": fake.url, "timeout": FAST_SECONDS, **keys}
    config = load_config(
        {
            "node": {"state_path": str(folder / "state")},
            "publishing": {"accounts": {"tiktok": {"default": account}}},
        },
        environ=False,
    )
    scopes = frozenset(DIRECT_SCOPES if keys.get("mode") == "direct" else INBOX_SCOPES)
    fake.vendor.refreshes["rft.first"] = scopes
    now = fake.vendor.clock()
    grant = Grant(
        access_token=fake.vendor.new_token(scopes, lives=lives),
        refresh_token="rft.first",
        expires_at=now + lives,
    )
    app = read_app(fake.app_file(folder), "tiktok")
    account = StoredAccount(app=app, grant=grant, added_at=now, ends_at=now + 365 * 86_400)
    AccountFiles.of(config).save("tiktok", "default", account)
    return config


def quick(config: Config, clock: Callable[[], float] = time.time) -> TiktokCalls:
    calls = tiktok_calls(config, "default")
    return dataclasses.replace(
        calls,
        tokens=dataclasses.replace(calls.tokens, clock=clock),
        policy=RetryPolicy(attempts=3, first_wait=0.01, longest_wait=0.5),
        clock=clock,
    )


def full_post(folder: Path) -> Post:
    return a_post(folder, CONTENT).model_copy(
        update={"description": "Of the sea", "hashtags": ("#sea", "#light house"), "generated": True}
    )


def published(
    fake: TiktokFake, config: Config, post: Post, state: Path, *, rounds: int = 60, skew: float = 0.0
) -> Publication:
    """Publish a post, however often TikTok must be asked; time passes when the post is to wait.

    The clock here is `skew` seconds ahead of TikTok's.
    """
    now = [fake.vendor.clock()]
    fake.vendor.clock = lambda: now[0]
    records = Publications(state / "publications.sqlite3", clock=lambda: now[0] + skew)
    records.add(post, platform="tiktok", account="default")
    for _ in range(rounds):
        found = CarryOn(records=records).run(1, quick(config, lambda: now[0] + skew))
        is_over = found.state not in (S.PREPARED, S.SAVED, S.COMMITTED)
        if is_over and (found.state is not S.CONFIRMED or found.is_complete):
            break
        now[0] = max(found.due_at - skew, now[0]) + 0.001
    records.close()
    return found


def only_post(fake: TiktokFake) -> Any:
    (post,) = fake.vendor.posts
    assert bytes(post.held) == CONTENT
    assert fake.problems == []
    assert fake.vendor.over_pace == 0
    return post


def test_a_video_is_sent_to_the_inbox_and_a_note_says_what_is_left_to_do(
    fake: TiktokFake, tmp_path: Path
) -> None:
    found = published(fake, connected(fake, tmp_path), full_post(tmp_path), tmp_path)
    assert (found.state, found.is_complete, found.error) == (S.CONFIRMED, True, None)
    assert only_post(fake).info is None
    assert CREATOR not in fake.vendor.calls
    assert found.published is not None
    assert found.published.remote_id == "v_inbox_file~v2.1"
    assert found.published.note == (
        "finish it in the TikTok app (its inbox); label it as AI-generated; caption: "
        "The Lighthouse: a story\n\nOf the sea\n\n#sea #lighthouse"
    )


def test_a_direct_post_says_what_the_account_and_the_creator_allow(fake: TiktokFake, tmp_path: Path) -> None:
    config = connected(fake, tmp_path, mode="direct", privacy="public", duets=False, own_business=True)
    found = published(fake, config, full_post(tmp_path), tmp_path)
    assert (found.state, found.error) == (S.CONFIRMED, None)
    assert only_post(fake).info == {
        "title": "The Lighthouse: a story\n\nOf the sea\n\n#sea #lighthouse",
        "privacy_level": "PUBLIC_TO_EVERYONE",
        "disable_comment": False,
        "disable_duet": True,
        "disable_stitch": True,
        "brand_content_toggle": False,
        "brand_organic_toggle": True,
        "is_aigc": True,
    }
    assert found.published is not None
    assert found.published.url == "https://www.tiktok.com/@lighthouse/video/7400000000000000001"
    assert found.published.note is None


def test_a_post_that_is_not_moderated_yet_is_published_with_a_note(fake: TiktokFake, tmp_path: Path) -> None:
    fake.vendor.moderated = False
    config = connected(fake, tmp_path, mode="direct", privacy="public")
    found = published(fake, config, full_post(tmp_path), tmp_path)
    assert found.published is not None
    assert found.published.remote_id == "v_pub_file~v2.1"
    assert "TikTok names no id of a post that is private or still moderated" in str(found.published.note)


FAULTS = (["500"], ["429"], ["429 after 40"], ["html"], ["false success"], ["cut"], ["cut inside"])
LOST = (["lost"], ["lost", "lost", "lost"])


@pytest.mark.parametrize("at", range(9))
@pytest.mark.parametrize("faults", [*FAULTS, *LOST], ids=" ".join)
def test_a_fault_at_any_request_makes_no_second_post(
    fake: TiktokFake, tmp_path: Path, faults: list[str], at: int
) -> None:
    config = connected(fake, tmp_path, mode="direct")
    fake.faults.extend([""] * at + faults)
    found = published(fake, config, full_post(tmp_path), tmp_path)
    assert not fake.faults, "the fault met no request"
    assert (found.state, found.is_complete) == (S.CONFIRMED, True), found.error
    only_post(fake)


@pytest.mark.parametrize("number", [0, 1, 2, 4, 6])
def test_a_token_that_is_refused_is_replaced_and_the_new_one_is_stored(
    fake: TiktokFake, tmp_path: Path, number: int
) -> None:
    config = connected(fake, tmp_path)
    fake.vendor.processing = 5
    fake.faults.extend([""] * number + ["key"] if number in (0, 1, 2, 6) else [])
    fake.vendor.expires_before = 2 if number == 4 else None
    found = published(fake, config, full_post(tmp_path), tmp_path)
    assert found.state is S.CONFIRMED, found.error
    only_post(fake)
    assert fake.vendor.refreshed == 1
    stored = AccountFiles.of(config).load("tiktok", "default", StoredAccount).grant
    assert [stored.refresh_token] == list(fake.vendor.refreshes)
    assert stored.refresh_token != "rft.first"


def test_a_platform_that_is_down_for_a_day_gets_the_post_afterwards(fake: TiktokFake, tmp_path: Path) -> None:
    config = connected(fake, tmp_path, lives=2 * 86_400)
    fake.vendor.down = fake.vendor.clock() + 86_400
    found = published(fake, config, full_post(tmp_path), tmp_path, rounds=200)
    assert found.state is S.CONFIRMED, found.error
    only_post(fake)


@pytest.mark.parametrize("skew", [-7200.0, 86_400.0])
@pytest.mark.parametrize("ends_before", [None, 2, 3])
def test_a_clock_that_is_wrong_ends_no_upload_and_begins_none(
    fake: TiktokFake, tmp_path: Path, skew: float, ends_before: int | None
) -> None:
    config = connected(fake, tmp_path)
    fake.vendor.ends_before = ends_before
    found = published(fake, config, full_post(tmp_path), tmp_path, rounds=200, skew=skew)
    assert found.state is S.CONFIRMED, found.error
    only_post(fake)
    assert fake.vendor.calls.count(INBOX) == (1 if ends_before is None else 2)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("counts", [True, False])
def test_an_upload_whose_address_ends_before_any_chunk_begins_again(
    fake: TiktokFake, tmp_path: Path, number: int, counts: bool
) -> None:
    config = connected(fake, tmp_path, mode="direct")
    fake.vendor.ends_before, fake.vendor.counts_bytes = number, counts
    found = published(fake, config, full_post(tmp_path), tmp_path, rounds=300)
    if not counts and number == 3:
        assert found.state is S.UNKNOWN, "without the count of bytes nobody can tell after the last chunk"
        assert not fake.vendor.posts
        return
    assert found.state is S.CONFIRMED, found.error
    only_post(fake)
    assert fake.vendor.calls.count(DIRECT) == 2


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("held", [0, 1, 2])
def test_an_upload_goes_on_at_the_chunk_that_tiktok_lacks(
    fake: TiktokFake, tmp_path: Path, held: int, counts: bool
) -> None:
    calls, post = quick(connected(fake, tmp_path)), a_post(tmp_path, CONTENT)
    handle = calls.prepare(post)
    (draft,) = fake.vendor.drafts.values()
    draft.held += CONTENT[: held * 10 * SMALL]
    fake.vendor.counts_bytes = counts
    sent: list[int] = []
    calls.send(post, handle, on_sent=lambda done, size: sent.append(done))
    assert sent[-1:] == ([2 * 10 * SMALL] if held < 2 or not counts else [])
    assert not fake.vendor.posts
    assert calls.commit(post, handle) is None
    assert calls.commit(post, handle) is None, "a chunk that is sent again is no second one"
    only_post(fake)


def test_the_real_chunks_of_a_video_of_25_mb_arrive(tmp_path: Path) -> None:
    server = TiktokFake()
    try:
        content = bytes(range(250)) * 100_000 + b"the rest"
        post = a_post(tmp_path, content)
        found = published(server, connected(server, tmp_path), post, tmp_path)
        assert found.state is S.CONFIRMED, found.error
        (draft,) = server.vendor.posts
        assert (draft.chunk, draft.chunks, bytes(draft.held) == content) == (10_000_000, 2, True)
        assert server.problems == []
    finally:
        server.close()


@pytest.mark.parametrize(
    "size", [1, 4_999_999, 5_242_880, 19_999_999, 20_000_000, 50_000_123, 64_000_001, 128_000_000, 4 << 30]
)
def test_every_plan_of_chunks_keeps_tiktoks_rules_and_covers_the_file(size: int) -> None:
    chunk, chunks = chunk_plan(size)
    spans = [chunk_span(number, size=size, chunk=chunk, chunks=chunks) for number in range(chunks)]
    assert [start for start, _ in spans] == [number * chunk for number in range(chunks)]
    assert sum(length for _, length in spans) == size
    assert chunks == size // chunk
    assert all(5 << 20 <= length <= 64_000_000 for _, length in spans) or chunks == 1
    assert spans[-1][1] <= 64_000_000
    if size == 50_000_123:
        assert (chunk, chunks, spans[-1]) == (10_000_000, 5, (40_000_000, 10_000_123)), "TikTok's own example"
    for number, (start, length) in enumerate(spans, start=1):
        for told in (start + length, start + length - 1):
            assert chunks_held(told, size=size, chunk=chunk, chunks=chunks) == number


@pytest.mark.parametrize("size", [1, 10 * SMALL, 20 * SMALL - 1, 20 * SMALL, 30 * SMALL + 1])
def test_the_last_byte_alone_publishes_a_video_of_any_size(
    fake: TiktokFake, tmp_path: Path, size: int
) -> None:
    post = a_post(tmp_path, CONTENT[:size])
    calls = quick(connected(fake, tmp_path))
    handle = calls.prepare(post)
    calls.send(post, handle, on_sent=lambda done, whole: None)
    assert not fake.vendor.posts
    assert calls.ask(post, handle) == "open"
    calls.commit(post, handle)
    assert len(fake.vendor.posts[0].held) == size
    assert calls.ask(post, handle) == "working"
    assert fake.problems == []


def test_requests_keep_below_tiktoks_limits_however_many_posts_wait(fake: TiktokFake, tmp_path: Path) -> None:
    config = connected(fake, tmp_path, mode="direct")
    now = [time.time()]
    fake.vendor.clock = lambda: now[0]
    fake.vendor.processing = 4
    records = Publications(tmp_path / "publications.sqlite3", clock=lambda: now[0])
    for number in range(12):
        folder = tmp_path / str(number)
        folder.mkdir()
        records.add(a_post(folder, CONTENT + bytes([number])), platform="tiktok", account="default")
    for _ in range(400):
        for each in records.due(now=now[0]):
            CarryOn(records=records).run(each.number, quick(config, lambda: now[0]))
        if (due := records.next_due()) is None:
            break
        now[0] = max(now[0], due) + 0.001
    assert [each.state for each in records.listed()] == [S.CONFIRMED] * 12
    assert len(fake.vendor.posts) == 12
    assert fake.vendor.over_pace == 0
    assert fake.vendor.calls.count(DIRECT) == 12
    records.close()


def test_a_caption_is_cut_at_a_word_within_2200_units_and_keeps_its_hashtags(tmp_path: Path) -> None:
    post = full_post(tmp_path).model_copy(update={"description": "🌊 storm " * 600})
    caption = tiktok_caption(post)
    assert len(caption.encode("utf-16-le")) // 2 <= 2200
    assert caption.endswith("…\n\n#sea #lighthouse")


def test_a_place_for_a_post_is_waited_for_and_not_asked_for_twice_in_a_run(
    fake: TiktokFake, tmp_path: Path
) -> None:
    config = connected(fake, tmp_path)
    records = Publications(tmp_path / "publications.sqlite3")
    records.add(full_post(tmp_path), platform="tiktok", account="default")
    fake.faults.append("lost")
    found = CarryOn(records=records).run(1, quick(config))
    assert (found.state, found.failures) == (S.PREPARED, 1)
    assert fake.vendor.calls == [INBOX], "each place that is asked for may be one of 5"
    records.close()


def test_no_error_and_no_plan_holds_a_secret(fake: TiktokFake, tmp_path: Path) -> None:
    config, post = connected(fake, tmp_path, mode="direct"), full_post(tmp_path)
    calls = quick(config)
    handle = calls.prepare(post)
    address = str(handle.fields["upload_url"])
    stored = AccountFiles.of(config).load("tiktok", "default", StoredAccount)
    texts = [*calls.plan(post), repr(handle), repr(calls), repr(stored), repr(stored.app)]
    for fault in ("500", "429 after 40", "html", "lost"):
        fake.faults.extend([fault] * 3)
        for action in (lambda: calls.ask(post, handle), lambda: calls.commit(post, handle)):
            with pytest.raises(ServiceError) as caught:
                action()
            texts.append(str(caught.value))
        fake.faults.clear()
    (token,) = fake.vendor.tokens
    for secret in (address, address.rpartition("=")[2], token, "rft.first", "secret-of-the-tiktok-app"):
        assert not [text for text in texts if secret in text]


def test_an_upload_elsewhere_is_refused(fake: TiktokFake, tmp_path: Path) -> None:
    calls = quick(connected(fake, tmp_path))
    for address in (
        "https://host.example/video",
        "http://x.tiktokapis.com/",
        "https://tiktokapis.com.example/",
    ):
        fake.vendor.url = address
        with pytest.raises(ServiceError, match="no address for the upload"):
            calls.prepare(a_post(tmp_path, CONTENT))
    fake.vendor.url = "https://open-upload.tiktokapis.com"
    assert calls.prepare(a_post(tmp_path, CONTENT))


def test_a_file_that_changed_is_not_published(fake: TiktokFake, tmp_path: Path) -> None:
    post = a_post(tmp_path, CONTENT)
    post.video.write_bytes(CONTENT[::-1])
    found = published(fake, connected(fake, tmp_path), post, tmp_path)
    assert found.state is S.FAILED
    assert not fake.vendor.posts


def test_a_grant_that_was_revoked_holds_the_post_until_the_account_is_connected_again(
    fake: TiktokFake, tmp_path: Path
) -> None:
    config = connected(fake, tmp_path)
    fake.vendor.tokens.clear()
    fake.vendor.refreshes.clear()
    found = published(fake, config, full_post(tmp_path), tmp_path)
    assert found.state is S.HELD
    assert "invalid_grant: access has ended; connect the account again" in str(found.error)


def test_a_post_may_be_private_at_a_time_and_has_no_made_for_kids(fake: TiktokFake, tmp_path: Path) -> None:
    config = connected(fake, tmp_path, mode="direct")
    spec = {"platform": "tiktok", "privacy": "private", "at": "2027-01-31T18:00+01:00"}
    check_specs([PublishSpec.model_validate(spec)], config)
    with pytest.raises(ConfigError, match="tiktok has no made_for_kids"):
        check_specs([PublishSpec(platform="tiktok", made_for_kids=True)], config)


def test_a_process_killed_before_any_line_publishes_one_video_on_the_fake(
    fake: TiktokFake, tmp_path: Path
) -> None:
    modes = {}
    for mode in ("inbox", "direct"):
        (tmp_path / mode).mkdir()
        modes[mode] = connected(fake, tmp_path / mode, mode=mode)
    ready = Publications(tmp_path / "ready.sqlite3")
    ready.add(full_post(tmp_path), platform="tiktok", account="default")
    ready.close()
    fake.vendor.processing = 0
    base = time.time()
    point, stride = kill_points(17)
    ended, states = set(), set()
    while len(ended) < 2:
        mode = ("inbox", "direct")[point // stride % 2]
        file = tmp_path / f"publications{point}.sqlite3"
        shutil.copy(tmp_path / "ready.sqlite3", file)
        fake.vendor.drafts.clear()
        fake.vendor.times.clear()
        base += 100.0
        now = [base]

        def publish(file: Path = file, now: list[float] = now, config: Config = modes[mode]) -> Publication:
            """Publish with a clock that goes on to when the post is due."""
            records = Publications(file, clock=lambda: now[0])
            try:
                while True:
                    found = CarryOn(records=records).run(1, quick(config, lambda: now[0]))
                    assert found.state in (S.PREPARED, S.SAVED, S.COMMITTED, S.CONFIRMED), found.error
                    if found.state is S.CONFIRMED and found.is_complete:
                        return found
                    now[0] = max(now[0], found.due_at) + 0.001
            finally:
                records.close()

        fake.vendor.clock = lambda now=now: now[0]  # type: ignore[misc]
        was_killed = killed_before_line(point, publish, modules=MODULES)
        records = Publications(file)
        states.add(records.get(1).state)
        records.close()
        publish()
        (draft,) = fake.vendor.posts
        assert bytes(draft.held) == CONTENT, f"killed before line {point}"
        ended |= set() if was_killed else {mode}
        point += stride
    assert point > 300, "the program of a publication became shorter than this test believes"
    assert states == {S.PREPARED, S.SAVED, S.COMMITTED, S.CONFIRMED} or stride > 10
    assert fake.problems == []
