"""Word times of Kokoro-FastAPI, on a fake that holds both sides against the server's own schemas."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.service_fakes import ServiceFake, service_fake
from tests.support.speech_setup import Speaking, set_environment, speaking, speaking_through, tts_settings
from tests.support.speech_sounds import spoken_samples
from tests.support.speech_vendors import KEY, KokoroFastApi
from video_pipeline.engine.assets.speech.captioned_speech import captioned_marks, captioned_url
from video_pipeline.engine.assets.speech.openai_compatible import openai_setup
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError, TTSError

TEXT = "The keeper's lamp was lit. A small boat drifted out of the dark, and (at last) 42 gulls cried."
WORD_TIMES = {"openai_compatible": {"word_times": True}}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


@contextmanager
def captioned(folder: Path, **keys: Any) -> Iterator[tuple[Speaking, KokoroFastApi]]:
    vendor = KokoroFastApi()
    with service_fake(vendor) as fake:
        yield speaking_through(fake, folder, services=WORD_TIMES, **keys), vendor


def asked_as_the_readme_does(fake: ServiceFake, **more: Any) -> httpx.Response:
    given = {"model": "kokoro", "input": "Hello world!", "voice": "af_heart", "speed": 1.0, "stream": False}
    return httpx.post(f"{fake.url}/dev/captioned_speech", json={**given, "response_format": "wav", **more})


def test_the_fake_answers_the_readmes_request_and_refuses_what_the_schema_does() -> None:
    with service_fake(KokoroFastApi()) as fake:
        assert [stamp["word"] for stamp in asked_as_the_readme_does(fake).json()["timestamps"]] == [
            "Hello",
            "world",
            "!",
        ]
        assert asked_as_the_readme_does(fake, speed=9).status_code == 422
        assert asked_as_the_readme_does(fake, response_format="aiff").status_code == 422
        assert asked_as_the_readme_does(fake, pitch=2).status_code == 400


def test_words_are_shown_when_the_server_says_that_they_are_heard(tmp_path: Path) -> None:
    with captioned(tmp_path, voice="af_heart") as (run, _):
        made = run.say(TEXT)
        assert run.fake.problems == []
        assert [asked.path for asked in run.fake.asked] == ["/dev/captioned_speech"]
        assert run.fake.asked[0].headers["authorization"] == f"Bearer {KEY}"
        assert made.words_by == "voice"
        spoken = json.loads(run.fake.asked[0].body)["input"]
        _, words = spoken_samples(spoken)
        # The narrator cuts the silence before the first word off, but for its margin.
        offset = words[0][2] - float(made.words[0].begins)
        told = {spoken[at:end]: second for at, end, second in words}
        for word in made.words:
            shown = TEXT[word.start : word.stop].strip("(),.")
            heard = told["forty-two" if shown == "42" else shown]
            assert float(word.begins) == pytest.approx(heard - offset, abs=0.001)
        assert run.say(TEXT) == made
        assert len(run.fake.asked) == 1
        assert run.spending.spent == {"openai_compatible": len(spoken)}


def test_other_servers_are_not_asked_for_word_times(tmp_path: Path) -> None:
    with speaking("openai_compatible", tmp_path) as run:
        assert run.say(TEXT).words_by == "shares"
        assert {asked.path for asked in run.fake.asked} == {"/v1/audio/speech"}


def test_a_server_without_word_times_is_an_error_that_names_the_key(tmp_path: Path) -> None:
    with speaking("openai_compatible", tmp_path, services=WORD_TIMES) as run:
        with pytest.raises(
            ConfigError, match=r"^tts\.services\.openai_compatible\.word_times: got true.*captioned"
        ):
            run.say(TEXT)
        assert run.cached == []
        assert run.spending.spent.get("openai_compatible", 0) == 0


def test_the_setup_says_that_word_times_are_asked_for() -> None:
    with service_fake(KokoroFastApi()) as fake:
        told = openai_setup(tts_settings(fake, services=WORD_TIMES))
    assert told.endswith(f"{fake.url}/v1, word times from /dev/captioned_speech")


def test_openai_itself_tells_no_word_times() -> None:
    given = {"service": "openai_compatible", "services": WORD_TIMES}
    with pytest.raises(ConfigError, match=r"word_times: got true with api\.openai\.com"):
        openai_setup(load_config({"tts": given}, environ=False).tts)


@pytest.mark.parametrize(
    "fault", ["cut", "cut inside", "429", "429 after 0", "500", "html", "false success", "drip"]
)
def test_a_fault_that_passes_is_retried(fault: str, tmp_path: Path) -> None:
    with captioned(tmp_path, timeout=1.5 if fault == "drip" else 60) as (run, _):
        run.fake.faults.append(fault)
        assert run.say(TEXT).words_by == "voice"
        assert len(run.fake.worked) == 2


def test_a_refused_key_is_not_retried_and_not_told(tmp_path: Path) -> None:
    with captioned(tmp_path) as (run, _):
        run.fake.faults.append("key")
        with pytest.raises(TTSError, match="401 Unauthorized") as caught:
            run.say(TEXT)
        assert KEY not in str(caught.value)
        assert len(run.fake.worked) == 1


def test_an_unknown_voice_lists_the_servers_own(tmp_path: Path) -> None:
    with captioned(tmp_path, voice="Unknown") as (run, _), pytest.raises(ConfigError, match="af_heart"):
        run.say(TEXT)


@pytest.mark.parametrize(
    "tells",
    [
        lambda stamps: None,
        lambda stamps: [],
        lambda stamps: stamps[:5],
        lambda stamps: stamps[5:],
        lambda stamps: [{**stamp, "word": "x"} for stamp in stamps],
        lambda stamps: [{**stamp, "end_time": math.inf} for stamp in stamps],
    ],
    ids=["none", "empty", "the first words", "the last words", "other words", "no times"],
)
def test_without_times_for_the_whole_text_they_are_estimated(tells: Any, tmp_path: Path) -> None:
    with captioned(tmp_path) as (run, vendor):
        vendor.tells = tells
        made = run.say(TEXT)
        assert made.words_by == "shares"
        assert len(made.words) == len(TEXT.split())


def stamps(*words: tuple[str, float, float]) -> dict[str, Any]:
    return {"timestamps": [{"word": word, "start_time": a, "end_time": b} for word, a, b in words]}


def test_words_are_matched_however_the_server_divides_them() -> None:
    text = "ab. Don't stop, well-known friend"
    told = stamps(
        ("Do", 1, 1.2), ("n't", 1.2, 1.5), ("stopwell", 2, 2.8), ("-", 2.8, 2.8), ("known friend", 3, 4.1)
    )
    marks = captioned_marks(told, text, 4, len(text))
    assert [(text[at:end], round(seconds, 3)) for at, end, seconds in marks] == [
        ("Don't", 1.0),
        ("stop", 2.0),
        ("well-known", 2.4),
        ("friend", 3.5),
    ]


def test_a_word_that_the_server_said_otherwise_gets_its_time_from_its_neighbours() -> None:
    text = "It was very warm in the old town at 5 that evening."
    told = [(word, float(at), at + 1.0) for at, word in enumerate(text.rstrip(".").split())]
    told[9] = ("five", 9.0, 10.0)
    marks = captioned_marks(stamps(*told), text, 0, len(text))
    assert [round(seconds) for _, _, seconds in marks] == list(range(12))


def test_captioned_speech_is_beside_the_protocols_own_address() -> None:
    assert captioned_url("http://127.0.0.1:8880/v1") == "http://127.0.0.1:8880/dev/captioned_speech"
    assert captioned_url("https://host/kokoro/v1") == "https://host/kokoro/dev/captioned_speech"
