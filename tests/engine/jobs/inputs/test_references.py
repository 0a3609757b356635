"""The paths that a job may name, checked by the server and again where the job is rendered."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import EXAMPLES
from tests.support.references import check, local, node, story
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.job import job_config
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import AssetReferenceError, ConfigError, StoryError
from video_pipeline.engine.jobs.inputs.references import (
    check_references,
)
from video_pipeline.engine.story import load_story, parse_story


def test_every_field_that_names_a_file_becomes_its_absolute_path(root: Path) -> None:
    data = story(
        {"image": "a.jpg", "font": "own.ttf"},
        {"video": "clip.mp4", "text": {"content": "x", "font": str(root / "own.ttf")}},
        {"video": {"path": "./clip.mp4", "start": 0.1}, "font": "Arial-Bold"},
        {"image": str(root / "deep" / "b.png")},
        music="music.mp3",
    )
    config = {
        "watermark": {"image": "deep/b.png", "opacity": 0.5},
        "audio": {"music": "music.mp3"},
        "scenes": {"text_font": "own.ttf"},
    }
    checked, settings = check(data, root, config=config)
    scenes = checked["scenes"]
    assert scenes[0]["image"] == str(root / "a.jpg")
    assert scenes[0]["font"] == scenes[1]["font"] == settings["scenes"]["text_font"] == str(root / "own.ttf")
    assert scenes[1]["video"]["path"] == scenes[2]["video"]["path"] == str(root / "clip.mp4")
    assert scenes[2]["video"]["start"] == 0.1
    assert scenes[2]["font"] == "Arial-Bold"
    assert scenes[3]["image"] == str(root / "deep" / "b.png")
    assert checked["music"]["path"] == settings["audio"]["music"] == str(root / "music.mp3")
    assert settings["watermark"] == {"image": str(root / "deep" / "b.png"), "opacity": 0.5}
    assert data["music"] == "music.mp3", "the caller's data is not touched"
    assert config["watermark"]["image"] == "deep/b.png"
    assert local((checked, settings), root)[:3] == (checked, settings, ())
    files = ("a.jpg", "own.ttf", "clip.mp4", "deep/b.png", "music.mp3")
    assert local((checked, settings), root).beneath == {root / name: root for name in files}


@pytest.mark.parametrize("name", ["lighthouse.json", "voyage.yaml"])
def test_a_checked_story_is_still_the_same_story(name: str) -> None:
    given = load_story(EXAMPLES / name)
    checked, _ = check_references(given, {}, node=node(EXAMPLES), parts=(), inbox=Path("none"))
    again = parse_story(checked)
    for scene in (again.scenes or ()) if given.scenes else ():
        original = next(one for one in given.scenes or () if one.scene_id == scene.scene_id)
        kept = {"image": original.image, "video": original.video}
        assert scene.model_copy(update=kept) == original
    assert again.story_id == given.story_id
    assert again.metadata == given.metadata


def test_a_story_keeps_its_id_when_its_paths_change(root: Path) -> None:
    data = story({"image": "a.jpg"})
    checked, _ = check(data, root)
    assert parse_story(checked).story_id == parse_story(data).story_id


def test_a_relative_path_is_looked_for_beneath_each_root_in_order(root: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (second / "a.jpg").write_bytes(b"")
    (second / "c.jpg").write_bytes(b"")
    found, _ = check_references(
        story({"image": "a.jpg"}, {"image": "c.jpg"}), {}, node=node(root, second), parts=(), inbox=tmp_path
    )
    assert [scene["image"] for scene in found["scenes"]] == [str(root / "a.jpg"), str(second / "c.jpg")]


def test_an_intro_and_the_font_of_a_card_are_files_of_the_roots_too(root: Path) -> None:
    config = {
        "intro": "clip.mp4",
        "outro": {"image": "a.jpg", "seconds": 1},
        "title_card": {"show": True, "text_font": "own.ttf"},
        "end_card": True,
    }
    checked, settings = check(story({"image": "a.jpg"}), root, config=config)
    assert settings == {
        "intro": str(root / "clip.mp4"),
        "outro": {"image": str(root / "a.jpg"), "seconds": 1},
        "title_card": {"show": True, "text_font": str(root / "own.ttf")},
        "end_card": True,
    }
    files = ("a.jpg", "own.ttf", "clip.mp4")
    assert local((checked, settings), root).beneath == {root / name: root for name in files}
    assert job_config(load_config({}, environ=False), settings).intro.path == root / "clip.mp4"
    for wrong in ("missing.mp4", "../secret.jpg"):
        with pytest.raises(AssetReferenceError, match=r"intro"):
            check(story({"image": "a.jpg"}), root, config={"intro": {"path": wrong}})


def test_links_inside_the_roots_and_a_root_that_is_a_link_are_followed(root: Path, tmp_path: Path) -> None:
    (root / "link.jpg").symlink_to(root / "deep" / "b.png")
    linked_root = tmp_path / "linked"
    linked_root.symlink_to(root)
    for name in ("link.jpg", str(linked_root / "link.jpg"), str(root / "link.jpg")):
        found, _ = check(story({"image": name}), linked_root)
        assert found["scenes"][0]["image"] == str(root / "deep" / "b.png")


@pytest.mark.parametrize(
    "name",
    [
        "../secret.jpg",
        "deep/../../secret.jpg",
        "deep/../a.jpg",
        "..",
        "{outside}",
        "/etc/passwd",
        "/proc/self/environ",
        "//etc/passwd",
        "{root}/../secret.jpg",
        "{root}x/a.jpg",
        "~/secret.jpg",
        "~root/secret.jpg",
        "$HOME/secret.jpg",
        "%2e%2e/secret.jpg",
        "..%2fsecret.jpg",
        "．．/secret.jpg",
        "..／secret.jpg",
        "․․/secret.jpg",
        "..\\secret.jpg",
        "link.jpg",
        "folder/secret.jpg",
        "loop",
        "deep",
        "pipe",
        "missing.jpg",
        "a.jpg/x",
        "A.JPG",
        "file:///etc/passwd",
        "file:{root}/a.jpg",
        "concat:a.jpg|a.jpg",
        "data:image/png;base64,AAAA",
        "subfile,,start,0,end,9,,:a.jpg",
        "gopher://example.com/",
        "inbox:" + "0" * 64 + ".jpg",
        "inline:0",
        "inline:-1",
        "inline:",
        "inline:٠",
        "inline:0x0",
        "n" * 300,
        "n/" * 2040,
        " a.jpg",
        "a.jpg ",
    ],
)
@pytest.mark.parametrize("where", ["image", "config"])
def test_a_path_that_leads_out_or_nowhere_is_refused(
    root: Path, tmp_path: Path, name: str, where: str
) -> None:
    (root / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "folder").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    os.mkfifo(root / "pipe")
    given = name.format(root=root, outside=tmp_path / "secret.jpg")
    in_scene = where == "image"
    data = story({}, {"image": given}) if in_scene else story()
    with pytest.raises(AssetReferenceError) as caught:
        check(data, root, config={} if in_scene else {"watermark": {"image": given}})
    error = caught.value
    assert error.field == ("scenes[1].image" if where == "image" else "watermark.image")
    assert (("scenes[1] (scene_id 's1'): field 'image'") if where == "image" else "watermark.image") in str(
        error
    )
    assert "allowed: " in str(error)
    assert error.allowed
    assert not (tmp_path / "inbox").exists()


@pytest.mark.parametrize("name", ["a\0.jpg", "a\n.jpg", "a\ud800.jpg", "\udcff.jpg"])
def test_a_path_that_is_not_text_is_refused(root: Path, name: str) -> None:
    with pytest.raises((AssetReferenceError, StoryError)):
        check(story({"image": name}), root)
    for section, key in (("watermark", "image"), ("audio", "music")):
        with pytest.raises(AssetReferenceError, match=f"{section}.{key}"):
            check(story(), root, config={section: {key: name}})
    with pytest.raises(AssetReferenceError, match="text_font"):
        check(story(), root, config={"scenes": {"text_font": f"{name}.ttf"}})


def test_an_error_does_not_reveal_files_outside_the_folders(root: Path, tmp_path: Path) -> None:
    words = []
    for name in ("secret.jpg", "nothing.jpg"):
        with pytest.raises(AssetReferenceError) as caught:
            check(story({"image": str(tmp_path / name)}), root)
        words.append(str(caught.value).replace(name, ""))
    assert words[0] == words[1]


def test_without_roots_no_path_is_allowed(tmp_path: Path, root: Path) -> None:
    for name in ("a.jpg", str(root / "a.jpg")):
        with pytest.raises(AssetReferenceError, match="no asset folders"):
            check_references(story({"image": name}), {}, node=Node(), parts=(), inbox=tmp_path)


def test_fields_in_other_spellings_are_checked_too(root: Path) -> None:
    outside = "/etc/hostname"
    bad: list[Any] = [
        story({"video": outside}),
        story({"video": {"path": outside}}),
        story({"text": {"content": "x", "font": "/etc/x.TTF"}}),
        story({"font": "/etc/x.otc"}),
        story(music=outside),
        story(music={"path": outside}),
        story({"image": outside.encode()}),
    ]
    for data in bad:
        with pytest.raises((AssetReferenceError, StoryError)):
            check(data, root)
    for config in (
        {"video_pipeline": {"watermark": {"image": outside}}},
        {"audio": {"music": outside}},
        {"audio": {"music": outside.encode()}},
        {"scenes": {"text_font": "~/x.ttf"}},
    ):
        with pytest.raises((AssetReferenceError, ConfigError)):
            check(story(), root, config=config)


def test_a_file_that_became_a_link_after_the_check_is_not_rendered(root: Path, tmp_path: Path) -> None:
    found = check(story({"image": "a.jpg"}), root)
    (root / "a.jpg").unlink()
    (root / "a.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(AssetReferenceError, match="leads out"):
        local(found, root)


def test_a_folder_that_became_a_link_after_the_check_is_not_rendered(root: Path, tmp_path: Path) -> None:
    found = check(story({"image": "deep/b.png"}), root)
    (root / "deep").rename(tmp_path / "moved")
    (root / "deep").symlink_to(tmp_path / "moved")
    with pytest.raises(AssetReferenceError, match="leads out"):
        local(found, root)
