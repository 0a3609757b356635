"""The rules of a pronunciation lexicon, which come before those of the language."""

from __future__ import annotations

import re
from collections.abc import Mapping

from video_pipeline.engine.assets.speech.normalisation.scanning import Rule, alternatives, as_written
from video_pipeline.engine.assets.speech.normalisation.spoken_text import Said
from video_pipeline.engine.story.lexicon import is_ipa


def lexicon_rules(lexicon: Mapping[str, str], *, spaced: bool) -> tuple[Rule, ...]:
    """Return the rules of a lexicon.

    A word in small letters is found however it is capitalised; one with capitals only as it is written. In languages
    that are not `spaced`, words are found inside a row of letters too.
    """
    if not lexicon:
        return ()
    exact = {word: said for word, said in lexicon.items() if word != word.lower()}
    any_case = {word: said for word, said in lexicon.items() if word == word.lower()}
    rules = []
    for words, flags in ((exact, 0), (any_case, re.IGNORECASE)):
        if words:
            rules.append(_rule(words, flags, spaced=spaced))
    if not spaced:
        rules.append(Rule.of("letters before", rf"(?:(?!{alternatives(lexicon)})[^\W\d_])+", as_written))
    return tuple(rules)


def _rule(words: Mapping[str, str], flags: int, *, spaced: bool) -> Rule:
    sounds = {_entry_key(word): said for word, said in words.items()}

    def read(match: re.Match[str]) -> list[Said]:
        said = sounds.get(_entry_key(match[0])) or sounds[_entry_key(match[0].lower())]
        if is_ipa(said):
            return [Said(match[0], match.start(), match.end(), phonemes=said[1:-1])]
        return [Said(said, match.start(), match.end())]

    pattern = alternatives(words).replace(r"\ ", r"\s+").replace("'", "['’]")
    edges = (r"(?<!\w)", r"(?!\w)") if spaced else ("", "")
    return Rule.of("lexicon", f"{edges[0]}(?:{pattern}){edges[1]}", read, flags=flags)


def _entry_key(word: str) -> str:
    return " ".join(word.replace("’", "'").split())
