"""Kokoro-FastAPI's answer with speech and the times of its words (POST /dev/captioned_speech)."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from difflib import Match, SequenceMatcher
from typing import Any, Final

import numpy as np

from video_pipeline.engine.assets.speech.remote import Mark
from video_pipeline.engine.assets.speech.word_times import spoken_word_places

PATH: Final = "/dev/captioned_speech"
"""Beside the /v1 of the protocol, on the same server."""

LEAST_MATCHED: Final = 0.9
"""Times are taken if so many of the text's letters are in the answer's words; the server may reword numbers."""


def captioned_url(endpoint: str) -> str:
    """Return the address for captioned speech of a server whose protocol is at `endpoint`."""
    return f"{endpoint.removesuffix('/v1')}{PATH}"


def captioned_sound(data: Any) -> bytes:
    """Return the sound in an answer; raise ValueError with what is wrong with it."""
    if not isinstance(data, Mapping) or not isinstance(data.get("audio"), str) or not data["audio"]:
        raise ValueError("the answer has no audio")
    try:
        return base64.b64decode(data["audio"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"its audio is not base64: {error}") from error


def captioned_marks(data: Mapping[str, Any], text: str, at: int, end: int) -> tuple[Mark, ...]:
    """Return when the words of a text from `at` to `end` begin, in seconds; nothing if the answer does not tell.

    The server divides words and marks in its own way and tells no times for Chinese and Japanese, so letters are matched
    and not words; a word whose first letter is not in the answer gets its time from its neighbours.
    """
    told = _told_letters(data.get("timestamps"))
    letters = [(place, letter) for place in range(at, end) if (letter := text[place].casefold()).isalnum()]
    if not told or not letters:
        return ()
    shown, heard = [letter for _, letter in letters], [letter for letter, _ in told]
    # As a rule they are the same, and matching thousands of letters takes a second.
    blocks = (
        [Match(0, 0, len(shown))]
        if shown == heard
        else SequenceMatcher(None, shown, heard, autojunk=False).get_matching_blocks()
    )
    matched = {
        letters[block.a + step][0]: told[block.b + step][1] for block in blocks for step in range(block.size)
    }
    words = [
        word for word in spoken_word_places(text, at, end) if any(map(str.isalnum, text[word[0] : word[1]]))
    ]
    first_and_last = (words[0], words[-1])
    if len(matched) < LEAST_MATCHED * len(letters) or not all(
        any(place in matched for place in range(*word)) for word in first_and_last
    ):
        return ()
    places = sorted(matched)
    seconds = np.maximum.accumulate([matched[place] for place in places])
    begins = [next(place for place in range(*word) if text[place].isalnum()) for word in words]
    return tuple(
        (*word, float(second)) for word, second in zip(words, np.interp(begins, places, seconds), strict=True)
    )


def _told_letters(timestamps: Any) -> list[tuple[str, float]]:
    """Return the letters of an answer's words, each with the second at which it begins."""
    found: list[tuple[str, float]] = []
    if not isinstance(timestamps, list):
        return found
    try:
        for stamp in timestamps:
            letters = [letter for letter in stamp["word"].casefold() if letter.isalnum()]
            start, stop = float(stamp["start_time"]), float(stamp["end_time"])
            if not math.isfinite(stop - start):
                return []
            found += [
                (letter, start + (stop - start) * number / len(letters))
                for number, letter in enumerate(letters)
            ]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []
    return found
