"""What Instagram refuses, loses or limits: no post twice, and none lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.publish.test_carry_on import a_post
from tests.support.instagram_fake import (
    APP_SECRET,
    DAY,
    USER_ID,
    InstagramFake,
    Media,
    RefusalError,
)
from tests.support.instagram_setup import CONTENT, S, connected, full_post, published, quick
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.publish.carry_on import CarryOn
from video_pipeline.engine.publish.records import Publications
from video_pipeline.engine.publish.states import PublicationState


@pytest.fixture
def fake() -> Iterator[InstagramFake]:
    server = InstagramFake()
    yield server
    server.close()


SPOILT = [
    RefusalError(-1, 2207001, "Instagram server error"),
    RefusalError(9007, 2207027, "The media is not ready"),
    RefusalError(1, None, "An unknown error occurred", status=500),
    RefusalError(100, None, "Invalid parameter"),
    RefusalError(4, 2207051, "We restrict certain activity"),
    RefusalError(24, 2207008, "Temporary error publishing a container"),
]


@pytest.mark.parametrize("refusal", SPOILT, ids=lambda each: f"{each.code} {each.subcode}")
def test_an_error_of_the_step_that_publishes_may_still_mean_published(
    fake: InstagramFake, tmp_path: Path, refusal: RefusalError
) -> None:
    fake.vendor.breaks_after_publishing = refusal
    old = Media("The Lighthouse: a story", "REELS", time.time() - 60)
    picture = Media("The Lighthouse: a story", "FEED", time.time() + 5)
    others = {str(n): Media("Another", "REELS", time.time() + n) for n in range(120)}
    fake.vendor.medias |= {"1000": old, "1001": picture, **others}
    fake.vendor.hidden_looks = 2
    found = published(fake, connected(fake, tmp_path), a_post(tmp_path, CONTENT), tmp_path)
    assert (found.state, found.is_complete) == (S.CONFIRMED, True), found.error
    (ours,) = [number for number, media in fake.vendor.medias.items() if media.content]
    assert found.published is not None
    assert found.published.remote_id == ours


def test_a_post_that_cannot_be_told_from_another_is_left_to_a_person(
    fake: InstagramFake, tmp_path: Path
) -> None:
    fake.vendor.breaks_after_publishing = RefusalError(-1, 2207001, "Instagram server error")
    fake.vendor.medias["1000"] = Media("The Lighthouse: a story", "REELS", time.time() + 3)
    found = published(fake, connected(fake, tmp_path), a_post(tmp_path, CONTENT), tmp_path)
    assert found.state is S.UNKNOWN
    assert "2207001" in str(found.error)
    assert sum(bool(media.content) for media in fake.vendor.medias.values()) == 1


def test_a_post_that_is_published_and_never_listed_is_left_to_a_person(
    fake: InstagramFake, tmp_path: Path
) -> None:
    fake.vendor.breaks_after_publishing = RefusalError(-1, 2207001, "Instagram server error")
    fake.vendor.hidden_looks = 10**9
    found = published(fake, connected(fake, tmp_path), a_post(tmp_path, CONTENT), tmp_path)
    assert found.state is S.UNKNOWN
    assert fake.vendor.ahead < 3 * 3600
    assert len(fake.vendor.medias) == 1


def test_a_story_whose_answer_is_lost_is_found_as_the_only_newer_one(
    fake: InstagramFake, tmp_path: Path
) -> None:
    fake.vendor.breaks_after_publishing = RefusalError(1, None, "An unknown error occurred", status=500)
    fake.vendor.medias["1000"] = Media("", "STORY", time.time() - 60)
    found = published(fake, connected(fake, tmp_path, kind="stories"), full_post(tmp_path), tmp_path)
    assert found.state is S.CONFIRMED
    assert found.published is not None
    assert fake.vendor.medias[found.published.remote_id].content == CONTENT


@pytest.mark.parametrize(
    ("failure", "state", "containers"),
    [
        ("Error: Media upload has failed with error code 2207053", S.CONFIRMED, 2),
        ("Error: Media upload has failed with error code 2207026", S.FAILED, 1),
        ("", S.FAILED, 1),
    ],
)
def test_a_container_that_failed_is_replaced_or_fails_the_post(
    fake: InstagramFake, tmp_path: Path, failure: str, state: PublicationState, containers: int
) -> None:
    config, post = connected(fake, tmp_path), a_post(tmp_path, CONTENT)
    records = Publications(tmp_path / "publications.sqlite3")
    records.add(post, platform="instagram", account="default")
    assert CarryOn(records=records).run(1, quick(config)).state is S.SAVED
    (container,) = fake.vendor.containers.values()
    container.failure = failure or "ERROR"
    records.close()
    found = published(fake, config, post, tmp_path)
    assert (found.state, len(fake.vendor.containers)) == (state, containers), found.error
    assert len(fake.vendor.medias) == (state is S.CONFIRMED)


def test_a_container_that_expired_is_replaced_before_the_step_that_publishes_and_unknown_after_it(
    fake: InstagramFake, tmp_path: Path
) -> None:
    config, post = connected(fake, tmp_path), a_post(tmp_path, CONTENT)
    calls = quick(config)
    handle = calls.prepare(post)
    fake.vendor.ahead = DAY + 1
    assert calls.ask(post, handle) == "gone"
    fake.vendor.containers.clear()
    with pytest.raises(ServiceError, match="100 33"):
        calls.ask(post, handle)
    assert quick(config, [time.time() + DAY + 60]).ask(post, handle) == "gone"
    records = Publications(tmp_path / "publications.sqlite3", clock=lambda: time.time() + DAY + 60)
    records.add(post, platform="instagram", account="default")
    saved = records.move(records.get(1), S.SAVED, handle=handle)
    records.move(saved, S.COMMITTED)
    assert CarryOn(records=records).run(1, quick(config, [time.time() + DAY + 60])).state is S.UNKNOWN
    records.close()


REFUSED = [
    (RefusalError(190, 463, "Session has expired"), S.HELD),
    (RefusalError(10, None, "Application does not have permission"), S.HELD),
    (RefusalError(200, None, "Permissions error"), S.HELD),
    (RefusalError(25, 2207050, "The account is restricted"), S.HELD),
    (RefusalError(4, 2207051, "We restrict certain activity"), S.HELD),
    (RefusalError(100, None, "Invalid parameter"), S.FAILED),
    (RefusalError(352, 2207026, "The video format is not supported"), S.FAILED),
    (RefusalError(9004, 2207052, "The media could not be fetched from this uri"), S.FAILED),
    (RefusalError(36004, 2207010, "The caption is too long"), S.FAILED),
    (RefusalError(1, 2207057, "Thumbnail offset must be"), S.FAILED),
]


@pytest.mark.parametrize(("refusal", "state"), REFUSED, ids=lambda each: str(getattr(each, "code", each)))
def test_what_instagram_refuses_fails_or_is_held(
    fake: InstagramFake, tmp_path: Path, refusal: RefusalError, state: PublicationState
) -> None:
    fake.vendor.refusals["media"] = [refusal, refusal]
    found = published(fake, connected(fake, tmp_path), a_post(tmp_path, CONTENT), tmp_path)
    assert found.state is state
    assert str(refusal.subcode or refusal.code) in str(found.error) or "connect it again" in str(found.error)
    assert not fake.vendor.medias


BUSY = [(-2, 2207003), (-1, 2207032), (-1, 2207053), (-2, 2207020), (9007, 2207027)]
LIMITS = [(4, None), (17, None), (32, None), (613, None), (2, None)]


@pytest.mark.parametrize(("code", "subcode"), [*BUSY, *LIMITS])
def test_what_ends_by_itself_is_tried_again(
    fake: InstagramFake, tmp_path: Path, code: int, subcode: int | None
) -> None:
    refusal = RefusalError(code, subcode, "try again")
    fake.vendor.refusals = {"media": [refusal], "media_publish": [refusal]}
    found = published(fake, connected(fake, tmp_path), a_post(tmp_path, CONTENT), tmp_path)
    assert found.state is S.CONFIRMED, found.error
    assert len(fake.vendor.medias) == 1


def test_a_limit_that_is_used_up_is_waited_out_before_a_container_is_made(
    fake: InstagramFake, tmp_path: Path
) -> None:
    now = time.time()
    fake.vendor.total = 3
    fake.vendor.uses = [now - 20 * 3600, now - 4 * 3600, now - 3 * 3600]
    config, post = connected(fake, tmp_path), a_post(tmp_path, CONTENT)
    quota = quick(config).quota()
    assert quota is not None
    assert (quota.used, quota.limit, quota.what) == (3, 3, "posts in 24 hours")
    assert quota.resets_at is not None
    assert 0 <= quota.resets_at - (now + 4 * 3600) < 15 * 60
    records = Publications(tmp_path / "publications.sqlite3")
    records.add(post, platform="instagram", account="default")
    waiting = CarryOn(records=records).run(1, quick(config))
    records.close()
    assert (waiting.state, fake.vendor.containers) == (S.PREPARED, {})
    assert "3 of 3 posts in 24 hours are used; the next place is free at about 2" in str(waiting.error)
    found = published(fake, config, post, tmp_path)
    assert (found.state, found.error) == (S.CONFIRMED, None)
    assert 4 * 3600 <= fake.vendor.ahead < 4.5 * 3600
    fake.vendor.uses.clear()
    left = quick(config).quota()
    assert left is not None
    assert (left.used, left.resets_at) == (0, None)


def test_a_limit_that_is_met_by_the_step_that_publishes_is_waited_out_too(
    fake: InstagramFake, tmp_path: Path
) -> None:
    config, post = connected(fake, tmp_path), a_post(tmp_path, CONTENT)
    records = Publications(tmp_path / "publications.sqlite3")
    records.add(post, platform="instagram", account="default")
    CarryOn(records=records).run(1, quick(config))
    records.close()
    fake.vendor.total = 1
    fake.vendor.uses = [time.time() - 22 * 3600]
    found = published(fake, config, post, tmp_path)
    assert (found.state, len(fake.vendor.medias)) == (S.CONFIRMED, 1), found.error
    assert 2 * 3600 - 60 <= fake.vendor.ahead < 3.2 * 3600


def test_a_token_that_ends_in_the_middle_holds_the_post_until_the_account_is_connected_again(
    fake: InstagramFake, tmp_path: Path
) -> None:
    config, post = connected(fake, tmp_path), a_post(tmp_path, CONTENT)
    fake.vendor.refusals["upload"] = [RefusalError(190, 463, "Session has expired", status=401)]
    found = published(fake, config, post, tmp_path)
    assert found.state is S.HELD
    assert "connect it again by `video-pipeline accounts add instagram default`" in str(found.error)
    connected(fake, tmp_path)
    records = Publications(tmp_path / "publications.sqlite3")
    records.resume(1)
    records.close()
    assert published(fake, config, post, tmp_path).state is S.CONFIRMED
    assert len(fake.vendor.medias) == 1


def test_a_token_that_ends_with_the_step_that_publishes_loses_no_post(
    fake: InstagramFake, tmp_path: Path
) -> None:
    config, post = connected(fake, tmp_path), a_post(tmp_path, CONTENT)
    fake.vendor.ends_after_publishing = True
    waiting = published(fake, config, post, tmp_path, days=0.2)
    assert waiting.state is S.COMMITTED
    assert "connect it again" in str(waiting.error)
    fake.vendor.ends_after_publishing = False
    connected(fake, tmp_path)
    assert published(fake, config, post, tmp_path).state is S.CONFIRMED
    assert len(fake.vendor.medias) == 1


def test_a_platform_that_is_down_for_a_day_gets_the_post_once_when_it_is_back(
    fake: InstagramFake, tmp_path: Path
) -> None:
    config = connected(fake, tmp_path)
    fake.faults.extend(["", "", "500"] + ["500"] * 330)
    found = published(fake, config, a_post(tmp_path, CONTENT), tmp_path)
    assert (found.state, len(fake.vendor.medias)) == (S.CONFIRMED, 1), found.error
    assert fake.vendor.ahead > DAY
    assert len(fake.vendor.containers) == 2, "the first one expired"


@pytest.mark.parametrize("skew", [-2 * DAY, -3600.0, 3600.0, 2 * DAY])
def test_a_clock_that_is_wrong_makes_no_second_post(fake: InstagramFake, tmp_path: Path, skew: float) -> None:
    config = connected(fake, tmp_path)
    fake.vendor.breaks_after_publishing = RefusalError(-1, 2207001, "Instagram server error")
    fake.vendor.medias["1000"] = Media("The Lighthouse: a story", "REELS", time.time() - 60)
    found = published(fake, config, a_post(tmp_path, CONTENT), tmp_path, skew=skew)
    assert found.state is S.CONFIRMED, found.error
    assert sum(bool(media.content) for media in fake.vendor.medias.values()) == 1


def test_a_plan_shows_every_request_and_no_secret(fake: InstagramFake, tmp_path: Path) -> None:
    config = connected(fake, tmp_path)
    lines = quick(config).plan(full_post(tmp_path))
    assert [line.split()[0] for line in lines] == ["GET", "POST", "POST", "GET", "POST", "GET"]
    assert "caption='The Lighthouse: a story" in lines[1]
    assert f"/{USER_ID}/media_publish" in lines[4]
    assert not [line for line in lines if "EAAB" in line or APP_SECRET in line]
    assert fake.asked == []


def test_no_error_and_no_handle_shows_a_token(fake: InstagramFake, tmp_path: Path) -> None:
    calls = quick(connected(fake, tmp_path))
    (token,) = fake.vendor.tokens
    fake.vendor.refusals["media"] = [RefusalError(100, None, f"Invalid parameter {token}")]
    with pytest.raises(ServiceError, match=r"Invalid parameter \*\*\*") as caught:
        calls.prepare(a_post(tmp_path, CONTENT))
    assert token not in str(caught.value)
    assert not [asked for asked in fake.asked if token in asked.path or token.encode() in asked.body]
