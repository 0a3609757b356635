"""The publishing classes of the high-level API, with real folders, a real receiver and rendered files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.publish.test_rules import a_video as write_video
from video_pipeline import AccountPublisher, ConfigError, InputError, Publisher, PublishingManager


def a_video(folder: Path) -> dict[str, Any]:
    """Return what a render says of its video, with a metadata file beside it."""
    path = write_video(folder / "story.mp4")
    (folder / "story.metadata.json").write_text(json.dumps({"title": "A door", "hashtags": ["#door"]}))
    return {"status": "success", "video_path": str(path), "video_info": {"file_size": path.stat().st_size}}


def config_of(folder: Path, *accounts: str) -> dict[str, Any]:
    """Return a configuration with a folder as each account."""
    for name in accounts:
        (folder / name).mkdir()
    return {
        "publishing": {"accounts": {"folder": {name: {"path": str(folder / name)} for name in accounts}}},
        "node": {"state_path": str(folder / "state")},
    }


def published_on(manager: PublishingManager, video: Mapping[str, Any], *names: str, **more: Any) -> Any:
    return asyncio.run(manager.publish_video(video, names, **more))


def test_a_video_goes_to_every_account_that_is_named_and_to_each_once(tmp_path: Path) -> None:
    manager = PublishingManager(config_of(tmp_path, "default", "studio"))
    assert set(manager.publishers) == {"folder", "folder/default", "folder/studio"}
    video = a_video(tmp_path)
    answers = published_on(manager, video, "folder", "folder/studio")
    assert {name: answer["status"] for name, answer in answers.items()} == {
        "folder": "published",
        "folder/studio": "published",
    }
    (post,) = (tmp_path / "studio").iterdir()
    assert json.loads((post / "post.json").read_text())["title"] == "A door"
    again = published_on(manager, video, "folder")
    assert again["folder"]["number"] == answers["folder"]["number"]
    assert len(list((tmp_path / "default").iterdir())) == 1


def test_the_guides_flags_choose_platforms_and_an_unknown_one_is_an_answer(tmp_path: Path) -> None:
    config = config_of(tmp_path, "studio", "other")
    manager = PublishingManager(
        {**config, "folder_enabled": True, "folder_credentials": {"account": "other"}, "s3_enabled": False}
    )
    answers = published_on(manager, a_video(tmp_path), "folder", "myspace")
    assert answers["folder"]["status"] == "published"
    assert len(list((tmp_path / "other").iterdir())) == 1
    assert answers["myspace"] == {
        "status": "error",
        "message": "Publisher not configured for myspace; configured: folder",
    }


def test_options_give_a_time_and_texts_and_what_is_due_later_is_carried_on_by_a_call(tmp_path: Path) -> None:
    manager = PublishingManager(config_of(tmp_path, "default"))
    options = {"at": "2101-01-31T18:00", "zone": "Europe/Berlin", "title": "Later"}
    answer = published_on(manager, a_video(tmp_path), "folder", options=options)["folder"]
    assert (answer["status"], answer["title"]) == ("scheduled", "Later")
    assert answer["due_at"] == "2101-01-31T17:00:00+00:00"
    assert asyncio.run(manager.carry_on()) == []


def test_a_video_is_held_against_the_rules_of_its_platform_by_its_file_or_by_what_is_said_of_it(
    tmp_path: Path,
) -> None:
    accounts = {"youtube": {"default": {}}}
    config = {
        "publishing": {"accounts": accounts},
        "node": {"state_path": str(tmp_path / "state")},
    }
    channel = AccountPublisher("youtube", config=config)
    assert channel.validate(a_video(tmp_path))
    info = {"file_size": 10, "duration": 50_000.0, "aspect_ratio": "9:16", "resolution": [1080, 1920]}
    assert not channel.validate({"video_info": info})
    (reason,) = [each for each in channel.reasons({"video_info": info}) if each.severity == "error"]
    assert (reason.rule, reason.value) == ("duration", 50_000.0)
    answers = published_on(PublishingManager(config), {"video_info": info}, "youtube")
    assert answers["youtube"]["status"] == "failed"
    assert answers["youtube"]["reasons"][0]["limit"] == reason.limit


def test_a_platform_of_ones_own_stands_beside_the_others_and_its_error_is_an_answer(tmp_path: Path) -> None:
    class Board(Publisher):
        async def upload(self, video_data: Mapping[str, Any]) -> dict[str, Any]:
            if "broken" in video_data:
                raise RuntimeError("the board fell off the wall")
            return {"status": "pinned", "video": video_data["video_path"]}

        def validate(self, video_data: Mapping[str, Any]) -> bool:
            return "refused" not in video_data

    manager = PublishingManager(config_of(tmp_path, "default"))
    manager.publishers["board"] = Board()
    video = a_video(tmp_path)
    answers = published_on(manager, video, "board", "folder")
    assert answers["board"] == {"status": "pinned", "video": video["video_path"]}
    assert answers["folder"]["status"] == "published"
    refused = published_on(manager, {**video, "refused": True}, "board")["board"]
    assert refused == {
        "status": "failed",
        "message": "Video does not meet platform requirements",
        "reasons": [],
    }
    broken = published_on(manager, {**video, "broken": True}, "board")["board"]
    assert broken == {"status": "error", "message": "the board fell off the wall"}


def test_wrong_accounts_credentials_and_videos_are_named(tmp_path: Path) -> None:
    config = config_of(tmp_path, "default")
    with pytest.raises(ConfigError, match="account: got 'nobody'; allowed: default"):
        AccountPublisher("folder", {"account": "nobody"}, config=config)
    with pytest.raises(
        ConfigError, match=r"folder_credentials\.access_token: there is no such key; allowed: account"
    ) as raised:
        AccountPublisher("folder", {"access_token": "s3cr3t"}, config=config)
    assert "s3cr3t" not in str(raised.value)
    with pytest.raises(ConfigError, match="platform: got 'myspace'; allowed: folder"):
        AccountPublisher("myspace", config=config)
    publisher = AccountPublisher("folder", config=config)
    with pytest.raises(InputError, match="neither `video_path` nor `output_path`"):
        asyncio.run(publisher.upload({"video_info": {}}))
    with pytest.raises(InputError, match="there is no such file"):
        asyncio.run(publisher.upload({"video_path": "/nowhere/x.mp4"}))
    with pytest.raises(InputError, match=r"options: .*zone"):
        asyncio.run(publisher.upload(a_video(tmp_path), {"at": "2101-01-01T00:00", "zone": "Mars"}))
    with pytest.raises(TypeError, match=r"target_platforms.*a list of names"):
        asyncio.run(PublishingManager(config).publish_video({}, 7))  # type: ignore[arg-type]


def test_calls_at_the_same_time_publish_once_and_none_of_them_is_an_error(tmp_path: Path) -> None:
    config = config_of(tmp_path, "default")
    video = a_video(tmp_path)

    async def publish_often() -> list[dict[str, dict[str, Any]]]:
        manager = PublishingManager(config)
        names = ["folder", "folder/default"]
        return await asyncio.gather(*(manager.publish_video(video, names) for _ in range(5)))

    said = {answer["status"] for answers in asyncio.run(publish_often()) for answer in answers.values()}
    assert said <= {"published", "pending"}, said
    assert "published" in said
    assert len(list((tmp_path / "default").iterdir())) == 1


@pytest.mark.parametrize("value", ["false", 1, "yes"])
def test_a_flag_that_is_not_true_or_false_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(ConfigError, match=r"folder_enabled: got .*; allowed: True or False"):
        PublishingManager({**config_of(tmp_path, "default"), "folder_enabled": value})
