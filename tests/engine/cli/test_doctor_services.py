"""What `doctor` says of speech services: set up or not, where the key comes from, and never the key."""

from __future__ import annotations

import pytest

from video_pipeline.engine.cli.doctor_services import examine_speech, service_lines
from video_pipeline.engine.config import load_config


def test_services_are_shown_as_set_up_or_not_and_no_key_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_TTS_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AZURE_SPEECH_KEY", "azure-secret")
    monkeypatch.setenv("AZURE_SPEECH_REGION", "westeurope")
    text = "\n".join(service_lines("speech", examine_speech(load_config({}, environ=False))))
    assert (
        "speech        yes azure_speech: key from environment variable AZURE_SPEECH_KEY, https://westeurope"
        in text
    )
    assert "speech        no  google_tts: no key: set the environment variable GOOGLE_TTS_API_KEY" in text
    assert "speech        yes piper: no key, http://127.0.0.1:5000" in text
    assert "azure-secret" not in text
