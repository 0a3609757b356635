"""Narration in the packaged voice: a real WAV file, cached the second time."""

from __future__ import annotations

import random
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from video_pipeline.engine.assets.models import Sound
from video_pipeline.engine.assets.sound import probe_sound
from video_pipeline.engine.assets.speech.hibari import (
    EMBEDDED_VOICE,
    HibariNarrator,
    hibari_voices,
    is_latin,
)
from video_pipeline.engine.assets.speech.hibari_engine import open_engine
from video_pipeline.engine.assets.speech.kokoro.voices import kokoro_voices
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.service import choose_narrator, narrate
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, TTSError

WORDS = "The keeper climbed the stairs one last time."
VOICE = HibariNarrator("heart", 1.0, 0.0)


def read(path: Path) -> tuple[npt.NDArray[np.float64], int]:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768, file.getframerate()


def spoken(
    text: str,
    folder: Path,
    *,
    narrator: HibariNarrator = VOICE,
    language: str = "en",
    settings: Tts | None = None,
) -> tuple[Sound, bool]:
    """Return the sound and whether its file was there before."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.wav")}
    sound = narrate(
        spoken_text(text, language=language),
        language=language,
        narrator=narrator,
        cache_folder=ContentCache(folder),
        settings=settings or Tts(),
    ).sound
    return sound, before.get(sound.path) == sound.path.stat().st_mtime_ns


def pitch_hz(samples: npt.NDArray[np.float64], rate_hz: int) -> float:
    """Return the median fundamental by autocorrelation of the loud stretches of 50 ms."""
    length = rate_hz // 20
    found = []
    for start in range(0, len(samples) - length, length):
        part = samples[start : start + length] - samples[start : start + length].mean()
        if np.sqrt((part**2).mean()) < 0.05:
            continue
        match = np.correlate(part, part, "full")[length - 1 :]
        low, high = rate_hz // 500, rate_hz // 80
        found.append(rate_hz / (low + int(np.argmax(match[low:high]))))
    return float(np.median(found))


def test_words_become_a_sound_of_plausible_length_and_loudness(tmp_path: Path) -> None:
    sound, hit = spoken(WORDS, tmp_path)
    samples, rate_hz = read(sound.path)
    assert hit is False
    assert rate_hz == 24000
    assert sound.duration == Fraction(len(samples), rate_hz)
    assert 1.5 < sound.duration < 5  # eight words, 100 to 300 a minute
    assert 0.05 < np.abs(samples).max() <= 1
    assert np.sqrt((samples**2).mean()) > 0.01


def test_the_second_time_it_comes_from_the_cache_and_made_again_it_is_the_same(tmp_path: Path) -> None:
    first, _ = spoken(WORDS, tmp_path / "one")
    assert spoken(WORDS, tmp_path / "one") == (first, True)
    again, hit = spoken(WORDS, tmp_path / "two")
    assert hit is False
    assert again.path.read_bytes() == first.path.read_bytes()
    assert again.sha256 == first.sha256


def test_a_voice_that_is_cut_off_in_the_cache_is_spoken_again(tmp_path: Path) -> None:
    first, _ = spoken("Hello.", tmp_path)
    whole = first.path.read_bytes()
    for kept in (20, len(whole) - 100):
        first.path.write_bytes(whole[:kept])
        assert spoken("Hello.", tmp_path) == (first, False)
        assert first.path.read_bytes() == whole


def test_a_voice_with_one_wrong_bit_in_the_cache_is_spoken_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sound, _ = spoken("One bit.", tmp_path)
    right = sound.path.read_bytes()
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    places = [0, 20, 43, len(right) - 41, len(right) - 40, len(right) - 1, chance.randrange(len(right))]
    for at in places:
        damaged = bytearray(right)
        damaged[at] ^= 1 << chance.randrange(8)
        sound.path.write_bytes(damaged)
        assert spoken("One bit.", tmp_path) == (sound, False), f"byte {at}"
        assert sound.path.read_bytes() == right
    assert caplog.text.count("is made again: ") == len(places)


def test_the_hash_at_the_end_of_a_voice_is_no_sound(tmp_path: Path) -> None:
    sound, _ = spoken("No sound.", tmp_path)
    data = sound.path.read_bytes()
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    samples, rate_hz = read(sound.path)
    probed = probe_sound(sound.path)
    assert (probed.duration, probed.sha256) == (Fraction(len(samples), rate_hz), sound.sha256)


def test_without_the_cache_it_is_spoken_each_time(tmp_path: Path) -> None:
    settings = Tts(cache_enabled=False)
    assert spoken("Hello.", tmp_path, settings=settings)[1] is False
    assert spoken("Hello.", tmp_path, settings=settings)[1] is False


def test_text_and_voice_settings_have_their_own_files(tmp_path: Path) -> None:
    usual, _ = spoken("Hello there.", tmp_path)
    fast, hit = spoken("Hello there.", tmp_path, narrator=HibariNarrator("heart", 1.6, 0))
    assert hit is False
    assert fast.duration < usual.duration * Fraction(4, 5)
    assert spoken("Hello you.", tmp_path)[1] is False


@pytest.mark.parametrize("semitones", [-6, 6])
def test_pitch_moves_the_voice_and_not_its_pace(tmp_path: Path, semitones: int) -> None:
    words = "For forty years the old keeper kept the lighthouse, and in all that time he never spoke of the storm."
    usual, _ = spoken(words, tmp_path)
    moved, _ = spoken(words, tmp_path, narrator=HibariNarrator("heart", 1.0, semitones))
    # The voice phrases a slower reading a little differently, so both are near and not exact.
    assert float(moved.duration / usual.duration) == pytest.approx(1, abs=0.15)
    ratio = pitch_hz(*read(moved.path)) / pitch_hz(*read(usual.path))
    assert ratio == pytest.approx(2 ** (semitones / 12), rel=0.1)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Der Wärter stieg hinauf.", "de"),
        ("Смотритель молчал.", "ru"),
        ("灯台守は黙っていた。", "en"),
        ("Смотритель.", "en"),
    ],
)
def test_text_that_is_not_english_is_not_spoken(tmp_path: Path, text: str, language: str) -> None:
    with pytest.raises(TTSError, match=r"the voice speaks English; the text is not \(language"):
        spoken(text, tmp_path, language=language)
    assert not list(tmp_path.rglob("*.wav"))


def test_a_text_without_a_word_cannot_be_spoken(tmp_path: Path) -> None:
    with pytest.raises(TTSError, match="nothing in the text can be spoken"):
        VOICE.speak(spoken_text("…  !?", language="en"), tmp_path / "a.wav")
    assert not (tmp_path / "a.wav").exists()


def test_symbols_and_control_characters_do_not_disturb_the_voice(tmp_path: Path) -> None:
    noisy, _ = spoken("Hello 🎉\x07 there.\u200b", tmp_path)
    plain, _ = spoken("Hello there.", tmp_path)
    assert read(noisy.path)[0].tolist() == read(plain.path)[0].tolist()


def phonemes(text: str) -> str:
    """Return what the voice is given for a text, without stress marks."""
    sentences = open_engine("heart").sentences(spoken_text(text, language="en"))
    said = " ".join("".join(word.phonemes for word in words).strip() for words in sentences)
    return said.replace("ˈ", "").replace("ˌ", "")


FAULTS = {
    "I after a book": ("The book I wrote.", "ðə bʊk I ɹOt."),
    "a capital I after a part": ("The Part I like.", "ðə pɑɹt I lIk."),
    "rock 'n' roll": ("Rock 'n' roll.", "ɹɑk ænd ɹOl."),
    "a first apostrophe": ("'Twas night.", "twʌz nIt."),
    "hush": ("Shh! He sleeps.", "ʃː! hi slips."),
    "a sleeper": ("Zzz.", "zː."),
    "versus": ("Tom vs. Jerry.", "tɑm vɜɹsəs ʤɛɹi."),
    "a saint": ("St. Paul", "sAnt pɔl."),
    "a street": ("Main St. is long.", "mAn stɹit ɪz lɔŋ."),
    "a mountain": ("Mt. Everest", "mWnt ɛvəɹɪst."),
    "pages": ("pp. 3", "pAʤᵻz θɹi."),
    "a phone number": ("555-1234", "fIv fIv fIv, wʌn tu θɹi fɔɹ."),
    "a range": ("10-12", "tɛn tə twɛlv."),
    "a slash": ("50/50", "fɪfti fɪfti."),
    "a ruler": ("Henry VIII", "hɛnɹi ði Aθ."),
    "letters": ("The US and the IT team.", "ðə juɛs ænd ði Iti tim."),
    "somebody's letters": ("The US's flag.", "ðə juɛsz flæɡ."),
    "C sharp": ("C# code", "si ʃɑɹp kOd."),
    "a URL": ("https://example.com/a?b=1", "ɪɡzæmpəl dɑt kɑm."),
    "a lone letter at an end": ("A dog and I.", "ɐ dɔɡ ænd I."),
    "a click": ("Tsk!", "tɪsk!"),
    "capitals": ("STOP NOW!", "stɑp nW!"),
    "quotation marks": ('"No." He left.', "nO. hi lɛft."),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_the_voice_are_worked_round(name: str) -> None:
    text, sound = FAULTS[name]
    assert phonemes(text) == sound


def test_the_lexicon_decides_the_sound_and_the_cache_knows(tmp_path: Path) -> None:
    def said(lexicon: dict[str, str]) -> Sound:
        text = spoken_text("The Nike shoe.", language="en", lexicon=lexicon)
        return narrate(
            text, language="en", narrator=VOICE, cache_folder=ContentCache(tmp_path), settings=Tts()
        ).sound

    sounds = [said({}), said({"nike": "nyke"}), said({"nike": "/naɪˈkiː/"})]
    assert len({sound.sha256 for sound in sounds}) == 3
    assert said({"nike": "/naɪˈkiː/"}) == sounds[2]
    text = spoken_text("The Nike's shoe.", language="en", lexicon={"nike": "/ˈnaɪki/"})
    words = [word.phonemes.strip() for sentence in open_engine("heart").sentences(text) for word in sentence]
    assert words[1] == "nˈIkiz"


def test_a_sentence_too_long_for_the_model_is_cut_at_a_clause_and_nothing_is_lost() -> None:
    text = "The keeper climbed the stairs, and the sea was calm, " * 20 + "and then it was dark."
    parts = list(open_engine("heart").sentences(spoken_text(text, language="en")))
    assert len(parts) > 1
    assert all(sum(len(word.phonemes) for word in part) <= 400 for part in parts)
    assert sum(word.end > word.at for part in parts for word in part) == len(text.split())
    assert all("".join(word.phonemes for word in part).rstrip()[-1] in ",." for part in parts)


@pytest.mark.parametrize(
    "text", ["%{localtime}", "':x=0", "[0:v]", "\\", "a" * 300, "1234567890", "$5.00 & 20%", "<b>x</b>"]
)
def test_odd_texts_are_spoken_or_refused_and_nothing_else(tmp_path: Path, text: str) -> None:
    target = tmp_path / "a.wav"
    try:
        VOICE.speak(spoken_text(text, language="en"), target)
    except TTSError:
        assert not target.exists()
    else:
        assert len(read(target)[0]) > 0


def test_latin_is_detected_by_the_majority_of_letters() -> None:
    assert is_latin("Hello, Мир and welcome")
    assert not is_latin("Здравствуй, world")
    assert not is_latin("123")


def test_a_voice_that_is_not_here_is_an_error_that_lists_those_that_are() -> None:
    assert EMBEDDED_VOICE in hibari_voices()
    with pytest.raises(ConfigError, match=r"tts\.voice: got 'nobody'; allowed offline: auto; en: heart"):
        choose_narrator(Tts(voice="nobody"), fallback=True)


def test_a_service_that_is_not_built_falls_back_to_the_embedded_voice_or_is_an_error() -> None:
    guide = Tts(service="google_tts", voice="en-US-Neural2-C", speech_rate=1.2, pitch=2)
    choice = choose_narrator(guide, fallback=True)
    assert choice.narrator == HibariNarrator("heart", 1.2, 2)
    assert choice.warning == (
        "tts.service: got 'google_tts', which is not part of this version; allowed: auto, none, hibari, kokoro; 'hibari' speaks instead"
    )
    with pytest.raises(
        ConfigError, match=r"tts\.service: got 'google_tts', which is not part of this version"
    ):
        choose_narrator(guide, fallback=False)


def test_no_service_is_silence() -> None:
    choice = choose_narrator(Tts(service="none"), fallback=False)
    assert (choice.narrator, choice.warning) == (None, None)


def test_speech_has_no_long_silence_at_its_ends(tmp_path: Path) -> None:
    VOICE.speak(spoken_text("A small boat drifted out of the dark.", language="en"), tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav"), "rb") as file:
        rate = file.getframerate()
        samples = np.abs(np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int32))
    heard = np.flatnonzero(samples > samples.max() / 100)
    assert heard[0] <= 0.07 * rate
    assert len(samples) - heard[-1] <= 0.07 * rate


def test_the_voice_follows_the_language_and_a_named_one_is_found_in_its_service() -> None:
    assert choose_narrator(Tts(), fallback=False).narrator == VOICE
    assert choose_narrator(Tts(voice="heart"), fallback=False, language="fr").narrator == VOICE
    assert choose_narrator(Tts(service="hibari"), fallback=False).narrator == VOICE


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            Tts(),
            "no offline voice speaks the text (language 'de'); those of the extra `voices` and of hibari speak "
            "en, es, fr, hi, it, ja, pt, zh",
        ),
        (
            Tts(service="hibari"),
            "'hibari' has no voice for the text (language 'de'); set tts.service to auto",
        ),
    ],
)
def test_a_language_without_a_voice_is_refused_with_what_has_one(settings: Tts, reason: str) -> None:
    narrator = choose_narrator(settings, fallback=False, language="de").narrator
    assert narrator is not None
    assert str(narrator.refusal("Hallo.", language="de")).startswith(reason)


@pytest.mark.skipif("ff_siwis" not in kokoro_voices(), reason="the extra `voices` is not installed")
def test_a_voice_of_the_extra_is_chosen_by_language_or_name() -> None:
    for settings, language, voice in (
        (Tts(), "fr", "ff_siwis"),
        (Tts(voice="em_alex"), "es", "em_alex"),
        (Tts(service="kokoro"), "ja", "jf_alpha"),
        (Tts(service="kokoro", voice="zm_yunxi"), "zh", "zm_yunxi"),
    ):
        narrator = choose_narrator(settings, fallback=False, language=language).narrator
        assert narrator is not None
        assert narrator.identity["voice"] == voice
        assert narrator.refusal("text", language=language) is None
