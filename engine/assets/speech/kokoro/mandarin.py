"""Mandarin: from Chinese characters to pinyin, and from pinyin to the phonemes that Kokoro was trained with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from video_pipeline.engine.assets.speech.voiced_words import VoicedWord

INITIALS: Final[Mapping[str, str]] = {
    **{"b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ"},
    **{"h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "r": "ɻ"},
    **{"z": "ʦ", "c": "ʦʰ", "s": "s", "": ""},
}
FINALS: Final[Mapping[str, str]] = {
    **{"a": "a0", "ai": "ai0", "an": "a0n", "ang": "a0ŋ", "ao": "au0", "e": "ɤ0", "ei": "ei0", "en": "ə0n"},
    **{"eng": "ə0ŋ", "i": "i0", "ia": "ja0", "ian": "jɛ0n", "iang": "ja0ŋ", "iao": "jau0", "ie": "je0"},
    **{"in": "i0n", "iou": "jou0", "ing": "i0ŋ", "iong": "jʊ0ŋ", "ong": "ʊ0ŋ", "ou": "ou0", "u": "u0"},
    **{
        "uei": "wei0",
        "ua": "wa0",
        "uai": "wai0",
        "uan": "wa0n",
        "uen": "wə0n",
        "uang": "wa0ŋ",
        "ueng": "wə0ŋ",
    },
    **{"uo": "wo0", "o": "wo0", "ü": "y0", "üe": "ɥe0", "üan": "ɥɛ0n", "ün": "y0n"},
}
"""Where the tone stands is 0. After A. misaki's transcription (from pinyin-to-ipa by S. Taubert, MIT)."""

ALONE: Final[Mapping[str, str]] = {
    **{
        "io": "jɔ0",
        "ê": "ɛ0",
        "er": "ɚ0",
        "o": "ɔ0",
        "hm": "hm0",
        "hng": "hŋ0",
        "m": "m0",
        "n": "n0",
        "ng": "ŋ0",
    }
}
"""Interjections and syllables without a vowel."""

BUZZED: Final = ("zh", "ch", "sh", "r", "z", "c", "s")
"""After these, `i` is a buzzed vowel."""

TONES: Final[Mapping[str, str]] = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}


def is_chinese(character: str) -> bool:
    """Return whether a character is a Chinese one of the basic blocks."""
    return "\u3400" <= character <= "\u9fff"


def pinyin_phonemes(syllable: str) -> str:
    """Return the phonemes of a syllable of pinyin with its tone as a digit, such as `hao3`; nothing if it is none."""
    from pypinyin.contrib.tone_convert import to_finals, to_initials

    plain, tone = syllable[:-1], syllable[-1:]
    if tone not in TONES:
        return ""
    if plain in ALONE:
        sound = ALONE[plain]
    else:
        initial = to_initials(plain, strict=True)
        final = to_finals(plain, strict=True, v_to_u=True)
        if initial not in INITIALS or final not in FINALS:
            return ""
        sound = INITIALS[initial] + ("ɨ0" if final == "i" and initial in BUZZED else FINALS[final])
    return sound.replace("0", TONES[tone])


def _characters_of(run: str) -> Any:
    """Return the characters of a run without readings one by one; the type that pypinyin declares is narrower."""
    return list(run)


def mandarin_words(text: str, at: int) -> Iterator[VoicedWord]:
    """Yield the words of a stretch of Chinese characters that begins at the character `at`."""
    from icu4py.breakers import WordBreaker
    from pypinyin import Style, lazy_pinyin

    syllables = lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True, errors=_characters_of)
    if len(syllables) != len(text):
        syllables = [
            one for character in text for one in lazy_pinyin(character, style=Style.TONE3)[:1] or [""]
        ]
    start = 0
    for word in WordBreaker(text, "zh"):
        stop = start + len(word)
        phonemes = "".join(map(pinyin_phonemes, syllables[start:stop]))
        yield VoicedWord(f"{phonemes} ", at + start, at + stop)
        start = stop
