"""Words for music and sound effects, and what is known of a piece that was synthesised."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Literal

MoodName = Literal[
    "calm",
    "warm",
    "hopeful",
    "bright",
    "playful",
    "adventurous",
    "epic",
    "mysterious",
    "tense",
    "dark",
    "sad",
    "dreamy",
]
MoodChoice = Literal["auto", MoodName]
MusicMood = Literal["none", MoodChoice]
MusicWord = Literal["auto", "none"]
MUSIC_WORDS: Final = ("auto", "none")
"""Values of `music` that are not files; a file of such a name is written `./auto`."""

EffectName = Literal["whoosh", "pop", "click"]
EffectsChoice = Literal["none", "transitions", "captions", "all"]


def effects_of(choice: EffectsChoice) -> tuple[EffectName, ...]:
    """Return the effects of a choice: a whoosh in transitions and a click at cuts, a pop as captions appear."""
    transitions: tuple[EffectName, ...] = ("whoosh", "click") if choice in ("transitions", "all") else ()
    return (*transitions, "pop") if choice in ("captions", "all") else transitions


LICENCE: Final = "CC0-1.0"
"""The licence of synthesised music and effects (SPDX): public domain, without conditions."""


@dataclass(frozen=True, slots=True)
class Score:
    """What is known of synthesised music: its mood and seed, tempo (beats a minute), key, and a beat's seconds.

    The first beat is at 0, and the loop has a whole number of beats.
    """

    mood: MoodName
    seed: int
    tempo: float
    key: str
    beat: Fraction

    def as_data(self) -> dict[str, Any]:
        """Return the score as plain values for a manifest."""
        return {
            "mood": self.mood,
            "seed": self.seed,
            "tempo_bpm": self.tempo,
            "key": self.key,
            "beat_seconds": float(self.beat),
            "licence": LICENCE,
        }
