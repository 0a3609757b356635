"""Every speech service on the network against its fake: what it asks, what it makes of each fault, what it pays."""

from __future__ import annotations

import logging
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.support.speech_setup import SECRETS, set_environment, speaking, speaking_through
from tests.support.speech_sounds import AMPLITUDE, PERIOD
from tests.support.speech_vendors import VENDORS
from tests.support.waiting import PROMPT_SECONDS
from video_pipeline.engine.errors import ConfigError, TTSError

TEXT = "The keeper's lamp was lit. A small boat drifted out of the dark."
EACH = pytest.mark.parametrize("name", sorted(VENDORS))
PAID = pytest.mark.parametrize("name", sorted(set(VENDORS) - {"piper"}))


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def read(path: Path) -> tuple[np.ndarray, int]:
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768, file.getframerate()


@EACH
def test_a_service_speaks_by_its_vendors_contract_and_is_asked_once(name: str, tmp_path: Path) -> None:
    with speaking(name, tmp_path) as run:
        first = run.say(TEXT)
        assert run.fake.problems == []
        assert first.spoken_by is not None
        assert first.spoken_by.service == name
        assert 1 < first.sound.duration < 6
        assert [TEXT[word.start : word.stop] for word in first.words][:4] == [
            "The",
            "keeper's",
            "lamp",
            "was",
        ]
        asked = len(run.fake.worked)
        assert run.say(TEXT) == first
        assert len(run.fake.worked) == asked
        assert asked == (2 if name == "amazon_polly" else 1)
        assert sum(run.spending.spent.values()) >= run.fake.billed


@EACH
@pytest.mark.parametrize(
    "fault", ["cut", "cut inside", "429", "429 after 0", "429 date", "500", "html", "false success", "drip"]
)
def test_a_fault_that_passes_is_retried(name: str, fault: str, tmp_path: Path) -> None:
    if (name, fault) == ("openai_compatible", "cut inside"):
        pytest.skip("its WAV files are streamed and have no length; only HTTP tells that one is cut")
    with speaking(name, tmp_path, timeout=1.5 if fault == "drip" else 60) as run:
        run.fake.faults.append(fault)
        begin = time.monotonic()
        assert run.say(TEXT).sound.duration > 1
        assert run.fake.problems == []
        assert time.monotonic() - begin < PROMPT_SECONDS
        assert len(run.fake.worked) == (3 if name == "amazon_polly" else 2)


@EACH
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("cut", "not complete"),
        ("500", "503"),
        ("html", ""),
        ("false success", ""),
        ("429 after 3600", "asks to wait 3600 s"),
    ],
)
def test_a_fault_that_stays_is_an_error_and_leaves_nothing_in_the_cache(
    name: str, fault: str, told: str, tmp_path: Path
) -> None:
    with speaking(name, tmp_path, max_retries=1) as run:
        run.fake.faults.extend([fault] * 20)
        with pytest.raises(TTSError, match=f"^{name}: .*{told}") as caught:
            run.say(TEXT)
        assert not any(secret in str(caught.value) for secret in SECRETS)
        assert len(run.fake.worked) == (1 if "after" in fault else 2)
        assert run.cached == []
        asked = len(run.fake.asked)
        with pytest.raises(TTSError, match=f"^{name}: "):  # not asked again in this render
            run.say("Another text.")
        assert len(run.fake.asked) == asked


@EACH
def test_a_refused_key_is_said_without_the_key_and_not_retried(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with speaking(name, tmp_path) as run:
        run.fake.faults.append("key")
        with pytest.raises(TTSError, match=r"40[13] (Unauthorized|Forbidden)") as caught:
            run.say(TEXT)
        assert len(run.fake.worked) == 1
        if name not in ("piper", "amazon_polly"):
            assert "environment variable" in str(caught.value)
        for secret in (*SECRETS, SECRETS[0][:8], SECRETS[0][-4:]):
            assert secret not in str(caught.value)
            assert secret not in caplog.text


@EACH
def test_an_unknown_voice_lists_the_services_own(name: str, tmp_path: Path) -> None:
    with (
        speaking(name, tmp_path, voice="Unknown-Voice") as run,
        pytest.raises(
            ConfigError,
            match=rf"tts\.voice: got 'Unknown-Voice'.*; allowed for {name}: .*{VENDORS[name]().voices[0]}",
        ),
    ):
        run.say(TEXT)


@EACH
def test_a_long_text_is_cut_at_sentences_and_joined_without_a_click(name: str, tmp_path: Path) -> None:
    sentence = "The old keeper {} climbed the stairs and lit the lamp, and waited for the boat to come home."
    text = " ".join(sentence.format(f"number{chr(97 + at // 26)}{chr(97 + at % 26)}") for at in range(60))
    with speaking(name, tmp_path, timeout=30) as run:
        made = run.say(text)
        assert run.fake.problems == []
        assert len(run.fake.worked) >= 2
        assert len(made.words) == len(text.split())
        samples, _ = read(made.sound.path)
        # The fake's tones move at most so far from one sample to the next; a click is more.
        assert np.abs(np.diff(samples)).max() < 2 * AMPLITUDE * 2 * np.pi / PERIOD
        assert all(a.ends <= b.begins for a, b in zip(made.words, made.words[1:], strict=False))


@PAID
def test_the_same_text_in_two_scenes_is_paid_for_once(name: str, tmp_path: Path) -> None:
    with speaking(name, tmp_path) as run, ThreadPoolExecutor(4) as pool:
        run.fake.pause = 0.1
        made = list(pool.map(run.say, [TEXT] * 4))
        assert len({narration.sound.sha256 for narration in made}) == 1
        assert len(run.fake.worked) == (2 if name == "amazon_polly" else 1)


@EACH
def test_pitch_and_pace_are_asked_for_or_made(name: str, tmp_path: Path) -> None:
    with speaking(name, tmp_path, pitch=3, speech_rate=1.1) as run:
        made = run.say(TEXT)
        assert run.fake.problems == []
        native = name == "google_tts"
        assert read(made.sound.path)[1] == (24000 if native else round(24000 * 2 ** (3 / 12)))


@pytest.mark.parametrize("name", ["google_tts", "amazon_polly"])
def test_marks_give_the_times_of_words(name: str, tmp_path: Path) -> None:
    with speaking(name, tmp_path) as run:
        made = run.say(TEXT)
        assert made.words_by == "voice"
        samples, rate = read(made.sound.path)
        for word in made.words:  # the fake speaks a tone for each word: it begins where the word does
            begin = round(float(word.begins) * rate)
            assert np.abs(samples[begin + 50 : begin + 200]).max() > 0.3, TEXT[word.start : word.stop]
            assert np.abs(samples[max(0, begin - 250) : begin - 50]).max(initial=0) < 0.1
        gap = [a.ends for a, b in zip(made.words, made.words[1:], strict=False) if b.begins - a.ends > 0.1]
        assert len(gap) == 1  # the pause between the sentences belongs to no word


@pytest.mark.parametrize("name", ["azure_speech", "openai_compatible", "piper"])
def test_without_marks_the_times_of_words_are_shares(name: str, tmp_path: Path) -> None:
    with speaking(name, tmp_path) as run:
        assert run.say(TEXT).words_by == "shares"


@pytest.mark.parametrize("name", ["google_tts", "amazon_polly", "azure_speech"])
def test_sounds_of_the_lexicon_reach_a_service_that_takes_them(name: str, tmp_path: Path) -> None:
    with speaking(name, tmp_path) as run:
        run.say("Nike & <b>FBI</b> won at 9 a.m.", lexicon={"Nike": "/ˈnaɪki/"})
        assert run.fake.problems == []
        body = (
            run.fake.worked[0]
            .body.decode("utf-8")
            .encode()
            .decode("unicode_escape" if name == "amazon_polly" else "utf-8")
        )
        assert "ˈnaɪki" in body
        assert "say-as" in body


def test_pieces_of_a_long_text_that_arrived_are_not_asked_for_again(tmp_path: Path) -> None:
    text = " ".join(f"The keeper of lamp number{chr(97 + at)} climbed the stairs." for at in range(26))
    with speaking("azure_speech", tmp_path, speech_rate=0.5, max_retries=0) as run:
        run.fake.faults.extend(["", "500"])
        with pytest.raises(TTSError, match="503"):
            run.say(text)
        assert len(run.fake.worked) == 2
        assert len(run.cached) == 1
        again = speaking_through(run.fake, tmp_path, speech_rate=0.5)
        made = again.say(text)
        bodies = [asked.body for asked in run.fake.worked]
        assert len(bodies) == len(set(bodies)) + 1  # only the one that failed was sent twice
        assert bodies.count(bodies[0]) == 1
        fresh = speaking_through(run.fake, tmp_path / "fresh", speech_rate=0.5).say(text)
        assert fresh.sound.sha256 == made.sound.sha256


def test_a_piece_in_the_cache_with_one_wrong_bit_is_asked_for_again(tmp_path: Path) -> None:
    with speaking("azure_speech", tmp_path) as run:
        made = run.say(TEXT)
        path = run.cached[0]
        data = bytearray(path.read_bytes())
        data[100] ^= 1
        path.write_bytes(data)
        made.sound.path.unlink()
        again = speaking_through(run.fake, tmp_path)
        assert again.say(TEXT) == made
        assert len(run.fake.worked) == 2


def test_a_cache_that_cannot_be_written_does_not_pay_twice(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with speaking("azure_speech", tmp_path) as run:
        assert run.say(TEXT).sound.duration > 1
        assert len(run.fake.worked) == 1
