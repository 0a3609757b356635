"""A node that publishes what it has rendered."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.audit import processes_of
from tests.support.jobs import node_config, submit, tiny_story, turn_until, turn_until_ended
from tests.support.server import RunningServer, Speaker
from video_pipeline.engine.cli.job_display import job_details
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.messages import JobView, Submit
from video_pipeline.engine.jobs.node.running_node import RunningNode
from video_pipeline.engine.jobs.server.submit_check import SubmitCheck
from video_pipeline.engine.jobs.server.wire import RequestError
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import Publications, publications_path
from video_pipeline.engine.publish.states import PublicationState


def config_of(folder: Path, cache: Path, *, deliver: Sequence[str] = (), **publishing: Any) -> Config:
    share, archive = folder / "share", folder / "archive"
    for place in (share, archive):
        place.mkdir(exist_ok=True)
    accounts = {
        "folder": {
            "default": {"path": str(share)},
            "second": {"path": str(share)},
            "archive": {"path": str(archive)},
        }
    }
    config = node_config(folder, cache=cache, publishing={"accounts": accounts, **publishing})
    return config.override("storage", deliver=tuple(deliver))


def publications(config: Config) -> list[Publication]:
    records = Publications(publications_path(config))
    try:
        return records.listed()
    finally:
        records.close()


def all_are(config: Config, state: PublicationState, count: int = 1) -> bool:
    found = publications(config)
    return len(found) == count and all(each.state is state for each in found)


def posts_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "share").iterdir() if not path.name.startswith("."))


def test_a_finished_job_is_published_where_its_story_asks(tmp_path: Path, session_cache: Path) -> None:
    config = config_of(tmp_path, session_cache)
    story = {**tiny_story("shown"), "publish": [{"platform": "folder", "title": "A light"}]}
    with RunningNode(config) as node:
        job = turn_until_ended(node, submit(node.ledger, story))
        assert job.result is not None
        assert job.result["publish"] == [{"platform": "folder", "account": "default", "title": "A light"}]
        turn_until(node, lambda: all_are(config, PublicationState.CONFIRMED), what="the post")
        (found,) = publications(config)
        assert (found.job_id, found.post.title) == (job.job_id, "A light")
        assert found.post.subtitles is not None
    assert processes_of(node.folders.state) == {}
    assert posts_in(tmp_path) == [f"A-light-{found.post.sha256[:16]}"]


def test_auto_publish_publishes_what_asks_for_nothing(tmp_path: Path, session_cache: Path) -> None:
    config = config_of(tmp_path, session_cache, auto_publish=True, platforms=["folder"])
    with RunningNode(config) as node:
        turn_until_ended(node, submit(node.ledger, tiny_story("auto")))
        turn_until(node, lambda: all_are(config, PublicationState.CONFIRMED), what="the post")
    assert len(posts_in(tmp_path)) == 1


def test_every_video_is_delivered_and_the_status_of_its_job_says_where_each_file_is(
    tmp_path: Path, session_cache: Path
) -> None:
    config = config_of(tmp_path, session_cache, deliver=["folder/archive", "folder"])
    story = {**tiny_story("kept"), "publish": [{"platform": "folder", "title": "A light"}]}
    with RunningNode(config) as node:
        plain = turn_until_ended(node, submit(node.ledger, tiny_story("plain")))
        named = turn_until_ended(node, submit(node.ledger, story))
        turn_until(node, lambda: all_are(config, PublicationState.CONFIRMED, 4), what="the deliveries")
        with RunningServer(config) as server, Speaker(server.requests) as client:
            shown = client.ask("status", {"job_id": named.job_id})["publications"]
            assert [(post["account"], post["state"]) for post in shown] == [
                ("default", "confirmed"),
                ("archive", "confirmed"),
            ]
            for post in shown:
                places = {name: Path(unquote(urlsplit(url).path)) for name, url in post["files"].items()}
                assert {"kept.mp4", "kept.srt", "kept_thumb.jpg", "post.json"} == set(places)
                assert all(place.is_file() for place in places.values())
            waited = client.ask("wait", {"job_id": plain.job_id, "timeout": 0})
            assert [post["account"] for post in waited["publications"]] == ["archive", "default"]
            listed = client.ask("list", {})["jobs"]
            assert all(not job["publications"] for job in listed)
            words = job_details(JobView.model_validate_json(json.dumps(waited)))
            assert f"folder/archive: confirmed  file://{tmp_path}/archive/" in words.replace("\n", "")
    assert len(posts_in(tmp_path)) == 2


@pytest.mark.parametrize(
    ("deliver", "words"),
    [
        ("ftp", "storage.deliver[0]: got 'ftp'; allowed: folder, "),
        ("folder/nowhere", "allowed: folder/archive, folder/default, folder/second"),
        ("s3", "got 's3'; no account of s3 is set up: set publishing.accounts.s3"),
    ],
)
def test_a_node_does_not_start_if_it_cannot_deliver_where_it_should(
    tmp_path: Path, session_cache: Path, deliver: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        RunningNode(config_of(tmp_path, session_cache, deliver=[deliver]))


def test_a_scheduled_post_costs_no_process_until_its_time(tmp_path: Path, session_cache: Path) -> None:
    config = config_of(tmp_path, session_cache)
    story = {**tiny_story("later"), "publish": [{"platform": "folder", "at": "2087-01-01T00:00Z"}]}
    with RunningNode(config) as node:
        turn_until_ended(node, submit(node.ledger, story))
        until = time.monotonic() + 3
        turn_until(node, lambda: time.monotonic() > until, what="three seconds")
        assert node.publications.pid is None
        records = Publications(publications_path(config))
        records.change(1, due_at=time.time())
        records.close()
        turn_until(node, lambda: all_are(config, PublicationState.CONFIRMED), what="the post")


def test_the_process_that_publishes_is_replaced_when_it_is_killed(
    tmp_path: Path, session_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_pipeline.engine.jobs.node.publications.RESTART_SECONDS", 0.1)
    config = config_of(tmp_path, session_cache)
    (tmp_path / "share").rmdir()
    specs = [{"platform": "folder", "account": name} for name in ("default", "second")]
    with RunningNode(config) as node:
        turn_until_ended(node, submit(node.ledger, {**tiny_story("killed"), "publish": specs}))
        turn_until(node, lambda: node.publications.pid is not None, what="the process")
        turn_until(node, lambda: all_are(config, PublicationState.PREPARED, 2), what="two posts that wait")
        assert node.publications.pid is not None
        os.kill(node.publications.pid, signal.SIGKILL)
        (tmp_path / "share").mkdir()
        records = Publications(publications_path(config))
        for publication in records.listed():
            records.put_off(publication, until=0.0, error=None)
        records.close()
        turn_until(node, lambda: all_are(config, PublicationState.CONFIRMED, 2), what="the posts")
    assert len(posts_in(tmp_path)) == 1, "both accounts are one folder, and the second found the first's post"


def test_a_job_whose_publications_cannot_be_stored_is_completed_when_they_can(
    tmp_path: Path, session_cache: Path
) -> None:
    config = config_of(tmp_path, session_cache)
    path = publications_path(config)
    path.parent.mkdir(parents=True)
    path.mkdir()  # what cannot be opened as a file
    story = {**tiny_story("stored"), "publish": [{"platform": "folder"}]}
    with RunningNode(config) as node:
        job_id = submit(node.ledger, story)
        turn_until(node, lambda: node.folders.published(job_id).exists(), what="the video")
        until = time.monotonic() + 1
        turn_until(node, lambda: time.monotonic() > until, what="a second")
        found = node.ledger.jobs.get(job_id)
        assert found is not None
        assert found.status == "processing"
        path.rmdir()
        turn_until_ended(node, job_id)
        turn_until(node, lambda: all_are(config, PublicationState.CONFIRMED), what="the post")


@pytest.mark.parametrize(
    ("publish", "words"),
    [
        (
            [{"platform": "folder", "account": "third"}],
            "publish[0].account: got 'third'; allowed: archive, default, second",
        ),
        ([{"platform": "webhook"}], "no account of webhook is set up: set publishing.accounts.webhook"),
        (
            [{"platform": "folder"}, {"platform": "folder"}],
            "publish[1]: folder, account default: is named twice",
        ),
    ],
)
def test_a_submit_that_cannot_be_published_is_refused(
    tmp_path: Path, session_cache: Path, publish: list[dict[str, Any]], words: str
) -> None:
    check = SubmitCheck(config_of(tmp_path, session_cache))
    with pytest.raises(RequestError) as told:
        check.prepare(Submit(story={**tiny_story(), "publish": publish}), "", ())
    assert words in str(told.value)
    assert told.value.reply.field == "story.publish"


def test_times_are_refused_where_they_are_switched_off(tmp_path: Path, session_cache: Path) -> None:
    check = SubmitCheck(config_of(tmp_path, session_cache, scheduling_enabled=False))
    asked = [{"platform": "folder", "at": "2087-01-01T00:00Z"}]
    with pytest.raises(RequestError, match="scheduling_enabled is off"):
        check.prepare(Submit(story={**tiny_story(), "publish": asked}), "", ())


def test_platforms_of_auto_publish_are_known(tmp_path: Path, session_cache: Path) -> None:
    with pytest.raises(
        ConfigError,
        match="platforms: got 'myspace'; allowed: folder, instagram, s3, tiktok, webhook, youtube",
    ):
        config_of(tmp_path, session_cache, auto_publish=True, platforms=["myspace"])
