"""Phonemes of Kokoro's languages, and which characters they are the sound of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process_state import has_ended
from tests.support.waiting import wait_until
from video_pipeline.engine.assets.speech.kokoro.espeak import Espeak, EspeakError, divided_phonemes
from video_pipeline.engine.assets.speech.kokoro.mandarin import pinyin_phonemes
from video_pipeline.engine.assets.speech.kokoro.phonemes import MAX_KOKORO_PHONEMES, kokoro_sentences
from video_pipeline.engine.assets.speech.kokoro.voices import KOKORO_LANGUAGES, missing_packages
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text

LANGUAGES = {language.code: language for language in KOKORO_LANGUAGES}

pytestmark = pytest.mark.skipif(
    any(missing_packages(code) for code in LANGUAGES), reason="the extra `voices` is not installed"
)


def phonemes_of(text: str, code: str, **options: object) -> list[str]:
    spoken = spoken_text(text, language=code, **options)  # type: ignore[arg-type]
    sentences = kokoro_sentences(spoken, LANGUAGES[code])
    return ["".join(word.phonemes for word in words).strip() for words in sentences]


@pytest.mark.parametrize(
    ("code", "text", "phonemes"),
    [
        ("es", "El viejo subió. ¿Quién era?", ["el βjˈexo suβjˈo.", "kjˈen ˈeɾa?"]),
        ("fr", "« Qui est-ce ? » L'homme avait 84 ans.", ["“ki ɛs?”", "lˈɔm avˈɛ kˈatʁvˈɛ̃tkˈatʁ ˈɑ̃."]),
        ("hi", "उसने समुद्र को देखा। बार", ["ˈʊsnˌeː səmˈʊdɾə koː dˈeːkʰaː.", "bˈaːɾ."]),
        ("it", "C'era una volta, nel faro.", ["ʧˈɛra ˌʊna vˈɔlta, nel fˈaro."]),
        ("pt", "Era uma vez.", ["ˌɛɾæ ˌumæ vˈes."]),
        ("zh", "银行行长（很好）。", ["i↗nxa↗ŋ xa↗ŋꭧa↓ŋ (xə↓nxau↓)."]),
        ("zh", "他说：OK！", ["tʰa→ ʂwo→: ˌOkˈA!"]),
        ("ja", "海に灯台が。「誰？」", ["ɯmʲi ɲi toːdai ɡa.", "“daɾe?”"]),
    ],
)
def test_each_language_is_read_as_the_model_was_trained(code: str, text: str, phonemes: list[str]) -> None:
    assert phonemes_of(text, code) == phonemes


@pytest.mark.parametrize(
    ("syllable", "phonemes"),
    [
        ("zhi1", "ꭧɨ→"),
        ("nü3", "ny↓"),
        ("er2", "ɚ↗"),
        ("guo4", "kwo↘"),
        ("ma5", "ma"),
        ("xyz", ""),
        ("q9", ""),
    ],
)
def test_syllables_of_pinyin_have_phonemes_and_other_text_has_none(syllable: str, phonemes: str) -> None:
    assert pinyin_phonemes(syllable) == phonemes


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_word_is_placed_in_order_within_the_text(code: str) -> None:
    spoken = spoken_text(LANGUAGES[code].sample, language=code)
    words = [word for words in kokoro_sentences(spoken, LANGUAGES[code]) for word in words]
    reached = 0
    for word in words:
        assert reached <= word.at <= word.end <= len(spoken.text)
        reached = word.end
    letters = sum(character.isalpha() for word in words for character in spoken.text[word.at : word.end])
    assert letters == sum(map(str.isalpha, spoken.text))


def test_words_that_espeak_joins_or_divides_share_their_sound_in_order() -> None:
    assert divided_phonemes("dəla mˈɛʁ ", ["də", "la", "mˈɛʁ"]) == ["də", "la ", "mˈɛʁ "]
    assert divided_phonemes("ˈɛl ˈa bˈɔ̃ ", ["ˈɛla", "bˈɔ̃"]) == ["ˈɛl ˈa ", "bˈɔ̃ "]


def test_the_lexicon_decides_a_word_by_ipa_or_spelling() -> None:
    lexicon = {"Nike": "/ˈnaɪki/", "GIF": "yif"}
    assert phonemes_of("Nike y GIF.", "es", lexicon=lexicon) == ["ˈnaɪki i ʝˈif."]


def test_a_long_sentence_is_given_to_the_model_in_parts() -> None:
    parts = phonemes_of("El viejo subió las escaleras, miró el mar, " * 20, "es")
    assert len(parts) > 3
    assert max(map(len, parts)) <= MAX_KOKORO_PHONEMES


def test_a_killed_espeak_is_started_again_and_an_unknown_language_is_an_error() -> None:
    espeak = Espeak()
    assert espeak.phonemes(["mar"], language="es") == ["mˈaɾ"]
    assert espeak._process is not None
    os.kill(espeak._process.pid, signal.SIGKILL)
    espeak._process.wait()
    assert espeak.phonemes(["mar", ""], language="es") == ["mˈaɾ", ""]
    with pytest.raises(EspeakError, match="espeak-ng has no language 'xx'"):
        espeak.phonemes(["mar"], language="xx")
    assert espeak.phonemes(["mar"], language="es") == ["mˈaɾ"]
    espeak.close()


def test_espeak_runs_in_a_process_of_its_own_that_ends_with_this_program(tmp_path: Path) -> None:
    program = (
        "import os, time\n"
        "from video_pipeline.engine.assets.speech.kokoro.espeak import open_espeak\n"
        "open_espeak().phonemes(['mar'], language='es')\n"
        "assert 'espeak' not in open('/proc/self/maps').read()\n"
        "print(open_espeak()._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert "espeak" in Path(f"/proc/{child}/maps").read_text()
        parent.kill()
    wait_until(lambda: has_ended(child), what="the end of espeak")
