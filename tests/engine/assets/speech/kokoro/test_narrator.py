"""Kokoro speaks each of its languages, with its own word times."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.engine.assets.speech.test_service import read
from tests.support.command import SMALL, run, write
from video_pipeline.engine.assets.speech.kokoro import model
from video_pipeline.engine.assets.speech.kokoro.model import model_bytes
from video_pipeline.engine.assets.speech.kokoro.narrator import KokoroNarrator
from video_pipeline.engine.assets.speech.kokoro.voices import (
    KOKORO_LANGUAGES,
    kokoro_voices,
    missing_packages,
    styles_of,
)
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.voices import offline_narrator
from video_pipeline.engine.assets.speech.word_times import shown_times
from video_pipeline.engine.common.spoken_words import words_of
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, TTSError

LANGUAGES = {language.code: language for language in KOKORO_LANGUAGES}

pytestmark = pytest.mark.skipif(
    any(missing_packages(code) for code in LANGUAGES), reason="the extra `voices` is not installed"
)


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_language_is_spoken_with_the_times_of_every_word(code: str, tmp_path: Path) -> None:
    language = LANGUAGES[code]
    spoken = spoken_text(language.sample, language=code)
    narrator = offline_narrator(Tts(), language=code)
    assert narrator == KokoroNarrator(language.voices[0], language, 1.0, 0.0)
    heard = narrator.speak(spoken, tmp_path / "a.wav")
    samples, rate_hz = read(tmp_path / "a.wav")
    seconds = Fraction(len(samples), rate_hz)
    assert rate_hz == 24000
    assert 1.5 < seconds < 6
    assert 0.2 < np.abs(samples).max() <= 0.991
    words = shown_times(spoken, heard)
    assert [(word.start, word.stop) for word in words] == words_of(language.sample)
    at = Fraction(0)
    for word in words:
        assert at <= word.begins < word.ends <= seconds
        at = word.ends
    # Words are heard where there is sound: less of it lies between them than within them.
    level = np.abs(samples)
    inside = np.zeros(len(level), bool)
    for word in words:
        inside[int(word.begins * rate_hz) : int(word.ends * rate_hz)] = True
    assert level[inside].sum() > 0.8 * level.sum()


def test_pace_and_pitch_change_the_length_as_they_should(tmp_path: Path) -> None:
    text = spoken_text(LANGUAGES["es"].sample, language="es")
    lengths = []
    for settings in (
        Tts(voice="ef_dora"),
        Tts(voice="ef_dora", speech_rate=1.5),
        Tts(voice="ef_dora", pitch=3),
    ):
        offline_narrator(settings, language="es").speak(text, tmp_path / "a.wav")
        samples, rate_hz = read(tmp_path / "a.wav")
        lengths.append(len(samples) / rate_hz)
    assert lengths[1] == pytest.approx(lengths[0] / 1.5, rel=0.1)
    assert lengths[2] == pytest.approx(lengths[0], rel=0.1)


def test_every_voice_has_vectors_of_its_own() -> None:
    voices = kokoro_voices()
    packs = {voice: styles_of(voice) for voice in voices}
    assert {pack.shape for pack in packs.values()} == {(510, 256)}
    assert len({pack.tobytes() for pack in packs.values()}) == len(voices) == 26
    assert all(np.isfinite(pack).all() and 0.05 < pack.std() < 0.5 for pack in packs.values())


def test_other_weights_than_the_pinned_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(model_bytes()) > 90_000_000
    monkeypatch.setattr(model, "MODEL_SHA256", "0" * 64)
    with pytest.raises(
        TTSError, match=r"SHA-256 6e742170d309016e…, not 0000000000000000…; install the packages"
    ):
        model_bytes()


def test_text_in_another_language_is_refused_and_an_unknown_voice_lists_the_known(tmp_path: Path) -> None:
    narrator = offline_narrator(Tts(voice="ff_siwis"), language="fr")
    assert narrator.refusal("Hola.", language="es") == (
        "the voice 'ff_siwis' speaks French; the text is not (language 'es')"
    )
    with pytest.raises(
        ConfigError, match=r"tts\.voice: got 'ff_siwi' \(did you mean 'ff_siwis'\?\); allowed: "
    ):
        offline_narrator(Tts(service="kokoro", voice="ff_siwi"), language="fr")
    with pytest.raises(TTSError, match="nothing in the text can be spoken"):
        narrator.speak(spoken_text("…", language="fr"), tmp_path / "a.wav")
    chinese = offline_narrator(Tts(voice="zf_xiaobei"), language="zh")
    with pytest.raises(TTSError, match="the voice 'zf_xiaobei' knows no sound of the text"):
        chinese.speak(spoken_text("ひ", language="zh"), tmp_path / "a.wav")


def test_a_story_is_spoken_in_its_language_and_the_manifest_names_voice_and_credit(tmp_path: Path) -> None:
    scene = {"scene_id": "un", "text": "Bonjour."}
    story = write(tmp_path, {"title": "T", "metadata": {"language": "fr-FR"}, "scenes": [scene]})
    done = run("render", story, "-o", tmp_path / "a.mp4", *SMALL)
    assert done.returncode == 0, done.stderr
    (manifest,) = tmp_path.glob("*manifest*.json")
    narration = json.loads(manifest.read_text(encoding="utf-8"))["narration"]
    assert narration["voices"] == {"un": {"service": "kokoro", "voice": "ff_siwis"}}
    assert narration["word_times"] == {"un": "voice"}
    assert narration["credits"] == [
        "Kokoro-82M v1.0 by hexgrad (Apache-2.0), trained on SIWIS (CC BY 4.0, "
        "https://datashare.ed.ac.uk/handle/10283/2353)"
    ]
