"""The asset stage: files that scenes name, generated assets, and fallbacks for broken ones."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.support.paths import EXAMPLES, GUIDE_CONFIG
from tests.support.video import run_ffmpeg
from video_pipeline.engine.api.stages import AssetGenerator
from video_pipeline.engine.assets.cache_folder import open_asset_cache
from video_pipeline.engine.assets.generate import gather_assets
from video_pipeline.engine.assets.models import StoryAssets
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError, StoryError, TTSError
from video_pipeline.engine.story import load_story, parse_story, story_scenes
from video_pipeline.engine.timeline import Footage, Still

SMALL = {"size": [216, 384]}


def settings(folder: Path, **sections: Any) -> dict[str, Any]:
    """Return a quick configuration: small pictures, no narration, a cache in the folder."""
    merged: dict[str, Any] = {
        "video": SMALL,
        "tts": {"service": "none"},
        "storage": {"cache_path": str(folder / "cache")},
    }
    for name, section in sections.items():
        merged[name] = {**merged.get(name, {}), **section}
    return merged


def gathered(
    folder: Path,
    scenes: list[dict[str, Any]],
    *,
    genre: str = "mystery",
    story_id: str | None = None,
    **sections: Any,
) -> StoryAssets:
    named = [{"scene_id": f"s{index}", **scene} for index, scene in enumerate(scenes)]
    metadata = {"genre": genre, "language": "en"}
    story = parse_story({"title": "T", "id": story_id, "scenes": named, "metadata": metadata})
    config = load_config(settings(folder, **sections), environ=False)
    return gather_assets(
        story, story_scenes(story), config=config, cache=open_asset_cache(config), base=folder
    )


LENIENT = {"error_handling": {"policy": "lenient"}}

BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "missing": ({"image": "gone.png"}, "image", "does not exist"),
    "empty": ({"image": "empty.png"}, "image", "is empty (0 bytes)"),
    "text": ({"image": "text.png"}, "image", "is not a picture; allowed: JPEG, PNG, WebP"),
    "truncated": ({"image": "half.jpg"}, "image", "cannot be decoded"),
    "bomb": ({"image": "bomb.png"}, "image", "30000 x 30000 is 900 megapixels; allowed: at most 200"),
    "another's home": ({"image": "~nobody-of-this-name/a.png"}, "image", "does not exist"),
    "a folder": ({"image": "."}, "image", "is a folder; give a file"),
    "missing clip": ({"video": "gone.mp4"}, "video", "does not exist"),
    "empty clip": ({"video": "empty.png"}, "video", "is empty (0 bytes)"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture")
    Image.effect_noise((200, 200), 60).save(tmp_path / "half.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "half.jpg").read_bytes()[:3000])
    header = b"IHDR" + (30_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    check = zlib.crc32(header).to_bytes(4, "big")
    data = b"\0\0\0\0IDAT" + zlib.crc32(b"IDAT").to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + check + data)
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    return tmp_path


def test_a_drawn_picture_that_is_damaged_in_the_cache_is_drawn_again(tmp_path: Path) -> None:
    first = gathered(tmp_path, [{"text": "A", "duration": 2}])
    path = first.scenes[0].picture.path
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert gathered(tmp_path, [{"text": "A", "duration": 2}]) == first
    assert path.read_bytes() == whole


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_picture_is_under_the_lenient_policy_a_warning_and_a_drawn_picture(
    folder: Path, name: str
) -> None:
    fields, field, reason = BROKEN[name]
    assets = gathered(folder, [{"image": "red.png"}, fields], **LENIENT)
    (warning,) = assets.warnings
    assert warning.startswith(f"scenes[1] (scene_id 's1'): field '{field}': {folder}")
    assert reason in warning
    assert warning.endswith("; a drawn picture is shown instead")
    picture = assets.scenes[1].picture
    assert isinstance(picture, Still)
    assert picture.path.is_relative_to(folder / "cache")
    with Image.open(picture.path) as image:
        assert image.size == (picture.width_px, picture.height_px) == (260, 460)
        assert np.asarray(image.convert("L")).std() > 5, "the drawn picture is not blank"


@pytest.mark.parametrize("policy", [None, "standard", "strict"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_picture_is_an_error_under_other_policies_that_names_scene_and_field(
    folder: Path, name: str, policy: str | None
) -> None:
    fields, field, reason = BROKEN[name]
    with pytest.raises(StoryError) as caught:
        gathered(folder, [{"image": "red.png"}, fields], error_handling={"policy": policy})
    assert str(caught.value).startswith(f"scenes[1] (scene_id 's1'): field '{field}': ")
    assert reason in str(caught.value)
    assert "drawn" not in str(caught.value)


def test_fallbacks_are_for_services_and_neither_allow_nor_forbid_a_drawn_picture(folder: Path) -> None:
    off = {"images": {"fallback_enabled": False}}
    handling = {"policy": "lenient", "fallback_enabled": False}
    (warning,) = gathered(folder, [{"image": "gone.png"}], error_handling=handling, **off).warnings
    assert warning.endswith("; a drawn picture is shown instead")
    with pytest.raises(StoryError, match="does not exist"):
        gathered(folder, [{"image": "gone.png"}], error_handling={"fallback_enabled": True})


def test_a_clip_without_video_is_replaced_under_the_lenient_policy_only(folder: Path) -> None:
    (folder / "list.mp4").write_text("#EXTM3U\n/etc/hostname\n")
    with pytest.raises(StoryError, match=r"scenes\[0\] \(scene_id 's0'\): field 'video': .*is not a video"):
        gathered(folder, [{"video": "list.mp4"}])
    assets = gathered(folder, [{"video": "list.mp4"}], **LENIENT)
    assert isinstance(assets.scenes[0].picture, Still)
    assert "is not a video" in assets.warnings[0]


def test_pictures_are_taken_from_the_story_s_folder(folder: Path) -> None:
    assets = gathered(folder, [{"image": "red.png"}, {"image": str(folder / "red.png")}])
    assert assets.warnings == ()
    assert [scene.picture.path for scene in assets.scenes] == [(folder / "red.png").resolve()] * 2


def test_scenes_without_a_picture_get_drawn_ones_that_differ_and_stay_the_same(folder: Path) -> None:
    first = gathered(folder, [{}, {}, {}])
    pictures = [scene.picture.path.read_bytes() for scene in first.scenes]
    assert len(set(pictures)) == 3
    again = gathered(folder, [{}, {}, {}])
    assert [scene.picture for scene in again.scenes] == [scene.picture for scene in first.scenes]
    fresh = gathered(folder / "elsewhere", [{}, {}, {}])
    assert [scene.picture.path.read_bytes() for scene in fresh.scenes] == pictures
    assert [s.picture.sha256 for s in fresh.scenes] == [s.picture.sha256 for s in first.scenes]


def test_a_drawn_picture_follows_the_words_or_the_fields_of_its_scene(folder: Path) -> None:
    def digests(scene: dict[str, Any], **sections: Any) -> list[str]:
        made = gathered(folder, [{"text": "A lighthouse."}, scene], story_id="one", **sections)
        return [each.picture.sha256 for each in made.scenes if each.picture]

    named = digests({"text": "A castle."})
    assert digests({"text": "It had been decided.", "motif": "castle"}) == named
    assert digests({"text": "A castle.", "motif": ["village", "snow"]})[1] != named[1]
    assert digests({"text": "A castle.", "seed": 7})[1] != named[1]
    assert digests({"text": "A castle.", "picture_style": "silk"})[1] != named[1]
    by_genre = {"images": {"style": "genre"}}
    assert digests({"text": "A castle."}, **by_genre) == digests({"text": "A river."}, **by_genre)
    all_alike = {"images": {"style": "dunes"}}
    assert digests({"text": "A castle."}, **all_alike) == digests({"picture_style": "dunes"}, **all_alike)


def test_neighbours_with_the_same_words_differ(folder: Path) -> None:
    made = gathered(folder, [{"text": "The sea."}] * 4)
    assert len({each.picture.sha256 for each in made.scenes if each.picture}) == 4


def test_a_drawn_scene_that_outlasts_one_still_has_a_second_view(folder: Path) -> None:
    Image.new("RGB", (90, 160)).save(folder / "a.png")
    scenes = [{"duration": 4}, {"duration": 3}, {"duration": 4, "max_still_seconds": 0}, {"image": "a.png"}]
    long, short, off, still = gathered(folder, scenes).scenes
    assert long.second_view is not None
    assert long.second_view.path.read_bytes() != Path(long.picture.path).read_bytes()
    assert long.second_view.width_px == long.picture.width_px
    assert (short.second_view, off.second_view, still.second_view) == (None, None, None)
    (limited,) = gathered(folder, [{"duration": 4, "max_still_seconds": 5}]).scenes
    assert limited.second_view is None


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("motif", "lighthose", "got 'lighthose'; allowed (did you mean 'lighthouse'?)"),
        ("motif", [], "got []; allowed: 1 to 5 items"),
        ("picture_style", "oil", "got 'oil'; allowed: 'misty_ridges'"),
        ("seed", -1, "got -1; allowed: 0 to 2147483647"),
    ],
)
def test_a_wrong_field_of_a_drawn_picture_is_named(field: str, value: Any, fault: str) -> None:
    with pytest.raises(StoryError) as caught:
        parse_story({"title": "T", "scenes": [{"scene_id": "a", field: value}]})
    assert f"field '{field}" in str(caught.value)
    assert fault in str(caught.value)


def test_drawn_pictures_come_from_the_cache_unless_it_is_off(folder: Path) -> None:
    def stamps(**sections: Any) -> list[int]:
        return [s.picture.path.stat().st_mtime_ns for s in gathered(folder, [{}, {}], **sections).scenes]

    one = stamps()
    assert stamps() == one
    off = stamps(images={"cache_enabled": False})
    assert all(new > old for new, old in zip(off, one, strict=True))


WORDS = [
    {"text": "The keeper climbed."},
    {"text": "Nobody was there.", "narration": "Nobody at all."},
    {"text": "x", "narration": ""},
]


def test_scenes_are_spoken_and_the_second_run_is_quick_and_the_same(folder: Path) -> None:
    voice = {"tts": {"service": "hibari"}}
    first = gathered(folder, WORDS, **voice)
    one, two, silent = first.scenes
    assert one.narration is not None
    assert two.narration is not None
    assert (silent.narration, silent.extended) == (None, False)
    assert 0.5 < one.narration.duration < 4
    stamps = {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*.*")}
    started = time.process_time()
    assert gathered(folder, WORDS, **voice) == first
    assert time.process_time() - started < 1
    assert {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*.*")} == stamps


def test_a_scene_that_cannot_be_spoken_is_silent_and_longer_with_a_warning(folder: Path) -> None:
    assets = gathered(folder, [{"text": "Привет, мир."}], tts={"service": "hibari"})
    assert [(scene.narration, scene.extended) for scene in assets.scenes] == [(None, True)]
    assert assets.warnings == (
        "scenes[0] (scene_id 's0'): field 'narration': the voice speaks English; the text is not (language 'en'); "
        "the scene is silent and 1.5 times longer",
    )


def test_a_scene_of_emoji_or_marks_is_silent_and_one_of_numbers_is_spoken(folder: Path) -> None:
    assets = gathered(
        folder, [{"text": "🎉 👍🏽"}, {"text": "…"}, {"text": "12 345"}], tts={"service": "hibari"}
    )
    assert [(scene.narration is None, scene.extended) for scene in assets.scenes] == [
        (True, False), (True, False), (False, False),
    ]  # fmt: skip
    assert assets.warnings == ()


def test_a_story_in_another_language_is_silent(folder: Path) -> None:
    story = parse_story({"title": "T", "content": "Der alte Wärter stieg noch einmal die Treppe hinauf."})
    config = load_config(settings(folder, tts={"service": "hibari"}), environ=False)
    assets = gather_assets(story, story_scenes(story), config=config, cache=open_asset_cache(config))
    assert assets.scenes[0].extended
    assert "(language 'de')" in assets.warnings[0]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"music": "gone.mp3"}, "field 'music'"),
        ({"image": "gone.mp3"}, "scenes[0] (scene_id 'a'): field 'image'"),
        ({"video": "gone.mp3"}, "scenes[0] (scene_id 'a'): field 'video'"),
    ],
)
def test_missing_files_are_reported_alike_and_before_narration_that_fails(
    folder: Path, fields: dict[str, str], place: str
) -> None:
    scene = {"scene_id": "a", "text": "Привет."}
    data = {"title": "T", "metadata": {"language": "ru"}, "scenes": [scene]}
    (data if "music" in fields else scene).update(fields)
    tts = {"service": "hibari", "fallback_enabled": False}
    story, config = parse_story(data), load_config(settings(folder, tts=tts), environ=False)
    with pytest.raises(StoryError) as caught:
        gather_assets(story, story_scenes(story), config=config, cache=open_asset_cache(config), base=folder)
    assert str(caught.value) == f"{place}: {folder / 'gone.mp3'}: does not exist"


@pytest.mark.parametrize("section", ["tts", "error_handling"])
def test_without_fallback_a_scene_that_cannot_be_spoken_is_an_error(folder: Path, section: str) -> None:
    sections: dict[str, Any] = {"tts": {"service": "hibari"}}
    sections[section] = {**sections.get(section, {}), "fallback_enabled": False}
    with pytest.raises(
        TTSError, match=r"scenes\[1\] \(scene_id 's1'\): field 'narration': the voice speaks English"
    ):
        gathered(folder, [{"text": "Hello."}, {"text": "Привет."}], **sections)


def test_services_of_the_original_configuration_fall_back_with_a_warning_for_each(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("GOOGLE_TTS_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "STABILITY_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    guide = load_config(GUIDE_CONFIG, environ=False)
    config = guide.override("storage", cache_path=folder / "cache").override("video", size=(216, 384))
    story = parse_story({"title": "T", "scenes": [{"scene_id": "a", "text": "Hello."}]})
    assets = gather_assets(story, story.scenes or (), config=config, cache=open_asset_cache(config))
    assert assets.warnings == (
        "tts.service: google_tts: no key: set the environment variable GOOGLE_TTS_API_KEY, name a file in "
        "tts.services.google_tts.key_file, or install the extra `google` (pip install 'video-pipeline[google]') and set GOOGLE_APPLICATION_CREDENTIALS; "
        "'hibari' speaks instead",
        "images.service: stable_diffusion: no key: set the environment variable STABILITY_API_KEY, or name a file in "
        "images.services.stable_diffusion.key_file; pictures are drawn instead",
    )
    assert assets.scenes[0].narration is not None
    for section, message in (
        ("tts", "google_tts"),
        ("images", "stable_diffusion"),
        ("error_handling", "google_tts"),
    ):
        strict = config.override(section, fallback_enabled=False)
        with pytest.raises(ConfigError, match=message):
            gather_assets(story, story.scenes or (), config=strict, cache=open_asset_cache(strict))


def test_a_missing_image_service_is_no_fault_if_every_scene_has_a_picture(folder: Path) -> None:
    strict = {"service": "dalle", "fallback_enabled": False}
    assert gathered(folder, [{"image": "red.png"}], images=strict).warnings == ()


@pytest.mark.parametrize("where", ["story", "configuration"])
def test_missing_music_is_an_error_or_under_the_lenient_policy_a_warning(folder: Path, where: str) -> None:
    data: dict[str, Any] = {"title": "T", "scenes": [{"scene_id": "a"}]}
    path, place, error = folder / "gone.mp3", "field 'music'", StoryError
    sections: dict[str, Any] = {}
    if where == "story":
        data["music"] = "gone.mp3"
    else:
        place, error, sections = "audio.music", ConfigError, {"audio": {"music": str(path)}}
    story = parse_story(data)
    config = load_config(settings(folder, **sections), environ=False)
    cache = open_asset_cache(config)
    with pytest.raises(error) as caught:
        gather_assets(story, story.scenes or (), config=config, cache=cache, base=folder)
    assert str(caught.value).startswith(f"{place}: {path}: ")
    lenient = config.override("error_handling", policy="lenient")
    assets = gather_assets(story, story.scenes or (), config=lenient, cache=cache, base=folder)
    assert assets.music is None
    assert assets.warnings == (f"{caught.value}; there is no music",)


def test_progress_counts_up_to_the_whole(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    config = load_config(settings(folder), environ=False)
    story = parse_story({"title": "T", "scenes": [{"scene_id": "a"}, {"scene_id": "b", "image": "red.png"}]})
    gather_assets(
        story,
        story.scenes or (),
        config=config,
        cache=open_asset_cache(config),
        base=folder,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(number, 5) for number in range(1, 6)]


def test_the_asset_generator_returns_paths_by_scene(folder: Path) -> None:
    generator = AssetGenerator(settings(folder, tts={"service": "hibari"}), base=folder)
    scenes = [
        {"scene_id": "a", "text": "Hello there."},
        {"scene_id": "b", "image": "red.png"},
        {"scene_id": "c", "image": "gone.png"},
    ]
    found = asyncio.run(generator.generate_assets(scenes, genre="horror"))
    assert set(found) == {"images", "narration", "durations", "audio", "warnings"}
    assert list(found["images"]) == ["a", "b", "c"]
    assert found["images"]["b"] == str((folder / "red.png").resolve())
    assert all(Path(path).is_file() for path in [*found["images"].values(), *found["narration"].values()])
    assert list(found["narration"]) == list(found["durations"]) == ["a"]
    assert 0.3 < found["durations"]["a"] < 3
    assert ["gone.png" in warning for warning in found["warnings"]] == [True]
    assert generator.generate(scenes, genre="horror") == found
    json.dumps(found)


def test_the_event_loop_stays_free_while_assets_are_made(folder: Path) -> None:
    async def ticks() -> int:
        work = asyncio.create_task(
            AssetGenerator(settings(folder, video={"size": [1080, 1920]})).generate_assets(
                [{"scene_id": "a"}]
            )
        )
        count = 0
        while not work.done():
            await asyncio.sleep(0.01)
            count += 1
        await work
        return count

    assert asyncio.run(ticks()) > 5


def test_the_asset_generator_names_a_wrong_scene(folder: Path) -> None:
    with pytest.raises(StoryError, match=r"scenes\[0\].*'scene_id': is missing"):
        AssetGenerator(settings(folder)).generate([{"text": "x"}])


def test_stories_of_the_examples_bring_what_they_name(tmp_path: Path) -> None:
    for path in sorted((*EXAMPLES.glob("*.json"), *EXAMPLES.glob("*.yaml"))):
        story = load_story(path)
        config = load_config(settings(tmp_path), environ=False)
        assets = gather_assets(
            story, story_scenes(story), config=config, cache=open_asset_cache(config), base=path.parent
        )
        assert assets.warnings == (), path.name


def test_a_clip_that_was_cut_short_is_held_with_a_warning_that_names_scene_and_file(tmp_path: Path) -> None:
    made = tmp_path / "made.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x96:d=4:r=25", "-movflags", "+faststart", "-g", "5", made)
    data = made.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    assets = gathered(tmp_path, [{"video": "cut.mp4"}])
    assert isinstance(assets.scenes[0].picture, Footage)
    (warning,) = assets.warnings
    assert warning.startswith(
        f"scenes[0] (scene_id 's0'): field 'video': {tmp_path / 'cut.mp4'}: its frames end at "
    )


def test_a_clip_without_a_usable_picture_fails_in_the_asset_stage(tmp_path: Path) -> None:
    made = tmp_path / "made.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x96:d=1:r=25", "-movflags", "+faststart", made)
    data = made.read_bytes()
    start = data.index(b"mdat") + 4
    (tmp_path / "zeros.mp4").write_bytes(data[:start].ljust(len(data), b"\0"))
    with pytest.raises(StoryError) as caught:
        gathered(tmp_path, [{"video": "zeros.mp4"}])
    place = f"scenes[0] (scene_id 's0'): field 'video': {tmp_path / 'zeros.mp4'}: "
    assert str(caught.value) == f"{place}has no frame that can be decoded"


@pytest.mark.parametrize("suffix", ["webp", "png"])
def test_the_first_picture_of_an_animated_file_is_shown_with_a_warning(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (64, 96), colour) for colour in ("red", "green", "blue")]
    path = tmp_path / f"moving.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    assets = gathered(tmp_path, [{"image": path.name}])
    place = f"scenes[0] (scene_id 's0'): field 'image': {path}"
    said = "is animated (3 pictures); only the first is shown (give it as `video` to see it move)"
    assert assets.warnings == (f"{place}: {said}",)
    frames[0].save(path)
    assert gathered(tmp_path, [{"image": path.name}]).warnings == ()


def test_sound_of_a_clip_that_cannot_be_decoded_follows_the_policy(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    picture, tone = ("-f", "lavfi", "-i", "testsrc2=s=64x96:d=1"), ("-f", "lavfi", "-i", "sine=d=1")
    run_ffmpeg(*picture, *tone, "-c:a", "aac", path)
    assert gathered(tmp_path, [{"video": {"path": "clip.mp4", "sound": True}}]).warnings == ()
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(audio=0):
            if packet.pos is not None and packet.size:
                data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    scene = {"video": {"path": "clip.mp4", "sound": True}}
    place = f"scenes[0] (scene_id 's0'): field 'video': {path}: "
    with pytest.raises(StoryError) as caught:
        gathered(tmp_path, [scene])
    assert str(caught.value).startswith(place)
    assets = gathered(tmp_path, [scene], **LENIENT)
    assert isinstance(assets.scenes[0].picture, Footage)
    assert assets.scenes[0].footage_sound is None
    assert assets.warnings == (f"{caught.value}; the clip is silent",)
    silent = {"video": {"path": "clip.mp4", "sound": False}}
    assert gathered(tmp_path, [silent]).warnings == ()


def test_a_clip_whose_sound_track_holds_nothing_is_silent_without_a_word(tmp_path: Path) -> None:
    picture, tone = ("-f", "lavfi", "-i", "testsrc2=s=64x96:d=1"), ("-f", "lavfi", "-i", "sine=d=1")
    run_ffmpeg(*picture, *tone, "-af", "atrim=end=0", tmp_path / "clip.mkv")
    assert gathered(tmp_path, [{"video": {"path": "clip.mkv", "sound": True}}]).warnings == ()


# --- music ------------------------------------------------------------------------------------------------
