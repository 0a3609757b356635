"""Where the assets of a job come from, checked by the server and again where it is rendered."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support import samples
from tests.support.paths import EXAMPLES
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.policy import POLICIES, STANDARD, ErrorPolicy
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import AssetReferenceError, ConfigError, FetchError, StoryError
from video_pipeline.engine.jobs.inputs.references import (
    Inbox,
    Localised,
    check_references,
    inbox_names,
    localise,
)
from video_pipeline.engine.story import load_story, parse_story
from video_pipeline.engine.story.asset_fields import AssetKind


def story(*scenes: dict[str, Any], **more: Any) -> dict[str, Any]:
    named = [{"scene_id": f"s{number}", "narration": "", **scene} for number, scene in enumerate(scenes)]
    return {"title": "A story", "scenes": named or [{"scene_id": "s0", "text": "Words."}], **more}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "assets"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(samples.picture())
    (folder / "deep" / "b.png").write_bytes(samples.picture("PNG"))
    (folder / "clip.mp4").write_bytes(samples.clip())
    (folder / "music.mp3").write_bytes(samples.sound(".mp3"))
    samples.font_at(folder / "own.ttf")
    (tmp_path / "secret.jpg").write_bytes(samples.picture())
    return folder


def node(*roots: Path, **more: Any) -> Node:
    return Node(asset_roots=roots, **more)


def check(
    data: Any,
    folder: Path,
    *,
    config: Any = None,
    parts: tuple[bytes, ...] = (),
    inbox: Path | None = None,
    policy: ErrorPolicy = STANDARD,
    **more: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    inbox = inbox or folder.parent / "inbox"
    return check_references(
        data, config or {}, node=node(folder, **more), parts=parts, inbox=inbox, policy=policy
    )


def no_fetch(url: str, folder: Path, kind: AssetKind) -> Path:
    raise AssertionError(f"{url} was fetched")


def local(
    found: tuple[dict[str, Any], dict[str, Any]], folder: Path, fetch: Any = no_fetch, **more: Any
) -> Localised:
    return localise(
        *found,
        node=node(folder),
        inbox=folder.parent / "inbox",
        temp=folder.parent / "temp",
        fetch=fetch,
        **more,
    )


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
def test_a_story_stays_itself(name: str) -> None:
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
def test_a_path_that_is_no_text_is_refused(root: Path, name: str) -> None:
    with pytest.raises((AssetReferenceError, StoryError)):
        check(story({"image": name}), root)
    for section, key in (("watermark", "image"), ("audio", "music")):
        with pytest.raises(AssetReferenceError, match=f"{section}.{key}"):
            check(story(), root, config={section: {key: name}})
    with pytest.raises(AssetReferenceError, match="text_font"):
        check(story(), root, config={"scenes": {"text_font": f"{name}.ttf"}})


def test_an_error_tells_nothing_of_what_is_outside(root: Path, tmp_path: Path) -> None:
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


def test_other_spellings_of_a_field_do_not_pass_by(root: Path) -> None:
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


def test_inline_parts_are_kept_by_their_content(root: Path) -> None:
    data = story(
        {"image": "inline:1"},
        {"image": "inline:1", "font": "inline:0"},
        {"video": "inline:2"},
        music="inline:3",
    )
    parts = (samples.font().read_bytes(), samples.picture("PNG"), samples.clip(), samples.sound(".flac"))
    found = check(data, root, config={"watermark": {"image": "inline:1"}}, parts=parts)
    scenes = found[0]["scenes"]
    assert scenes[0]["image"] == scenes[1]["image"] == found[1]["watermark"]["image"]
    assert scenes[0]["image"].startswith("inbox:")
    names = inbox_names(json.dumps(found))
    assert {Path(name).suffix for name in names} == {".ttf", ".png", ".mp4", ".flac"}
    assert {path.name for path in (root.parent / "inbox").iterdir()} == names
    rendered = local(found, root)
    assert Path(rendered.story["scenes"][2]["video"]["path"]).read_bytes() == parts[2]
    assert Path(rendered.story["scenes"][1]["font"]).suffix == ".ttf"
    assert Path(rendered.story["music"]["path"]).read_bytes() == parts[3]
    assert Path(rendered.config["watermark"]["image"]).read_bytes() == parts[1]


def test_with_an_inbox_the_caller_syncs(root: Path) -> None:
    box = Inbox(root.parent / "inbox")
    found, _ = check_references(
        story({"image": "inline:0"}), {}, node=node(root), parts=(samples.picture(),), inbox=box
    )
    assert box.path(found["scenes"][0]["image"]) is None
    box.sync()
    assert box.path(found["scenes"][0]["image"]) is not None


def test_parts_that_nothing_refers_to_are_an_error(root: Path) -> None:
    with pytest.raises(AssetReferenceError, match="got '0, 2'") as caught:
        check(story({"image": "inline:1"}), root, parts=(samples.picture(),) * 3)
    assert caught.value.field == "parts"
    assert not (root.parent / "inbox").exists()


@pytest.mark.parametrize(
    ("field", "part", "what"),
    [
        ("image", b"", "is empty"),
        ("image", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a known format"),
        ("image", b"#EXTM3U\nhttp://127.0.0.1/", "not a known format"),
        ("image", samples.picture("GIF"), "is GIF"),
        ("video", samples.picture(), "is JPEG"),
        ("video", b"#EXTM3U\nhttp://127.0.0.1/", "not a known format"),
        ("font", samples.picture(), "is JPEG"),
        ("music", samples.picture(), "is JPEG"),
    ],
)
def test_an_inline_part_must_be_what_its_field_needs(root: Path, field: str, part: bytes, what: str) -> None:
    data = story(music="inline:0") if field == "music" else story({field: "inline:0"})
    with pytest.raises(AssetReferenceError, match=what):
        check(data, root, parts=(part,))
    assert not (root.parent / "inbox").exists()


def test_an_inline_part_has_the_limit_of_assets(root: Path) -> None:
    with pytest.raises(AssetReferenceError, match="asset_max_mb"):
        check(story({"image": "inline:0"}), root, parts=(samples.picture(),), asset_max_mb=0.0001)


def test_what_was_swept_from_the_inbox_fails_for_good(root: Path) -> None:
    found = check(story({"image": "inline:0"}), root, parts=(samples.picture(),))
    (root.parent / "inbox" / found[0]["scenes"][0]["image"].removeprefix("inbox:")).unlink()
    with pytest.raises(AssetReferenceError, match=r"scene_id 's0'.*no longer in the inbox"):
        local(found, root)


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


def test_urls_are_checked_at_the_door_and_fetched_once(root: Path) -> None:
    url = "https://example.com/a.jpg"
    found = check(
        story(
            {"image": url}, {"image": url}, {"video": "https://example.com/v"}, music="https://example.com/m"
        ),
        root,
    )
    assert found[0]["scenes"][0]["image"] == url
    asked: list[tuple[str, AssetKind]] = []

    def fetch(url: str, folder: Path, kind: AssetKind) -> Path:
        asked.append((url, kind))
        return folder / f"{len(asked)}"

    rendered = local(found, root, fetch)
    assert sorted(asked) == [
        ("https://example.com/a.jpg", "picture"),
        ("https://example.com/m", "sound"),
        ("https://example.com/v", "video"),
    ]
    assert rendered.story["scenes"][0]["image"] == rendered.story["scenes"][1]["image"]
    assert Path(rendered.story["scenes"][0]["image"]).is_absolute()


@pytest.mark.parametrize(
    "url", ["http://user:word@example.com/", "https://2130706433/", "http://example.com:25/"]
)
def test_a_url_that_is_not_allowed_is_refused_at_the_door(root: Path, url: str) -> None:
    with pytest.raises(AssetReferenceError, match="scene_id 's0'"):
        check(story({"image": url}), root)


def test_a_node_may_fetch_no_urls(root: Path) -> None:
    with pytest.raises(AssetReferenceError, match="asset_urls"):
        check(story({"image": "https://example.com/a.jpg"}), root, asset_urls=False)
    with pytest.raises(AssetReferenceError, match="asset_urls"):
        check(story(), root, config={"scenes": {"text_font": "https://example.com/a"}}, asset_urls=False)


def _failing(kind: Any) -> Any:
    def fetch(url: str, folder: Path, wanted: AssetKind) -> Path:
        raise FetchError(f"{url}: no luck", url=url, kind=kind)

    return fetch


EVERYWHERE = (
    story(
        {"image": "https://example.com/a"},
        {"video": "https://example.com/v"},
        {"font": "https://example.com/f"},
        music="https://example.com/m",
    ),
    {
        "watermark": {"image": "https://example.com/w", "opacity": 0.5},
        "audio": {"music": "https://example.com/m"},
        "scenes": {"text_font": "https://example.com/t"},
    },
)
INSTEAD = (
    ("scenes[0] (scene_id 's0'): field 'image'", "a drawn picture is shown instead"),
    ("scenes[1] (scene_id 's1'): field 'video'", "a drawn picture is shown instead"),
    ("scenes[2] (scene_id 's2'): field 'font'", "the default font is used instead"),
    ("field 'music'", "there is no music"),
    ("watermark.image", "there is no watermark"),
    ("audio.music", "there is no music"),
    ("scenes.text_font", "the default font is used instead"),
)
LENIENT = load_config({"error_handling": {"policy": "lenient"}}, environ=False)


def test_a_url_that_is_no_asset_is_under_the_lenient_policy_left_out_with_a_warning(root: Path) -> None:
    found = check(EVERYWHERE[0], root, config=EVERYWHERE[1])
    rendered = local(found, root, _failing("unusable"), settings=LENIENT)
    assert [set(scene) for scene in rendered.story["scenes"]] == [{"scene_id", "narration"}] * 3
    assert "music" not in rendered.story
    assert rendered.config == {"watermark": {"opacity": 0.5}, "audio": {}, "scenes": {}}
    parse_story(rendered.story)
    assert len(rendered.warnings) == len(INSTEAD)
    for warning, (place, instead) in zip(rendered.warnings, INSTEAD, strict=True):
        assert warning.startswith(f"{place}: got 'https://example.com/")
        assert warning.endswith(f"no luck; {instead}")


@pytest.mark.parametrize("number", range(len(INSTEAD)))
def test_otherwise_it_is_an_error_wherever_it_is_named(root: Path, number: int) -> None:
    data, config = json.loads(json.dumps(EVERYWHERE))
    found = check(data, root, config=config)
    place, _ = INSTEAD[number]
    for earlier in range(number):
        _drop(*found, earlier)
    for policy in (None, "standard", "strict"):
        settings = load_config({"error_handling": {"policy": policy}}, environ=False)
        with pytest.raises(AssetReferenceError) as caught:
            local(found, root, _failing("unusable"), settings=settings)
        assert str(caught.value).startswith(f"{place}: got ")
        assert str(caught.value).endswith("no luck")


def _drop(data: dict[str, Any], config: dict[str, Any], number: int) -> None:
    """Delete the field of INSTEAD[number]."""
    if number < 3:
        del data["scenes"][number][("image", "video", "font")[number]]
    else:
        holder, key = ((data, "music"), (config, "watermark"), (config, "audio"))[number - 3]
        del holder[key]


@pytest.mark.parametrize("name", ["gone.jpg", "deep"])
def test_a_file_that_is_missing_or_a_folder_is_left_out_under_the_lenient_policy_only(
    root: Path, name: str
) -> None:
    data, config = story({"image": name}), {"watermark": {"image": name}}
    for policy in (POLICIES["standard"], POLICIES["strict"]):
        with pytest.raises(AssetReferenceError, match=r"scene_id 's0'\): field 'image': got"):
            check(data, root, config=config, policy=policy)
    found = check(data, root, config=config, policy=POLICIES["lenient"])
    with pytest.raises(AssetReferenceError, match="scene_id 's0'"):
        local(found, root)
    rendered = local(found, root, settings=LENIENT)
    assert "image" not in rendered.story["scenes"][0]
    assert rendered.config == {"watermark": {}}
    assert [warning.rpartition("; ")[2] for warning in rendered.warnings] == [INSTEAD[0][1], INSTEAD[4][1]]


def test_a_part_of_another_format_is_kept_under_the_lenient_policy_for_the_worker_to_report(
    root: Path,
) -> None:
    data, parts = story({"image": "inline:0"}, {"video": "inline:1"}), (b"words", samples.clip())
    with pytest.raises(AssetReferenceError, match="is not a known format"):
        check(data, root, parts=parts)
    found = check(data, root, parts=parts, policy=POLICIES["lenient"])
    rendered = local(found, root, settings=LENIENT)
    assert Path(rendered.story["scenes"][0]["image"]).read_bytes() == parts[0]
    assert Path(rendered.story["scenes"][1]["video"]["path"]).read_bytes() == parts[1]


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "a\0b", "inline:3", "inbox:x", "ftp://x/y"])
def test_what_a_job_may_not_name_is_an_error_under_each_policy(root: Path, name: str) -> None:
    for policy in POLICIES.values():
        with pytest.raises((AssetReferenceError, StoryError)):
            check(story({"image": name}), root, policy=policy)


def test_a_refused_address_is_an_error_under_each_policy(root: Path) -> None:
    found = check(story({"image": "https://example.com/a"}), root)
    for settings in (None, LENIENT):
        with pytest.raises(AssetReferenceError, match=r"scene_id 's0'.*no luck"):
            local(found, root, _failing("refused"), settings=settings)


def test_a_temporary_failure_is_marked_as_temporary(root: Path) -> None:
    found = check(story({"image": "https://example.com/a"}), root)
    with pytest.raises(FetchError, match=r"scene_id 's0'.*no luck") as caught:
        local(found, root, _failing("transient"))
    assert caught.value.kind == "transient"
    assert caught.value.details["permanent"] is False


def test_after_a_url_that_ends_the_attempt_no_other_is_fetched(root: Path) -> None:
    scenes = [{"image": f"https://example.com/{number}"} for number in range(40)]
    found = check(story(*scenes), root)
    asked: list[str] = []

    def fetch(url: str, folder: Path, kind: AssetKind) -> Path:
        asked.append(url)
        raise FetchError(f"{url}: no such page", url=url, kind="unusable")

    with pytest.raises(AssetReferenceError, match=r"scene_id 's[0-3]'.*no such page"):
        local(found, root, fetch)
    assert len(asked) <= 8


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "[::1]", "169.254.169.254", "[::ffff:10.0.0.1]"])
def test_a_url_with_an_address_that_is_not_public_is_refused_at_submit(root: Path, host: str) -> None:
    with pytest.raises(AssetReferenceError, match="is not a public address"):
        check(story({"image": f"http://{host}/a.jpg"}), root)
