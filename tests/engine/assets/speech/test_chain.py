"""Which service speaks: the configured one, those of tts.fallback in order, and in the end silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.service_fakes import service_fake
from tests.support.speech_setup import (
    endpoint_keys,
    set_environment,
    speaking_through,
    spending,
    tts_settings,
)
from tests.support.speech_vendors import KEY, OpenAi
from video_pipeline.engine.assets.models import Narration
from video_pipeline.engine.assets.speech.chain import NarratorChoice, choose_narrator
from video_pipeline.engine.assets.speech.hibari import EMBEDDED_VOICE, HibariNarrator, hibari_voices
from video_pipeline.engine.assets.speech.kokoro.voices import kokoro_voices
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.service import SpeechContext, UnspokenError
from video_pipeline.engine.assets.speech.voice_names import voice_for
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.spoken_words import SpokenBy
from video_pipeline.engine.config.load import load_config
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, TTSError
from video_pipeline.engine.jobs.dispatch.failures import classify

WORDS = spoken_text("The lamp was lit.", language="en")

needs_voices = pytest.mark.skipif(
    "ff_siwis" not in kokoro_voices(), reason="the extra `voices` is not installed"
)


def chosen(tts: Tts, folder: Path, *, fallback: bool = True, language: str = "en") -> NarratorChoice:
    context = SpeechContext(
        language=language, region="", meter=spending(folder), cache=ContentCache(folder / "cache")
    )
    return choose_narrator(tts, fallback=fallback, context=context)


def service_of(narration: Narration) -> str:
    assert narration.spoken_by is not None
    return narration.spoken_by.service


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
    with pytest.raises(ConfigError, match=r"tts\.voice: got 'marvin'; allowed offline: auto; en: heart"):
        chosen(Tts(voice="marvin"), tmp_path)


@pytest.mark.parametrize("key", [{"service": "gogle_tts"}, {"fallback": ["hibari", "gogle_tts"]}])
def test_a_service_that_is_not_known_is_an_error_that_lists_those_that_are(key: dict[str, Any]) -> None:
    told = r"tts\.(service|fallback\[1\]): got 'gogle_tts' \(did you mean 'google_tts'\?\); allowed: 'auto', "
    with pytest.raises(ConfigError, match=told):
        load_config({"tts": key}, environ=False)


def test_a_service_without_its_key_falls_back_or_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset(monkeypatch)
    tts = Tts(service="azure_speech", fallback=("google_tts", "hibari"))
    choice = chosen(tts, tmp_path)
    assert choice.chain is not None
    assert "AZURE_SPEECH_KEY" in (choice.warning or "")
    made = choice.chain.narrate(WORDS)
    assert service_of(made.narration) == "hibari"
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
    with service_fake(OpenAi()) as fake:
        run = speaking_through(fake, tmp_path, fallback=["hibari"], max_retries=1)
        assert service_of(run.say("One.")) == "openai_compatible"
        fake.faults.extend(["500", "500"])
        made = run.chain.narrate(WORDS)
        assert service_of(made.narration) == "hibari"
        assert made.reasons == ("openai_compatible: 503 Service Unavailable (sent 2 times)",)
        asked = len(fake.asked)
        assert service_of(run.say("Two.")) == "hibari"
        assert len(fake.asked) == asked


def test_a_text_that_is_refused_is_spoken_by_the_next_and_the_service_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch)

    class Choosy(OpenAi):
        def answer(self, asked: Any) -> Any:
            from tests.support.service_fakes import Answer

            if b"lamp" in asked.body:
                return Answer(400, "application/json", b'{"error": {"message": "content policy"}}'), 0
            return super().answer(asked)

    with service_fake(Choosy()) as fake:
        run = speaking_through(fake, tmp_path, fallback=["hibari"])
        made = run.chain.narrate(WORDS)
        assert made.reasons == ("openai_compatible: 400 Bad Request: content policy",)
        assert service_of(made.narration) == "hibari"
        assert service_of(run.say("Two.")) == "openai_compatible"


@pytest.mark.parametrize(("fault", "kind"), [("500", "retryable"), ("key", "permanent")])
def test_a_job_is_tried_again_only_if_that_can_help(
    fault: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch)
    with service_fake(OpenAi()) as fake:
        run = speaking_through(fake, tmp_path, max_retries=0)
        fake.faults.append(fault)
        with pytest.raises(TTSError) as caught:
            run.chain.narrate(WORDS)
        wrapped = TTSError(f"scenes[0]: {caught.value}")
        wrapped.__cause__ = caught.value
        assert classify(wrapped).kind == kind


def test_a_server_that_is_not_there_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    with service_fake(OpenAi()) as fake:
        endpoint = endpoint_keys(fake)["openai_compatible"]["endpoint"]
    with service_fake(OpenAi()) as other:
        services = {"openai_compatible": {"endpoint": endpoint}}
        run = speaking_through(other, tmp_path, services=services, max_retries=0)
        with pytest.raises(TTSError, match=r"cannot be reached at 127\.0\.0\.1:\d+: ") as caught:
            run.say("One.")
        assert KEY not in str(caught.value)
        assert run.spending.spent == {}


def test_the_budget_is_a_reason_to_fall_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    with service_fake(OpenAi()) as fake:
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
        ("kokoro", "heart", "hibari"),
        ("kokoro", "Joanna", "amazon_polly"),
        ("piper", "ff_siwis", "openai_compatible and kokoro"),
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
    assert voice_for(Tts(service="none", voice="ff_siwis"), "kokoro") == "ff_siwis"
    assert voice_for(Tts(service="none", voice="Joanna"), "amazon_polly") == "Joanna"
    assert voice_for(Tts(service="google_tts"), "google_tts") == ""
    assert voice_for(Tts(service="google_tts", voice="auto"), "google_tts") == ""


@pytest.mark.parametrize(
    ("tts", "language"),
    [(Tts(), "en"), (Tts(voice="heart"), "fr"), (Tts(service="hibari"), "en"), (Tts(service="auto"), "en")],
)
def test_the_voice_follows_the_language_and_a_named_one_is_found_in_its_service(
    tts: Tts, language: str, tmp_path: Path
) -> None:
    chain = chosen(tts, tmp_path, language=language).chain
    assert chain is not None
    assert chain.narrator(chain.names[0]) == HibariNarrator("heart", 1.0, 0.0)


@needs_voices
@pytest.mark.parametrize(
    ("tts", "language", "voice"),
    [
        (Tts(), "fr", "ff_siwis"),
        (Tts(voice="em_alex"), "es", "em_alex"),
        (Tts(service="kokoro"), "ja", "jf_alpha"),
        (Tts(service="kokoro", voice="zm_yunxi"), "zh", "zm_yunxi"),
    ],
)
def test_a_voice_of_the_extra_is_chosen_by_language_or_name(
    tts: Tts, language: str, voice: str, tmp_path: Path
) -> None:
    chain = chosen(tts, tmp_path, language=language).chain
    assert chain is not None
    assert chain.names == ("kokoro",)
    assert chain.narrator("kokoro").identity["voice"] == voice
    assert chain.narrator("kokoro").refusal("text", language=language) is None


NO_GERMAN = "no offline voice speaks the text (language 'de'); those of the extra `voices` and of hibari speak en, es, fr, "


@pytest.mark.parametrize(
    ("tts", "fallback", "reason"),
    [
        (Tts(), True, NO_GERMAN),
        (Tts(), False, NO_GERMAN),
        (Tts(service="hibari"), True, f"'hibari' has no voice for the text (language 'de'); {NO_GERMAN}"),
        (Tts(service="hibari"), False, f"'hibari' has no voice for the text (language 'de'); {NO_GERMAN}"),
    ],
)
def test_a_language_without_a_voice_is_refused_with_what_has_one(
    tts: Tts, fallback: bool, reason: str, tmp_path: Path
) -> None:
    choice = chosen(tts, tmp_path, fallback=fallback, language="de")
    assert choice.chain is not None
    assert (choice.warning, choice.chain.parallel) == (None, 1)
    for _ in range(2):
        with pytest.raises(TTSError) as caught:
            choice.chain.narrate(spoken_text("Hallo.", language="de"))
        assert str(caught.value).startswith(reason)
        assert "tts.service may name one that does: google_tts, amazon_polly," in str(caught.value)


def test_a_service_without_a_key_and_a_language_without_a_voice_give_both_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset(monkeypatch)
    choice = chosen(Tts(service="google_tts"), tmp_path, language="de")
    assert choice.chain is not None
    assert str(choice.warning).endswith("; scenes are silent and 1.5 times longer")
    with pytest.raises(TTSError) as caught:
        choice.chain.narrate(spoken_text("Hallo.", language="de"))
    assert "GOOGLE_TTS_API_KEY" in str(caught.value)
    assert NO_GERMAN in str(caught.value)


def test_a_service_speaks_where_no_offline_voice_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch)
    with service_fake(OpenAi()) as fake:
        tts = tts_settings(fake, service="auto", fallback=["openai_compatible"])
        choice = chosen(tts, tmp_path, language="de")
        assert choice.chain is not None
        assert str(choice.warning).startswith(NO_GERMAN)
        assert str(choice.warning).endswith("; 'openai_compatible' speaks instead")
        assert choice.chain.parallel == tts.parallel_requests
        made = choice.chain.narrate(spoken_text("Hallo.", language="de"))
        assert (service_of(made.narration), made.reasons) == ("openai_compatible", ())


@needs_voices
def test_an_offline_voice_of_the_language_speaks_if_a_service_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset(monkeypatch)
    choice = chosen(Tts(service="google_tts"), tmp_path, language="es")
    assert choice.chain is not None
    assert str(choice.warning).endswith("; 'kokoro' speaks instead")
    made = choice.chain.narrate(spoken_text("Hola.", language="es"))
    assert made.narration.spoken_by == SpokenBy("kokoro", "ef_dora")
    reason = "'hibari' has no voice for the text (language 'es')"
    english = chosen(Tts(service="hibari"), tmp_path, fallback=False, language="es").chain
    assert english is not None
    with pytest.raises(TTSError) as caught:
        english.narrate(spoken_text("Hola.", language="es"))
    assert str(caught.value) == f"{reason}; set tts.service to auto"
    later = chosen(Tts(service="google_tts", fallback=("hibari", "auto")), tmp_path, language="es").chain
    assert later is not None
    assert later.narrate(spoken_text("Hola.", language="es")).reasons == (reason,)


def test_a_voice_of_a_service_on_the_network_is_said_to_be_that_with_auto(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"tts\.voice: got 'Joanna', a voice of amazon_polly; set tts\.service to amazon_polly, or name another voice; "
        r"allowed offline: auto; en: heart",
    ):
        chosen(Tts(voice="Joanna"), tmp_path)


def test_what_is_not_cached_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    with service_fake(OpenAi()) as fake:
        run = speaking_through(fake, tmp_path, fallback=["hibari"])
        with pytest.raises(UnspokenError):
            run.chain.narrate(WORDS, only_cached=True)
        assert fake.asked == []
        assert run.chain.order.closed == {}
        first = run.chain.narrate(WORDS)
        asked = len(fake.asked)
        assert run.chain.narrate(WORDS, only_cached=True) == first
        assert len(fake.asked) == asked
