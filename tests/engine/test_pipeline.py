"""From a story to a finished video, checked as a viewer sees it: frames, sound, files."""

from __future__ import annotations

import json
import re
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.support import samples
from tests.support.jobs import RESULT_FIELDS
from tests.support.sounds import level_db, tone, write_wav
from video_pipeline.engine.assets.models import Sound
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError, InputError, StoryError
from video_pipeline.engine.events import Event
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.outputs.paths import OutputPaths
from video_pipeline.engine.pipeline import RenderResult, render_story
from video_pipeline.engine.story import parse_story

SMALL = {"video": {"size": [180, 320], "fps": 24, "preset": "ultrafast", "crf": 28}}

STORY: dict[str, Any] = {
    "id": "test-story",
    "title": 'A Small Test & a "Title"',
    "metadata": {"genre": "mystery", "language": "en"},
    "scenes": [
        {"scene_id": "one", "text": "The first words are spoken here."},
        {"scene_id": "two", "text": "", "narration": "", "duration": 2.0, "transition": "cut"},
        {
            "scene_id": "three",
            "text": "The last words, and then silence.",
            "transition": {"name": "wipeleft", "duration": 0.5},
        },
    ],
}


def _decode(path: Path) -> tuple[int, np.ndarray[Any, Any], Any]:
    """Return the number of frames, the mono sound at 48 kHz, and the container's facts."""
    with av.open(str(path)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    with av.open(str(path)) as container:
        sound = np.concatenate([frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)])
        facts = {
            "title": container.metadata.get("title"),
            "chapters": container.chapters(),
            "video_seconds": container.streams.video[0].duration * container.streams.video[0].time_base,
            "audio_seconds": container.streams.audio[0].duration * container.streams.audio[0].time_base,
        }
    return frames, sound, facts


@pytest.fixture(scope="module")
def rendered(
    tmp_path_factory: pytest.TempPathFactory, session_cache: Path
) -> tuple[RenderResult, list[Event]]:
    events: list[Event] = []
    config = load_config({**SMALL, "storage": {"cache_path": str(session_cache)}})
    output = tmp_path_factory.mktemp("out") / "story.mp4"
    return render_story(parse_story(STORY), output, config=config, on_event=events.append), events


def test_the_video_has_the_length_that_its_timeline_says(rendered: tuple[RenderResult, list[Event]]) -> None:
    result, _ = rendered
    manifest = json.loads(result.outputs.manifest.read_text(encoding="utf-8"))
    frames, sound, facts = _decode(result.outputs.video)
    assert frames == manifest["frame_count"]
    assert facts["video_seconds"] == Fraction(frames, 24)
    assert abs(facts["audio_seconds"] - facts["video_seconds"]) <= Fraction(1, 24)
    assert abs(len(sound) - frames * 2000) <= 2000


def test_narration_is_heard_exactly_at_the_times_in_the_manifest(
    rendered: tuple[RenderResult, list[Event]],
) -> None:
    result, _ = rendered
    manifest = json.loads(result.outputs.manifest.read_text(encoding="utf-8"))
    _, sound, _ = _decode(result.outputs.video)
    spoken = manifest["audio"]["narration"]
    assert [entry["scene_id"] for entry in spoken] == ["one", "three"]
    silent = np.ones(len(sound), bool)
    for entry in spoken:
        start, stop = round(entry["start"] * 48000), round(entry["stop"] * 48000)
        assert np.sqrt(np.mean(sound[start:stop] ** 2)) > 0.02
        silent[max(0, start - 2400) : stop + 2400] = False
    assert np.abs(sound[silent]).max() < 0.002


def test_loudness_is_at_the_target_and_peaks_are_under_the_limit(
    rendered: tuple[RenderResult, list[Event]],
) -> None:
    result, _ = rendered
    measure = ["-af", "ebur128=peak=true", "-f", "null", "-"]
    command = [find_ffmpeg().path, "-hide_banner", "-nostdin", "-i", result.outputs.video, *measure]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    summary = log[log.rindex("Summary:") :]
    loudness = float(re.search(r"I:\s+(-?[\d.]+) LUFS", summary).group(1))  # type: ignore[union-attr]
    peak = float(re.search(r"Peak:\s+(-?[\d.]+) dBFS", summary).group(1))  # type: ignore[union-attr]
    assert abs(loudness + 14) <= 1
    assert peak <= -0.5  # AAC may add a little to the -1 dBTP of the mix


def test_title_chapters_and_tags_are_in_the_file(rendered: tuple[RenderResult, list[Event]]) -> None:
    result, _ = rendered
    _, _, facts = _decode(result.outputs.video)
    assert facts["title"] == STORY["title"]
    assert [chapter["metadata"]["title"] for chapter in facts["chapters"]] == ["one", "two", "three"]
    log = subprocess.run(
        [find_ffmpeg().path, "-hide_banner", "-i", result.outputs.video],
        capture_output=True,
        text=True,
        check=False,
    ).stderr
    assert "yuv420p(tv, bt709" in log
    assert "24 fps" in log
    head = result.outputs.video.read_bytes()
    assert 0 < head.index(b"moov") < head.index(b"mdat")


def test_every_file_beside_the_video_is_there_and_whole(rendered: tuple[RenderResult, list[Event]]) -> None:
    result, _ = rendered
    outputs = result.outputs
    with Image.open(outputs.thumbnail) as thumbnail:
        assert thumbnail.size == (180, 320)
    metadata = json.loads(outputs.metadata.read_text(encoding="utf-8"))
    assert metadata["title"] == STORY["title"]
    assert metadata["format"]["aspect_ratio"] == "9:16"
    assert "first words" in outputs.srt.read_text(encoding="utf-8")
    assert outputs.vtt.read_text(encoding="utf-8").startswith("WEBVTT")
    manifest = json.loads(outputs.manifest.read_text(encoding="utf-8"))
    assert {entry["role"] for entry in manifest["inputs"]} >= {"still", "narration", "font"}
    assert manifest["encoder"]["reason"]
    assert set(manifest["timings"]) >= {"assets", "compose", "captions", "render", "sound", "outputs"}
    assert sorted(outputs.video.parent.iterdir()) == sorted(outputs.by_role().values())
    told = result.as_dict()
    assert told.keys() == {"files", *RESULT_FIELDS}
    assert told["files"] == {role: str(path) for role, path in outputs.by_role().items()}


def test_progress_counts_every_frame(rendered: tuple[RenderResult, list[Event]]) -> None:
    result, events = rendered
    frames = [event.done for event in events if event.stage == "render"]
    assert sorted(set(frames)) == sorted(frames)
    assert max(frames) == result.info.frame_count


def test_a_second_run_gives_the_same_bytes_with_any_number_of_workers(
    rendered: tuple[RenderResult, list[Event]], tmp_path: Path, session_cache: Path
) -> None:
    result, _ = rendered
    config = load_config({**SMALL, "storage": {"cache_path": str(session_cache)}})

    def assets() -> dict[Path, int]:
        files = (path for path in session_cache.rglob("*") if path.suffix in (".wav", ".png"))
        return {path: path.stat().st_mtime_ns for path in files}

    made = assets()
    again = render_story(parse_story(STORY), tmp_path / "story.mp4", config=config, workers=1)
    assert again.outputs.video.read_bytes() == result.outputs.video.read_bytes()
    assert assets() == made, "narration and pictures come from the cache"
    assert {path.suffix for path in made} == {".wav", ".png"}


def test_no_cache_leaves_the_cache_alone(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    config = load_config({**SMALL, "storage": {"cache_path": str(folder)}, "tts": {"service": "none"}})
    story = parse_story({"title": "T", "scenes": [{"scene_id": "a", "text": "x", "duration": 0.5}]})
    render_story(story, tmp_path / "a.mp4", config=config, use_cache=False)
    assert list(folder.iterdir()) == []


def test_a_story_without_sound_gets_a_silent_track_of_its_length(tmp_path: Path) -> None:
    config = load_config({**SMALL, "tts": {"service": "none"}})
    story = parse_story({"title": "T", "scenes": [{"scene_id": "a", "text": "x", "duration": 1.0}]})
    result = render_story(story, tmp_path / "a.mp4", config=config)
    frames, sound, facts = _decode(result.outputs.video)
    assert frames == 24
    assert np.abs(sound).max() == 0
    assert abs(facts["audio_seconds"] - 1) <= Fraction(1, 24)


def test_a_failed_render_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "video.mp4"
    target.write_bytes(b"yesterday's video")
    picture = tmp_path / "picture.png"
    Image.new("RGB", (200, 300), "teal").save(picture)
    story = parse_story(
        {
            "title": "T",
            "scenes": [{"scene_id": "a", "image": str(picture), "duration": 1.0, "font": "No Such Font"}],
        }
    )
    with pytest.raises(InputError, match=r"scene_id 'a'\): field 'font'.*No Such Font"):
        render_story(story, target, config=load_config(SMALL))
    assert target.read_bytes() == b"yesterday's video"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["picture.png", "video.mp4"]


@pytest.mark.parametrize("name", ["video.mov", "video"])
def test_an_output_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"allowed: a name that ends in \.mp4"):
        render_story(parse_story(STORY), tmp_path / name, config=load_config(SMALL))


def test_output_names_are_all_of_one_family() -> None:
    outputs = OutputPaths(Path("folder/My Story.mp4"))
    assert outputs.thumbnail == Path("folder/My Story_thumb.jpg")
    assert outputs.manifest == Path("folder/My Story.manifest.json")


def test_letters_that_no_font_has_are_an_error_before_anything_is_made(tmp_path: Path) -> None:
    config = load_config({**SMALL, "tts": {"service": "none"}})
    story = parse_story(
        {"title": "T", "scenes": [{"scene_id": "far", "text": "Tea is \u0f47 there", "duration": 0.5}]}
    )
    seen: list[Event] = []
    with pytest.raises(
        StoryError, match=r"scene_id 'far'\): field 'text': no font here has \u0f47 \(Tibetan\)"
    ):
        render_story(story, tmp_path / "a.mp4", config=config, on_event=seen.append)
    assert seen == []
    lenient = config.override("error_handling", policy="lenient")
    (warning,) = render_story(story, tmp_path / "a.mp4", config=lenient).warnings
    assert warning.endswith("an empty box is drawn for each")


def test_a_watermark_that_cannot_be_read_is_an_error_or_left_out(tmp_path: Path) -> None:
    config = load_config({**SMALL, "watermark": {"image": str(tmp_path / "gone.png")}})
    story = parse_story({"title": "T", "scenes": [{"scene_id": "a", "duration": 0.5}]})
    with pytest.raises(ConfigError, match=r"watermark\.image: .*gone\.png: does not exist"):
        render_story(story, tmp_path / "a.mp4", config=config)
    lenient = config.override("error_handling", policy="lenient")
    (warning,) = render_story(story, tmp_path / "a.mp4", config=lenient).warnings
    assert warning.endswith("; there is no watermark")


def test_a_title_is_drawn_with_the_font_of_the_captions_if_only_that_has_its_letters(tmp_path: Path) -> None:
    own = samples.font_with("\ua500", tmp_path / "own.ttf")
    scene = {"scene_id": "a", "duration": 0.5}
    story = parse_story({"title": "\ua500", "scenes": [scene]})
    pictures = []
    for font in ("Arial-Bold", str(own)):
        config = load_config({**SMALL, "scenes": {"text_font": font}})
        result = render_story(story, tmp_path / "a.mp4", config=config)
        assert bool(result.warnings) is (font == "Arial-Bold")
        pictures.append(result.outputs.thumbnail.read_bytes())
    assert pictures[0] != pictures[1]


def test_a_watermark_is_in_the_manifest_and_simplified_captions_are_a_warning(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 20), (255, 0, 0, 255)).save(tmp_path / "logo.png")
    config = load_config(
        {
            **SMALL,
            "video": {**SMALL["video"], "compositor": "ffmpeg"},
            "tts": {"service": "none"},
            "watermark": {"image": str(tmp_path / "logo.png"), "opacity": 1.0, "width": 0.5},
        }
    )
    scenes = [
        {"scene_id": "one", "text": "Go", "duration": 0.5, "style": "block", "animation": "pop"},
        {"scene_id": "two", "text": "Go on", "duration": 0.5},
    ]
    result = render_story(parse_story({"title": "T", "scenes": scenes}), tmp_path / "a.mp4", config=config)
    assert {
        "animation 'pop' of scene 'one' needs the native or cuda compositor; fade_in is drawn instead",
        "captions.style 'phrases' of scene 'two' needs the native or cuda compositor; its words are drawn still and in "
        "one colour",
    } <= set(result.warnings)
    manifest = json.loads(result.outputs.manifest.read_text())
    assert [entry["name"] for entry in manifest["inputs"] if entry["role"] == "watermark"] == ["logo.png"]
    with Image.open(result.outputs.thumbnail) as thumbnail:
        pixels = np.asarray(thumbnail.convert("RGB")).astype(int)
    assert not ((pixels[..., 0] > 200) & (pixels[..., 1:].max(axis=-1) < 60)).any()


def test_fewer_workers_than_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^workers: got 0; allowed: at least 1$"):
        render_story({"title": "T", "content": "Words."}, tmp_path / "v.mp4", workers=0)


def test_a_voice_over_without_a_hash_is_not_taken_for_another_one(
    tmp_path: Path, session_cache: Path
) -> None:
    story = parse_story({"title": "t", "scenes": [{"scene_id": "a", "narration": "", "duration": 2.0}]})
    config = load_config({**SMALL, "storage": {"cache_path": str(session_cache)}})
    for hertz, other in ((440, 1200), (1200, 440)):
        file = write_wav(tmp_path / f"{hertz}.wav", tone(hertz, 2.0))
        voice = Sound(file, sha256="", duration=Fraction(2))
        result = render_story(story, tmp_path / f"{hertz}.mp4", config=config, voice_over=voice)
        sound = _decode(result.outputs.video)[1][:, None]
        assert level_db(sound, hertz, 0.5, 1.5) > level_db(sound, other, 0.5, 1.5) + 20
