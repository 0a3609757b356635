"""The checks of a submit, without sockets and without a ledger."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.support.durability import disk_calls
from tests.support.server import PNG, STORY, node_config
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.jobs.messages import ErrorReply, Submit
from video_pipeline.engine.jobs.model import NewJob
from video_pipeline.engine.jobs.server import submit_check
from video_pipeline.engine.jobs.server.submit_check import CONFIGS_KEPT, SubmitCheck
from video_pipeline.engine.jobs.server.wire import RequestError

WITH_ID = {"id": "lamp", **STORY}
IMAGE_STORY = {"title": "T", "scenes": [{"scene_id": "a", "image": "inline:0"}]}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return node_config(tmp_path)


@pytest.fixture
def check(config: Config) -> SubmitCheck:
    return SubmitCheck(config)


def prepare(check: SubmitCheck, *, parts: tuple[bytes, ...] = (), **fields: Any) -> NewJob:
    return check.prepare(Submit.model_validate({"story": STORY, **fields}), "anna", parts)


def refused(check: SubmitCheck, *, parts: tuple[bytes, ...] = (), **fields: Any) -> ErrorReply:
    with pytest.raises(RequestError) as caught:
        prepare(check, parts=parts, **fields)
    return caught.value.reply


def test_a_job_has_the_submitted_values_and_otherwise_the_defaults_of_the_node(
    check: SubmitCheck, config: Config
) -> None:
    job = prepare(check, story=WITH_ID)
    assert (job.owner, job.story_id, job.priority, job.key, job.scheduled_for) == (
        "anna",
        "lamp",
        "normal",
        None,
        None,
    )
    assert job.max_attempts == config.processing.retry_attempts
    assert json.loads(job.story) == {"id": "lamp", "title": "A light", "scenes": STORY["scenes"]}
    assert json.loads(job.config) == {}
    when = datetime(2030, 1, 1, tzinfo=UTC)
    job = prepare(
        check, priority="high", key="k", max_attempts=7, scheduled_for=when, config={"video": {"fps": 25}}
    )
    assert (job.priority, job.key, job.max_attempts, job.scheduled_for) == ("high", "k", 7, when.timestamp())
    assert json.loads(job.config) == {"video": {"fps": 25}}
    assert job.story_id == json.loads(job.story)["id"]


class TestDigest:
    """By its digest a key that is used again is known for the same submit, or for another (CONFLICT)."""

    def test_the_order_of_keys_and_the_zone_of_a_time_make_no_difference(self, check: SubmitCheck) -> None:
        settings = {"video": {"fps": 25, "crf": 20}, "audio": {"music_volume": -20.0}}
        turned = {"audio": {"music_volume": -20.0}, "video": {"crf": 20, "fps": 25}}
        when = datetime(2030, 1, 1, 12, tzinfo=UTC)
        for story in (STORY, WITH_ID):
            scenes = [dict(reversed(scene.items())) for scene in story["scenes"]]
            one = prepare(check, story=story, config=settings, scheduled_for=when)
            two = prepare(
                check,
                story=dict(reversed({**story, "scenes": scenes}.items())),
                config=turned,
                scheduled_for=when.astimezone(timezone(timedelta(hours=9))),
            )
            assert one.digest == two.digest

    def test_every_change_of_the_job_changes_the_digest(self, check: SubmitCheck) -> None:
        when = datetime(2030, 1, 1, tzinfo=UTC)
        submits: list[dict[str, Any]] = [
            {},
            {"story": WITH_ID},
            {"story": {**STORY, "title": "Another"}},
            {"priority": "high"},
            {"priority": "low"},
            {"scheduled_for": when},
            {"scheduled_for": when + timedelta(seconds=1)},
            {"config": {"video": {"fps": 25}}},
            {"config": {"video": {"fps": 30}}},
            {"config": {"video": {"crf": 25}}},
        ]
        digests = [prepare(check, **submit).digest for submit in submits]
        assert len(set(digests)) == len(submits)
        parts = [prepare(check, story=IMAGE_STORY, parts=(part,)).digest for part in (PNG, PNG + b"x", PNG)]
        assert parts[0] == parts[2] != parts[1]

    def test_fields_other_than_the_content_do_not_change_the_digest(self, check: SubmitCheck) -> None:
        plain = prepare(check)
        assert prepare(check, key="k", max_attempts=9, config={}).digest == plain.digest
        assert check.prepare(Submit(story=STORY), "another", ()).digest == plain.digest


class TestAssets:
    """A story that has an id is checked as one that has none: the id is the client's to give."""

    @pytest.mark.parametrize("own_id", [{}, {"id": "mine"}])
    @pytest.mark.parametrize(
        ("scene", "field"),
        [
            ({"image": "/etc/passwd"}, "scenes[0].image"),
            ({"video": "/etc/passwd"}, "scenes[0].video.path"),
            ({"font": "/etc/passwd.ttf", "text": "x"}, "scenes[0].font"),
            ({"image": "inbox:" + "0" * 64 + ".png"}, "scenes[0].image"),
            ({"image": "inline:0"}, "scenes[0].image"),
            ({"image": "http://127.0.0.1:22/x"}, "scenes[0].image"),
        ],
    )
    def test_a_scene_cannot_name_stored_parts_of_other_jobs(
        self, check: SubmitCheck, own_id: dict[str, str], scene: dict[str, str], field: str
    ) -> None:
        error = refused(check, story={"title": "T", "scenes": [{"scene_id": "a", **scene}], **own_id})
        assert (error.code, error.field) == ("INVALID_ASSET", field)
        assert error.allowed

    @pytest.mark.parametrize("own_id", [{}, {"id": "mine"}])
    def test_the_music_cannot_be_a_stored_part_of_another_job(
        self, check: SubmitCheck, own_id: dict[str, str]
    ) -> None:
        error = refused(check, story={**STORY, **own_id, "music": "/etc/passwd"})
        assert (error.code, error.field) == ("INVALID_ASSET", "music.path")

    @pytest.mark.parametrize("own_id", [{}, {"id": "mine"}])
    @pytest.mark.parametrize(
        ("settings", "field"),
        [
            ({"audio": {"music": "/etc/passwd"}}, "audio.music"),
            ({"watermark": {"image": "/etc/passwd"}}, "watermark.image"),
            ({"scenes": {"text_font": "/etc/passwd.ttf"}}, "scenes.text_font"),
            ({"grade": {"lut": "/etc/passwd"}}, "grade.lut"),
            ({"video_pipeline": {"audio": {"music": "/etc/passwd"}}}, "audio.music"),
        ],
    )
    def test_the_configuration_cannot_name_stored_parts_of_other_jobs(
        self, check: SubmitCheck, own_id: dict[str, str], settings: dict[str, Any], field: str
    ) -> None:
        error = refused(check, story={**STORY, **own_id}, config=settings)
        assert (error.code, error.field) == ("INVALID_ASSET", field)

    def test_a_look_that_there_is_not_is_refused(self, check: SubmitCheck) -> None:
        error = refused(check, story={**STORY, "look": "nior"})
        assert (error.code, error.field) == ("INVALID_STORY", "story.look")
        error = refused(check, story=STORY, config={"look": "nior"})
        assert (error.code, error.field) == ("INVALID_CONFIG", "config.look.name")
        error = refused(check, story=STORY, config={"look": {"name": "/etc/a.yaml"}})
        assert error.code == "INVALID_CONFIG"
        assert prepare(check, story={**STORY, "look": "noir"}, config={"look": "bold"})

    @pytest.mark.parametrize("where", ["job", "node"])
    @pytest.mark.parametrize("name", ["gone.png", "folder"])
    def test_a_file_that_is_not_there_is_refused_unless_the_policy_is_lenient(
        self, tmp_path: Path, name: str, where: str
    ) -> None:
        (tmp_path / "root/folder").mkdir(parents=True)
        config = node_config(tmp_path).override("node", asset_roots=(tmp_path / "root",))
        story = {"title": "T", "scenes": [{"scene_id": "a", "image": name}]}
        for policy in (None, "standard", "strict"):
            error = refused(SubmitCheck(config), story=story, config={"error_handling": {"policy": policy}})
            assert (error.code, error.field) == ("INVALID_ASSET", "scenes[0].image")
        lenient: dict[str, Any] = {}
        if where == "job":
            lenient = {"config": {"error_handling": {"policy": "lenient"}}}
        else:
            config = config.override("error_handling", policy="lenient")
        check = SubmitCheck(config)
        for _ in range(2):
            assert json.loads(prepare(check, story=story, **lenient).story)["scenes"][0]["image"] == name
        outside = {"title": "T", "scenes": [{"scene_id": "a", "image": "/etc/passwd"}]}
        assert "outside" in refused(check, story=outside, **lenient).message

    @pytest.mark.parametrize("story", [STORY, WITH_ID, IMAGE_STORY, {"id": "mine", **IMAGE_STORY}])
    def test_a_part_that_nothing_refers_to_is_refused_and_not_kept(
        self, check: SubmitCheck, config: Config, story: dict[str, Any]
    ) -> None:
        parts = (PNG,) if story in (STORY, WITH_ID) else (PNG, PNG)
        error = refused(check, story=story, parts=parts)
        assert (error.code, error.field) == ("INVALID_ASSET", "parts")
        assert "the job does not refer to them" in error.message
        check.sync()
        assert not (config.state_dir() / "inbox").exists()

    def test_parts_are_on_the_disk_when_sync_returns_and_not_before(
        self, check: SubmitCheck, config: Config
    ) -> None:
        inbox = config.state_dir() / "inbox"
        with disk_calls(inbox) as calls:
            job = prepare(check, story=IMAGE_STORY, parts=(PNG,))
            assert calls == []
            check.sync()
        name = json.loads(job.story)["scenes"][0]["image"].removeprefix("inbox:")
        assert calls == [
            f"sync .partial-* {len(PNG)}",
            f"rename .partial-* -> {name}",
            "sync ./",
        ]

    def test_an_asset_that_cannot_be_stored_is_reported_once_more_at_the_sync(
        self, check: SubmitCheck, config: Config
    ) -> None:
        inbox = config.state_dir() / "inbox"
        inbox.parent.mkdir(parents=True)
        inbox.write_text("in the way")
        error = refused(check, story=IMAGE_STORY, parts=(PNG,))
        assert (error.code, error.retry_after) == ("STORAGE", 10.0)
        with pytest.raises(RequestError, match="cannot write") as caught:
            check.sync()
        assert (caught.value.reply.code, caught.value.reply.retry_after) == ("STORAGE", 10.0)
        check.sync()

    def test_an_inbox_that_cannot_be_synced_is_reported(self, check: SubmitCheck, config: Config) -> None:
        prepare(check, story=IMAGE_STORY, parts=(PNG,))
        for partial in (config.state_dir() / "inbox").iterdir():
            partial.unlink()
        with pytest.raises(RequestError, match="cannot write") as caught:
            check.sync()
        assert (caught.value.reply.code, caught.value.reply.retry_after) == ("STORAGE", 10.0)


class TestConfig:
    @pytest.mark.parametrize(
        ("settings", "field"),
        [
            ({"video": {"fps": 7}}, "config.video.fps"),
            ({"video": {"nothing": 7}}, "config.video.nothing"),
            ({"nothing": {}}, "config.nothing"),
            ({"node": {"lease": 3}}, "config.node"),
            ({"video_pipeline": [1]}, "config.video_pipeline"),
            ({"video": {"fps": float("nan")}}, "config"),
            ({"video": {"fps": {1, 2}}}, "config"),
        ],
    )
    def test_a_wrong_one_is_refused_by_its_key(
        self, check: SubmitCheck, settings: dict[str, Any], field: str
    ) -> None:
        for _ in range(2):
            error = refused(check, config=settings)
            assert (error.code, error.field) == ("INVALID_CONFIG", field)

    def test_a_configuration_nested_too_deeply_is_refused(self, check: SubmitCheck) -> None:
        deep: dict[str, Any] = {}
        for _ in range(100_000):
            deep = {"a": deep}
        submit = Submit.model_construct(story=STORY, config=deep, priority="normal")
        with pytest.raises(RequestError) as caught:
            check.prepare(submit, "anna", ())
        assert (caught.value.reply.code, caught.value.reply.field) == ("INVALID_CONFIG", "config")
        while deep:  # taken apart step by step: freeing it at once would recurse
            deep = deep.pop("a")

    def test_a_good_one_is_checked_once_and_a_bounded_number_is_remembered(
        self, check: SubmitCheck, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        checked: list[Any] = []
        real = submit_check.job_config

        def counted(config: Config, sections: Any) -> Any:
            checked.append(sections)
            return real(config, sections)

        monkeypatch.setattr(submit_check, "job_config", counted)
        for _ in range(3):
            prepare(check, config={"video": {"crf": 1.5, "fps": 25}})
            prepare(check, config={"video": {"fps": 25, "crf": 1.5}})
        assert len(checked) == 1
        for number in range(1, CONFIGS_KEPT):
            prepare(check, config={"video": {"crf": number / 10}})
        prepare(check, config={"video": {"fps": 25, "crf": 1.5}})
        assert len(checked) == CONFIGS_KEPT, "the first is still known"
        assert CONFIGS_KEPT == 64
        prepare(check, config={"video": {"crf": 50}})
        checked.clear()
        prepare(check, config={"video": {"crf": 50}})
        assert checked == []
        prepare(check, config={"video": {"fps": 25, "crf": 1.5}})
        assert len(checked) == 1, "one too many: all were forgotten but the last"

    def test_a_large_one_is_not_remembered(self, check: SubmitCheck, monkeypatch: pytest.MonkeyPatch) -> None:
        checked: list[Any] = []
        real = submit_check.job_config

        def counted(config: Config, sections: Any) -> Any:
            checked.append(sections)
            return real(config, sections)

        monkeypatch.setattr(submit_check, "job_config", counted)
        empty = len(json.dumps({"video": {"tune": ""}}))
        for size, again in ((16_383, 1), (16_384, 2)):
            checked.clear()
            for _ in range(2):
                prepare(check, config={"video": {"tune": "x" * (size - empty)}})
            assert len(checked) == again


class TestStory:
    @pytest.mark.parametrize(
        ("story", "field"),
        [
            ({}, "story.title"),
            ({"title": "T", "scenes": [{"scene_id": "a", "duration": -1}]}, "story.scenes[0].duration"),
            ({"title": "T", "scenes": [{"scene_id": "a", "position": 7}]}, "story.scenes[0].position"),
            ({"title": "T", "scenes": [{"scene_id": "a", "text": "x"}] * 2}, "story"),
        ],
    )
    def test_the_error_names_the_field_in_the_spelling_of_the_story(
        self, check: SubmitCheck, story: dict[str, Any], field: str
    ) -> None:
        error = refused(check, story=story)
        assert (error.code, error.field) == ("INVALID_STORY", field)

    def test_the_name_of_a_field_is_bounded(self, check: SubmitCheck) -> None:
        error = refused(check, story={**STORY, "x" * 5000: 1})
        assert error.field == "story." + "x" * 80
        error = refused(check, config={"video": {"y" * 5000: 1}})
        assert error.field == ("config.video." + "y" * 5000)[:200]


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("config: video.fps: got 7; allowed: 24 to 60", "config.video.fps"),
        ("config: video: got: 7", "config.video"),
        ("config: video", "config"),
        ("config", "config"),
        ("config: it is nested too deeply: allowed: less", "config"),
    ],
)
def test_only_a_key_becomes_the_field_of_an_error(message: str, field: str) -> None:
    assert submit_check._config_field(message) == field


def test_a_fault_of_the_whole_story_is_the_story_s() -> None:
    assert submit_check._story_field(StoryError("it is nested too deeply"), {}) == "story"


def test_a_story_that_is_too_long_is_refused_naming_its_field(tmp_path: Path) -> None:
    check = SubmitCheck(node_config(tmp_path, max_video_seconds=10, max_scenes=2))
    two = [{"scene_id": name, "duration": 5} for name in "ab"]
    prepare(check, story={"title": "T", "scenes": two})
    reply = refused(check, story={"title": "T", "scenes": [*two, {"scene_id": "c", "duration": 1}]})
    assert (reply.code, reply.field) == ("INVALID_STORY", "story.scenes")
    assert "node.max_scenes allows 2" in reply.message
    reply = refused(check, story={"title": "T", "content": "words " * 100})
    assert (reply.code, reply.field) == ("INVALID_STORY", "story.content")
    assert "node.max_scenes allows 2" in reply.message
    reply = refused(check, story={"title": "T", "scenes": [{"scene_id": "a", "duration": 11}]})
    assert "node.max_video_seconds allows 10" in reply.message
    # The job's own configuration decides how long its scenes are, also when it is known already.
    short = {"title": "T", "scenes": [{"scene_id": "a", "text": "", "narration": ""}]}
    for _ in range(2):
        prepare(check, story=short, config={"scenes": {"default_duration": 9}})
        reply = refused(check, story=short, config={"scenes": {"default_duration": 11}})
        assert "at least 11 s" in reply.message
