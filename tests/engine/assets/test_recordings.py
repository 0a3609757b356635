"""Recorded narration: real sound files, aligned with the text, of a scene and of a whole story."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.sounds import Sound, noise, write_wav
from video_pipeline.engine.assets.cache_folder import open_asset_cache
from video_pipeline.engine.assets.generate import gather_assets
from video_pipeline.engine.assets.models import StoryAssets
from video_pipeline.engine.assets.recordings import SPEECH_LEVEL_DB
from video_pipeline.engine.compose import compose
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import AssetReferenceError, StoryError
from video_pipeline.engine.jobs.client.pack import pack_job
from video_pipeline.engine.jobs.inputs.references import check_references, localise
from video_pipeline.engine.story import parse_story, story_scenes
from video_pipeline.engine.story.asset_fields import AssetKind

RATE_HZ = 16_000
LENIENT = {"error_handling": {"policy": "lenient"}}


def speech(*stretches: tuple[float, float], seconds: float, amplitude: float = 0.02) -> Sound:
    """Return noise in the given stretches of time, which stands for words, and silence between them."""
    sound = np.zeros(round(seconds * RATE_HZ))
    for begins, ends in stretches:
        at = round(begins * RATE_HZ)
        part = noise(ends - begins, amplitude, 1, RATE_HZ)
        sound[at : at + len(part)] = part
    return sound


def gathered(folder: Path, story: dict[str, Any], **sections: Any) -> StoryAssets:
    data = {"title": "T", "metadata": {"language": "en"}, **story}
    merged = {
        "video": {"size": [108, 192], "fps": 24},
        "tts": {"service": "none"},
        "storage": {"cache_path": str(folder / "cache")},
        **sections,
    }
    config = load_config(merged, environ=False)
    parsed = parse_story(data)
    return gather_assets(
        parsed, story_scenes(parsed), config=config, cache=open_asset_cache(config), base=folder
    )


def scene(**fields: Any) -> dict[str, Any]:
    return {"scene_id": "a", "text": "One two. Three four.", **fields}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    two_halves = speech((0.5, 1.5), (2.5, 3.5), seconds=4)
    write_wav(tmp_path / "said.wav", two_halves, RATE_HZ)
    write_wav(tmp_path / "silent.wav", np.zeros(RATE_HZ), RATE_HZ)
    (tmp_path / "text.txt").write_text("One two.", encoding="utf-8")
    return tmp_path


def listed(folder: Path, *words: tuple[str, float, float]) -> str:
    entries = [{"word": word, "start": start, "end": end} for word, start, end in words]
    (folder / "words.json").write_text(json.dumps(entries), encoding="utf-8")
    return "words.json"


def test_words_are_timed_by_the_pauses_of_the_recording_and_its_level_is_that_of_a_voice(
    folder: Path,
) -> None:
    made = gathered(folder, {"scenes": [scene(narration_audio="said.wav")]}).scenes[0]
    assert made.narration is not None
    assert (made.narration.duration, made.words_by, made.narration_name) == (4, "shares", "said.wav")
    one, two, three, four = made.words
    assert float(one.begins) == pytest.approx(0.5, abs=0.02)
    assert float(two.ends) == pytest.approx(1.5, abs=0.03)
    assert float(three.begins) == pytest.approx(2.5, abs=0.03)
    assert float(four.ends) == pytest.approx(3.5, abs=0.02)
    level_db = 20 * np.log10(0.02)
    assert made.narration_gain_db == pytest.approx(SPEECH_LEVEL_DB - level_db, abs=0.3)


def test_a_file_of_words_is_aligned_with_the_text_and_differences_are_a_warning(folder: Path) -> None:
    words = listed(folder, ("One", 0.5, 0.9), ("too", 1.0, 1.5), ("three", 2.5, 3.0), ("four", 3.0, 3.5))
    made = gathered(folder, {"scenes": [scene(narration_audio={"path": "said.wav", "words": words})]})
    assert made.scenes[0].words_by == "file"
    times = [(float(word.begins), float(word.ends)) for word in made.scenes[0].words]
    assert times == [(0.5, 0.9), (0.9, 2.5), (2.5, 3), (3, 3.5)]
    assert made.warnings == (
        f"scenes[0] (scene_id 'a'): field 'narration_audio.words': {folder / 'words.json'}: 3 of the 4 words of the "
        "text are among its 4 words",
    )


def test_words_of_another_text_are_not_used_and_a_file_that_fits_warns_of_nothing(folder: Path) -> None:
    words = listed(folder, ("Alpha", 0.5, 0.9), ("beta", 1.0, 1.5))
    made = gathered(folder, {"scenes": [scene(narration_audio={"path": "said.wav", "words": words})]})
    assert made.scenes[0].words_by == "shares"
    assert made.warnings[0].endswith(
        "0 of the 4 words of the text are among its 2 words; too few, so their times are estimated"
    )
    words = listed(folder, ("one", 0.5, 1), ("two", 1, 1.5), ("three", 2.5, 3), ("four", 3, 3.5))
    made = gathered(folder, {"scenes": [scene(narration_audio={"path": "said.wav", "words": words})]})
    assert (made.scenes[0].words_by, made.warnings) == ("file", ())


def test_a_scene_lasts_as_long_as_its_recording_needs(folder: Path) -> None:
    data = {
        "title": "T",
        "scenes": [
            scene(narration_audio="said.wav", duration=1),
            scene(narration_audio="said.wav", duration=9, scene_id="b"),
        ],
    }
    story = parse_story(data)
    config = load_config(
        {
            "video": {"size": [108, 192], "fps": 24},
            "tts": {"service": "none"},
            "scenes": {"max_still_seconds": 0},
        },
        environ=False,
    )
    made = compose(story, story_scenes(story), gathered(folder, data), config=config)
    short, long = made.timeline.clips
    assert len(short.frames) / 24 == pytest.approx(4 + 0.5 + 0.25, abs=0.05)
    assert len(long.frames) / 24 == 9
    assert made.warnings[0].startswith(
        "scene 'a': duration 1 s is shorter than its narration; the scene lasts "
    )
    assert [float(track.duration) for track in made.timeline.audio] == [4, 4]


def test_a_recording_of_the_story_is_divided_among_its_scenes_at_the_pauses(folder: Path) -> None:
    scenes = [
        {"scene_id": "a", "text": "One two."},
        {"scene_id": "mute", "text": "Shown.", "narration": ""},
        {"scene_id": "b", "text": "Three four."},
    ]
    first, mute, second = gathered(folder, {"narration_audio": "said.wav", "scenes": scenes}).scenes
    assert mute.narration is None
    assert first.narration is not None
    assert second.narration is not None
    assert first.narration_start == 0
    assert float(first.narration.duration) == pytest.approx(2, abs=0.03)  # the middle of 1.5 to 2.5
    assert second.narration_start == first.narration.duration
    assert first.narration.duration + second.narration.duration == 4
    assert [(word.start, word.stop) for word in second.words] == [(0, 5), (6, 11)]
    assert float(second.words[0].begins + second.narration_start) == pytest.approx(2.5, abs=0.03)


def test_a_scene_that_is_not_in_the_recording_is_silent_with_a_warning(folder: Path) -> None:
    scenes = [{"scene_id": "a", "text": "One two three four."}, {"scene_id": "b", "text": "Five."}]
    words = listed(folder, ("one", 0.5, 1), ("two", 1, 1.5), ("three", 2.5, 3), ("four", 3, 3.5))
    story = {"narration_audio": {"path": "said.wav", "words": words}, "scenes": scenes}
    made = gathered(folder, story)
    assert made.scenes[0].narration is not None
    assert made.scenes[0].narration.duration == 4
    assert made.scenes[1].narration is None
    assert made.warnings[1] == "scenes[1] (scene_id 'b'): field 'narration': is not in the recording said.wav"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("gone.mp3", "field 'narration_audio': {folder}/gone.mp3: does not exist"),
        ("text.txt", "field 'narration_audio': {folder}/text.txt: is not a sound; allowed: "),
        ("silent.wav", "field 'narration_audio': {folder}/silent.wav: is silent"),
        (
            {"path": "said.wav", "words": "gone.srt"},
            "field 'narration_audio.words': {folder}/gone.srt: does not exist",
        ),
        (
            {"path": "said.wav", "words": "said.wav"},
            "field 'narration_audio.words': {folder}/said.wav: is no list of words; allowed: ASS, JSON, SRT, WebVTT",
        ),
    ],
)
def test_an_unusable_file_is_an_error_with_field_and_value_or_with_lenient_a_warning(
    folder: Path, spec: Any, message: str
) -> None:
    story = {"scenes": [scene(narration_audio=spec)]}
    with pytest.raises(StoryError) as caught:
        gathered(folder, story)
    wanted = f"scenes[0] (scene_id 'a'): {message.format(folder=folder)}"
    assert str(caught.value).startswith(wanted)
    made = gathered(folder, story, **LENIENT)
    assert made.warnings[0].startswith(wanted)
    assert (made.scenes[0].narration is not None) == ("words" in message)
    with pytest.raises(StoryError) as caught:
        gathered(folder, {"narration_audio": spec, "scenes": [scene()]})
    assert str(caught.value).startswith(message.format(folder=folder))


def test_a_story_and_its_scenes_cannot_both_be_recorded() -> None:
    with pytest.raises(
        StoryError, match=r"scenes\[0\] \(scene_id 'a'\): field 'narration_audio': the story has a"
    ):
        parse_story({"title": "T", "narration_audio": "a.mp3", "scenes": [scene(narration_audio="b.mp3")]})


def test_a_client_sends_the_recording_and_its_words_with_a_job(folder: Path) -> None:
    words = listed(folder, ("one", 0, 1))
    data = {
        "title": "T",
        "scenes": [scene(narration_audio={"path": "said.wav", "words": words})],
    }
    (folder / "story.json").write_text(json.dumps(data), encoding="utf-8")
    sent, _, parts = pack_job(folder / "story.json", {}, send_assets=True)
    assert sent["scenes"][0]["narration_audio"] == {"path": "inline:0", "words": "inline:1"}
    assert parts == ((folder / "said.wav").read_bytes(), (folder / "words.json").read_bytes())
    job, config = check_references(sent, {}, node=Node(), parts=parts, inbox=folder / "inbox")
    local = localise(job, config, node=Node(), inbox=folder / "inbox", temp=folder, fetch=no_fetch)
    spec = local.story["scenes"][0]["narration_audio"]
    assert [Path(spec[key]).read_bytes() for key in ("path", "words")] == list(parts)
    assert [Path(spec[key]).suffix for key in ("path", "words")] == [".wav", ".json"]


def test_a_node_refuses_a_part_that_is_no_list_of_words(folder: Path) -> None:
    sent = {"title": "T", "scenes": [scene(narration_audio={"path": "inline:0", "words": "inline:0"})]}
    with pytest.raises(AssetReferenceError) as caught:
        check_references(
            sent, {}, node=Node(), parts=((folder / "said.wav").read_bytes(),), inbox=folder / "inbox"
        )
    assert str(caught.value).startswith("scenes[0] (scene_id 'a'): field 'narration_audio.words'")
    assert "ASS, JSON, SRT, WebVTT" in str(caught.value)


def no_fetch(url: str, folder: Path, kind: AssetKind) -> Path:
    raise AssertionError(f"{url} is no URL")


@pytest.mark.parametrize(("name", "seconds"), [("hurried.wav", 0.3), ("endless.wav", 30)])
def test_a_recording_that_cannot_be_of_the_words_is_a_warning_with_both_lengths(
    name: str, seconds: float, folder: Path
) -> None:
    write_wav(folder / name, noise(seconds, 0.1, 1, RATE_HZ), RATE_HZ)
    found = gathered(folder, {"scenes": [scene(narration_audio=name)]})
    (warning,) = found.warnings
    assert f"field 'narration_audio': {name}: lasts {seconds:.2f} s" in warning
    assert "to say the words takes about" in warning
    assert found.scenes[0].narration is not None
