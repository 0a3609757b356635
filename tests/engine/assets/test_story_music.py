"""The music and the sound effects of a story, as its assets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.assets.test_generate import settings
from tests.support.loudness import loudness_of
from tests.support.sounds import tone, write_wav
from video_pipeline.engine.assets.cache_folder import open_asset_cache
from video_pipeline.engine.assets.generate import gather_assets
from video_pipeline.engine.assets.models import StoryAssets
from video_pipeline.engine.compose import compose
from video_pipeline.engine.config import load_config
from video_pipeline.engine.render.sound.mixdown import mixed_samples, sample_at, speech_intervals
from video_pipeline.engine.story import parse_story, story_scenes


def with_music(folder: Path, music: Any = None, *, audio: Any = None, **metadata: Any) -> StoryAssets:
    data = {"title": "T", "scenes": [{"scene_id": "a"}], "metadata": {"language": "en", **metadata}}
    story = parse_story(data | ({} if music is None else {"music": music}))
    config = load_config(settings(folder, audio=audio or {}), environ=False)
    return gather_assets(
        story, story_scenes(story), config=config, cache=open_asset_cache(config), base=folder
    )


def test_music_auto_suits_the_story_and_is_made_once(tmp_path: Path) -> None:
    first = with_music(tmp_path, "auto", genre="horror")
    assert first.music is not None
    assert first.score is not None
    assert first.score.mood == "dark"
    assert 20 <= first.music.duration <= 30
    made = first.music.path.stat().st_mtime_ns
    again = with_music(tmp_path, "auto", genre="horror")
    assert again.music == first.music
    assert first.music.path.stat().st_mtime_ns == made
    assert with_music(tmp_path, "auto", genre="horror", mood="happy").score != first.score


@pytest.mark.parametrize(
    ("music", "audio", "mood", "seed"),
    [
        (None, {"music": "auto", "music_mood": "epic", "music_seed": 5}, "epic", 5),
        ("auto", {"music_mood": "epic", "music_seed": 5}, "epic", 5),
        ({"mood": "sad", "seed": 8}, {"music": "none", "music_mood": "epic", "music_seed": 5}, "sad", 8),
    ],
)
def test_the_story_s_music_goes_before_the_configuration_s(
    tmp_path: Path, music: Any, audio: Any, mood: str, seed: int
) -> None:
    score = with_music(tmp_path, music, audio=audio).score
    assert score is not None
    assert (score.mood, score.seed) == (mood, seed)


@pytest.mark.parametrize(
    ("music", "audio"), [(None, {}), ("none", {"music": "auto"}), (None, {"music": "none"})]
)
def test_there_is_no_music_unless_it_is_asked_for(tmp_path: Path, music: Any, audio: Any) -> None:
    assets = with_music(tmp_path, music, audio=audio)
    assert assets.music is assets.score is None


def test_a_file_called_auto_is_named_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_wav(tmp_path / "auto", tone(440, 1))
    for music, audio in (("./auto", {}), ({"path": "auto"}, {}), (None, {"music": "./auto"})):
        assets = with_music(tmp_path, music, audio=audio)
        assert assets.score is None
        assert assets.music is not None
        assert (assets.music.path.name, assets.music.duration) == ("auto", 1)
    config = load_config({"audio": {"music": "./auto"}}, environ=False)
    again = load_config(config.model_dump(mode="json"), environ=False)
    assert again.audio.music == config.audio.music == tmp_path / "auto"


def test_synthesised_music_is_16_lu_under_the_narration(tmp_path: Path) -> None:
    data = {
        "title": "T",
        "metadata": {"language": "en"},
        "music": "auto",
        "scenes": [
            {"scene_id": "a", "text": "The keeper lit the lamp and waited for the boats to come home."},
            {"scene_id": "b", "text": "Nothing moved on the water but the light, going round and round."},
        ],
    }
    story = parse_story(data)
    config = load_config(settings(tmp_path, tts={"service": "hibari"}), environ=False)
    scenes = story_scenes(story)
    assets = gather_assets(story, scenes, config=config, cache=open_asset_cache(config), base=tmp_path)
    line = compose(story, scenes, assets, config=config).timeline
    speech = speech_intervals(line)

    def heard(kind: str) -> Path:
        alone = replace(line, audio=tuple(track for track in line.audio if track.kind == kind))
        mix = np.concatenate(list(mixed_samples(alone, settings=config.audio, speech=speech)))
        spoken = [mix[sample_at(begin) : sample_at(end)] for begin, end in speech]
        # Four times as loud, so that 16 bits are fine enough for the music.
        return write_wav(tmp_path / f"{kind}.wav", np.concatenate(spoken) * (4 if kind == "music" else 1))

    difference = loudness_of(heard("narration"))[0] - (loudness_of(heard("music"))[0] - 12.04)
    assert difference == pytest.approx(16, abs=1.5)


@pytest.mark.parametrize(
    ("choice", "names"), [("none", []), ("captions", ["pop"]), ("all", ["whoosh", "click", "pop"])]
)
def test_effects_are_made_if_they_are_asked_for(tmp_path: Path, choice: str, names: list[str]) -> None:
    effects = with_music(tmp_path, audio={"effects": choice}).effects
    assert list(effects) == names
    assert all(effect.path.stat().st_size > 1000 for effect in effects.values())
