"""Fallbacks, with pictures opened and durations counted."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from video_pipeline.engine.api.error_handler import ErrorHandler, write_words
from video_pipeline.engine.errors import (
    ImageGenerationError,
    RenderingError,
    StoryError,
    SubprocessError,
    TTSError,
)

SMALL: dict[str, Any] = {"video": {"size": [270, 480]}}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the cache of these tests apart."""
    monkeypatch.setenv("CACHE_PATH", str(tmp_path / "cache"))
    return tmp_path / "cache"


def ink_of(picture: Path) -> np.ndarray[Any, np.dtype[np.bool_]]:
    with Image.open(picture) as image:
        return np.asarray(image.convert("RGB")).min(axis=2) > 230


@pytest.mark.parametrize(
    "text", ["She walked along the dune.", "word " * 400, "أجاب البحر على نداء الحارس", "A" * 300]
)
def test_a_failed_picture_is_drawn_with_its_words_inside_the_frame(text: str) -> None:
    path = Path(
        ErrorHandler(SMALL).handle_image_generation_error(
            OSError("no service"), {"scene_id": "s1", "text": text}
        )
    )
    with Image.open(path) as image:
        assert image.size == (270, 480)
        assert image.mode == "RGB"
    ink = ink_of(path)
    assert ink.sum() > 50
    columns = np.flatnonzero(ink.any(axis=0))
    assert columns[0] > 0.05 * 270
    assert columns[-1] < 0.95 * 270


def test_pictures_of_different_jobs_never_share_a_file_and_the_same_picture_does() -> None:
    handler, error = ErrorHandler(SMALL), OSError("x")
    one = handler.handle_image_generation_error(error, {"scene_id": "scene_1", "text": "One story."})
    other = handler.handle_image_generation_error(error, {"scene_id": "scene_1", "text": "Another story."})
    again = ErrorHandler(SMALL).handle_image_generation_error(
        error, {"scene_id": "scene_1", "text": "One story."}
    )
    assert one != other
    assert one == again


def test_a_scene_id_cannot_lead_out_of_the_folder(cache: Path) -> None:
    path = ErrorHandler(SMALL).handle_image_generation_error(
        OSError("x"), {"scene_id": "../../../etc/x", "text": "a"}
    )
    assert cache.resolve() in Path(path).resolve().parents


def test_a_text_object_and_a_scene_without_text_are_accepted() -> None:
    handler = ErrorHandler(SMALL)
    worded = handler.handle_image_generation_error(
        OSError("x"), {"scene_id": "a", "text": {"content": "Words here."}}
    )
    bare = handler.handle_image_generation_error(OSError("x"), {"scene_id": "a"})
    assert ink_of(Path(worded)).sum() > 50
    assert Path(bare).is_file()


def test_an_unwritable_cache_does_not_stop_the_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("CACHE_PATH", str(blocked / "cache"))
    (tmp_path / "temp").mkdir()
    handler = ErrorHandler({**SMALL, "storage": {"temp_path": str(tmp_path / "temp")}})
    path = Path(handler.handle_image_generation_error(OSError("x"), {"scene_id": "a", "text": "b"}))
    assert tmp_path / "temp" in path.parents
    assert path.is_file()


@pytest.mark.parametrize("config", [{"fallback_enabled": False}, {"images": {"fallback_enabled": False}}])
def test_without_fallback_a_failed_picture_is_an_error_that_names_the_scene(config: dict[str, Any]) -> None:
    cause = OSError("no service")
    with pytest.raises(ImageGenerationError, match=r"'s7'.*no service") as raised:
        ErrorHandler(config).handle_image_generation_error(cause, {"scene_id": "s7", "text": "a"})
    assert raised.value.__cause__ is cause


def test_words_leave_the_picture_given_alone() -> None:
    picture = Image.new("RGB", (270, 480), (120, 120, 120))
    drawn = write_words(picture, "Words.", font="NotoSans-Bold")
    assert np.asarray(picture).std() == 0
    assert np.asarray(drawn).std() > 1
    assert write_words(picture, " ", font="NotoSans-Bold").tobytes() == picture.tobytes()


def test_failed_speech_makes_scenes_half_as_long_again() -> None:
    scenes: list[dict[str, Any]] = [
        {"scene_id": "a", "duration": 4},
        {"scene_id": "b"},
        {"scene_id": "c", "duration": None},
        {"scene_id": "d", "duration": 2.5},
    ]
    assert ErrorHandler({"default_scene_duration": 6}).handle_tts_error(OSError("no voice"), scenes) is None
    assert [scene["duration"] for scene in scenes] == [6.0, 9.0, 9.0, 3.75]


@pytest.mark.parametrize("config", [{"fallback_enabled": False}, {"tts": {"fallback_enabled": False}}])
def test_without_fallback_failed_speech_is_an_error_and_changes_nothing(config: dict[str, Any]) -> None:
    scenes = [{"scene_id": "a", "duration": 4.0}]
    with pytest.raises(TTSError, match="no voice"):
        ErrorHandler(config).handle_tts_error(OSError("no voice"), scenes)
    assert scenes == [{"scene_id": "a", "duration": 4.0}]


def test_a_failed_render_is_raised_with_its_cause_and_its_details(caplog: pytest.LogCaptureFixture) -> None:
    cause = SubprocessError("drawing", argv=["ffmpeg", "-i", "x"], returncode=1, stderr="first\nlast line")
    with pytest.raises(RenderingError, match="last line") as raised:
        ErrorHandler().handle_rendering_error(cause, {"job_id": "j-1", "attempts": 2})
    assert raised.value.__cause__ is cause
    assert raised.value.details["returncode"] == 1
    assert raised.value.details["job_id"] == "j-1"
    assert raised.value.details["permanent"] is False
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL, logging.ERROR]


def test_wrong_input_is_marked_as_permanent_and_alerts_can_be_switched_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = ErrorHandler({"error_handling": {"alert_on_failure": False}})
    with pytest.raises(RenderingError) as raised:
        handler.handle_rendering_error(StoryError("scene 'a': no picture"), {})
    assert raised.value.details["permanent"] is True
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
