"""What TikTok refuses, limits and fails, and what is refused before it is asked."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.engine.publish.test_carry_on import a_post
from tests.engine.publish.test_rules import a_video
from tests.engine.publish.test_tiktok import CONTENT, S, connected, fake, full_post, published, quick
from tests.support.tiktok_fake import CREATOR, DIRECT, INBOX, STATUS, TiktokFake
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.publish.carry_on import GIVE_UP_SECONDS, CarryOn
from video_pipeline.engine.publish.posts import FinishedVideo, refusals
from video_pipeline.engine.publish.records import Publications
from video_pipeline.engine.publish.states import PublicationState
from video_pipeline.engine.story.publish import PublishSpec

__all__ = ["fake"]  # a fixture


@pytest.mark.parametrize(
    ("path", "refusal", "state", "words"),
    [
        (INBOX, (403, "spam_risk_user_banned_from_posting"), S.HELD, "banned the account"),
        (INBOX, (401, "scope_not_authorized"), S.HELD, "connect the account again"),
        (INBOX, (400, "invalid_params"), S.FAILED, "invalid_params"),
        (INBOX, (200, "spam_risk"), S.FAILED, "spam_risk"),
        (
            DIRECT,
            (403, "unaudited_client_can_only_post_to_private_accounts"),
            S.HELD,
            "set the account to private",
        ),
        (DIRECT, (403, "privacy_level_option_mismatch"), S.FAILED, "does not offer this privacy"),
        (CREATOR, (200, "spam_risk_user_banned_from_posting"), S.HELD, "banned the account"),
        (STATUS, (400, "token_not_authorized_for_specified_publish_id"), S.HELD, "another account"),
    ],
)
def test_what_tiktok_refuses_fails_or_is_held_whatever_the_status_says(
    fake: TiktokFake, tmp_path: Path, path: str, refusal: tuple[int, str], state: PublicationState, words: str
) -> None:
    config = connected(fake, tmp_path, mode="direct" if path in (DIRECT, CREATOR) else "inbox")
    fake.vendor.refusals[path] = [refusal]
    found = published(fake, config, full_post(tmp_path), tmp_path)
    assert found.state is state
    assert words in str(found.error)
    assert not fake.vendor.posts


@pytest.mark.parametrize(
    ("path", "code", "wait", "later"),
    [
        (CREATOR, "spam_risk_too_many_posts", 86_400, S.PREPARED),
        (DIRECT, "reached_active_user_cap", 86_400, S.PREPARED),
        (DIRECT, "rate_limit_exceeded", 60, S.HELD),
        (INBOX, "spam_risk_too_many_pending_share", 3600, S.HELD),
    ],
)
def test_a_quota_of_tiktok_is_waited_out_and_what_a_person_must_see_to_is_held_after_three_days(
    fake: TiktokFake, tmp_path: Path, path: str, code: str, wait: float, later: PublicationState
) -> None:
    config = connected(fake, tmp_path, mode="inbox" if path == INBOX else "direct")
    fake.vendor.refusals[path] = [(200, code)] * 400
    now = [time.time()]
    records = Publications(tmp_path / "publications.sqlite3", clock=lambda: now[0])
    fake.vendor.clock = lambda: now[0]
    records.add(full_post(tmp_path), platform="tiktok", account="default")
    found = CarryOn(records=records).run(1, quick(config, lambda: now[0]))
    assert found.state is S.PREPARED
    assert found.due_at - now[0] == pytest.approx(wait, abs=1)
    assert code in str(found.error)
    now[0] += GIVE_UP_SECONDS + 1
    assert CarryOn(records=records).run(1, quick(config, lambda: now[0])).state is later
    records.close()


def test_a_sixth_video_in_the_inbox_waits_until_one_is_finished(fake: TiktokFake, tmp_path: Path) -> None:
    calls = quick(connected(fake, tmp_path))
    for _ in range(5):
        calls.prepare(a_post(tmp_path, CONTENT))
    with pytest.raises(ServiceError, match="finish or discard one in the TikTok app") as caught:
        calls.prepare(a_post(tmp_path, CONTENT))
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize(
    ("reasons", "state"),
    [
        (["duration_check_failed"], S.FAILED),
        (["spam_risk_text"], S.FAILED),
        (["auth_removed"], S.HELD),
        (["internal", "internal"], S.CONFIRMED),
        (["spam_risk_too_many_posts"], S.CONFIRMED),
    ],
)
def test_a_post_that_failed_at_tiktok_fails_here_or_begins_anew(
    fake: TiktokFake, tmp_path: Path, reasons: list[str], state: PublicationState
) -> None:
    fake.vendor.fails = list(reasons)
    found = published(fake, connected(fake, tmp_path, mode="direct"), full_post(tmp_path), tmp_path)
    assert found.state is state, found.error
    assert len(fake.vendor.posts) == (state is S.CONFIRMED)
    if state is not S.CONFIRMED:
        assert reasons[0] in str(found.error)


def test_a_post_that_the_creator_may_not_make_is_refused_before_a_place_is_taken(
    fake: TiktokFake, tmp_path: Path
) -> None:
    post = full_post(tmp_path)
    calls = quick(connected(fake, tmp_path, mode="direct", privacy="followers"))
    with pytest.raises(
        ServiceError, match="privacy: got 'followers'; the account offers now: public, friends, private"
    ):
        calls.prepare(post)
    with pytest.raises(ServiceError, match="privacy: got 'unlisted'; allowed: public, friends, followers"):
        calls.prepare(post.model_copy(update={"options": {"privacy": "unlisted"}}))
    fake.vendor.longest = 40
    with pytest.raises(
        ServiceError, match=r"duration: got 42\.5 s; the account may post at most 40 s"
    ) as told:
        calls.prepare(post.model_copy(update={"options": {"privacy": "private"}}))
    assert told.value.kind == "rejected"
    assert not fake.vendor.drafts


def test_a_video_with_a_watermark_is_sent_only_if_the_account_allows_it(
    fake: TiktokFake, tmp_path: Path
) -> None:
    post = full_post(tmp_path)
    post.video.with_suffix(".manifest.json").write_text(json.dumps({"inputs": [{"role": "watermark"}]}))
    found = published(fake, connected(fake, tmp_path), post, tmp_path)
    assert found.state is S.FAILED
    assert "has a watermark, and TikTok removes videos with logos" in str(found.error)
    assert not fake.vendor.drafts
    assert quick(connected(fake, tmp_path, allow_watermark=True)).prepare(post)


def test_the_command_lets_a_watermark_pass_only_if_the_account_allows_it(
    fake: TiktokFake, tmp_path: Path
) -> None:
    path = a_video(tmp_path / "lighthouse.mp4")
    path.with_suffix(".manifest.json").write_text(json.dumps({"inputs": [{"role": "watermark"}]}))
    video, spec = FinishedVideo.of(path), PublishSpec(platform="tiktok")
    rules = {each.rule for each in refusals(video, spec, connected(fake, tmp_path))}
    assert "watermark" in rules
    allowing = connected(fake, tmp_path, allow_watermark=True)
    assert {each.rule for each in refusals(video, spec, allowing)} == rules - {"watermark"}
