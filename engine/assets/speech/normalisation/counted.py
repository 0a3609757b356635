"""The gender that a number takes from what it counts: `veintiún años`, `duas meninas`, `vingt-et-une pages`, `eine Katze`.

A word is looked up among common nouns, then by its ending; others are masculine. What follows a number is no noun if it
is a word such as `de` or `and`: then the number stands alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.assets.speech.normalisation.language_words import Gender

_AFTER: Final = re.compile(r"[ \u00a0\u202f]([^\W\d_]+)(?:[ \u00a0\u202f]([^\W\d_]+))?")


@dataclass(frozen=True, slots=True)
class _Genders:
    """`numbers` is a pattern of the numbers that have genders; `alone` words before which a number stands alone."""

    numbers: str
    alone: frozenset[str]
    feminine: frozenset[str]
    masculine: frozenset[str]
    feminine_endings: str


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GENDERS: Final[Mapping[str, _Genders]] = {
    "es": _Genders(
        r"(?:.*(?!1)\d)?1|.*[2-9]\d\d(?:000)*|.*[2-9]00",
        _word_set(
            "de del y o u e a al en por con sin es son era eran fue fueron para que se si no ni el la los las un una lo"
            " más menos desde hasta como cuando ya está están contra entre pero grados mil millones millón"
        ),
        _word_set(
            "noche noches mano manos vez veces mujer mujeres clase clases llave llaves calle calles tarde tardes parte"
            " partes madre madres flor flores voz voces luz luces torre torres nube nubes carne muerte suerte gente"
            " serie series especie imagen imágenes red redes pared paredes foto fotos moto motos radio nave naves frase"
            " frases cruz cruces piel pieles sal cárcel nariz raíz raíces señal señales base bases costumbre"
        ),
        _word_set(
            "día días mapa mapas planeta planetas problema problemas tema temas sistema sistemas programa programas"
            " idioma idiomas poema poemas clima climas drama dramas fantasma fantasmas cometa sofá sofás papá papás"
            " diploma diplomas dilema dilemas aroma aromas crucigrama kilograma gramas colega colegas"
        ),
        r"as?|ción|ciones|sión|siones|dad|dades|tad|tades|tud|tudes",
    ),
    "pt": _Genders(
        r"(?:.*(?!1)\d)?[12]|.*[2-9]\d\d(?:000)*|.*[2-9]00",
        _word_set(
            "de do da dos das e ou a ao à em no na nos nas por com sem é são era eram foi foram para que se não nem o os"
            " as um uma mais menos desde até como quando já está estão contra entre mas graus mil milhões milhão"
        ),
        _word_set(
            "noite noites mão mãos vez vezes mulher mulheres tarde tardes parte partes mãe mães flor flores voz vozes luz"
            " luzes torre torres nuvem nuvens imagem imagens viagem viagens rede redes parede paredes foto fotos moto"
            " chave chaves ponte pontes árvore árvores cor cores frase frases irmã irmãs maçã maçãs manhã manhãs"
            " página classe classes série séries gente morte mortes"
        ),
        _word_set(
            "dia dias mapa mapas planeta planetas problema problemas tema temas sistema sistemas programa programas"
            " idioma idiomas poema poemas clima climas drama dramas fantasma fantasmas cinema cinemas quilograma gramas"
            " colega colegas diploma diplomas"
        ),
        r"as?|ção|ções|são|sões|dade|dades|tude|tudes",
    ),
    "it": _Genders(
        r"1",
        _word_set(
            "di del della e o ed a al in per con senza è sono era erano fu da su che si se non né il la lo i gli le più"
            " meno come quando già contro tra fra ma gradi"
        ),
        _word_set(
            "notte mano volta parte madre luce voce torre nube chiave stazione moglie carne morte gente serie specie"
            " croce radice rete parete foto moto radio nave arte legge mente neve pelle classe frase"
        ),
        _word_set(
            "problema tema sistema programma poema clima dramma fantasma pianeta papa cinema diploma artista collega"
        ),
        r"a|zione|sione|tà|tù|trice",
    ),
    "fr": _Genders(
        r"(?:.*(?!1)\d)?1",
        _word_set(
            "de du des et ou à au aux en dans par pour avec sans est sont était fut que qui se si ne ni le la les un une"
            " plus moins comme quand déjà contre entre mais sur sous degrés mille million millions"
        ),
        _word_set(
            "page pages heure heures minute minutes seconde secondes année années semaine semaines journée journées nuit"
            " nuits fois personne personnes femme femmes fille filles maison maisons chose choses histoire histoires"
            " ville villes porte portes fenêtre fenêtres lampe lampes rue rues main mains lettre lettres clé clés mer"
            " île îles étoile étoiles voiture voitures tasse tasses table tables chambre chambres photo photos image"
            " images idée idées vie vies mort morts tour tours pièce pièces route routes école écoles langue langues"
            " ligne lignes partie parties place places raison raisons question questions vidéo vidéos minutes livres"
        ),
        frozenset(),
        r"tions?|sions?|ettes?|esses?|ances?|trices?",
    ),
    "de": _Genders(
        r"1",
        frozenset(),
        _word_set(
            "Nacht Frau Person Stadt Hand Wand Bank Welt Zeit Zahl Tür Uhrzeit Mutter Tochter Schwester Kraft Kuh Maus Gans"
            " Nuss Wurst Butter Nummer Insel Million Mark Burg Fahrt Nadel Gabel Schüssel Regel Tafel Kartoffel Feder"
        ),
        _word_set(
            "Ende Auge Gebäude Name Junge Käse Kunde Löwe Hase Buchstabe Gedanke Affe Kollege Erbe Interesse Gemüse Rabe"
            " Getreide Gebirge Zeuge Riese Zwerge Bote Sklave"
        ),
        r"e|ung|heit|keit|schaft|ion|tät|ei|in",
    ),
}
_GERMAN_NO_E: Final = _word_set(
    "Bein Wein Schwein Stein Verein Ei Termin Kamin Benzin Delfin Magazin Medizin Spion Pavillon"
)


def counted_gender(language: str, digits: str, after: str) -> Gender | None:
    """Return the gender of a number before a text, by what it counts there; None if the number has none or stands alone."""
    genders = _GENDERS.get(language)
    if genders is None or not re.fullmatch(genders.numbers, digits):
        return None
    match = _AFTER.match(after)
    if match is None or match[1].lower() in genders.alone:
        return None
    if language == "de":
        return _german_gender(genders, match[1], match[2])
    if language == "it" and re.match(r"(?i)s[^aeiouhàèéìòù]|z|gn|ps|x|y", match[1]):
        return None  # uno specchio
    return _gender_of(genders, match[1].lower())


def _german_gender(genders: _Genders, first: str, second: str | None) -> Gender | None:
    """Return the gender of a German noun, which has a capital, or of the adjective before it by its ending."""
    if first[0].isupper():
        return "masculine" if first in _GERMAN_NO_E else _gender_of(genders, first)
    if second is not None and second[0].isupper() and first.endswith(("e", "er", "es")):
        return "feminine" if first.endswith("e") else "masculine"
    return None


def _gender_of(genders: _Genders, noun: str) -> Gender:
    if noun in genders.masculine:
        return "masculine"
    is_feminine = noun in genders.feminine or re.search(rf"(?:{genders.feminine_endings})$", noun)
    return "feminine" if is_feminine else "masculine"
