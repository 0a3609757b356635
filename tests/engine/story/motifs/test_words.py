"""Words to motifs: real sentences in every language, inflected, and words that must not be mistaken."""

from __future__ import annotations

import pytest

from video_pipeline.engine.story.motifs import MOTIF_NAMES, MOTIFS, find_motifs
from video_pipeline.engine.story.motifs.cldr import LANGUAGES
from video_pipeline.engine.story.motifs.words import _lexicon

SENTENCES = [
    ("en", "For forty years Dr. Elias Smith kept the lighthouse at Gull Point.", {"lighthouse"}),
    ("en", "A small boat drifted out of the dark, without sails, without oars.", {"boat", "night"}),
    ("en", "Only a map, drawn in his own hand, of an island he had never seen.", {"map", "island"}),
    ("en", "He climbed the stairs one last time.", {"stairs", "person"}),
    ("de", "Der alte Leuchtturmwärter stieg die Treppe hinauf.", {"lighthouse", "stairs", "person"}),
    ("de", "Ein Papierboot verließ bei Sturm den Hafen.", {"boat", "storm", "harbour"}),
    ("fr", "L'enfant courait dans la forêt sous la neige.", {"child", "forest", "snow"}),
    ("fr", "Au loin, l'île dormait dans la brume.", {"island", "fog"}),
    ("es", "La barca salió del puerto al amanecer.", {"boat", "harbour", "dawn"}),
    ("it", "La barca lasciò il porto all'alba.", {"boat", "harbour", "dawn"}),
    ("pt", "O castelo ficava no alto da montanha.", {"castle", "mountain"}),
    ("nl", "De oude vuurtoren stond op het eiland.", {"lighthouse", "island"}),
    ("pl", "W lesie, nad jeziorem, stał stary zamek.", {"forest", "lake", "castle"}),
    ("ru", "Маленькая лодка вышла из темноты в море.", {"boat", "night", "sea"}),
    ("ru", "На берегу реки горел костёр.", {"river", "fire"}),
    ("tr", "Fırtınada küçük bir tekne limana döndü.", {"storm", "boat", "harbour"}),
    ("ar", "خرج القارب من الميناء في الليل", {"boat", "harbour", "night"}),
    ("ja", "灯台の明かりが夜の海を照らした。", {"lighthouse", "night", "sea"}),
    ("zh", "小船驶向远方的灯塔。", {"boat", "lighthouse"}),
    ("ko", "등대지기는 바다를 바라보았다.", {"lighthouse", "sea"}),
    ("th", "เรือใบออกจากท่าเรือในตอนกลางคืน", {"boat", "harbour", "night"}),
]


@pytest.mark.parametrize(("language", "text", "motifs"), SENTENCES)
def test_a_sentence_names_what_it_is_about(language: str, text: str, motifs: set[str]) -> None:
    assert motifs <= find_motifs(text, language=language).keys()


@pytest.mark.parametrize(
    "text", ["It was not what they had agreed.", "Prices rose by four per cent in the second quarter.", ""]
)
def test_a_neutral_sentence_names_no_place(text: str) -> None:
    found = find_motifs(text, language="en")
    assert not [name for name in found if MOTIF_NAMES[name].kind in {"place", "subject"}]


def test_part_of_a_longer_word_is_not_that_word() -> None:
    assert "sea" not in find_motifs("The search of the season.", language="en")
    assert "day" not in find_motifs("Ein Mittagessen im Sommerloch: sonst Sonntag.", language="fr")


def test_what_is_named_first_and_most_often_comes_first() -> None:
    assert next(iter(find_motifs("A castle, and a bridge.", language="en"))) == "castle"
    found = find_motifs("A bridge by the castle, a castle above the town.", language="en")
    assert next(iter(found)) == "castle"


def test_a_region_is_ignored_and_an_unknown_language_finds_nothing() -> None:
    assert find_motifs("o mar", language="pt-BR") == find_motifs("o mar", language="pt")
    assert find_motifs("the sea", language="sw") == {}


def test_vowel_marks_and_capitals_make_no_difference() -> None:
    assert find_motifs("بَحْر", language="ar").keys() == find_motifs("بحر", language="ar").keys()
    assert "fire" in find_motifs("ATEŞ", language="tr")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_words_for_most_motifs_and_only_for_motifs(language: str) -> None:
    lexicon = _lexicon(language)
    named = {name for table in (lexicon.exact, lexicon.stems) for hits in table.values() for name, _ in hits}
    assert named <= MOTIF_NAMES.keys()
    assert len(named) >= 50


def test_a_subject_stands_in_places_that_are_motifs() -> None:
    assert len(MOTIFS) >= 40
    assert len(MOTIF_NAMES) == len(MOTIFS)
    for motif in MOTIFS:
        assert (motif.kind == "subject") == bool(motif.at), motif.name
        assert all(MOTIF_NAMES[place].kind == "place" for place in motif.at), motif.name
