"""Speakers: lines of a text that begin with the name of who says them, such as `Mary: Where is it?`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from video_pipeline.engine.story.fields import COLOUR_NAMES, PRINTABLE, Colour, StoryPart

SPEAKER_MAX_CHARACTERS: Final = 40
SPEAKERS_MAX: Final = 100

SPEAKER_COLOURS: Final = ("#7FDBFF", "#FFB3D1", "#B8F28C", "#FFA860", "#CDB4FF", "#FFF07A")
"""Light colours, each with a contrast of at least 10:1 to black (WCAG 2), around which captions have a dark stroke."""

_NAME: Final = r"[^\W\d_][^\s:：()*]*(?: [^\W_][^\s:：()*]*){0,3}"
_COLON: Final = r"(?:\s*\((?P<manner>[^()\n]{1,40})\))?(?P<inner>\*\*|__|[*_])?\s*(?::(?:\*\*|__|[*_])?\s+|：(?:\*\*|__|[*_])?\s*)"
_LINE: Final = re.compile(
    rf"[ \t]{{0,3}}(?:\*\*|__|[*_])?(?P<name>{_NAME}){_COLON}(?P<words>\S.*)", re.DOTALL
)
_PARTICLES: Final = frozenset(
    (
        "of",
        "the",
        "de",
        "la",
        "le",
        "du",
        "des",
        "da",
        "do",
        "di",
        "del",
        "von",
        "van",
        "der",
        "al",
        "and",
        "y",
        "und",
    )
)
_OPENERS: Final = "\"'“”‘’«»„‹¿¡…—–-(*[#_♪"

# Words before a colon that are the label of a line, not the name of who says it.
_LABEL_WORDS: Final = """
a answer act after attention author before caution cc chapter conclusion cons cost credits cut date day directions
edit end epilogue equipment example examples ext fact facts fade final finally first from fx fyi goal hint important
ingredients instructions int intro introduction lesson location material materials method moral music n.b nb note
notes outro p.s part place price problem prologue pros ps q question re reminder result results rule rules scene
second serves setting sfx solution sound source sources spoiler step steps subject subtitle summary task third time
tip tips title to todo topic total update warning week what when where who why how
monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
september october november december today tomorrow yesterday morning evening night
achtung anmerkung antwort aufgabe beispiel fazit frage hinweis kapitel quelle schritt tag teil tipp warnung wichtig
zubereitung zusammenfassung zutaten
aviso atención consejo capítulo ejemplo fuente importante ingredientes nota paso parte pregunta respuesta resumen día
astuce chapitre conseil étape exemple ingrédients jour partie remarque réponse résumé
attenzione capitolo consiglio domanda esempio fonte giorno ingredienti passo risposta
atenção dica dia exemplo fonte pergunta resposta resumo
внимание вопрос ответ глава часть примечание совет пример
注意 注 例 例えば 問 答 問い 答え 提示 例如 问 答案 问题 参考 질문 답 주의 참고
"""
_LABELS: Final = frozenset(_LABEL_WORDS.split())


class SpeakerSpec(StoryPart):
    """How a speaker's lines look and sound."""

    OTHER_NAMES = COLOUR_NAMES

    voice: str | None = Field(None, min_length=1, max_length=200, description="A voice of tts.service.")
    colour: Colour | None = Field(
        None, description="Colour of the captions; the next of scenes.speaker_colours if omitted."
    )


def _check_speaker(value: str) -> str:
    if value != value.strip() or not value or any(c in ":：\n" for c in value) or not value.isprintable():
        raise ValueError("allowed as a speaker's name: what stands before the colon, on one line")
    return value


SpeakerName = Annotated[
    str,
    AfterValidator(_check_speaker),
    Field(min_length=1, max_length=SPEAKER_MAX_CHARACTERS, json_schema_extra=PRINTABLE),
]
Speakers = Annotated[dict[SpeakerName, SpeakerSpec | Literal[False]], Field(max_length=SPEAKERS_MAX)]


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """What a speaker says, and the speaker's name."""

    speaker: str
    words: str


def speaker_names(lines: Sequence[str], declared: Mapping[str, object]) -> tuple[str, ...]:
    """Return the speakers of some lines, in the order in which they first speak.

    A declared name always is a speaker, unless it is declared as False. Another one is a speaker if it looks like a name,
    is no label such as `Note`, and takes part in a dialogue: it has two lines, or its line is next to another name's.
    What it says begins like a sentence.
    """
    own = {name.casefold(): name for name in declared}
    found: list[tuple[int, str]] = []
    number, goes_on = 0, False
    for line in lines:
        match = _LINE.match(line)
        if not line.strip():
            goes_on = False
        elif match and (match["name"].casefold() in own or _is_dialogue(match["name"], match["words"])):
            number += 1
            found.append((number, match["name"]))
            goes_on = True
        elif not goes_on:  # other lines of the paragraph are the same speaker's
            number += 1
    speaking = [name.casefold() for _, name in found]
    names: dict[str, str] = {}
    for index, (place, name) in enumerate(found):
        key = name.casefold()
        beside = any(abs(place - other) == 1 for other, _ in found[max(0, index - 1) : index + 2])
        if key in own:
            if declared[own[key]] is not False:
                names.setdefault(key, own[key])
        elif beside or speaking.count(key) > 1:
            names.setdefault(key, name)
    return tuple(names.values())


def _is_dialogue(name: str, words: str) -> bool:
    """Return whether a line looks like one of a dialogue: a name that is no label, and a sentence."""
    parts = name.split()
    if len(name) > SPEAKER_MAX_CHARACTERS or {name.casefold(), parts[0].casefold().rstrip(".")} & _LABELS:
        return False
    inner = (part for part in parts[1:] if part not in _PARTICLES)
    if any(part[0].islower() for part in (parts[0], *inner)) or any(c.isdigit() for c in name):
        return False
    return not words[0].islower() and (words[0].isalnum() or words[0] in _OPENERS)


def spoken_line(text: str, names: Collection[str]) -> SpokenLine | None:
    """Return who says a text and what, if it begins with one of the names and a colon."""
    match = _LINE.match(text)
    if match is None:
        return None
    key = match["name"].casefold()
    name = next((name for name in names if name.casefold() == key), None)
    return SpokenLine(name, match["words"]) if name is not None else None


def unnamed(text: str, names: Collection[str]) -> str:
    """Return a text without the names before what the speakers say."""
    return "\n".join(said.words if (said := spoken_line(line, names)) else line for line in text.split("\n"))


def name_places(text: str, names: Collection[str]) -> list[tuple[int, int]]:
    """Return where the names, colons included, are before what the speakers of a text say."""
    found: list[tuple[int, int]] = []
    at = 0
    for line in text.split("\n"):
        if said := spoken_line(line, names):
            found.append((at, at + len(line) - len(said.words)))
        at += len(line) + 1
    return found


def lines_apart(text: str, names: Collection[str]) -> str:
    """Return a text in which each line of a speaker begins a paragraph."""
    return "\n".join(_apart_lines(text.split("\n"), names))


def _apart_lines(lines: Sequence[str], names: Collection[str]) -> Iterator[str]:
    before = ""
    for line in lines:
        if before.strip() and spoken_line(line, names):
            yield ""
        yield line
        before = line


def only_speaker(text: str, first: str | None, names: Collection[str]) -> str | None:
    """Return the speaker of a scene, of whom `first` is the first; None if several speak in its text."""
    said = {line.speaker for part in text.split("\n") if (line := spoken_line(part, names))}
    return first if said <= {first} else None
