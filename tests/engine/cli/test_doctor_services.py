"""What `doctor` says of services: set up or not, where the key comes from, and never the key."""

from __future__ import annotations

import pytest

from video_pipeline.engine.cli.doctor_services import examine_pictures, examine_speech, service_lines
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


def test_image_services_are_shown_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENAI_API_KEY", "PEXELS_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("STABILITY_API_KEY", "stability-secret")
    images = {"style": "dunes", "services": {"comfyui": {"workflow": "/no/workflow.json"}}}
    config = load_config({"images": images}, environ=False)
    text = "\n".join(service_lines("pictures", examine_pictures(config)))
    assert (
        "pictures      yes stable_diffusion: key from environment variable STABILITY_API_KEY, https://api.stability"
        in text
    )
    assert "pictures      no  pexels: no key: set the environment variable PEXELS_API_KEY" in text
    assert "pictures      yes automatic1111: no key, http://127.0.0.1:7860" in text
    assert "pictures      yes drawn: 68 motifs, 14 styles (images.style: dunes); offline" in text
    assert (
        "pictures      no  comfyui: images.services.comfyui.workflow: /no/workflow.json cannot be read"
        in text
    )
    assert "stability-secret" not in text
