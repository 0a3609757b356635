"""The publisher `youtube` against a fake that holds requests against Google's discovery document."""

from __future__ import annotations

import copy
import hashlib
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import google.oauth2.credentials
import google_auth_httplib2
import googleapiclient.discovery
import googleapiclient.errors
import googleapiclient.http
import httplib2
import pytest

from tests.engine.publish.test_carry_on import a_post
from tests.support.discovery import discovery_document
from tests.support.kill_points import kill_points, killed_before_line
from tests.support.waiting import FAST_SECONDS
from tests.support.youtube_fake import UNIT, YoutubeFake
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import ConfigError, ServiceError
from video_pipeline.engine.net.retry import RetryPolicy
from video_pipeline.engine.publish import youtube
from video_pipeline.engine.publish.accounts import AccountFiles, StoredAccount
from video_pipeline.engine.publish.base import Post
from video_pipeline.engine.publish.carry_on import CarryOn
from video_pipeline.engine.publish.oauth import Grant, read_app
from video_pipeline.engine.publish.posts import FinishedVideo, post_of
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import Publications
from video_pipeline.engine.publish.specs import check_specs
from video_pipeline.engine.publish.states import PublicationState
from video_pipeline.engine.publish.youtube import YoutubeCalls, youtube_calls
from video_pipeline.engine.publish.youtube_errors import seconds_to_quota
from video_pipeline.engine.story.publish import PublishSpec

MODULES = "video_pipeline.engine.publish"
S = PublicationState
CONTENT = bytes(range(256)) * (UNIT // 256 * 2) + b"the last chunk"


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(youtube, "CHUNK_BYTES", UNIT)


@pytest.fixture
def fake() -> Iterator[YoutubeFake]:
    server = YoutubeFake()
    yield server
    server.close()


def config_for(fake: YoutubeFake, state: Path, **keys: Any) -> Config:
    account = {"endpoint": fake.url, "timeout": FAST_SECONDS, **keys}
    return load_config(
        {
            "node": {"state_path": str(state)},
            "publishing": {"accounts": {"youtube": {"default": account}}},
        },
        environ=False,
    )


def connected(fake: YoutubeFake, folder: Path, *, lives: float = 3600.0, **keys: Any) -> Config:
    """Return the configuration of an account with tokens that the fake knows."""
    state = folder / "state"
    config = config_for(fake, state, **keys)
    fake.vendor.refreshes.add("1//refresh")
    grant = Grant(
        access_token=fake.vendor.new_token(), refresh_token="1//refresh", expires_at=time.time() + lives
    )
    app = read_app(fake.app_file(folder))
    account = StoredAccount(app=app, grant=grant, added_at=time.time())
    AccountFiles.of(config).save("youtube", "default", account)
    return config


def quick(config: Config) -> YoutubeCalls:
    calls = youtube_calls(config, "default")
    return YoutubeCalls(
        keys=calls.keys,
        tokens=calls.tokens,
        endpoint=calls.endpoint,
        policy=RetryPolicy(attempts=3, first_wait=0.01),
    )


def full_post(folder: Path) -> Post:
    (folder / "thumb.jpg").write_bytes(b"\xff\xd8jpeg")
    (folder / "lighthouse.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nLight\n")
    return a_post(folder, CONTENT).model_copy(
        update={
            "description": "Of the sea",
            "hashtags": ("#sea", "#light house"),
            "language": "en",
            "thumbnail": folder / "thumb.jpg",
            "subtitles": folder / "lighthouse.srt",
            "generated": True,
        }
    )


def published(config: Config, post: Post, state: Path, *, rounds: int = 30) -> Publication:
    """Publish a post, however often YouTube must be asked."""
    now = [time.time()]
    records = Publications(state / "publications.sqlite3", clock=lambda: now[0])
    records.add(post, platform="youtube", account="default")
    for _ in range(rounds):
        found = CarryOn(records=records).run(1, quick(config))
        is_over = found.state not in (S.PREPARED, S.SAVED, S.COMMITTED)
        if is_over and (found.state is not S.CONFIRMED or found.is_complete):
            break
        now[0] = max(found.due_at, now[0])
    records.close()
    return found


def google_client(fake: YoutubeFake) -> Any:
    document = copy.deepcopy(discovery_document("youtube.v3"))
    document["rootUrl"] = document["baseUrl"] = f"{fake.url}/"
    http = httplib2.Http(timeout=FAST_SECONDS)
    http.redirect_codes = http.redirect_codes - {308}
    credentials = google.oauth2.credentials.Credentials(token=fake.vendor.new_token())
    return googleapiclient.discovery.build_from_document(
        document, http=google_auth_httplib2.AuthorizedHttp(credentials, http=http)
    )


def media(path: Path) -> Any:
    return googleapiclient.http.MediaFileUpload(
        str(path), mimetype="video/mp4", chunksize=UNIT, resumable=True
    )


RESOURCE = {
    "snippet": {"title": "The Lighthouse", "description": "", "tags": ["a"], "categoryId": "22"},
    "status": {"privacyStatus": "private", "selfDeclaredMadeForKids": False, "containsSyntheticMedia": True},
}


def test_googles_own_client_publishes_on_the_fake(fake: YoutubeFake, tmp_path: Path) -> None:
    video, captions = tmp_path / "video.mp4", tmp_path / "video.srt"
    video.write_bytes(CONTENT)
    captions.write_text("1\n")
    with google_client(fake) as client:
        found = (
            client.videos().insert(part="snippet,status", body=RESOURCE, media_body=media(video)).execute()
        )
        (kept,) = fake.vendor.videos.values()
        assert kept.content == CONTENT
        body = {"snippet": {"videoId": found["id"], "language": "en", "name": ""}}
        text = googleapiclient.http.MediaFileUpload(str(captions), mimetype="application/octet-stream")
        client.captions().insert(part="snippet", body=body, media_body=text).execute()
        listed = client.captions().list(part="snippet", videoId=found["id"]).execute()
        assert [each["snippet"]["language"] for each in listed["items"]] == ["en"]
        assert client.channels().list(part="snippet", mine=True).execute()["items"]
    assert fake.problems == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"snippet": {**RESOURCE["snippet"], "title": "x" * 101}}, "invalidTitle"),
        ({"snippet": {**RESOURCE["snippet"], "tags": ["x" * 501]}}, "invalidTags"),
        ({"status": {"privacyStatus": "public", "publishAt": "2030-01-01T00:00:00Z"}}, "invalidPublishAt"),
        ({"status": {"privacyStatus": "secret"}}, "is not one of"),
        ({"status": {"selfDeclaredMadeForKids": False}}, "without privacyStatus"),
    ],
)
def test_googles_own_client_fails_on_the_fake_with_what_youtube_refuses(
    fake: YoutubeFake, tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(CONTENT)
    with google_client(fake) as client:
        asked = client.videos().insert(
            part="snippet,status", body={**RESOURCE, **change}, media_body=media(video)
        )
        with pytest.raises(googleapiclient.errors.HttpError) as caught:
            asked.execute()
    assert problem in f"{caught.value.content!r} {fake.problems}"
    assert not fake.vendor.videos


def test_a_video_is_published_with_its_texts_thumbnail_and_subtitles(
    fake: YoutubeFake, tmp_path: Path
) -> None:
    post = full_post(tmp_path)
    found = published(connected(fake, tmp_path), post, tmp_path)
    assert (found.state, found.is_complete, found.error) == (S.CONFIRMED, True, None)
    ((video_id, video),) = fake.vendor.videos.items()
    assert found.published is not None
    assert found.published.url == f"https://www.youtube.com/watch?v={video_id}"
    assert video.content == CONTENT
    assert video.thumbnails == [b"\xff\xd8jpeg"]
    (track,) = video.captions
    assert (
        track["text"].decode().replace("\r\n", "\n").strip() == (post.subtitles or Path()).read_text().strip()
    )
    assert video.resource["status"] == {
        "privacyStatus": "private",
        "selfDeclaredMadeForKids": False,
        "containsSyntheticMedia": True,
    }
    assert video.resource["snippet"]["tags"] == ["sea", "light house", f"vp{post.sha256[:20]}"]
    assert fake.problems == []


def test_privacy_and_time_are_always_said(fake: YoutubeFake, tmp_path: Path) -> None:
    keys = connected(fake, tmp_path, privacy="unlisted", made_for_kids=True).publishing.accounts.youtube
    post = a_post(tmp_path)
    now = datetime(2027, 1, 31, 17, tzinfo=UTC)

    def status(**more: Any) -> Any:
        changed = post.model_copy(update=more)
        return youtube.video_resource(changed, keys["default"], now=now.timestamp())["status"]

    assert (status()["privacyStatus"], status()["selfDeclaredMadeForKids"]) == ("unlisted", True)
    assert status(options={"privacy": "public", "made_for_kids": False})["privacyStatus"] == "public"
    later = status(publish_at=now + timedelta(hours=1))
    assert (later["privacyStatus"], later["publishAt"]) == ("private", "2027-01-31T18:00:00Z")
    past = status(publish_at=now - timedelta(hours=1))
    assert past["privacyStatus"] == "public"
    assert "publishAt" not in past


def test_tags_leave_room_for_the_mark_by_which_a_video_is_found(fake: YoutubeFake, tmp_path: Path) -> None:
    post = full_post(tmp_path).model_copy(update={"hashtags": tuple(f"#tag{i:06}" for i in range(50))})
    found = published(connected(fake, tmp_path), post, tmp_path)
    assert found.state is S.CONFIRMED
    (video,) = fake.vendor.videos.values()
    assert video.resource["snippet"]["tags"][-1] == f"vp{post.sha256[:20]}"


FAULTS = (["500"], ["429"], ["429 after 40"], ["html"], ["false success"], ["cut"], ["cut inside"])
LOST = (["lost"], ["lost", "lost", "lost"])


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("faults", [*FAULTS, *LOST, ["key"]], ids=" ".join)
def test_a_fault_at_any_request_makes_no_second_video(
    fake: YoutubeFake, tmp_path: Path, faults: list[str], at: int
) -> None:
    config = connected(fake, tmp_path)
    fake.faults.extend([""] * at + faults)
    found = published(config, full_post(tmp_path), tmp_path)
    assert not fake.faults, "the fault met no request"
    assert (found.state, found.is_complete) == (S.CONFIRMED, True), found.error
    (video,) = fake.vendor.videos.values()
    assert video.content == CONTENT
    assert len(video.captions) == 1
    assert fake.problems == []


def test_an_upload_goes_on_at_the_byte_that_youtube_names(fake: YoutubeFake, tmp_path: Path) -> None:
    config, post = connected(fake, tmp_path), a_post(tmp_path, CONTENT)
    calls = quick(config)
    handle = calls.prepare(post)
    (upload,) = fake.vendor.uploads.values()
    upload.held += CONTENT[:UNIT]
    sent: list[int] = []
    calls.send(post, handle, on_sent=lambda held, size: sent.append(held))
    assert sent == [2 * UNIT]
    assert not fake.vendor.videos
    assert calls.ask(post, handle) == "open"
    assert calls.commit(post, handle) == calls.ask(post, handle)
    assert [video.content for video in fake.vendor.videos.values()] == [CONTENT]


@pytest.mark.parametrize("size", [1, UNIT - 1, UNIT, UNIT + 1, 2 * UNIT, 3 * UNIT])
def test_files_of_every_size_arrive_whole_and_the_last_byte_alone_publishes(
    fake: YoutubeFake, tmp_path: Path, size: int
) -> None:
    post = a_post(tmp_path, (CONTENT * 2)[:size])
    calls = quick(connected(fake, tmp_path))
    handle = calls.prepare(post)
    calls.send(post, handle, on_sent=lambda held, whole: None)
    assert not fake.vendor.videos
    calls.commit(post, handle)
    (video,) = fake.vendor.videos.values()
    assert len(video.content) == size
    assert fake.problems == []


def test_a_session_that_has_ended_is_replaced_before_the_last_chunk_and_looked_for_after_it(
    fake: YoutubeFake, tmp_path: Path
) -> None:
    config, post = connected(fake, tmp_path), a_post(tmp_path, CONTENT)
    calls = quick(config)
    handle = calls.prepare(post)
    fake.vendor.uploads.clear()
    assert calls.ask(post, handle) == "gone"
    handle = calls.prepare(post)
    calls.send(post, handle, on_sent=lambda held, size: None)
    done = calls.commit(post, handle)
    (video,) = fake.vendor.videos.values()
    for number in range(70):
        fake.vendor.videos[f"other{number}"] = copy.copy(video)
        fake.vendor.videos[f"other{number}"].resource = RESOURCE
    fake.vendor.uploads.clear()
    assert calls.ask(post, handle) == done


@pytest.mark.parametrize("number", range(1, 7))
def test_an_upload_whose_session_ends_at_any_request_begins_again(
    fake: YoutubeFake, tmp_path: Path, number: int
) -> None:
    config = connected(fake, tmp_path)
    fake.vendor.ends_before = number
    found = published(config, a_post(tmp_path, CONTENT), tmp_path)
    sessions = fake.vendor.calls.count("videos.insert")
    if found.state is S.UNKNOWN:
        assert number >= 5, "it ended before the last chunk, so no video can be there"
        assert not fake.vendor.videos
        return
    assert (found.state, sessions) == (S.CONFIRMED, 2)
    (video,) = fake.vendor.videos.values()
    assert video.content == CONTENT


def test_a_video_whose_session_and_answer_are_lost_is_left_to_a_person_if_it_is_not_found(
    fake: YoutubeFake, tmp_path: Path
) -> None:
    config = connected(fake, tmp_path)
    records = Publications(tmp_path / "publications.sqlite3")
    records.add(a_post(tmp_path, CONTENT), platform="youtube", account="default")
    calls = quick(config)
    found = records.move(records.get(1), S.SAVED, handle=calls.prepare(records.get(1).post))
    records.move(found, S.COMMITTED)
    fake.vendor.uploads.clear()
    assert CarryOn(records=records).run(1, calls).state is S.UNKNOWN
    records.close()


@pytest.mark.parametrize("reason", ["quotaExceeded", "uploadLimitExceeded"])
def test_an_exceeded_quota_is_waited_out_until_midnight_pacific(
    fake: YoutubeFake, tmp_path: Path, reason: str
) -> None:
    fake.vendor.refusals["videos.insert"] = [(403, reason)]
    config, post = connected(fake, tmp_path), a_post(tmp_path, CONTENT)
    records = Publications(tmp_path / "publications.sqlite3")
    records.add(post, platform="youtube", account="default")
    found = CarryOn(records=records).run(1, quick(config))
    assert found.state is S.PREPARED
    due = datetime.fromtimestamp(round(found.due_at), ZoneInfo("America/Los_Angeles"))
    assert (due.hour, due.minute) == (0, 0)
    assert reason in str(found.error)
    records.close()


def test_a_day_in_which_clocks_change_ends_at_its_midnight() -> None:
    zone = ZoneInfo("America/Los_Angeles")
    for day, hours in (((2027, 3, 14), 23), ((2027, 11, 7), 25), ((2027, 6, 1), 24)):
        assert seconds_to_quota(datetime(*day, tzinfo=zone).timestamp()) == hours * 3600


@pytest.mark.parametrize(
    ("refusal", "state"),
    [
        ((400, "invalidTitle"), S.FAILED),
        ((400, "invalidPublishAt"), S.FAILED),
        ((403, "forbidden"), S.HELD),
        ((401, "youtubeSignupRequired"), S.HELD),
    ],
)
def test_what_youtube_refuses_fails_or_is_held(
    fake: YoutubeFake, tmp_path: Path, refusal: tuple[int, str], state: PublicationState
) -> None:
    fake.vendor.refusals["videos.insert"] = [refusal, refusal]
    found = published(connected(fake, tmp_path), a_post(tmp_path, CONTENT), tmp_path)
    assert found.state is state
    assert refusal[1] in str(found.error)


def test_a_thumbnail_that_is_refused_costs_one_request_and_keeps_no_subtitles_back(
    fake: YoutubeFake, tmp_path: Path
) -> None:
    fake.vendor.refusals["thumbnails.set"] = [(403, "forbidden")] * 9
    found = published(connected(fake, tmp_path), full_post(tmp_path), tmp_path)
    assert (found.state, found.is_complete) == (S.CONFIRMED, True)
    assert "forbidden" in str(found.error)
    assert fake.vendor.calls.count("thumbnails.set") == 1
    (video,) = fake.vendor.videos.values()
    assert len(video.captions) == 1


def test_a_grant_that_was_revoked_holds_the_post_until_the_account_is_connected_again(
    fake: YoutubeFake, tmp_path: Path
) -> None:
    config, post = connected(fake, tmp_path), a_post(tmp_path, CONTENT)
    fake.vendor.tokens.clear()
    fake.vendor.refreshes.clear()
    found = published(config, post, tmp_path)
    assert found.state is S.HELD
    assert "invalid_grant: access has ended; connect the account again" in str(found.error)


def test_no_error_and_no_plan_holds_a_secret(fake: YoutubeFake, tmp_path: Path) -> None:
    config, post = connected(fake, tmp_path), full_post(tmp_path)
    calls = quick(config)
    handle = calls.prepare(post)
    session = str(handle.fields["session"])
    texts = [
        *calls.plan(post),
        repr(handle),
        repr(calls),
        repr(AccountFiles.of(config).load("youtube", "default", StoredAccount)),
    ]
    for fault in ("500", "429 after 40", "html", "lost"):
        fake.faults.extend([fault] * 3)
        with pytest.raises(ServiceError) as caught:
            calls.ask(post, handle)
        texts.append(str(caught.value))
    (token,) = fake.vendor.tokens
    for secret in (session, session.rpartition("=")[2], token, "1//refresh", "GOCSPX"):
        assert not [text for text in texts if secret in text]


def test_a_file_that_changed_is_not_published(fake: YoutubeFake, tmp_path: Path) -> None:
    post = a_post(tmp_path, CONTENT)
    post.video.write_bytes(CONTENT[::-1])
    found = published(connected(fake, tmp_path), post, tmp_path)
    assert found.state is S.FAILED
    assert not fake.vendor.videos


def test_a_platform_without_privacy_refuses_it(fake: YoutubeFake, tmp_path: Path) -> None:
    config = connected(fake, tmp_path)
    check_specs([PublishSpec(platform="youtube", privacy="unlisted", made_for_kids=False)], config)
    folder = load_config(
        {"publishing": {"accounts": {"folder": {"default": {"path": str(tmp_path)}}}}}, environ=False
    )
    with pytest.raises(ConfigError, match=r"publish\[0\]\.privacy: folder has no privacy"):
        check_specs([PublishSpec(platform="folder", privacy="public")], folder)
    with pytest.raises(ValueError, match="`privacy` is public from the time `at` on"):
        PublishSpec.model_validate(
            {"platform": "youtube", "privacy": "private", "at": "2027-01-31T18:00+01:00"}
        )


def test_a_posts_keys_come_from_its_story(tmp_path: Path) -> None:
    video = FinishedVideo(
        path=tmp_path / "a.mp4", sha256=hashlib.sha256(b"a").hexdigest(), size=1, duration=1.0, metadata={}
    )
    spec = PublishSpec.model_validate(
        {"platform": "youtube", "privacy": "public", "made_for_kids": True, "at": "2027-01-31T18:00+01:00"}
    )
    post = post_of(video, spec, load_config({}, environ=False))
    assert post.options == {"privacy": "public", "made_for_kids": True}
    assert post.publish_at == datetime(2027, 1, 31, 17, tzinfo=UTC)


def test_a_process_killed_before_any_line_publishes_one_video_on_the_fake(
    fake: YoutubeFake, tmp_path: Path
) -> None:
    post, config = full_post(tmp_path), connected(fake, tmp_path)
    records = Publications(tmp_path / "ready.sqlite3")
    records.add(post, platform="youtube", account="default")
    records.close()
    point, stride = kill_points(17)
    states = set()
    while True:
        file = tmp_path / f"publications{point}.sqlite3"
        shutil.copy(tmp_path / "ready.sqlite3", file)
        fake.vendor.videos.clear()

        def publish(file: Path = file) -> Publication:
            records = Publications(file)
            try:
                return CarryOn(records=records).run(1, quick(config))
            finally:
                records.close()

        was_killed = killed_before_line(point, publish, modules=MODULES)
        records = Publications(file)
        states.add(records.get(1).state)
        records.close()
        found = publish()
        assert (found.state, found.is_complete) == (S.CONFIRMED, True), f"line {point}: {found.error}"
        (video,) = fake.vendor.videos.values()
        assert video.content == CONTENT
        assert len(video.captions) == 1, f"killed before line {point}"
        if not was_killed:
            break
        point += stride
    assert point > 300, "the program of a publication became shorter than this test believes"
    assert states == {S.PREPARED, S.SAVED, S.COMMITTED, S.CONFIRMED} or stride > 10
    assert fake.problems == []
