"""How often a drawn picture shows what a sentence is about, by its words alone and by its meaning too.

    python -m benchmarks.meaning

The sentences were written for this program: each is about a motif, mostly without naming it, or about none. A picture is
right if one of its motifs is among those listed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.story.motifs import MOTIF_NAMES, choose_depiction, find_motifs
from video_pipeline.engine.story.motifs.meaning import with_meaning


@dataclass(frozen=True, slots=True)
class About:
    """A sentence, its language, and the motifs that it is about; none if a picture should show nothing of it."""

    language: str
    text: str
    motifs: frozenset[str] = frozenset()


def _about(language: str, text: str, motifs: str = "") -> About:
    return About(language, text, frozenset(motifs.split()))


SENTENCES: Final = (
    _about("en", "The breakers rolled in and foam covered our feet.", "sea beach"),
    _about("en", "Skyscrapers glittered above the traffic.", "city"),
    _about("en", "The locomotive whistled at the platform.", "railway"),
    _about("en", "Astronauts floated past the hatch.", "space rocket planet"),
    _about("en", "Thunder rolled and hail hammered the roof.", "storm rain"),
    _about("en", "Monks knelt and prayed beneath the vaulted ceiling.", "church hall"),
    _about("en", "Camels crossed the endless dunes.", "desert"),
    _about("en", "Icicles hung from the gutter.", "snow"),
    _about("de", "Die Brandung umspülte unsere Füße.", "sea beach"),
    _about("de", "Wolkenkratzer glitzerten über dem Verkehr.", "city"),
    _about("de", "Er las Seite um Seite, bis der Roman zu Ende war.", "book library"),
    _about("de", "Die Lokomotive pfiff am Bahnsteig.", "railway"),
    _about("de", "Mönche knieten und beteten unter dem Gewölbe.", "church hall"),
    _about("fr", "Le tonnerre grondait et la grêle martelait le toit.", "storm rain"),
    _about("fr", "Les gratte-ciel brillaient.", "city"),
    _about("fr", "La locomotive siffla sur le quai.", "railway"),
    _about("fr", "Il tourna page après page jusqu'à la fin du roman.", "book library"),
    _about("es", "Los rascacielos brillaban sobre el tráfico.", "city"),
    _about("es", "Los camellos cruzaron las dunas.", "desert"),
    _about("es", "Los monjes rezaban bajo la bóveda.", "church hall"),
    _about("ja", "波が足元まで押し寄せた。", "sea beach"),
    _about("ja", "彼は最後のページまで小説を読み終えた。", "book library"),
    _about("it", "Il treno a vapore fischiò al binario.", "railway"),
    _about("it", "I grattacieli brillavano sopra il traffico.", "city"),
    _about("en", "He could not believe what she said."),
    _about("en", "Prices rose by two percent."),
    _about("en", "The meeting was moved to Friday."),
    _about("de", "Sie glaubte ihm kein Wort."),
    _about("fr", "Elle a répondu sans hésiter."),
    _about("es", "Nadie supo la verdad."),
    _about("it", "Non era d'accordo con la decisione."),
    _about("ja", "彼女は何も言わなかった。"),
)


def shown_by(sentence: About, *, meaning: bool) -> frozenset[str]:
    """Return the motifs of the picture of a sentence."""
    motifs = find_motifs(sentence.text, language=sentence.language)
    if meaning:
        motifs = dict(with_meaning(motifs, sentence.text, language=sentence.language)[0])
    shown = choose_depiction(motifs)
    return frozenset(shown.names) if shown else frozenset()


def _main() -> None:
    about = [sentence for sentence in SENTENCES if sentence.motifs]
    neutral = [sentence for sentence in SENTENCES if not sentence.motifs]
    for name, meaning in (("words", False), ("words and meaning", True)):
        began = time.process_time()
        right = [sentence for sentence in about if shown_by(sentence, meaning=meaning) & sentence.motifs]
        wrong = [
            sentence
            for sentence in about
            if (shown := shown_by(sentence, meaning=meaning)) and not shown & sentence.motifs
        ]
        given = [
            sentence
            for sentence in neutral
            if any(MOTIF_NAMES[name].kind == "subject" for name in shown_by(sentence, meaning=meaning))
        ]
        seconds = time.process_time() - began
        print(
            f"{name}: {len(right)} of {len(about)} right, {len(wrong)} wrong, {len(given)} of {len(neutral)} "
            f"sentences about nothing got a subject; {seconds:.1f} s of CPU"
        )


if __name__ == "__main__":
    _main()
