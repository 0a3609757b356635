"""Azure, against a fake by Microsoft's page of 2025-10-21: no machine-readable contract of this interface is published."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.speech_setup import set_environment, speaking
from video_pipeline.engine.assets.speech.azure_speech import azure_characters, azure_setup
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ServiceError, TTSError


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def test_each_language_has_a_voice_of_its_own(tmp_path: Path) -> None:
    with speaking("azure_speech", tmp_path, language="es") as run:
        run.say("La lámpara & el mar.", language="es")
        assert run.fake.problems == []
        assert b'<voice name="es-ES-ElviraNeural">' in run.fake.worked[0].body


def test_a_language_without_a_voice_is_an_error_that_says_what_to_set(tmp_path: Path) -> None:
    with (
        speaking("azure_speech", tmp_path, language="la") as run,
        pytest.raises(TTSError, match=r"'la'; set tts\.voice"),
    ):
        run.say("Lucerna.")


def test_chinese_characters_are_billed_twice() -> None:
    assert azure_characters("a灯b") == 4
    assert azure_characters("灯台") == 4


def test_region_and_key_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    tts = load_config({"tts": {"service": "azure_speech"}}, environ=False).tts
    monkeypatch.delenv("AZURE_SPEECH_REGION", raising=False)
    with pytest.raises(ServiceError, match="AZURE_SPEECH_REGION"):
        azure_setup(tts)
    monkeypatch.setenv("AZURE_SPEECH_REGION", "westeurope")
    assert azure_setup(tts) == (
        "key from environment variable AZURE_SPEECH_KEY, https://westeurope.tts.speech.microsoft.com"
    )
    monkeypatch.delenv("AZURE_SPEECH_KEY")
    with pytest.raises(ServiceError, match="AZURE_SPEECH_KEY"):
        azure_setup(tts)


def test_pieces_stay_far_below_the_ten_minutes_at_which_azure_cuts(tmp_path: Path) -> None:
    text = " ".join(
        f"The keeper of lamp {word} waits." for word in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    )
    with speaking("azure_speech", tmp_path, speech_rate=0.5, timeout=20) as run:
        run.say(text)
        assert len(run.fake.worked) >= 2
        assert all(len(asked.body) < 1200 for asked in run.fake.worked)
