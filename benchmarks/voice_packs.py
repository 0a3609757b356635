"""Make the file of Kokoro's voices from the npm package kokoro-js: `python -m benchmarks.voice_packs FOLDER`.

FOLDER holds the unpacked package (`npm pack kokoro-js@1.2.1`). A voice is 510 style vectors of 256 numbers, one for each
number of phonemes. Neighbours hardly differ, so 48 of them are kept, denser for short texts, as float16.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np

from video_pipeline.engine.assets.speech.kokoro.voices import KOKORO_LANGUAGES, VOICES_FILE, styles_of

LENGTHS: Final = 510
DENSITY: Final = 8
"""Vectors are kept at distances of an eighth of their length."""


def kept_lengths() -> list[int]:
    """Return the lengths whose vectors are kept, the first and the last among them."""
    kept = [0]
    while kept[-1] < LENGTHS - 1:
        kept.append(min(LENGTHS - 1, kept[-1] + max(1, kept[-1] // DENSITY)))
    return kept


def main() -> None:
    """Write the file and print the greatest error of each voice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    voices = [voice for language in KOKORO_LANGUAGES for voice in language.voices if voice[0] != "j"]
    whole = {
        voice: np.fromfile(folder / "voices" / f"{voice}.bin", "<f4").reshape(LENGTHS, 256)
        for voice in voices
    }
    kept = np.array(kept_lengths())
    np.savez_compressed(
        VOICES_FILE, lengths=kept, **{voice: vectors[kept].astype("<f2") for voice, vectors in whole.items()}
    )
    for voice, vectors in whole.items():
        print(f"{voice:12} {np.abs(styles_of(voice) - vectors).max():.4f}")
    print(f"{VOICES_FILE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
