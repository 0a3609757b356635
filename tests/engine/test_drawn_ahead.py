"""Segments whose scenes are spoken are drawn while the others are spoken; the finished video is the same."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.assets.speech.test_paid_once import configuration, scenes_with, written_story
from tests.support.emulator import EmulatedDriver
from tests.support.service_fakes import Answer, Asked, service_fake
from tests.support.speech_setup import set_environment
from tests.support.speech_vendors import OpenAi
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import CancelledError, InputError, TTSError
from video_pipeline.engine.pipeline import RenderResult, render_story
from video_pipeline.engine.story import parse_story

LAST = "Only this one is spoken late."
TEXTS = [f"This is scene {word}." for word in ("one", "two", "three", "four")] + [LAST]
FILES = ("video", "thumbnail", "srt", "vtt", "ass", "words")


class Waiting(OpenAi):
    """A voice that speaks the last scene when `ready` is true, or after `seconds`; `was_ready` says which."""

    def __init__(self, ready: Callable[[], bool], *, seconds: float = 240.0, refuses: bool = False) -> None:
        super().__init__()
        self._ready, self._seconds, self._refuses = ready, seconds, refuses
        self.was_ready: bool | None = None
        self.texts: list[str] = []

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        if asked.body:
            self.texts.append(json.loads(asked.body)["input"])
        if LAST.encode() not in asked.body:
            return super().answer(asked)
        until = time.monotonic() + self._seconds
        while not self._ready() and time.monotonic() < until:
            time.sleep(0.01)
        self.was_ready = self._ready()
        if self._refuses:
            return Answer(400, "application/json", b'{"error": {"message": "the last words are refused"}}'), 0
        return super().answer(asked)


def segments_in(folder: Path) -> int:
    return len(list((folder / "cache").glob("segments/*/[!.]*.segment")))


def rendered(voice: Waiting, folder: Path, name: str = "v", **options: Any) -> RenderResult:
    """Render the scenes with a voice; the cache is in `folder`.

    `video` and `tts` are keys of these sections of the configuration, `more` are whole sections; `faults` are those of
    `ServiceFake`.
    """
    texts = options.pop("texts", TEXTS)
    story = {"title": "T", "metadata": {"language": "en"}, "scenes": scenes_with(folder, texts)}
    with service_fake(voice) as fake:
        fake.faults.extend(options.pop("faults", ()))
        sections = configuration(fake, folder, fallback=[], timeout=300, **options.pop("tts", {}))
        sections["video"] |= {"preset": "ultrafast", **options.pop("video", {})}
        config = load_config({**sections, **options.pop("more", {})}, environ=False)
        return render_story(parse_story(story), folder / "out" / f"{name}.mp4", config=config, **options)


def manifest_of(result: RenderResult) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(result.outputs.manifest.read_text(encoding="utf-8"))
    return manifest


def nothing_is_left(folder: Path) -> None:
    """Check that a render that ended with an error left no file but those of the cache, and no thread."""
    assert [path.name for path in (folder / "out").iterdir()] == []
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")] == []
    assert [path.name for path in (folder / "cache").rglob(".partial-*")] == []


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


@pytest.mark.parametrize("compositor", ["native", "ffmpeg"])
@pytest.mark.parametrize("video", [{}, {"quality": 90}], ids=["crf", "quality"])
def test_segments_are_encoded_before_the_last_scene_is_spoken_and_the_video_is_the_same(
    compositor: str, video: dict[str, Any], tmp_path: Path
) -> None:
    video = {**video, "compositor": compositor}
    voice = Waiting(lambda: segments_in(tmp_path) >= 3)
    ahead = rendered(voice, tmp_path, video=video)
    assert voice.was_ready
    manifest = manifest_of(ahead)
    assert manifest["segments_ahead"] == ahead.segments_ahead >= 3
    assert manifest["segments_from_cache"] == ahead.segments_from_cache == 0
    timings = manifest["timings"]
    assert timings["first_segment"] < timings["check"] + timings["assets"]
    assert timings["worker_encoding"] > 0
    spoken_first = rendered(Waiting(lambda: True), tmp_path, "w", video=video, use_cache=False)
    assert (spoken_first.segments_ahead, spoken_first.segments_from_cache) == (0, 0)
    assert spoken_first.timings["first_segment"] > spoken_first.timings["assets"]
    for name in FILES:
        assert getattr(ahead.outputs, name).read_bytes() == getattr(spoken_first.outputs, name).read_bytes()
    warm = rendered(Waiting(lambda: True), tmp_path, "x", video=video)
    assert (warm.segments_ahead, warm.segments_from_cache) == (0, ahead.segments)
    assert warm.outputs.video.read_bytes() == ahead.outputs.video.read_bytes()


def test_a_scene_that_cannot_be_spoken_is_the_same_error_and_the_next_render_resumes(tmp_path: Path) -> None:
    strict = {"fallback_enabled": False}
    found = []
    for folder, seconds in ((tmp_path / "ahead", 240.0), (tmp_path / "first", 0.0)):
        folder.mkdir()
        voice = Waiting(lambda folder=folder: segments_in(folder) >= 3, seconds=seconds, refuses=True)  # type: ignore[misc]
        with pytest.raises(TTSError) as caught:
            rendered(voice, folder, tts=strict, use_cache=seconds > 0)
        assert voice.was_ready == (seconds > 0)
        found.append(str(caught.value))
        nothing_is_left(folder)
    assert found[0] == found[1]
    assert "the last words are refused" in found[0]
    kept = segments_in(tmp_path / "ahead")
    resumed = rendered(Waiting(lambda: True), tmp_path / "ahead")
    assert resumed.segments_from_cache == kept < resumed.segments


def test_a_render_that_is_stopped_while_it_draws_ahead_leaves_nothing_and_speaks_no_further(
    tmp_path: Path,
) -> None:
    stop = threading.Event()

    def stopped() -> bool:
        if segments_in(tmp_path) >= 1:
            stop.set()
        return stop.is_set()

    voice = Waiting(stopped)
    after = [f"After that comes scene {word}." for word in ("six", "seven", "eight")]
    with pytest.raises(CancelledError, match="the render was stopped"):
        # The first scene after that is not answered: the render ends without it.
        rendered(voice, tmp_path, stop=stop, texts=[*TEXTS, *after], faults=[*[""] * len(TEXTS), "held"])
    assert voice.was_ready
    assert not set(after[1:]) & set(voice.texts)
    nothing_is_left(tmp_path)


def test_an_average_bit_rate_waits_for_the_length_of_the_whole_video(tmp_path: Path) -> None:
    voice = Waiting(lambda: segments_in(tmp_path) > 0, seconds=2.0)
    result = rendered(voice, tmp_path, video={"bitrate": "300k"})
    assert voice.was_ready is False
    assert result.segments_ahead == 0


def test_nothing_is_drawn_ahead_of_a_warning_that_is_an_error(tmp_path: Path) -> None:
    voice = Waiting(lambda: segments_in(tmp_path) > 0, seconds=2.0)
    more = {"scenes": {"text_animation": "pop"}, "error_handling": {"policy": "strict"}}
    with pytest.raises(InputError, match="warnings are errors"):
        rendered(voice, tmp_path, video={"compositor": "ffmpeg"}, more=more)
    assert voice.was_ready is False
    nothing_is_left(tmp_path)


@pytest.mark.parametrize("lost", [False, True], ids=["works", "is lost"])
def test_a_gpu_that_draws_ahead_is_in_the_report_or_the_processor_encodes_the_whole(
    driver: EmulatedDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    monkeypatch.setenv("CACHE_PATH", str(tmp_path / "cache"))  # it goes before the file
    nvenc = {"codec": "h264_nvenc", "size": [320, 256]}
    voice = Waiting(lambda: segments_in(tmp_path) >= 3, seconds=3.0 if lost else 240.0)
    with service_fake(voice) as fake:
        sections = configuration(fake, tmp_path, fallback=[], timeout=300)
        sections["video"] = {"size": [320, 256], "codec": "auto" if lost else "h264_nvenc"}
        config, story = tmp_path / "config.json", written_story(tmp_path, TEXTS)
        config.write_text(json.dumps(sections), encoding="utf-8")
        video = tmp_path / "video.mp4"
        options = ("render", story, "-o", video, "--config", config)
        done = driver.video_pipeline(*options, chosen=nvenc, **({"lost": "0:12"} if lost else {}))
    assert done.returncode == 0, done.stderr
    assert voice.was_ready is not lost
    manifest = json.loads((tmp_path / "video.manifest.json").read_text(encoding="utf-8"))
    segments, encoder = len(manifest["segments"]), manifest["encoder"]
    if lost:
        assert (encoder["name"], encoder["fallback"], manifest["segments_ahead"]) == ("libx264", "machine", 0)
        assert encoder["reason"].startswith("h264_nvenc is not usable: ")
        return
    assert (manifest["segments_ahead"], manifest["segments_from_cache"]) == (3, 0)
    assert f"(3 of {segments} segments before that)" in done.stdout
    # One session and one place of its frames for each segment, drawn ahead or not.
    assert sum(encoder["sessions"]["by_gpu"].values()) == segments
    frames = encoder["frames"]
    places = ("segments_in_gpu_memory", "segments_copied", "segments_in_host_memory")
    assert sum(frames[place] for place in places) == segments
