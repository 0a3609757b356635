"""Moods: tempo, scale, chords and instruments of each, and which one suits a story."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.common.music import MoodName

SCALES: Final[dict[str, tuple[int, ...]]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}
"""Semitones of each degree above the tonic."""

NOTES: Final = ("C", "D♭", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")


@dataclass(frozen=True, slots=True)
class Mood:
    """How music of a mood is made.

    `tempo` is the lowest and highest number of beats a minute, of which four are a bar; a seed chooses among tempos,
    `tonics` (semitones above C) and `progressions`, four scale degrees each, from 0. Levels are factors, 0 for an
    instrument that is silent. `figures` are rhythms of sixteen steps: digits are tones of the chord, dots are rests. In
    those of `drums`, x is a stroke. `bass` is held or pulses. `seventh` adds a fourth tone to each chord.
    """

    name: MoodName
    description: str
    tempo: tuple[int, int]
    scale: str
    tonics: tuple[int, ...]
    progressions: tuple[tuple[int, int, int, int], ...]
    pad: str
    plucked: str
    figures: tuple[str, ...]
    bass: str = "x..............."
    seventh: bool = False
    pad_level: float = 1.0
    pluck_level: float = 0.6
    bass_level: float = 0.8
    kick: str = ""
    shaker: str = ""
    drum_level: float = 0.5
    octave: int = 0
    ring_seconds: float = 0.35
    wet: float = 0.35
    feedback: float = 0.86
    damping: float = 0.25


MOODS: Final = (
    Mood(
        "calm", "slow and open, a soft harp over held chords", (66, 72), "major", (0, 2, 5, 7),
        ((0, 4, 5, 3), (0, 2, 3, 4), (0, 5, 3, 4)), "soft", "sine",
        ("0...1...2...1...", "0.....2...1.....", "0...2...3...2..."), wet=0.45,
    ),
    Mood(
        "warm", "a gentle walk, mellow chords with sevenths", (76, 84), "major", (5, 7, 10, 3),
        ((0, 5, 1, 4), (3, 4, 2, 5), (0, 3, 1, 4)), "warm", "soft",
        ("0..1..2.1...2...", "0...2..1..2.1..."), "x.......x.......", seventh=True, shaker="....x.......x...",
        drum_level=0.3,
    ),
    Mood(
        "hopeful", "rising chords and a steady pluck", (84, 94), "major", (0, 2, 4, 7),
        ((3, 0, 4, 5), (0, 4, 5, 3), (5, 3, 0, 4)), "warm", "soft",
        ("0.1.2.1.3.2.1.2.", "0.2.1.2.3.2.1.2."), "x.......x.......", kick="x.......x.......", shaker="..x...x...x...x.",
        drum_level=0.4,
    ),
    Mood(
        "bright", "cheerful, quick plucks on the off-beat", (104, 116), "major", (0, 2, 7, 9),
        ((0, 4, 5, 3), (0, 3, 4, 3), (0, 5, 3, 4)), "soft", "warm",
        ("0..2..1.2..1..3.", "0.2..1..3.2..1.."), "x..x..x.x..x..x.", pad_level=0.7, kick="x...x...x...x...",
        shaker="..x...x...x...x.", ring_seconds=0.18, wet=0.22,
    ),
    Mood(
        "playful", "staccato and light-footed, with hops of an octave", (112, 124), "mixolydian", (5, 0, 10),
        ((0, 6, 3, 0), (0, 3, 6, 4), (0, 4, 3, 4)), "soft", "reed",
        ("0.3.1...2.3.1...", "0...2.1.3...1.2.", "0.1.2...3...2.1."), "x...x...x...x.x.", pad_level=0.45,
        pluck_level=0.8, shaker="x...x...x...x...", ring_seconds=0.12, wet=0.2, drum_level=0.35,
    ),
    Mood(
        "adventurous", "striding bass, open fifths, a drum on each beat", (100, 110), "dorian", (2, 4, 9),
        ((0, 6, 3, 0), (0, 2, 6, 3), (0, 3, 6, 4)), "warm", "warm",
        ("0.0.2.0.1.0.2.3.", "0.2.0.2.1.2.3.2."), "x..x..x.x.x.x...", kick="x..x..x.x..x..x.", shaker="..x...x...x...x.",
        ring_seconds=0.2,
    ),
    Mood(
        "epic", "broad brass-like chords and slow drums", (72, 80), "minor", (2, 4, 0),
        ((0, 5, 2, 6), (0, 3, 5, 4), (5, 6, 0, 0)), "bright", "warm",
        ("0.1.2.1.0.1.2.3.", "0.2.1.2.0.2.3.2."), "x.......x..x..x.", kick="x.....x.x.......", pad_level=1.1,
        pluck_level=0.45, drum_level=0.8, wet=0.5, feedback=0.9,
    ),
    Mood(
        "mysterious", "hollow chords and rare bells, without a pulse", (70, 78), "dorian", (4, 6, 11),
        ((0, 3, 0, 1), (0, 1, 5, 4), (0, 6, 5, 6)), "reed", "sine",
        ("0.......3.......", "....2.......1...", "0.....3.....2..."), pad_level=0.9, pluck_level=0.7, ring_seconds=0.6,
        wet=0.6, feedback=0.91, octave=1,
    ),
    Mood(
        "tense", "a low pulse that does not stop, narrow chords", (88, 96), "phrygian", (4, 2, 0),
        ((0, 1, 0, 6), (0, 0, 1, 0), (0, 5, 1, 0)), "reed", "reed",
        ("0.0.0.0.1.0.0.0.", "0.0.1.0.0.0.2.1."), "x.x.x.x.x.x.x.x.", kick="x..x....x..x....", pad_level=0.7,
        pluck_level=0.4, ring_seconds=0.12, octave=-1, drum_level=0.6,
    ),
    Mood(
        "dark", "low and heavy, chords that fall", (66, 72), "minor", (0, 10, 2),
        ((0, 5, 3, 4), (0, 6, 5, 4), (0, 1, 0, 5)), "warm", "sine",
        ("0...............", "........1.......", "0.......2......."), kick="x...............", pad_level=1.0, bass_level=1.0,
        pluck_level=0.5, ring_seconds=0.8, wet=0.55, feedback=0.91, damping=0.4, drum_level=0.6,
    ),
    Mood(
        "sad", "a slow piano-like line in minor", (66, 74), "minor", (9, 2, 4),
        ((0, 5, 2, 6), (0, 3, 5, 4), (5, 2, 3, 0)), "soft", "soft",
        ("0...1...2.....1.", "0.....2.1.......", "0...2...3...1..."), seventh=True, pad_level=0.8, ring_seconds=0.5,
        wet=0.45,
    ),
    Mood(
        "dreamy", "floating, bells over wide chords", (68, 76), "lydian", (5, 0, 3),
        ((0, 1, 0, 4), (0, 4, 1, 5), (3, 0, 1, 0)), "soft", "sine",
        ("0.2.3.1.2.3.1.2.", "0..1..3..2..1..2", "0...3.2...1.3..."), seventh=True, ring_seconds=0.5, wet=0.65, feedback=0.91,
        octave=1, pluck_level=0.5,
    ),
)  # fmt: skip

BY_NAME: Final = {mood.name: mood for mood in MOODS}

_SUITING: Final[dict[MoodName, str]] = {
    "calm": "general calm nature relaxed peaceful quiet serene meditation lullaby bedtime sleep",
    "warm": "warm romance love romantic tender cosy cozy family food cooking intimate nostalgic",
    "hopeful": "hopeful inspirational motivation uplifting optimistic biography inspiring education documentary self_help",
    "bright": "bright happy cheerful joyful joy sunny comedy advertising sport lifestyle",
    "playful": "playful funny humor humour children kids animals silly whimsical",
    "adventurous": "adventurous adventure action travel western exciting energetic pirate",
    "epic": "epic heroic history historical ancient mythology war grand triumphant fantasy",
    "mysterious": "mysterious mystery detective secret curious strange magical",
    "tense": "tense thriller suspense crime news urgent nervous noir",
    "dark": "dark horror ghost scary creepy ominous gloomy apocalypse",
    "sad": "sad drama melancholy melancholic tragic tragedy grief lonely wistful",
    "dreamy": "dreamy sci_fi scifi science_fiction science space technology fairy_tale dream wonder ethereal",
}
SUITS: Final = {word: mood for mood, words in _SUITING.items() for word in words.split()}
"""The mood that suits each genre and each word for a mood."""


def find_mood(mood: str | None, genre: str) -> Mood:
    """Return the mood that a story's own word names, else the one that suits its genre, else `calm`.

    Case, spaces and hyphens do not matter.
    """
    for word in (mood or "", genre):
        name = SUITS.get(word.strip().lower().replace("-", "_").replace(" ", "_"))
        if name is not None:
            return BY_NAME[name]
    return BY_NAME["calm"]
