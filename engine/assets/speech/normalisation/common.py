"""Rules that all languages share: addresses, hashtags, what is silent, punctuation, plain words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.assets.speech.normalisation.scanning import LETTERS, WORD, Rule, as_written, whole
from video_pipeline.engine.assets.speech.normalisation.spoken_text import Said

_TOP_LEVELS: Final = (
    "com|org|net|edu|gov|io|co|info|biz|app|dev|tv|me|ai|eu|uk|us|ca|au|nz|de|at|ch|fr|es|it|pt|br|mx|ar|nl|be"
    "|se|no|dk|fi|pl|jp|cn|in|kr"
)
_HOST: Final = r"(?:[\w-]+\.)+[A-Za-z]{2,24}"

_SILENT: Final = ("Cc", "Cf", "Cn", "Co", "Cs", "Me", "Sk", "So")
"""Unicode categories that are not spoken: control characters, emoji and other pictures."""

_MARKS: Final[Mapping[str, str]] = {
    **{mark: mark for mark in ",.!?;:…()“”¿¡—"},
    **dict.fromkeys("«„「『", "“"),
    **dict.fromkeys("»」』", "”"),
    **dict.fromkeys("、，،", ","),
    **dict.fromkeys("。．।۔", "."),
    **{
        "–": "—",
        "―": "—",
        "！": "!",
        "？": "?",
        "؟": "?",
        "；": ";",
        "؛": ";",
        "：": ":",
        "（": "(",
        "）": ")",
    },
}
"""Punctuation that a voice hears, by the mark that it is written as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressWords:
    """How a language speaks an address, `a dot b at c`, and its function for a row of digits."""

    dot: str
    at: str
    number: Callable[[str], str]


def address_rules(words: AddressWords) -> Iterator[Rule]:
    """Yield the rules for links, URLs, e-mail addresses, hashtags and mentions."""

    def parts(text: str) -> str:
        """Return the words of a name such as `john.doe-smith`."""
        return split_tag(re.sub(r"[\-+]+", " ", text).replace(".", f" {words.dot} "), words.number)

    def url(match: re.Match[str]) -> list[Said]:
        return whole(match, parts(match["host"]))

    def email(match: re.Match[str]) -> list[Said]:
        return whole(match, f"{parts(match['name'])} {words.at} {parts(match['host'])}")

    def tag(match: re.Match[str]) -> list[Said]:
        return whole(match, split_tag(match["tag"], words.number))

    yield Rule.of("e-mail", rf"(?:mailto:)?(?P<name>[\w.+-]+)@(?P<host>{_HOST})(?![\w-])", email)
    yield Rule.of(
        "URL",
        r"(?:https?|ftp)://(?:[^\s/@]+@)?(?:www\.)?(?P<host>[\w-]+(?:\.[\w-]+)*)(?::\d+)?"
        r"(?:[/?#][^\s<>\"”’)\]]*[^\s<>\"”’)\].,;:!?…]|/)?",
        url,
        flags=re.IGNORECASE,
    )
    yield Rule.of(
        "web address",
        rf"(?:www\.(?P<host>{_HOST})|(?P<bare>[a-z\d][\w-]*(?:\.[\w-]+)*\.(?:{_TOP_LEVELS})))(?![\w-]|\.\w)"
        r"(?:/(?:[^\s<>\"”’)\]]*[^\s<>\"”’)\].,;:!?…])?)?",
        lambda match: whole(match, parts(match["host"] or match["bare"])),
    )
    yield Rule.of("hashtag", r"[#＃](?P<tag>[^\W\d]\w*)", tag)
    yield Rule.of(
        "mention",
        r"@(?P<tag>[^\W\d]\w*)",
        lambda match: whole(match, f"{words.at} {split_tag(match['tag'], words.number)}"),
    )


def split_tag(tag: str, number: Callable[[str], str]) -> str:
    """Return the words of a name written as one: `OldHarbour_24` is `Old Harbour twenty-four`."""
    spaced = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", " ", tag.replace("_", " "))
    return re.sub(r"\d+", lambda match: f" {number(match[0])} ", spaced)


def markup_rules() -> Iterator[Rule]:
    """Yield the rules for marks that are not spoken: tags, keycaps, the targets of links."""
    for name, pattern in (
        ("tag", r"</?[A-Za-z][^<>]*>"),
        ("keycap", "[0-9#*]\ufe0f?\u20e3"),
        ("link target", r"\]\([^\s()]*\)"),
    ):
        yield Rule.of(name, pattern, lambda match: [])


def _picture_rule() -> Rule:
    def picture(match: re.Match[str]) -> list[Said] | None:
        return [] if unicodedata.category(match[0]) in _SILENT or match[0] in "\ufe0e\ufe0f" else None

    return Rule.of("picture", r"[^\w\s]", picture)


def plain_rules() -> Iterator[Rule]:
    """Yield the last rules: words as they are written, punctuation, and nothing for anything else."""

    def mark(match: re.Match[str]) -> list[Said]:
        if match[0][0] == '"':
            before = match.string[match.start() - 1 : match.start()]
            return whole(match, "”" if before and not before.isspace() and before not in "([{—–-" else "“")
        return whole(match, _MARKS.get(match[0][0], ""))

    yield _picture_rule()
    yield Rule.of("word", WORD.pattern, as_written)
    yield Rule.of("dash", r"--+|(?<=\s)[-−‒](?=\s)", lambda match: whole(match, "—"))
    yield Rule.of("ellipsis", r"\.{2,}|…+|(?:\. ){2,}\.", lambda match: whole(match, "…"))
    yield Rule.of("question", r"[!?]*(?:\?!|!\?)[!?]*", lambda match: whole(match, "?"))
    yield Rule.of("mark", r"([^\w\s])\1*", mark)
    yield Rule.of("anything", r"(?s:.)", lambda match: whole(match, match[0] if match[0].isalnum() else ""))


def other_words() -> Iterator[Rule]:
    """Yield the last rules of a language without rules of its own: words and punctuation as they are written."""
    yield _picture_rule()
    yield Rule.of("word", LETTERS.pattern, as_written)
    yield Rule.of("emphasis", r"[*_#`~|\\<>{}\[\]]+", lambda match: [])
    yield Rule.of("anything", r"(?s:.)", lambda match: whole(match, match[0]))
