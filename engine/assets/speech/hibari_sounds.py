"""Words that hibari's dictionary reads wrongly, with their sounds in its alphabet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SOUNDS: Final[Mapping[str, str]] = {
    "shh": "ʃː",
    "shhh": "ʃː",
    "ssh": "ʃː",
    "sh": "ʃ",
    "zzz": "zː",
    "bzzz": "bəzː",
    "bzz": "bəz",
    "brr": "bˈɜɹː",
    "brrr": "bˈɜɹː",
    "grr": "ɡˈɜɹː",
    "grrr": "ɡˈɜɹː",
    "twas": "twʌz",
}
