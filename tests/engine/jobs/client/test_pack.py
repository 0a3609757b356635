"""Local files of stories and configurations: named in full, or sent along."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.support import samples
from video_pipeline.engine.config.profiles import load_profile
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import InputError, StoryError
from video_pipeline.engine.jobs.client.pack import pack_job
from video_pipeline.engine.jobs.inputs.references import check_references, inbox_names
from video_pipeline.engine.story import parse_story
from video_pipeline.engine.story.asset_fields import (
    CONFIG_FIELDS,
    SCENE_FIELDS,
    STORY_FIELDS,
    TEXT_FIELDS,
    AssetField,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file for each field."""
    for name in ("a.png", "b.mp4", "c.ttf", "d.mp3", "e.png", "f.otf"):
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path


STORY = {
    "title": "T",
    "music": {"path": "d.mp3", "volume": -10},
    "scenes": [
        {"scene_id": "one", "image": "a.png", "font": "c.ttf"},
        {"scene_id": "two", "video": "b.mp4", "text": {"content": "x", "font": "./x/../c.ttf"}},
        {"scene_id": "three", "image": "https://example.org/a.png", "font": "NotoSans-Bold"},
        {"scene_id": "four", "image": "inline:0"},
    ],
}


def test_a_story_in_markdown_is_sent_as_data_with_its_files(folder: Path) -> None:
    text = "---\nmusic: d.mp3\ndate: 2026-11-28\n---\n# A lamp\n\nIt was **dark**.\n"
    (folder / "tale.md").write_text(text)
    story, _, parts = pack_job(folder / "tale.md", {}, send_assets=True)
    assert parts == (b"d.mp3",)
    assert json.loads(json.dumps(story)) == {
        "title": "A lamp",
        "music": "inline:0",
        "metadata": {"date": "2026-11-28"},
        "content": "It was **dark**.",
    }
    assert parse_story(story).title == "A lamp"


def test_every_file_is_sent_once_and_numbered_after_those_that_were_given(folder: Path) -> None:
    config = {"watermark": {"image": "e.png"}, "scenes": {"text_font": "f.otf"}, "video": {"crf": 30}}
    story, settings, parts = pack_job(STORY, config, first_part=1, send_assets=True)
    assert parts == (b"a.png", b"c.ttf", b"b.mp4", b"d.mp3", b"e.png", b"f.otf")
    assert story["music"] == {"path": "inline:4", "volume": -10}
    one, two, three, four = story["scenes"]
    assert (one["image"], one["font"]) == ("inline:1", "inline:2")
    assert (two["video"], two["text"]["font"]) == ("inline:3", "inline:2")
    assert (three, four) == tuple(STORY["scenes"][2:])
    assert settings == {
        "watermark": {"image": "inline:5"},
        "scenes": {"text_font": "inline:6"},
        "video": {"crf": 30},
    }
    assert STORY["scenes"][0]["image"] == "a.png"  # the arguments are unchanged


def test_an_intro_is_sent_as_a_part(folder: Path) -> None:
    config = {"intro": "b.mp4", "outro": {"image": "e.png"}}
    _, settings, parts = pack_job({"title": "T", "content": "A."}, config, send_assets=True)
    assert parts == (b"b.mp4", b"e.png")
    assert settings == {"intro": "inline:0", "outro": {"image": "inline:1"}}


def test_a_client_sends_every_file_that_a_node_looks_for(tmp_path: Path) -> None:
    files = {
        "picture": samples.picture("PNG"),
        "video": samples.clip(),
        "sound": samples.sound(".mp3"),
        "font": samples.font().read_bytes(),
        "words": b"1\n00:00:00,000 --> 00:00:01,000\n",
        "lut": b"LUT_3D_SIZE 2\n" + b"0 0 0\n" * 8 + b"# ",
    }
    suffixes = {
        "picture": ".png",
        "video": ".mp4",
        "sound": ".mp3",
        "font": ".ttf",
        "words": ".srt",
        "lut": ".cube",
    }

    def written(fields: tuple[AssetField, ...], of: str) -> dict[str, Any]:
        """Return each field with a different file, so that none can be mistaken for another."""
        data: dict[str, Any] = {}
        for field in fields:
            path = tmp_path / f"{of}-{field.key}-{field.inner}{suffixes[field.kind]}"
            path.write_bytes(files[field.kind] + path.name.encode())
            if field.inner:
                data.setdefault(field.key, {})[field.inner] = str(path)
            else:
                data[field.key] = str(path)
        return data

    def sent(story: dict[str, Any], config: dict[str, Any], count: int) -> None:
        packed, settings, parts = pack_job({"title": "T", **story}, config, send_assets=True)
        assert len(parts) == count
        kept, settings = check_references(
            packed, settings, node=Node(), parts=parts, inbox=tmp_path / "inbox"
        )
        assert len(inbox_names(json.dumps([kept, settings]))) == count

    scenes: list[dict[str, Any]] = [
        {"scene_id": key, **written(tuple(fields), "scene")}
        for key, fields in groupby((*SCENE_FIELDS, *TEXT_FIELDS), lambda field: field.key)
    ]
    scenes[-1]["text"]["content"] = "x"
    count = len([*SCENE_FIELDS, *TEXT_FIELDS, *CONFIG_FIELDS])
    sent({"scenes": scenes}, written(CONFIG_FIELDS, "config"), count)
    sent({"content": "x", **written(STORY_FIELDS, "story")}, {}, len(STORY_FIELDS))


@pytest.mark.parametrize("url", ["HTTPS://example.org/a.png", "http://example.org/a.png"])
def test_a_url_is_left_for_the_node_to_fetch(folder: Path, url: str) -> None:
    story = {"title": "T", "scenes": [{"scene_id": "one", "image": url}]}
    assert pack_job(story, {}, send_assets=True) == (story, {}, ())


def test_files_of_a_configuration_in_the_whole_form_are_sent_too(folder: Path) -> None:
    config = {"video_pipeline": {"watermark": {"image": "e.png"}}}
    _, settings, parts = pack_job({"title": "T"}, config, send_assets=True)
    assert (settings, parts) == ({"video_pipeline": {"watermark": {"image": "inline:0"}}}, (b"e.png",))


def test_without_sending_paths_that_lead_somewhere_are_made_absolute(folder: Path) -> None:
    story, settings, parts = pack_job(STORY, {"audio": {"music": "d.mp3"}}, base=folder)
    assert parts == ()
    assert story["scenes"][0] == {
        "scene_id": "one",
        "image": str(folder / "a.png"),
        "font": str(folder / "c.ttf"),
    }
    assert story["scenes"][1]["text"]["font"] == str(folder / "c.ttf")
    assert settings == {"audio": {"music": str(folder / "d.mp3")}}
    assert pack_job(STORY, {})[0] == STORY
    elsewhere = {"title": "T", "scenes": [{"scene_id": "a", "image": "on-the-node/a.png"}]}
    assert pack_job(elsewhere, {}, base=folder)[0] == elsewhere
    parsed = parse_story({"title": "T", "scenes": [{"scene_id": "a", "image": "a.png"}]})
    assert pack_job(parsed, {}, base=folder)[0]["scenes"] == [
        {"scene_id": "a", "image": str(folder / "a.png")}
    ]


def test_a_malformed_story_is_sent_unchanged_for_the_node_to_refuse(folder: Path) -> None:
    for wrong in ({"scenes": 7}, {"scenes": [7, None, {"image": 7, "text": []}]}, {"music": []}):
        assert pack_job(wrong, {"watermark": 7}, send_assets=True) == (wrong, {"watermark": 7}, ())


def test_files_that_cannot_be_read_are_named(folder: Path) -> None:
    with pytest.raises(InputError, match=r"'watermark\.image'.*nowhere\.png: cannot be read"):
        pack_job(STORY, {"watermark": {"image": "nowhere.png"}}, send_assets=True)
    (folder / "list.json").write_text("[]")
    with pytest.raises(StoryError, match=r"list\.json: got list"):
        pack_job(folder / "list.json", {})


def test_a_client_imports_nothing_that_draws() -> None:
    script = (
        "import sys\nimport video_pipeline.engine.jobs.client.client, video_pipeline.engine.cli.client_commands\n"
        "print(*{'av', 'numpy', 'PIL', 'asyncio', 'sqlite3', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_profile_that_is_a_file_is_sent_as_what_it_holds(folder: Path) -> None:
    mine = {"name": "mine", "video": {"preset": "fast", "crf": 19}}
    (folder / "mine.yaml").write_text(json.dumps(mine), encoding="utf-8")
    given: dict[str, Any]
    for choice in ("mine.yaml", folder / "mine.yaml", load_profile("mine.yaml")):
        for given in (
            {"video": {"profile": choice, "gop": 1}},
            {"video_pipeline": {"video": {"profile": choice, "gop": 1}}},
        ):
            _, settings, _ = pack_job(STORY, given)
            sent = settings.get("video_pipeline", settings)
            assert json.loads(json.dumps(sent)) == {"video": {"profile": mine, "gop": 1}}
            assert given.get("video_pipeline", given)["video"]["profile"] == choice
    for name in ("draft", "not-known-here", None, 5, {"name": "x"}):
        assert pack_job(STORY, {"video": {"profile": name}})[1] == {"video": {"profile": name}}
    with pytest.raises(InputError, match=r"^gone\.yaml: cannot be read: No such file"):
        pack_job(STORY, {"video": {"profile": "gone.yaml"}})
