"""The command `publish` as a program."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engine.cli.test_validate_command import run
from tests.engine.publish.test_rules import a_video
from video_pipeline.engine.publish.records import Publications


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a video, a share and a configuration."""
    a_video(tmp_path / "clip.mp4", size=(36, 64), fps=24, seconds=1)
    (tmp_path / "share").mkdir()
    settings = {
        "node": {"state_path": str(tmp_path / "state")},
        "publishing": {
            "missed": "hold",
            "accounts": {
                "folder": {"default": {"path": str(tmp_path / "share")}, "away": {"path": "/no/such"}}
            },
        },
    }
    (tmp_path / "node.yaml").write_text(yaml.safe_dump({"video_pipeline": settings}))
    return tmp_path


def publish(place: Path, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
    done = run("publish", *arguments, "--config", place / "node.yaml", "--json")
    assert done.returncode == status, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_video_is_published_once_and_shown(place: Path) -> None:
    video = str(place / "clip.mp4")
    (first,) = publish(place, video, "--platform", "folder", "--title", "A light")
    (again,) = publish(place, "video", video, "--platform", "folder")
    assert (first["state"], again["number"], again["title"]) == ("confirmed", first["number"], "A light")
    (folder,) = (place / "share").iterdir()
    assert {path.name for path in folder.iterdir()} == {"clip.mp4", "post.json"}
    told = (folder / "post.json").read_text()
    shown = json.loads(told)
    assert (shown["title"], shown["video"], shown["subtitles"]) == ("A light", "clip.mp4", None)
    assert str(place) not in told
    done = run("publish", "list", "--config", place / "node.yaml")
    assert done.stdout.split()[:4] == ["1", "confirmed", "folder/default", "A"]
    done = run("publish", "show", "1", "--config", place / "node.yaml")
    assert "state: confirmed" in done.stdout.splitlines()
    assert "None" not in done.stdout


def test_a_publication_waits_for_its_time_and_may_be_changed_cancelled_and_resumed(place: Path) -> None:
    video = str(place / "clip.mp4")
    later = ("--at", "2087-01-31T18:00", "--zone", "Europe/Berlin")
    (added,) = publish(place, video, "--platform", "folder", *later)
    assert (added["state"], added["due_at"]) == ("scheduled", "2087-01-31T17:00:00+00:00")
    assert publish(place, "run") == []
    (changed,) = publish(place, "change", "1", "--at", "2088-01-31T18:00Z")
    assert changed["due_at"] == "2088-01-31T18:00:00+00:00"
    assert [each["number"] for each in publish(place, "list", "--scheduled")] == [1]
    assert publish(place, "cancel", "1")[0]["state"] == "cancelled"
    assert list((place / "share").iterdir()) == []
    (resumed,) = publish(place, "resume", "1")
    assert (resumed["state"], resumed["due_at"]) == ("scheduled", "2088-01-31T18:00:00+00:00")
    assert publish(place, "run") == []
    assert list((place / "share").iterdir()) == []
    publish(place, "change", "1", "--at", datetime.now(UTC).isoformat())
    assert [each["state"] for each in publish(place, "run")] == ["confirmed"]
    assert publish(place, "list", "--scheduled") == []


def test_a_time_may_be_given_from_now_as_to_other_commands(place: Path) -> None:
    before = datetime.now(UTC)
    (made,) = publish(place, str(place / "clip.mp4"), "--platform", "folder", "--at", "+2h")
    due = datetime.fromisoformat(str(made["due_at"]))
    assert made["state"] == "scheduled"
    assert timedelta(0) <= due - before - timedelta(hours=2) < timedelta(minutes=5)
    (changed,) = publish(place, "change", str(made["number"]), "--at", "+1d")
    assert datetime.fromisoformat(str(changed["due_at"])) - due > timedelta(hours=21)


@pytest.mark.parametrize(
    ("name", "publisher", "kind"),
    [("reels", "instagram", "reels"), ("stories", "instagram", "stories"), ("shorts", "youtube", None)],
)
def test_the_names_of_rules_are_platforms_of_posts_too(
    place: Path, name: str, publisher: str, kind: str | None
) -> None:
    settings = yaml.safe_load((place / "node.yaml").read_text())
    settings["video_pipeline"]["publishing"]["accounts"][publisher] = {"default": {}}
    (place / "node.yaml").write_text(yaml.safe_dump(settings))
    a_video(place / "clip.mp4", size=(360, 640), fps=24, seconds=4)
    (held,) = publish(place, str(place / "clip.mp4"), "--platform", name, status=1)
    assert (held["state"], held["platform"]) == ("held", publisher)
    with closing(Publications(place / "state" / "publications.sqlite3")) as records:
        assert records.get(held["number"]).post.options.get("kind") == kind


def test_a_post_that_was_cancelled_while_it_was_carried_on_is_carried_on_at_once(place: Path) -> None:
    video = str(place / "clip.mp4")
    (waiting,) = publish(place, video, "--platform", "folder", "--account", "away")
    assert waiting["state"] in ("prepared", "saved")
    publish(place, "cancel", "1")
    (resumed,) = publish(place, "resume", "1")
    assert resumed["failures"] == waiting["failures"] + 1


def test_a_missed_time_is_held_or_published_late_as_configured(place: Path) -> None:
    video = str(place / "clip.mp4")
    publish(place, video, "--platform", "folder", "--at", "2020-01-31T18:00Z")
    (held,) = publish(place, "run", status=1)
    assert (held["state"], held["error"]) == ("held", "its time has passed (publishing.missed: hold)")
    assert publish(place, "resume", "1")[0]["state"] == "confirmed"


def test_a_folder_that_is_not_there_is_waited_for(place: Path) -> None:
    (found,) = publish(place, str(place / "clip.mp4"), "--platform", "folder", "--account", "away")
    assert (found["state"], found["error"]) == ("prepared", "folder: /no/such is not there")


def test_a_dry_run_prints_what_would_be_done_and_does_nothing(place: Path) -> None:
    done = run(
        "publish", place / "clip.mp4", "--platform", "folder", "--dry-run", "--config", place / "node.yaml"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith(f"copy {place / 'clip.mp4'} to {place / 'share'}/.clip-")
    assert list((place / "share").iterdir()) == []
    assert not (place / "state").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("CLIP", "--platform", "myspace"),
            "--platform: got 'myspace'; allowed: folder, instagram, s3, tiktok, webhook, youtube, reels, stories, shorts",
        ),
        (("CLIP", "--platform", "folder", "--account", "x"), "account: got 'x'; allowed: away, default"),
        (
            ("CLIP", "--platform", "webhook"),
            "no account of webhook is set up: set publishing.accounts.webhook",
        ),
        (("CLIP", "--platform", "folder", "--at", "soon"), "time: got 'soon'; give one such as"),
        (("CLIP", "--platform", "folder", "--at", "+2x"), "--at: got '+2x'; allowed: +90s, +30m, +2h, +1d"),
        (("CLIP", "--platform", "folder", "--at", "+h"), "--at: got '+h'; allowed: +90s"),
        (("CLIP", "--platform", "folder", "--at", "+nand"), "--at: got '+nand'; allowed: +90s"),
        (("CLIP", "--platform", "folder", "--at", "+9e99d"), "--at: got '+9e99d'; allowed: +90s"),
        (
            ("CLIP", "--platform", "folder", "--at", "+2h", "--zone", "UTC"),
            "--zone: got 'UTC'; it is of no use with",
        ),
        (
            ("CLIP", "--platform", "reels", "--kind", "stories"),
            "--kind: got 'stories', with --platform reels; leave --kind out",
        ),
        (
            ("CLIP", "--platform", "folder", "--account", "a b"),
            "--account: got 'a b'; allowed: text that matches ^[A-Za-z0-9]",
        ),
        (
            ("CLIP", "--platform", "folder", "--zone", "UTC"),
            "--zone: got 'UTC'; it is of no use without --at",
        ),
        (
            ("CLIP", "--platform", "folder", "--at", "2027-01-01T00:00", "--zone", "Mars/Base"),
            "zone: got 'Mars/Base'; allowed: the name of a time zone",
        ),
        (("CLIP", "--platform", "folder", "--at", "9999-12-31T23:59:59-14:00"), "in the years 1970 to 9998"),
        (("CLIP", "--platform", "folder", "--at", "0001-01-01T00:00:00+14:00"), "in the years 1970 to 9998"),
        (("show", "99999999999999999999"), "got 99999999999999999999; there is none of this number"),
        ((".", "--platform", "folder"), "video .: is a folder, and no file"),
        (("missing.mp4", "--platform", "folder"), "video missing.mp4: there is no such file"),
        (("show", "7"), "publication: got 7; there is none of this number"),
        (("list", "--state", "done"), "state: got 'done'; allowed: scheduled, prepared"),
    ],
)
def test_wrong_usage_is_refused(place: Path, arguments: tuple[str, ...], words: str) -> None:
    given = [str(place / "clip.mp4") if each == "CLIP" else each for each in arguments]
    done = run("publish", *given, "--config", place / "node.yaml")
    assert done.returncode == 2
    assert words in done.stderr


def test_a_post_for_youtube_is_shown_held_without_a_connected_account_and_given_another_time(
    place: Path,
) -> None:
    settings = yaml.safe_load((place / "node.yaml").read_text())
    settings["video_pipeline"]["publishing"]["accounts"]["youtube"] = {"default": {}}
    (place / "node.yaml").write_text(yaml.safe_dump(settings))
    video = (str(place / "clip.mp4"), "--platform", "youtube", "--title", "A light")
    done = run("publish", *video, "--dry-run", "--config", place / "node.yaml")
    assert done.stdout.startswith(
        "POST https://www.googleapis.com/upload/youtube/v3/videos?uploadType=resumable"
    )
    assert '"privacyStatus": "private"' in done.stdout
    assert "warning: disclosure: got no; allowed: yes: keep the metadata file beside the video" in done.stdout
    assert done.returncode == 0, "a warning does not refuse"
    late = run("publish", *video, "--dry-run", "--at", "2024-01-31T18:00Z", "--config", place / "node.yaml")
    assert "warning: schedule minutes: got -" in late.stdout
    assert "its time has passed: it is published at once" in late.stdout
    (held,) = publish(place, *video, "--privacy", "unlisted", status=1)
    assert held["state"] == "held"
    assert "account default of youtube: is not connected; connect it by" in held["error"]
    (changed,) = publish(place, "change", "1", "--at", "2088-01-31T18:00Z")
    assert (changed["state"], changed["publish_at"]) == ("prepared", "2088-01-31T18:00:00+00:00")
    done = run(
        "publish",
        *video,
        "--at",
        "2088-01-31T18:00Z",
        "--privacy",
        "private",
        "--config",
        place / "node.yaml",
    )
    assert "--privacy: a video is public from the time --at on" in done.stderr


def test_a_post_for_instagram_is_shown_and_held_against_the_limits_of_what_it_becomes(place: Path) -> None:
    settings = yaml.safe_load((place / "node.yaml").read_text())
    settings["video_pipeline"]["publishing"]["accounts"]["instagram"] = {"default": {}}
    (place / "node.yaml").write_text(yaml.safe_dump(settings))
    a_video(place / "reel.mp4", size=(36, 64), fps=24, seconds=70)
    video = ("publish", place / "reel.mp4", "--platform", "instagram", "--title", "A light", "--dry-run")
    config = ("--config", place / "node.yaml")
    reel = run(*video, *config)
    assert "/USER/media: media_type='REELS' upload_type='resumable' thumb_offset='0'" in reel.stdout
    assert "caption='A light'" in reel.stdout
    assert "duration" not in reel.stdout
    story = run(*video, "--kind", "stories", *config)
    assert story.returncode == 1
    assert "/USER/media: media_type='STORIES' upload_type='resumable'\n" in story.stdout
    assert "error: duration: got 70; allowed: 3 to 60 s: shorten the story, or split it" in story.stdout
    refused = run("publish", place / "reel.mp4", "--platform", "folder", "--kind", "reels", *config)
    assert "publish[0].kind: folder has no kind; leave it out" in refused.stderr


def test_a_post_for_tiktok_is_shown_as_its_account_sends_it(place: Path) -> None:
    settings = yaml.safe_load((place / "node.yaml").read_text())
    settings["video_pipeline"]["publishing"]["accounts"]["tiktok"] = {
        "default": {},
        "studio": {"mode": "direct", "privacy": "friends"},
    }
    (place / "node.yaml").write_text(yaml.safe_dump(settings))
    video = (str(place / "clip.mp4"), "--platform", "tiktok", "--title", "A light")
    done = run("publish", *video, "--dry-run", "--config", place / "node.yaml")
    assert "POST https://open.tiktokapis.com/v2/post/publish/inbox/video/init/: " in done.stdout
    assert "A light" not in done.stdout, "the inbox takes no text"
    done = run("publish", *video, "--account", "studio", "--dry-run", "--config", place / "node.yaml")
    assert '"title": "A light", "privacy_level": "MUTUAL_FOLLOW_FRIENDS"' in done.stdout


def test_a_look_at_publications_makes_no_state_folder(place: Path) -> None:
    config = ("--config", place / "node.yaml")
    assert run("publish", "list", *config).stdout == "no publications\n"
    assert run("publish", "run", *config).stdout == "no publications\n"
    assert "publication: got 3; there is none of this number" in run("publish", "show", "3", *config).stderr
    settings = yaml.safe_load((place / "node.yaml").read_text())["video_pipeline"]
    assert not (place / settings["node"]["state_path"]).exists()


@pytest.mark.parametrize("content", ['{"title": "x", ', "", "[1, 2]", "\ufeff{"])
@pytest.mark.parametrize("command", ["publish", "validate"])
def test_a_damaged_metadata_file_is_named(place: Path, command: str, content: str) -> None:
    (place / "clip.metadata.json").write_text(content)
    platform = "folder" if command == "publish" else "reels"
    done = run(command, place / "clip.mp4", "--platform", platform, "--config", place / "node.yaml")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "clip.metadata.json" in done.stderr


def test_a_title_of_several_lines_with_codes_of_a_terminal_is_shown_on_one_line_without_them(
    place: Path,
) -> None:
    (place / "clip.metadata.json").write_text(json.dumps({"title": "A\x1b[31m light\nand a door"}))
    run("publish", place / "clip.mp4", "--platform", "folder", "--config", place / "node.yaml")
    for verb in (("list",), ("show", "1")):
        done = run("publish", *verb, "--config", place / "node.yaml")
        assert done.returncode == 0
        assert "\x1b" not in done.stdout
    assert "A [31m light and a door" in run("publish", "list", "--config", place / "node.yaml").stdout
