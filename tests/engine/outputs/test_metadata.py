"""Metadata of stories and of real videos."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from video_pipeline.engine.api.stages import MetadataGenerator
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import RenderingError, StoryError
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.outputs.metadata import DESCRIPTION_CHARACTERS, build_metadata, describe
from video_pipeline.engine.outputs.video_info import VideoInfo, probe_video
from video_pipeline.engine.story import parse_story

CONTENT = (
    "Elara had kept the lighthouse on Marrow Rock for forty years. Every night she climbed the steps and lit the lamp. "
    "One winter evening a ship that had sunk before she was born answered her signal from far out on the ice."
)
NOON = datetime(2026, 3, 1, 12, 30, 15, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a 9:16 video of 45 frames with title and sound; its first second is darker."""
    path = tmp_path_factory.mktemp("video") / "tale.mp4"
    argv = [find_ffmpeg().path, "-v", "error", "-f", "lavfi", "-i", "testsrc=s=180x320:r=30:d=1.5"]
    argv += ["-f", "lavfi", "-i", "sine=d=1.5:r=48000", "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    argv += ["-c:a", "aac", "-metadata", "title=The Lighthouse Keeper", path]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    return path


def info(**values: object) -> VideoInfo:
    known: dict[str, object] = {
        "duration": 12.5,
        "resolution": (1080, 1920),
        "fps": Fraction(30),
        "file_size": 1234,
        "aspect_ratio": "9:16",
        "frame_count": 375,
        "video_codec": "h264",
        "audio_codec": "aac",
        "bit_rate": 789,
    }
    return VideoInfo(**{**known, **values})  # type: ignore[arg-type]


def test_the_information_about_a_video_is_that_of_its_file(video: Path) -> None:
    found = probe_video(video)
    assert found.duration == pytest.approx(1.5, abs=0.03)
    assert found.resolution == (180, 320)
    assert found.aspect_ratio == "9:16"
    assert found.fps == 30
    assert found.frame_count == 45
    assert (found.video_codec, found.audio_codec) == ("h264", "aac")
    assert found.file_size == video.stat().st_size
    assert found.bit_rate == pytest.approx(found.file_size * 8 / found.duration, rel=0.05)
    assert json.loads(json.dumps(found.as_dict()))["resolution"] == [180, 320]


def test_frames_are_counted_if_the_header_has_no_length(tmp_path: Path) -> None:
    path = tmp_path / "v.mkv"
    argv = [
        find_ffmpeg().path,
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc=s=64x64:r=25:d=0.4",
        "-c:v",
        "libx264",
        path,
    ]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    found = probe_video(path)
    assert found.frame_count == 10
    assert found.audio_codec is None
    assert found.aspect_ratio == "1:1"


def test_a_file_that_is_not_a_video_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "words.mp4"
    path.write_text("no video")
    with pytest.raises(RenderingError, match=r"words\.mp4"):
        probe_video(path)


def test_metadata_has_the_documented_keys() -> None:
    story = parse_story(
        {"title": "The Lighthouse Keeper", "content": CONTENT, "metadata": {"genre": "mystery"}}
    )
    found = build_metadata(story, info(), created_at=NOON)
    assert list(found) == [
        "title", "description", "tags", "hashtags", "duration", "created_at", "format", "genre", "source",
    ]  # fmt: skip
    assert found["title"] == "The Lighthouse Keeper"
    assert found["duration"] == 12.5
    assert found["format"] == {
        "resolution": [1080, 1920], "aspect_ratio": "9:16", "codec": "h264", "file_size": 1234,
    }  # fmt: skip
    assert (found["genre"], found["source"]) == ("mystery", "story_generator")
    assert found["tags"][:2] == ["mystery", "lighthouse"]
    assert json.loads(json.dumps(found)) == found


def test_the_time_is_in_utc_and_aware() -> None:
    story = parse_story({"title": "t", "content": CONTENT})
    assert build_metadata(story, info(), created_at=NOON)["created_at"] == "2026-03-01T10:30:15+00:00"
    now = datetime.fromisoformat(build_metadata(story, info())["created_at"])
    assert abs(datetime.now(UTC) - now) < timedelta(minutes=1)
    with pytest.raises(ValueError, match="created_at"):
        build_metadata(story, info(), created_at=datetime(2026, 3, 1))


def test_further_keys_of_the_story_are_passed_on() -> None:
    story = parse_story(
        {
            "title": "t",
            "content": "a.",
            "metadata": {"genre": "drama", "language": "en", "author": "A. Nym", "parts": [1, 2]},
        }
    )
    assert build_metadata(story, info())["story_metadata"] == {
        "language": "en",
        "author": "A. Nym",
        "parts": [1, 2],
    }


def test_a_story_of_scenes_is_described_by_what_they_show_or_say() -> None:
    story = parse_story(
        {
            "title": "t",
            "scenes": [{"scene_id": "a", "text": "One lamp."}, {"scene_id": "b", "narration": "Two ships."}],
        }
    )
    assert build_metadata(story, info())["description"] == "One lamp. Two ships."


def test_a_story_without_words_is_described_by_its_title() -> None:
    story = parse_story({"title": "Only Pictures", "scenes": [{"scene_id": "a"}]})
    assert build_metadata(story, info())["description"] == "Only Pictures"


def test_a_description_is_whole_sentences() -> None:
    description = describe(CONTENT, language="en")
    assert description.endswith("lit the lamp.")
    assert CONTENT.startswith(description)


def test_a_first_sentence_that_is_too_long_is_cut_after_a_word() -> None:
    description = describe("light and shadow, " * 30, language="en")
    assert len(description) <= DESCRIPTION_CHARACTERS
    assert description.endswith("…")
    assert description.removesuffix("…").split()[-1] in ("light", "and", "shadow")


def test_japanese_sentences_are_joined_without_blanks() -> None:
    text = "吾輩は猫である。名前はまだ無い。"
    assert describe(text, language="ja") == text


@given(text=st.text(max_size=600))
def test_a_description_of_any_text_is_one_line_and_short_enough(text: str) -> None:
    description = describe(text, language="en")
    assert len(description) <= DESCRIPTION_CHARACTERS
    assert "\n" not in description


def test_the_generator_accepts_dictionaries_of_the_original_format() -> None:
    generator = MetadataGenerator({"add_title_to_thumbnail": True})
    found = generator.generate_metadata(
        {"id": "story_1", "title": "A Tale", "content": CONTENT, "metadata": {"genre": "mystery"}},
        {"duration": 9.0, "resolution": (1080, 1920), "file_size": 5, "aspect_ratio": "1080:1920", "fps": 30},
    )
    assert found["format"] == {
        "resolution": [1080, 1920],
        "aspect_ratio": "9:16",
        "codec": "h264",
        "file_size": 5,
    }
    assert found["duration"] == 9.0
    assert found["hashtags"][0] == "#mystery"


def test_the_generator_accepts_a_story_without_title_and_refuses_a_wrong_one() -> None:
    generator = MetadataGenerator(load_config({}))
    video_info = {"duration": 1.0, "resolution": [2, 2], "file_size": 1}
    assert generator.generate_metadata({}, video_info)["title"] == "Untitled Story"
    with pytest.raises(StoryError, match="genre"):
        generator.generate_metadata({"title": "t", "content": "c", "metadata": {"genre": 7}}, video_info)


@pytest.mark.parametrize("timestamp", [0.5, 2.0, None])
def test_the_generators_thumbnail_bears_the_videos_own_title(
    video: Path, tmp_path: Path, timestamp: float | None
) -> None:
    copy = Path(shutil.copy(video, tmp_path / "tale.mp4"))
    titled = MetadataGenerator({}).generate_thumbnail(str(copy), timestamp=timestamp)
    assert titled == str(tmp_path / "tale_thumb.jpg")
    with Image.open(titled) as image:
        assert image.size == (180, 320)
        with_title = np.asarray(image, np.int16)
    plain = MetadataGenerator({"add_title_to_thumbnail": False}).generate_thumbnail(copy, timestamp=timestamp)
    with Image.open(plain) as image:
        without = np.asarray(image, np.int16)
    assert np.abs(with_title[:150] - without[:150]).mean() < 1
    assert np.abs(with_title[-100:] - without[-100:]).mean() > 20


def test_the_generators_thumbnail_has_the_size_asked_for(video: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(video, tmp_path / "tale.mp4"))
    with Image.open(MetadataGenerator().generate_thumbnail(copy, size=(320, 180), title="Another")) as image:
        assert image.size == (320, 180)
