"""Turn a text that is shown into the text that is spoken, keeping which words stand for which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Final

from video_pipeline.engine.assets.speech.normalisation.dates import DateOrder
from video_pipeline.engine.assets.speech.normalisation.scanning import Rule, scan
from video_pipeline.engine.assets.speech.normalisation.spoken_text import SpokenText, Writer
from video_pipeline.engine.story.lexicon import is_ipa
from video_pipeline.engine.story.splitting import UNSPOKEN_MARKS, block_mark, block_places

UNSPACED: Final = frozenset(["ja", "zh", "yue", "th", "lo", "km", "my"])
"""Languages that are written without spaces between words."""


@cache
def _rules(language: str, order: DateOrder) -> tuple[Rule, ...]:
    # Compiling their patterns takes longer than importing the engine without them.
    if language == "en":
        from video_pipeline.engine.assets.speech.normalisation.english import english_rules

        return english_rules(order)
    from video_pipeline.engine.assets.speech.normalisation.other_languages import rules_of

    return rules_of(language, order)


@lru_cache(8)
def _lexicon_rules(entries: tuple[tuple[str, str], ...], language: str, dates: DateOrder) -> tuple[Rule, ...]:
    """Return the rules of a lexicon, whose spellings are words of the language. Scenes share them."""
    from video_pipeline.engine.assets.speech.normalisation.lexicon_rules import lexicon_rules

    respelled = {
        word: said if is_ipa(said) else spoken_text(said, language=language, dates=dates).text.rstrip(".")
        for word, said in entries
    }
    return lexicon_rules(respelled, spaced=language not in UNSPACED)


def spoken_text(
    text: str,
    *,
    language: str,
    dates: DateOrder = "mdy",
    lexicon: Mapping[str, str] = MappingProxyType({}),
) -> SpokenText:
    """Return what a text sounds like in a language (ISO 639-1).

    Marks of headings and lists, emoji and control characters are silent; paragraphs, headings and items end with a
    pause. `dates` is the order of a date such as 12/05/2024. `lexicon` maps words to another spelling, or to IPA between slashes.
    """
    writer = Writer(spaced=language not in UNSPACED)
    rules = _rules(language, dates)
    if lexicon:
        rules = (*_lexicon_rules(tuple(lexicon.items()), language, dates), *rules)
    for begin, stop in (place for paragraph in block_places(text) for place in paragraph):
        mark = block_mark(text[begin:stop])
        start = begin + len(mark) if mark.strip() in UNSPOKEN_MARKS else begin
        if not any(map(str.isalnum, text[start:stop])):
            continue
        scan(text, start, stop, rules=rules, writer=writer)
        writer.end_block()
    return writer.finish(text)


def unused_words(
    own: Mapping[str, str],
    texts: Iterable[str],
    *,
    language: str,
    dates: DateOrder,
    lexicon: Mapping[str, str],
) -> list[str]:
    """Return the words of a story's own lexicon that are in none of its texts; `lexicon` has the configuration's too."""
    numbers = {word: f"/{number}/" for number, word in enumerate(lexicon)}  # a sound that tells the entry
    found = {
        part.phonemes
        for text in texts
        for part in spoken_text(text, language=language, dates=dates, lexicon=numbers).parts
    }
    return [word for word in own if numbers[word].strip("/") not in found]
