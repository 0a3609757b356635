"""The manifest, written and read back."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from video_pipeline import engine
from video_pipeline.engine.common.music import Score
from video_pipeline.engine.common.spoken_words import SpokenBy
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.outputs.manifest import (
    Choice,
    InputFile,
    build_manifest,
    gather_inputs,
    story_sha256,
    to_plain,
    versions,
    write_json,
    x264_build,
)
from video_pipeline.engine.story import Story, load_story, parse_story
from video_pipeline.engine.timeline import (
    AudioTrack,
    Caption,
    Clip,
    Focus,
    Footage,
    Still,
    Timeline,
    Watermark,
)
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.typeset import FontFace, TextStyle

FPS = Fraction(30000, 1001)
STORY: dict[str, Any] = {
    "id": "tale-1",
    "title": "A Tale",
    "music": "sound/theme.mp3",
    "scenes": [
        {"scene_id": "a", "text": "One.", "image": "pictures/one.jpg"},
        {"scene_id": "b", "text": "Two.", "video": {"path": "clips/two.mp4"}},
        {"scene_id": "c", "text": "Three."},
        {"scene_id": "d", "text": "Four.", "image": "pictures/one.jpg"},
        {"scene_id": "e", "text": "Five.", "image": "pictures/broken.jpg"},
    ],
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@dataclass(frozen=True)
class Made:
    story: Story
    timeline: Timeline
    folder: Path


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Return a story and a timeline of files that are there: the user's own, drawn ones and spoken ones."""

    def still(name: str) -> Still:
        path = put(tmp_path / name, name.encode())
        return Still(path, 9, 16, sha256(name.encode()))

    one, drawn, stand_in = (
        still("pictures/one.jpg"),
        still("cache/backgrounds/ab/abc.png"),
        still("cache/backgrounds/cd/cde.png"),
    )
    clip_path = put(tmp_path / "clips/two.mp4", b"clip")
    clip = Footage(clip_path, 9, 16, sha256(b"clip"), "mov", Fraction(0), Fraction(1))
    voice, theme = put(tmp_path / "cache/voice.wav", b"voice"), put(tmp_path / "sound/theme.mp3", b"theme")
    sources: list[Still | Footage] = [one, clip, drawn, one, stand_in]
    clips = tuple(
        Clip(scene_id, FrameRange(30 * index, 30 * index + 30), source)
        for index, (scene_id, source) in enumerate(zip("abcde", sources, strict=True))
    )
    audio = (
        AudioTrack("narration", voice, sha256(b"voice"), Fraction(0), Fraction(1), scene_id="a", text="One."),
        AudioTrack("footage", clip_path, sha256(b"clip"), Fraction(1), Fraction(1), scene_id="b"),
        AudioTrack("music", theme, sha256(b"theme"), Fraction(0), Fraction(5)),
    )
    return Made(parse_story(STORY), Timeline(540, 960, FPS, "A Tale", clips, audio=audio), tmp_path)


def test_every_input_is_there_once_under_the_name_the_user_wrote(made: Made) -> None:
    font = put(made.folder / "fonts/Own.ttf", b"font")
    inputs = gather_inputs(made.story, made.timeline, fonts=[FontFace(font), FontFace(font, 700)])
    assert inputs == (
        InputFile("still", "pictures/one.jpg", sha256(b"pictures/one.jpg"), 16, ("a", "d")),
        InputFile("footage", "clips/two.mp4", sha256(b"clip"), 4, ("b",)),
        InputFile("still", "abc.png", sha256(b"cache/backgrounds/ab/abc.png"), 28, ("c",)),
        InputFile("still", "cde.png", sha256(b"cache/backgrounds/cd/cde.png"), 28, ("e",)),
        InputFile("narration", "voice.wav", sha256(b"voice"), 5, ("a",)),
        InputFile("footage_sound", "clips/two.mp4", sha256(b"clip"), 4, ("b",)),
        InputFile("music", "sound/theme.mp3", sha256(b"theme"), 5),
        InputFile("font", "Own.ttf", sha256(b"font"), 4),
    )


def test_synthesised_music_is_in_the_manifest_with_its_licence(made: Made) -> None:
    assert manifest_of(made)["music"] is None
    *others, theme = made.timeline.audio
    score = Score("tense", 9, 90.0, "D phrygian", Fraction(2, 3))
    timeline = replace(made.timeline, audio=(*others, replace(theme, score=score)))
    music = manifest_of(Made(made.story, timeline, made.folder))["music"]
    assert music == {
        "mood": "tense",
        "seed": 9,
        "tempo_bpm": 90.0,
        "key": "D phrygian",
        "beat_seconds": pytest.approx(2 / 3),
        "licence": "CC0-1.0",
    }


def test_the_watermark_is_a_separate_input(made: Made) -> None:
    path = put(made.folder / "cache/watermarks/ab/abc.png", b"mark")
    mark = Watermark(path, "logo.png", sha256(b"logo"), 4, 4, 10, 10, 0.6)
    inputs = gather_inputs(made.story, replace(made.timeline, watermark=mark))
    assert inputs[-1] == InputFile("watermark", "logo.png", sha256(b"logo"), 4)


def manifest_of(made: Made, **values: Any) -> dict[str, Any]:
    video = put(made.folder / "out/tale.mp4", b"video")
    known: dict[str, Any] = {
        "story": made.story,
        "timeline": made.timeline,
        "segments": made.timeline.segments(),
        "inputs": gather_inputs(made.story, made.timeline),
        "versions": {"python": "3"},
        "encoder": Choice(
            "libx264", "h264_nvenc is not usable: no NVIDIA driver", {"preset": "medium", "crf": 21}
        ),
        "compositor": Choice("ffmpeg", "the only one"),
        "audio": {
            "output_lufs": -14.02,
            "output_true_peak_db": float("-inf"),
            "speech": ((Fraction(1, 2), Fraction(3)),),
        },
        "warnings": ("scene 'e': a drawn picture is shown",),
        "timings": {"render": 1.23456, "assets": 0.5},
        "outputs": {"video": video},
        "created_at": datetime(2026, 3, 1, tzinfo=UTC),
    }
    return build_manifest(**{**known, **values})


def test_the_manifest_says_how_words_are_spoken_and_where_their_times_come_from(made: Made) -> None:
    voice = SpokenBy("kokoro", "ff_siwis")
    audio = [replace(made.timeline.audio[0], words_by="voice", spoken_by=voice), *made.timeline.audio[1:]]
    told = manifest_of(
        made,
        timeline=replace(made.timeline, audio=tuple(audio)),
        lexicon={"Nike": "/ˈnaɪki/"},
        paid=[{"service": "piper", "characters": 4}],
    )
    assert told["narration"] == {
        "lexicon": {"Nike": "/ˈnaɪki/"},
        "word_times": {"a": "voice"},
        "voices": {"a": {"service": "kokoro", "voice": "ff_siwis"}},
        "credits": [],
        "paid": [{"service": "piper", "characters": 4}],
    }


def test_the_manifest_has_the_style_of_each_caption(made: Made) -> None:
    shown = Caption(
        "a", "One.", FrameRange(0, 30), TextStyle(size_px=20), "Arial", shown_as="karaoke", platform="reels"
    )
    told = manifest_of(made, timeline=replace(made.timeline, captions=(shown,)))
    assert told["captions"] == {"a": {"style": "karaoke", "platform": "reels"}}
    assert manifest_of(made)["captions"] == {}


def test_the_manifest_has_the_focus_of_each_scene(made: Made) -> None:
    clip = replace(made.timeline.clips[0], focus=Focus(0.25, 0.5, "found"))
    told = manifest_of(made, timeline=replace(made.timeline, clips=(clip, *made.timeline.clips[1:])))
    assert told["focus"] == {"a": {"x": 0.25, "y": 0.5, "by": "found"}}
    assert manifest_of(made)["focus"] == {}


def test_the_manifest_lists_inputs_outputs_and_settings(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "tale.manifest.json"
    write_json(path, manifest_of(made))
    read = json.loads(path.read_text(encoding="utf-8"))
    assert read["schema_version"] == 1
    assert read["created_at"] == "2026-03-01T00:00:00+00:00"
    assert read["story"] == {"id": "tale-1", "title": "A Tale", "sha256": story_sha256(made.story)}
    assert read["canvas"] == {"width_px": 540, "height_px": 960}
    assert (read["fps"], read["frame_count"]) == ("30000/1001", 150)
    assert read["segments"] == [{"start": start, "stop": start + 30} for start in range(0, 150, 30)]
    assert read["encoder"]["reason"] == "h264_nvenc is not usable: no NVIDIA driver"
    assert read["encoder"]["options"] == {"preset": "medium", "crf": 21}
    assert read["audio"] == {"output_lufs": -14.02, "output_true_peak_db": None, "speech": [["1/2", 3]]}
    assert read["timings"] == {"render": 1.235, "assets": 0.5}
    assert read["outputs"] == [{"role": "video", "name": "tale.mp4", "sha256": sha256(b"video"), "size": 5}]
    assert read["inputs"][0]["scene_ids"] == ["a", "d"]


def test_the_same_render_gives_the_same_text_and_no_folder_of_this_machine(made: Made) -> None:
    texts = [json.dumps(manifest_of(made)) for _ in range(2)]
    assert texts[0] == texts[1]
    assert str(made.folder) not in texts[0]


def test_a_video_without_sound_has_no_audio_report(made: Made) -> None:
    assert manifest_of(made, audio=None)["audio"] is None


def test_a_storys_hash_knows_neither_order_of_keys_nor_format(tmp_path: Path) -> None:
    as_json, as_yaml = tmp_path / "a.json", tmp_path / "a.yaml"
    as_json.write_text('{"content": "Once.", "title": "T", "metadata": {"genre": "drama"}}')
    as_yaml.write_text("title: T\nmetadata: {genre: drama}\ncontent: Once.\n")
    hashes = {story_sha256(load_story(path)) for path in (as_json, as_yaml)}
    assert len(hashes) == 1
    assert (
        story_sha256(parse_story({"title": "T", "content": "Twice.", "metadata": {"genre": "drama"}}))
        not in hashes
    )


def test_versions_name_what_the_pixels_depend_on(tmp_path: Path) -> None:
    video = tmp_path / "v.mp4"
    argv = [
        find_ffmpeg().path,
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc=s=64x64:d=0.2",
        "-c:v",
        "libx264",
        video,
    ]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    found = versions(ffmpeg=find_ffmpeg().version, video=video)
    assert found["video_pipeline"] == engine.__version__
    assert found["pyav"] == av.__version__
    assert found["pyav_libraries"]["libavcodec"].count(".") == 2
    assert found["ffmpeg_program"].startswith("ffmpeg version")
    assert found["x264"].startswith("core ")
    assert all(found[key] for key in ("python", "pillow", "numpy", "hibari_tts"))


def test_a_video_that_names_no_x264_has_none(tmp_path: Path) -> None:
    assert x264_build(put(tmp_path / "v.mp4", b"nothing here")) is None


def test_json_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"title": "灯台 🗼", "none": None})
    before = path.read_bytes()
    assert "灯台 🗼" in before.decode("utf-8")
    with pytest.raises(TypeError, match="object"):
        write_json(path, {"title": "b", "bad": object()})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_values_become_plain() -> None:
    assert to_plain(
        {
            "a": Fraction(30),
            "b": Fraction(1, 3),
            "c": Path("/x/y.mp4"),
            "d": float("nan"),
            "e": FrameRange(0, 2),
            1: {2},
        }
    ) == {"a": 30, "b": "1/3", "c": "y.mp4", "d": None, "e": {"start": 0, "stop": 2}, "1": [2]}
