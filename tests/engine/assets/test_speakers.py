"""The colours, words and voices of speakers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.speech_setup import spending
from video_pipeline.engine.api.stages import SceneComposer, StoryProcessor
from video_pipeline.engine.assets.generate import gather_assets
from video_pipeline.engine.assets.speakers import Cast, SpeakerVoice, cast_speakers, open_voices
from video_pipeline.engine.assets.speech.chain import NarratorChain
from video_pipeline.engine.assets.speech.kokoro.voices import kokoro_voices
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.service import SpeechContext
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.spoken_words import SpokenBy
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, StoryError
from video_pipeline.engine.story import Story, parse_story, story_scenes
from video_pipeline.engine.story.speakers import SPEAKER_COLOURS

DIALOGUE = "It was late.\n\nMary: Where is it?\nTom (low): Here.\nMary: Oh!"


def cast(config: Config | None = None, *, content: str = DIALOGUE, **fields: Any) -> Cast:
    story = parse_story({"title": "T", "content": content, "metadata": {"language": "en"}, **fields})
    return cast_speakers(story, story_scenes(story), config=config or configured())


def configured(**sections: Any) -> Config:
    return load_config(sections, environ=False)


def test_each_speaker_has_a_colour_and_the_name_is_not_spoken() -> None:
    found = cast().scenes
    mary, tom = SPEAKER_COLOURS[:2]
    assert [scene.colour for scene in found] == [None, mary, tom, mary]
    assert [scene.spoken for scene in found] == ["It was late.", "Where is it?", "Here.", "Oh!"]
    assert found[1].text == "Mary: Where is it?"


def test_names_are_spoken_if_the_configuration_says_so() -> None:
    found = cast(configured(tts={"speaker_names": True})).scenes
    assert found[1].spoken == "Mary: Where is it?"


def test_the_storys_speakers_win_over_the_configurations_and_these_over_the_palette() -> None:
    config = configured(
        scenes={
            "speakers": {"mary": {"colour": "gold"}, "Tom": {"colour": "silver"}},
            "speaker_colours": ["red"],
        }
    )
    content = f"{DIALOGUE}\nAnna: I see."
    found = cast(config, content=content, speakers={"Mary": {"color": "pink"}}).scenes
    assert [scene.colour for scene in found] == [None, "pink", "silver", "pink", "red"]
    assert [scene.colour for scene in cast(configured(scenes={"speaker_colours": []})).scenes] == [None] * 4


def test_a_scenes_own_colour_and_narration_stay() -> None:
    scenes = [
        {"scene_id": "a", "text": "Mary: Where?", "colour": "red", "narration": "Mary asked where."},
        {"scene_id": "b", "text": "Tom: Here."},
    ]
    found = cast(content="", scenes=scenes).scenes
    assert (found[0].colour, found[0].spoken) == ("red", "Mary asked where.")
    assert (found[1].colour, found[1].spoken) == (SPEAKER_COLOURS[1], "Here.")


@pytest.mark.parametrize("voiced", ["Mary", "Tom"])
def test_two_speakers_in_one_scene_of_whom_one_has_a_voice_are_a_warning_that_names_it(voiced: str) -> None:
    scenes = [{"scene_id": "a", "text": "Mary: Where?\nTom: Here."}]
    found = cast(content="", scenes=scenes, speakers={voiced: {"voice": "heart"}})
    (warning,) = found.warnings
    assert warning.startswith("scenes[0] (scene_id 'a'): field 'text': Mary, Tom speak in one scene")
    assert cast(content="", scenes=scenes).warnings == ()
    assert found.scenes[0].spoken == "Where?\nHere."


def test_a_declared_speaker_without_a_line_is_a_warning() -> None:
    (warning,) = cast(speakers={"Marry": {"colour": "gold"}}).warnings
    assert warning == "speakers: 'Marry' has no line (did you mean 'Mary'?); a line is `Marry: …`"


def opened(folder: Path, found: Cast, *, language: str = "en") -> dict[str, NarratorChain]:
    context = SpeechContext(
        language=language, region="", meter=spending(folder), cache=ContentCache(folder / "cache")
    )
    return open_voices(found.voices, fallback=True, context=context)


def test_a_voice_that_does_not_exist_is_an_error_that_lists_those_there_are(tmp_path: Path) -> None:
    allowed = r"allowed offline: auto; en: heart"
    with pytest.raises(StoryError, match=rf"field 'speakers\.Mary\.voice': got 'nobody'.*{allowed}"):
        opened(tmp_path, cast(speakers={"Mary": {"voice": "nobody"}}))
    with pytest.raises(ConfigError, match=rf"scenes\.speakers\.Tom\.voice: got 'nobody'.*{allowed}"):
        opened(tmp_path, cast(configured(scenes={"speakers": {"Tom": {"voice": "nobody"}}})))
    with pytest.raises(
        StoryError, match=r"field 'speakers\.Tom\.voice': got 'Joanna', a voice of amazon_polly"
    ):
        opened(tmp_path, cast(speakers={"Tom": {"voice": "Joanna"}}))
    assert list(opened(tmp_path, cast(speakers={"Mary": {"voice": "heart"}}))) == ["Mary"]


@pytest.mark.skipif("em_alex" not in kokoro_voices(), reason="the extra `voices` is not installed")
def test_a_speakers_voice_may_be_of_any_offline_service(tmp_path: Path) -> None:
    found = cast(speakers={"Mary": {"voice": "heart"}, "Tom": {"voice": "em_alex"}})
    chains = opened(tmp_path, found, language="es")
    assert [chain.names for chain in chains.values()] == [("hibari", "kokoro"), ("kokoro",)]
    made = chains["Mary"].narrate(spoken_text("Hola, ¿qué tal?", language="es"))
    assert made.narration.spoken_by == SpokenBy("kokoro", "ef_dora")
    assert made.reasons == ("the voice speaks English; the text is not (language 'es')",)
    assert chains["Tom"].narrator("kokoro").identity["voice"] == "em_alex"


def spoken_by(story: Story, scenes: Any, voices: dict[str, SpeakerVoice], folder: Path) -> list[str | None]:
    assets = gather_assets(story, scenes, config=configured(), cache=ContentCache(folder), voices=voices)
    return [own.narration and own.narration.sha256 for own in assets.scenes]


def test_a_speakers_voice_speaks_the_speakers_lines_alone(tmp_path: Path) -> None:
    story = parse_story({"title": "T", "content": "Mary: Yes.\nTom: Yes.", "metadata": {"language": "en"}})
    scenes = cast_speakers(story, story_scenes(story), config=configured()).scenes
    one, other = spoken_by(story, scenes, {}, tmp_path)
    assert one == other
    high = {"Mary": SpeakerVoice("Mary", Tts(voice="heart", pitch=6), of_story=True)}
    mary, tom = spoken_by(story, scenes, high, tmp_path)
    assert tom == other
    assert mary not in (None, other)


def test_the_stages_of_the_high_level_api_have_the_speakers_too() -> None:
    scenes = StoryProcessor().process({"title": "T", "content": "Mary: Where is it?\nTom: Here."})
    assert [(scene["speaker"], scene["narration"], scene["colour"]) for scene in scenes] == [
        ("Mary", "Where is it?", SPEAKER_COLOURS[0]),
        ("Tom", "Here.", SPEAKER_COLOURS[1]),
    ]
    given = [{"scene_id": "a", "text": "Mary: Where?"}, {"scene_id": "b", "text": "Tom: Here."}]
    composed = SceneComposer().compose_scenes(given, {})
    assert [scene["text"]["color"] for scene in composed] == [*SPEAKER_COLOURS[:2]]
