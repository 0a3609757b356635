"""Write cldr.txt from Unicode's annotations: `python -m video_pipeline.engine.story.motifs.cldr FOLDER`.

FOLDER is an unpacked npm package `cldr-annotations-full`. Only names of emoji are taken: their keywords are for
a search, where "house" may also be found by "simple" and "where".
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from .table import MOTIFS

LANGUAGES = ("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh")


def annotations_of(folder: Path, language: str) -> list[str]:
    """Return one language's lines `motif: word word`, without words that two motifs have."""
    path = folder / "annotations" / language / "annotations.json"
    table = json.loads(path.read_text(encoding="utf-8"))["annotations"]["annotations"]
    words = {
        motif.name: {
            name.casefold()
            for emoji in motif.emoji
            for name in table.get(emoji, {}).get("tts", ())
            if name.isalpha() and (language != "th" or len(name) < 12)
        }
        for motif in MOTIFS
    }
    shared = Counter(word for found in words.values() for word in found)
    kept = {name: sorted(word for word in found if shared[word] == 1) for name, found in words.items()}
    return [f"{name}: {' '.join(found)}" for name, found in kept.items() if found]


def write_emoji_names() -> None:
    """Write the words of every language beside this module."""
    folder = Path(sys.argv[1])
    lines = ["# Made by cldr.py from Unicode CLDR 48.2 annotations (Unicode License v3)."]
    for language in LANGUAGES:
        lines += ["", f"[{language}]", *annotations_of(folder, language)]
    Path(__file__).with_name("cldr.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_emoji_names()
