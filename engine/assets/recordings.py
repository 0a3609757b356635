"""Narration that is recorded: of one scene, or of the whole story and then divided among its scenes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.assets.models import Narration, WordTimesBy
from video_pipeline.engine.assets.sound import SAMPLE_RATE_HZ, probe_sound, read_sound
from video_pipeline.engine.assets.speech.normalisation.dates import DateOrder
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.word_times import estimated_seconds, shared_times, shown_times
from video_pipeline.engine.assets.word_files import WrittenWord, read_word_file
from video_pipeline.engine.common.input_files import InputFiles
from video_pipeline.engine.common.spoken_words import SpokenWord, carried_over, matching_words, moved, places
from video_pipeline.engine.errors import AssetError

SPEECH_LEVEL_DB: Final = -20.0
"""The level of the loud parts that a recording is brought to: that of the offline voices, -16 to -24."""

LUFS_OVER_LEVEL: Final = 2.4
"""The loudness (LUFS) of an offline voice on both channels less the level of its loud parts, measured by ebur128."""

MOST_GAIN_DB: Final = 30.0
SILENCE_PEAK: Final = 0.001
"""A recording that never exceeds this (-60 dB) holds no speech."""

ENVELOPE_SAMPLES: Final = 10
"""Samples for which only the loudest is kept: pauses are found in steps of 10 ms, and an hour fits into memory."""

FASTEST: Final = 4
"""A recording this many times faster or slower than words are usually spoken says others, or not all of them."""

SPARE_SECONDS: Final = 10
"""Silence or music in a recording of few words that is no reason for a warning."""

BLOCK_SAMPLES: Final = SAMPLE_RATE_HZ // 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the words of a story are read, for the times that are estimated."""

    language: str
    dates: DateOrder
    lexicon: Mapping[str, str]
    files: InputFiles


class WordFileError(AssetError):
    """The file of words cannot be used; the recording can."""


class Recorded(NamedTuple):
    """A recording of a text, and the warnings about it, each with the field that it is about."""

    narration: Narration
    warnings: tuple[tuple[str, str], ...]


class _Heard(NamedTuple):
    """The envelope of a sound at `SAMPLE_RATE_HZ / ENVELOPE_SAMPLES`, and the level of its loud parts in dB."""

    envelope: npt.NDArray[np.float32]
    level_db: float


def record_of(path: Path, words: Path | None, *, text: str, name: str, reading: Reading) -> Recorded:
    """Return a recording as the narration of a text, with the times of its words.

    They come from the file `words`, aligned with the text, or are estimated from the pauses in the sound. Raises
    AssetError for a recording that cannot be read or is silent, WordFileError for a wrong file of words.
    """
    sound = probe_sound(path, files=reading.files)
    heard = _heard(path, sha256=sound.sha256)
    if heard.level_db == -math.inf:
        raise AssetError(f"{path}: is silent", path=str(path))
    warnings: list[tuple[str, str]] = []
    times: tuple[SpokenWord, ...] = ()
    by: WordTimesBy = "file"
    if words is not None:
        try:
            written, overlap = read_word_file(words, duration=sound.duration, files=reading.files)
        except AssetError as error:
            raise WordFileError(str(error)) from error
        times, warning = _aligned(written, text, words)
        warnings += [("narration_audio.words", reason) for reason in (overlap, warning) if reason]
    if not times and text:
        by = "shares"
        spoken = spoken_text(text, language=reading.language, dates=reading.dates, lexicon=reading.lexicon)
        times = shown_times(spoken, shared_times(spoken, heard.envelope, SAMPLE_RATE_HZ // ENVELOPE_SAMPLES))
        usual = estimated_seconds(spoken)
        if not usual / FASTEST <= sound.duration <= FASTEST * usual + SPARE_SECONDS:
            lengths = (
                f"lasts {float(sound.duration):.2f} s, and to say the words takes about {float(usual):.1f} s"
            )
            warnings.append(("narration_audio", f"{name}: {lengths}; it must say them all and no others"))
    gain_db = max(-MOST_GAIN_DB, min(MOST_GAIN_DB, SPEECH_LEVEL_DB - heard.level_db))
    narration = Narration(sound, times, by, name=name, gain_db=round(gain_db, 2))
    return Recorded(narration, tuple(warnings))


def divided(recorded: Narration, texts: Sequence[str], *, joined: str) -> list[Narration | None]:
    """Divide a recording of several texts, in the middle of the pauses between them; None for a text that is not heard.

    `joined` is the text of the recording; each of `texts` is a part of it.
    """
    spans = places(texts, joined)
    parts = [[word for word in recorded.words if start <= word.start < stop] for start, stop in spans]
    # A word without length stands behind the last one that matches: the recording does not have it.
    heard = [index for index, part in enumerate(parts) if any(word.ends > word.begins for word in part)]
    found: list[Narration | None] = [None] * len(texts)
    begins = Fraction(0)
    for index, following in zip(heard, [*heard[1:], None], strict=True):
        ends = recorded.sound.duration
        if following is not None:
            ends = max(begins, (parts[index][-1].ends + parts[following][0].begins) / 2)
        found[index] = replace(
            recorded,
            sound=replace(recorded.sound, duration=ends - begins),
            words=moved(parts[index], characters=-spans[index][0], seconds=-begins),
            start=begins,
        )
        begins = ends
    return found


def _heard(path: Path, *, sha256: str) -> _Heard:
    """Return the envelope and the level of a sound; -inf for silence."""
    loudest: list[npt.NDArray[np.float32]] = []
    powers: list[npt.NDArray[np.float32]] = []
    rest = np.zeros(0, np.float32)
    for piece in read_sound(path, sha256=sha256):
        mono = np.concatenate([rest, piece.mean(axis=1)])
        whole = len(mono) // BLOCK_SAMPLES * BLOCK_SAMPLES
        loudest.append(np.abs(mono[:whole]).reshape(-1, ENVELOPE_SAMPLES).max(axis=1))
        powers.append(np.square(mono[:whole]).reshape(-1, BLOCK_SAMPLES).mean(axis=1))
        rest = mono[whole:]
    rest = np.concatenate([rest, np.zeros(-len(rest) % ENVELOPE_SAMPLES, np.float32)])
    loudest.append(np.abs(rest).reshape(-1, ENVELOPE_SAMPLES).max(axis=1))
    envelope = np.concatenate(loudest)
    power = np.concatenate([*powers, [np.square(rest).mean()] if len(rest) else []])
    if envelope.max(initial=0) < SILENCE_PEAK:
        return _Heard(envelope, -math.inf)
    # The pauses do not count: blocks below a thousandth of the loudest one (-30 dB).
    return _Heard(envelope, 10 * math.log10(float(power[power > power.max() / 1000].mean())))


def speech_lufs(sounds: Iterable[tuple[Path, str, float]]) -> float | None:
    """Return about the loudness of speech in stereo, of files with their hash and gain (dB); None without any.

    It is the median of their levels; a voice's loudness in LUFS is that much over the level of its loud parts.
    """
    levels = [_heard(path, sha256=sha256).level_db + gain_db for path, sha256, gain_db in sounds]
    heard = [level for level in levels if level > -math.inf]
    return round(statistics.median(heard) + LUFS_OVER_LEVEL, 1) if heard else None


def _aligned(
    written: Sequence[WrittenWord], text: str, path: Path
) -> tuple[tuple[SpokenWord, ...], str | None]:
    """Return the words of a text at the times of those in a file, and a warning if some differ."""
    heard = " ".join(word.text for word in written)
    spans = places([word.text for word in written], heard)
    words = [
        SpokenWord(start, stop, word.begins, word.ends)
        for (start, stop), word in zip(spans, written, strict=True)
    ]
    matching, count = matching_words(words, heard, to=text)
    found = carried_over(words, heard, to=text)
    if matching == count == len(words):
        return found, None
    warning = f"{path}: {matching} of the {count} words of the text are among its {len(words)} words"
    return found, warning if found else f"{warning}; too few, so their times are estimated"
