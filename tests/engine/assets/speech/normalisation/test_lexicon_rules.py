"""Words of the lexicon are found and spoken as it says."""

from __future__ import annotations

import pytest

from video_pipeline.engine.assets.speech.hibari_sounds import from_ipa
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text


def test_a_small_word_is_found_however_it_is_written_and_a_capital_one_only_so() -> None:
    lexicon = {"gif": "jiff", "Bath": "Bahth", "Dr. Who": "the doctor", "GPT-4": "gee pee tee 4"}
    text = "A GIF, a gif and gifts. A bath in Bath. Dr.  Who has GPT-4."
    assert spoken_text(text, language="en", lexicon=lexicon).text == (
        "A jiff, a jiff and gifts. A bath in Bahth. the doctor has gee pee tee four."
    )


def test_ipa_is_kept_with_the_part_and_the_possessive_goes_with_it() -> None:
    spoken = spoken_text("Siobhán's lamp", language="en", lexicon={"siobhán": "/ʃɪˈvɔːn/"})
    assert [(part.phonemes, spoken.text[part.at : part.end]) for part in spoken.parts] == [
        ("ʃɪˈvɔːn", "Siobhán's"),
        ("", "lamp"),
    ]


def test_in_languages_without_spaces_a_word_is_found_inside_a_row_of_letters() -> None:
    assert (
        spoken_text("大きな桃太郎です。", language="ja", lexicon={"桃太郎": "ももたろう"}).text
        == "大きなももたろうです。"
    )


@pytest.mark.parametrize(
    ("ipa", "sounds"),
    [
        ("həˈloʊ", "həlˈO"),
        ("ˈnaɪki", "nˈIki"),
        ("t͡ʃɛk", "ʧɛk"),
        ("ˈdʒɔɪ.fʊl", "ʤˈYfʊl"),
        ("ʃɪˈvɔːn", "ʃɪvˈɔn"),
        ("ˈbɜːrd", "bˈɜɹd"),
        ("ɲoˈki", "njOkˈi"),
        ("bɔ̃ˈʒuʁ", "bɔnʒˈuɹ"),
    ],
)
def test_ipa_becomes_the_sounds_that_the_voice_knows(ipa: str, sounds: str) -> None:
    assert from_ipa(ipa) == sounds
