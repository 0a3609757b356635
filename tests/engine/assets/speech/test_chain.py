"""Which service speaks: the configured one, those of tts.fallback in order, and in the end silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.speech_fakes import speech_fake
from tests.support.speech_setup import endpoint_keys, set_environment, speaking_through, spending
from tests.support.speech_vendors import KEY, OpenAi
from video_pipeline.engine.assets.speech.chain import NarratorChoice, choose_narrator
from video_pipeline.engine.assets.speech.hibari import EMBEDDED_VOICE, HibariNarrator, hibari_voices
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.service import SpeechContext
from video_pipeline.engine.assets.speech.voice_names import voice_for
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, TTSError
from video_pipeline.engine.jobs.dispatch.failures import classify

WORDS = spoken_text("The lamp was lit.", language="en")


def chosen(tts: Tts, folder: Path, *, fallback: bool = True) -> NarratorChoice:
    context = SpeechContext(
        language="en", region="", meter=spending(folder), cache=ContentCache(folder / "cache")
    )
    return choose_narrator(tts, fallback=fallback, context=context)


def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "GOOGLE_TTS_API_KEY",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "AZURE_SPEECH_KEY",
        "OPENAI_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)


def test_a_voice_that_is_not_here_is_an_error_that_lists_those_that_are(tmp_path: Path) -> None:
    assert EMBEDDED_VOICE in hibari_voices()
    with pytest.raises(ConfigError, match=r"tts\.voice: got 'marvin'; allowed offline: .*heart"):
        chosen(Tts(voice="marvin"), tmp_path)


def test_a_service_that_this_version_lacks_falls_back_or_is_an_error(tmp_path: Path) -> None:
    tts = Tts(service="my_tts", voice="en-US-Neural2-C", speech_rate=1.2, pitch=2)
    choice = chosen(tts, tmp_path)
    assert choice.warning is not None
    assert choice.warning.startswith(
        "tts.service: got 'my_tts', which is not part of this version; allowed: none, hibari,"
    )
    assert choice.warning.endswith("; 'hibari' speaks instead")
    assert choice.chain is not None
    assert choice.chain.narrator("hibari") == HibariNarrator("heart", 1.2, 2)
    with pytest.raises(ConfigError, match=r"tts\.service: got 'my_tts', which is not part of this version"):
        chosen(tts, tmp_path, fallback=False)


def test_a_service_without_its_key_falls_back_or_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset(monkeypatch)
    tts = Tts(service="azure_speech", fallback=("google_tts", "hibari"))
    choice = chosen(tts, tmp_path)
    assert choice.chain is not None
    assert "AZURE_SPEECH_KEY" in (choice.warning or "")
    made = choice.chain.narrate(WORDS)
    assert made.narration.spoken_by == "hibari"
    assert len(made.reasons) == 1  # Azure's is the warning of the whole render
    assert "GOOGLE_TTS_API_KEY" in made.reasons[0]
    assert choice.chain.narrate(WORDS).reasons == ()
    with pytest.raises(ConfigError, match="AZURE_SPEECH_KEY"):
        chosen(tts, tmp_path, fallback=False)


def test_no_service_is_silence(tmp_path: Path) -> None:
    assert chosen(Tts(service="none"), tmp_path, fallback=False) == NarratorChoice(None, None)


def test_when_no_service_speaks_every_reason_is_told_for_each_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset(monkeypatch)
    choice = chosen(Tts(service="azure_speech", fallback=("google_tts",)), tmp_path)
    assert choice.chain is not None
    for _ in range(2):
        with pytest.raises(TTSError) as caught:
            choice.chain.narrate(WORDS)
        assert "AZURE_SPEECH_KEY" in str(caught.value)
        assert "GOOGLE_TTS_API_KEY" in str(caught.value)


def test_a_service_that_goes_down_is_replaced_and_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch)
    with speech_fake(OpenAi()) as fake:
        run = speaking_through(fake, tmp_path, fallback=["hibari"], max_retries=1)
        assert run.say("One.").spoken_by == "openai_compatible"
        fake.faults.extend(["500", "500"])
        made = run.chain.narrate(WORDS)
        assert made.narration.spoken_by == "hibari"
        assert made.reasons == ("openai_compatible: 503 Service Unavailable (sent 2 times)",)
        asked = len(fake.asked)
        assert run.say("Two.").spoken_by == "hibari"
        assert len(fake.asked) == asked


def test_a_text_that_is_refused_is_spoken_by_the_next_and_the_service_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch)

    class Choosy(OpenAi):
        def answer(self, asked: Any) -> Any:
            from tests.support.speech_fakes import Answer

            if b"lamp" in asked.body:
                return Answer(400, "application/json", b'{"error": {"message": "content policy"}}'), 0
            return super().answer(asked)

    with speech_fake(Choosy()) as fake:
        run = speaking_through(fake, tmp_path, fallback=["hibari"])
        made = run.chain.narrate(WORDS)
        assert made.reasons == ("openai_compatible: 400 Bad Request: content policy",)
        assert made.narration.spoken_by == "hibari"
        assert run.say("Two.").spoken_by == "openai_compatible"


@pytest.mark.parametrize(("fault", "kind"), [("500", "retryable"), ("key", "permanent")])
def test_a_job_is_tried_again_only_if_that_can_help(
    fault: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch)
    with speech_fake(OpenAi()) as fake:
        run = speaking_through(fake, tmp_path, max_retries=0)
        fake.faults.append(fault)
        with pytest.raises(TTSError) as caught:
            run.chain.narrate(WORDS)
        wrapped = TTSError(f"scenes[0]: {caught.value}")
        wrapped.__cause__ = caught.value
        assert classify(wrapped).kind == kind


def test_a_server_that_is_not_there_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    with speech_fake(OpenAi()) as fake:
        endpoint = endpoint_keys(fake)["openai_compatible"]["endpoint"]
    with speech_fake(OpenAi()) as other:
        services = {"openai_compatible": {"endpoint": endpoint}}
        run = speaking_through(other, tmp_path, services=services, max_retries=0)
        with pytest.raises(TTSError, match=r"cannot be reached at 127\.0\.0\.1:\d+: ") as caught:
            run.say("One.")
        assert KEY not in str(caught.value)
        assert run.spending.spent == {}


def test_the_budget_is_a_reason_to_fall_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    with speech_fake(OpenAi()) as fake:
        run = speaking_through(fake, tmp_path, fallback=["hibari"], job=10)
        made = run.chain.narrate(WORDS)
        assert "tts.max_characters allows 10" in made.reasons[0]
        assert fake.asked == []


@pytest.mark.parametrize(
    ("service", "voice", "owner"),
    [
        ("amazon_polly", "en-US-Neural2-C", "google_tts"),
        ("google_tts", "Joanna", "amazon_polly"),
        ("google_tts", "en-US-JennyNeural", "azure_speech"),
        ("azure_speech", "de-DE-Wavenet-A", "google_tts"),
        ("azure_speech", "alloy", "openai_compatible"),
        ("openai_compatible", "en_US-lessac-medium", "piper"),
        ("piper", "heart", "hibari"),
        ("hibari", "zh-CN-XiaoxiaoNeural", "azure_speech"),
        ("hibari", "cmn-CN-Chirp3-HD-Achernar", "google_tts"),
    ],
)
def test_a_voice_of_another_service_is_said_to_be_that(
    service: str, voice: str, owner: str, tmp_path: Path
) -> None:
    with pytest.raises(
        ConfigError, match=rf"tts\.voice: got '{voice}', a voice of {owner}; tts\.service is '{service}'"
    ):
        voice_for(Tts(service=service, voice=voice), service)


def test_each_service_of_the_fallback_gets_a_voice_of_its_own() -> None:
    tts = Tts(
        service="google_tts", voice="en-US-Neural2-C", services={"piper": {"voice": "en_US-lessac-medium"}}
    )  # type: ignore[arg-type]
    assert voice_for(tts, "google_tts") == "en-US-Neural2-C"
    assert voice_for(tts, "piper") == "en_US-lessac-medium"
    assert voice_for(tts, "hibari") == ""
    assert voice_for(Tts(service="none", voice="Joanna"), "amazon_polly") == "Joanna"
    assert voice_for(Tts(service="google_tts"), "google_tts") == ""
    assert voice_for(Tts(service="google_tts", voice="auto"), "google_tts") == ""
