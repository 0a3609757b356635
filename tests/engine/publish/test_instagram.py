"""The publisher `instagram` against a fake that holds requests against the parameters of Meta's own SDK."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from facebook_business.adobjects.iguser import IGUser
from facebook_business.adobjects.shadowigmediabuilder import ShadowIGMediaBuilder
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

from tests.engine.publish.test_carry_on import a_post
from tests.support.instagram_fake import (
    APP_ID,
    APP_SECRET,
    DAY,
    USER_ID,
    VERSION,
    InstagramFake,
)
from tests.support.instagram_setup import CONTENT, S, connected, full_post, published, quick
from tests.support.kill_points import kill_points, killed_before_line
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.net.client import ServiceAnswer
from video_pipeline.engine.publish import carry_on
from video_pipeline.engine.publish.base import Handle, Published
from video_pipeline.engine.publish.carry_on import CarryOn
from video_pipeline.engine.publish.instagram import container_fields
from video_pipeline.engine.publish.instagram_errors import is_failure, meta_fault, meta_wait
from video_pipeline.engine.publish.posts import FinishedVideo, post_of
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import Publications
from video_pipeline.engine.publish.specs import check_specs, rules_for
from video_pipeline.engine.story.publish import PublishSpec

MODULES = "video_pipeline.engine.publish"


@pytest.fixture
def fake() -> Iterator[InstagramFake]:
    server = InstagramFake()
    yield server
    server.close()


@pytest.fixture
def sdk(fake: InstagramFake, monkeypatch: pytest.MonkeyPatch) -> FacebookAdsApi:
    """Meta's own client, with the fake as its server."""
    monkeypatch.setattr(FacebookSession, "GRAPH", fake.url)
    session = FacebookSession(APP_ID, APP_SECRET, fake.vendor.new_token())
    return FacebookAdsApi(session, api_version=VERSION)


REEL = {"media_type": "REELS", "upload_type": "resumable", "caption": "A light", "thumb_offset": "0"}


def test_metas_own_client_publishes_on_the_fake(fake: InstagramFake, sdk: FacebookAdsApi) -> None:
    user = IGUser(USER_ID, api=sdk)
    made = user.create_media(params=REEL)
    sent = requests.post(
        made["uri"],
        data=CONTENT,
        headers={
            "Authorization": f"OAuth {next(iter(fake.vendor.tokens))}",
            "offset": "0",
            "file_size": str(len(CONTENT)),
        },
        timeout=FAST_SECONDS,
    )
    assert sent.json()["success"] is True
    container = ShadowIGMediaBuilder(made["id"], api=sdk)
    codes = [container.api_get(fields=["status_code", "video_status"])["status_code"] for _ in range(2)]
    assert codes[-1] == "FINISHED"
    (limit,) = user.get_content_publishing_limit(fields=["config", "quota_usage"])
    assert limit["quota_usage"] == 0
    post = user.create_media_publish(params={"creation_id": made["id"]})
    assert container.api_get(fields=["status_code"])["status_code"] == "PUBLISHED"
    (media,) = user.get_media(fields=["id", "caption", "timestamp", "permalink", "media_product_type"])
    assert (media["id"], media["caption"], media["media_product_type"]) == (post["id"], "A light", "REELS")
    assert fake.vendor.medias[post["id"]].content == CONTENT
    assert fake.problems == []


@pytest.mark.filterwarnings("ignore:value of share_to_feed:UserWarning")
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"media_type": "REEL"}, "Unknown media type"),
        ({"upload_type": None}, "The parameter video_url is required"),
        ({"caption": "x" * 2201}, "The caption is too long"),
        ({"caption": "@a " * 21}, "Cannot use more than 20 tags"),
        ({"share_to_feed": "perhaps"}, "share_to_feed: got 'perhaps'"),
        ({"thumbnail_offset": "7"}, "no parameter thumbnail_offset"),
        ({"upload_type": None, "video_url": "http://cdn.example/a.mp4"}, "could not be fetched"),
    ],
)
def test_metas_own_client_fails_on_the_fake_with_what_instagram_refuses(
    fake: InstagramFake, sdk: FacebookAdsApi, change: dict[str, Any], problem: str
) -> None:
    asked = {key: value for key, value in {**REEL, **change}.items() if value is not None}
    with pytest.raises(FacebookRequestError) as caught:
        IGUser(USER_ID, api=sdk).create_media(params=asked)
    assert problem in str(caught.value.body())
    assert not fake.vendor.containers


def test_a_reel_is_published_with_its_caption_and_cover_and_gets_its_address(
    fake: InstagramFake, tmp_path: Path
) -> None:
    config = connected(fake, tmp_path, share_to_feed=False, cover_seconds=1.5)
    found = published(fake, config, full_post(tmp_path), tmp_path)
    assert (found.state, found.is_complete, found.error) == (S.CONFIRMED, True, None)
    ((number, media),) = fake.vendor.medias.items()
    assert found.published == Published(remote_id=number, url=f"https://www.instagram.com/reel/{number}/")
    assert media.content == CONTENT
    assert media.fields == {
        "media_type": "REELS",
        "upload_type": "resumable",
        "is_ai_generated": "true",
        "thumb_offset": "1500",
        "share_to_feed": "false",
        "caption": "The Lighthouse: a story\n\nOf the sea\n\n#sea #lighthouse",
    }
    assert fake.problems == []


def test_a_story_has_no_caption_and_a_post_that_is_not_generated_does_not_say_so(
    fake: InstagramFake, tmp_path: Path
) -> None:
    post = full_post(tmp_path).model_copy(update={"options": {"kind": "stories"}, "generated": False})
    found = published(fake, connected(fake, tmp_path), post, tmp_path)
    assert (found.state, found.is_complete) == (S.CONFIRMED, True), found.error
    (media,) = fake.vendor.medias.values()
    assert media.fields == {"media_type": "STORIES", "upload_type": "resumable"}
    assert fake.problems == []


def test_a_video_and_a_cover_that_are_delivered_already_are_fetched_from_their_addresses(
    fake: InstagramFake, tmp_path: Path
) -> None:
    urls = {"video_url": "https://cdn.example/{sha256}/{name}", "cover_url": "https://cdn.example/{name}"}
    post = full_post(tmp_path)
    post = post.model_copy(update={"video": post.video.rename(tmp_path / "lüght house.mp4")})
    found = published(fake, connected(fake, tmp_path, **urls), post, tmp_path)
    assert (found.state, found.is_complete) == (S.CONFIRMED, True), found.error
    (media,) = fake.vendor.medias.values()
    assert media.fields["video_url"] == f"https://cdn.example/{post.sha256}/l%C3%BCght%20house.mp4"
    assert media.fields["cover_url"] == "https://cdn.example/thumb.jpg"
    assert {"upload_type", "thumb_offset"} & set(media.fields) == set()
    assert "upload" not in fake.vendor.calls
    assert fake.problems == []


@pytest.mark.parametrize(
    "url",
    [
        "http://cdn.example/{sha256}",
        "https://cdn.example/video.mp4",
        "https://cdn.example/ä/{sha256}",
        "https://cdn.example/a b/{sha256}",
        "https://cdn.example/{sha}",
        "https://cdn.example/{sha256}/{",
        "https://{name}.example/{sha256}",
    ],
)
def test_an_address_that_instagram_could_not_fetch_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"video_url.*allowed: an https URL in ASCII"):
        load_config(
            {"publishing": {"accounts": {"instagram": {"default": {"video_url": url}}}}}, environ=False
        )


def test_a_posts_limits_are_those_of_what_it_becomes(tmp_path: Path) -> None:
    config = load_config(
        {"publishing": {"accounts": {"instagram": {"default": {}, "day": {"kind": "stories"}}}}},
        environ=False,
    )
    specs = [
        PublishSpec(platform="instagram"),
        PublishSpec(platform="instagram", account="day"),
        PublishSpec(platform="instagram", account="day", kind="reels"),
    ]
    assert [rules_for(spec, config) for spec in specs] == ["reels", "stories", "reels"]
    video = FinishedVideo(
        path=tmp_path / "a.mp4", sha256="0" * 64, size=1, duration=5.0, metadata={"title": "t"}
    )
    assert post_of(video, specs[2], config).options == {"kind": "reels"}
    assert post_of(video, specs[0], config).options == {}
    with pytest.raises(ConfigError, match=r"publish\[0\]\.kind: youtube has no kind"):
        check_specs(
            [PublishSpec(platform="youtube", kind="reels")],
            load_config({"publishing": {"accounts": {"youtube": {"default": {}}}}}, environ=False),
        )


def test_a_long_caption_is_cut_at_the_end_of_a_word_and_a_late_cover_is_within_the_video(
    fake: InstagramFake, tmp_path: Path
) -> None:
    post = full_post(tmp_path).model_copy(
        update={"description": "word " * 900, "hashtags": tuple(f"#tag{n}" for n in range(40))}
    )
    config = connected(fake, tmp_path, cover_seconds=99.0)
    fields = container_fields(post, config.publishing.accounts.instagram["default"])
    assert len(fields["caption"]) <= 2200
    assert "word…\n\n#tag0 " in fields["caption"]
    assert fields["caption"].endswith("#tag29")
    assert fields["thumb_offset"] == "42400"
    assert published(fake, config, post, tmp_path).state is S.CONFIRMED


FAULTS = (["500"], ["429"], ["429 after 40"], ["html"], ["false success"], ["cut"], ["cut inside"])
LOST = (["lost"], ["lost", "lost", "lost"])


@pytest.mark.parametrize("at", range(9))
@pytest.mark.parametrize("faults", [*FAULTS, *LOST], ids=" ".join)
def test_a_fault_at_any_request_makes_no_second_post_and_loses_none(
    fake: InstagramFake, tmp_path: Path, faults: list[str], at: int
) -> None:
    config = connected(fake, tmp_path)
    fake.faults.extend([""] * at + faults)
    found = published(fake, config, full_post(tmp_path), tmp_path)
    assert not fake.faults, "the fault met no request"
    assert (found.state, found.is_complete) == (S.CONFIRMED, True), found.error
    ((number, media),) = fake.vendor.medias.items()
    assert found.published == Published(remote_id=number, url=f"https://www.instagram.com/reel/{number}/")
    assert media.content == CONTENT
    assert fake.problems == []


def test_a_question_a_minute_is_asked_while_a_video_is_processed(fake: InstagramFake, tmp_path: Path) -> None:
    fake.vendor.looks = 5
    found = published(fake, connected(fake, tmp_path), full_post(tmp_path), tmp_path)
    assert found.state is S.CONFIRMED
    assert 200 <= fake.vendor.ahead <= 360
    assert fake.vendor.calls.count("upload") == 1
    assert found.failures == 0


def test_a_container_that_is_processed_for_hours_is_replaced_and_at_last_a_person_sees_to_it(
    fake: InstagramFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carry_on, "WORKING_SECONDS", 1800.0)
    fake.vendor.looks = 10**9
    found = published(fake, connected(fake, tmp_path), full_post(tmp_path, b"short"), tmp_path, days=6)
    assert found.state is S.HELD
    assert "no longer takes what was begun" in str(found.error)
    assert 20 < len(fake.vendor.containers) < 50
    assert 3 * DAY < fake.vendor.ahead < 4 * DAY


def test_an_upload_goes_on_at_the_byte_that_instagram_names(fake: InstagramFake, tmp_path: Path) -> None:
    post, calls = a_post(tmp_path, CONTENT), quick(connected(fake, tmp_path))
    handle = calls.prepare(post)
    (container,) = fake.vendor.containers.values()
    container.held += CONTENT[:300_001]
    sent: list[int] = []
    assert calls.ask(post, handle) == "open"
    assert calls.send(post, handle, on_sent=lambda held, size: sent.append(held)) == "working"
    assert bytes(container.held) == CONTENT
    assert sent[0] > 300_001
    assert sent[-1] == len(CONTENT)
    assert calls.ask(post, handle) in ("working", "open")


def test_a_file_that_was_changed_is_never_finished(fake: InstagramFake, tmp_path: Path) -> None:
    post = a_post(tmp_path, CONTENT)
    post.video.write_bytes(CONTENT[::-1])
    found = published(fake, connected(fake, tmp_path), post, tmp_path)
    assert found.state is S.FAILED
    assert "is not the video that was to be published" in str(found.error)
    (container,) = fake.vendor.containers.values()
    assert len(container.held) < len(CONTENT)


def test_a_file_that_is_gone_is_waited_for(fake: InstagramFake, tmp_path: Path) -> None:
    post = a_post(tmp_path, CONTENT)
    post.video.unlink()
    found = published(fake, connected(fake, tmp_path), post, tmp_path, days=0.01)
    assert (found.state, "No such file" in str(found.error)) == (S.SAVED, True)


def test_an_address_for_the_upload_that_is_elsewhere_gets_no_token(
    fake: InstagramFake, tmp_path: Path
) -> None:
    fake.vendor.url = "https://rupload.facebook.com.example"
    found = published(fake, connected(fake, tmp_path), a_post(tmp_path, CONTENT), tmp_path, days=0.01)
    assert (found.state, "no address for the upload" in str(found.error)) == (S.PREPARED, True)


def test_a_process_killed_before_any_line_publishes_one_post_on_the_fake(
    fake: InstagramFake, tmp_path: Path
) -> None:
    post, config = full_post(tmp_path), connected(fake, tmp_path)
    fake.vendor.looks = 2
    fake.vendor.total = 10**6
    ahead = [0.0]
    records = Publications(tmp_path / "ready.sqlite3")
    records.add(post, platform="instagram", account="default")
    records.close()
    point, stride = kill_points(17)
    states = set()
    while True:
        file = tmp_path / f"publications{point}.sqlite3"
        shutil.copy(tmp_path / "ready.sqlite3", file)
        fake.vendor.medias.clear()
        ahead[0] = 0.0

        def publish(file: Path = file) -> Publication:
            records = Publications(file, clock=lambda: time.time() + ahead[0])
            try:
                for _ in range(20):
                    found = CarryOn(records=records).run(1, quick(config))
                    if found.state is S.CONFIRMED and found.is_complete:
                        break
                    ahead[0] += max(0.0, found.due_at - records.clock())
                return found
            finally:
                records.close()

        was_killed = killed_before_line(point, publish, modules=MODULES)
        records = Publications(file)
        states.add(records.get(1).state)
        records.close()
        found = publish()
        assert (found.state, found.is_complete) == (S.CONFIRMED, True), f"line {point}: {found.error}"
        ((number, media),) = fake.vendor.medias.items()
        assert found.published == Published(
            remote_id=number, url=f"https://www.instagram.com/reel/{number}/"
        ), f"killed before line {point}"
        assert media.content == CONTENT
        if not was_killed:
            break
        point += stride
    assert point > 600, "the program of a publication became shorter than this test believes"
    assert states == {S.PREPARED, S.SAVED, S.COMMITTED, S.CONFIRMED} or stride > 10
    assert fake.problems == []


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "90"}, 90.0),
        ({"x-business-use-case-usage": '{"17": [{"estimated_time_to_regain_access": 7}]}'}, 420.0),
        ({"x-business-use-case-usage": '{"17": [{"estimated_time_to_regain_access": 0}]}'}, None),
        ({"x-business-use-case-usage": '{"17": [{"estimated_time_to_regain_access": "x"}]}'}, None),
        ({"x-business-use-case-usage": "no json"}, None),
        ({"x-business-use-case-usage": "[1]"}, None),
        ({}, None),
    ],
)
def test_a_limit_of_requests_says_how_long_it_lasts(headers: dict[str, str], seconds: float | None) -> None:
    body = b'{"error": {"code": 4, "message": "Application request limit reached"}}'
    assert meta_wait(ServiceAnswer(403, headers, body), "busy") == seconds


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>", "busy"),
        (200, b"[]", "busy"),
        (200, b'{"success": false}', "busy"),
        (200, b'{"error": "gone"}', "busy"),
        (400, b'{"error": {"code": "190"}}', "rejected"),
        (502, b"<html>", "busy"),
        (404, b"", "rejected"),
        (412, b'{"debug_info": {"retriable": true, "type": "OffsetInvalidError"}}', "busy"),
        (400, b'{"debug_info": {"retriable": false, "type": "ProcessingFailedError"}}', "rejected"),
        (500, b'{"debug_info": {"retriable": false, "type": "ProcessingFailedError"}}', "busy"),
        (400, b'{"error": {"code": 999, "is_transient": true}}', "busy"),
        (403, b'{"error": {"code": 368, "message": "blocked"}}', "denied"),
    ],
)
def test_odd_answers_are_errors_of_a_kind(status: int, body: bytes, kind: str) -> None:
    answer = ServiceAnswer(status, {}, body)
    assert (is_failure(answer), meta_fault(answer)[0]) == (True, kind)


def test_a_handle_says_nothing_of_its_address() -> None:
    assert (
        str(Handle(fields={"container": "17", "uri": "https://rupload.facebook.com/x"}))
        == "Handle(container, uri)"
    )
