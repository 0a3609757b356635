"""German, Spanish, French, Italian, Portuguese; and languages without rules of their own."""

from __future__ import annotations

import pytest

from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text

READINGS = [
    ("de", "Am 3. Mai um 7:30 Uhr, d. h. spät.", "Am dritten Mai um sieben Uhr dreißig, das heißt spät."),
    ("de", "Er zahlte 1.250,50 €.", "Er zahlte eintausendzweihundertfünfzig Euro und fünfzig Cent."),
    ("de", "Ludwig XIV. regierte.", "Ludwig der Vierzehnte regierte."),
    ("de", "Kapitel IV. Ende.", "Kapitel vier. Ende."),
    ("de", "Der 2. Weltkrieg, 1 km, 1 h", "Der zweite Weltkrieg, ein Kilometer, eine Stunde."),
    ("de", "am 12.05.2024, 1999", "am zwölften Mai zweitausendvierundzwanzig, neunzehnhundertneunundneunzig."),
    ("de", "2,5 Mio. € usw.", "zwei Komma fünf Millionen Euro und so weiter."),
    ("es", "El Sr. García pagó 1.250,50 €.", "El señor García pagó mil doscientos cincuenta euros y cincuenta céntimos."),
    ("es", "el 12/05/2024 a las 7:30", "el doce de mayo de dos mil veinticuatro a las siete y treinta."),
    ("es", "El siglo XIX y Felipe II, 21 km, 2.ª", "El siglo diecinueve y Felipe segundo, veintiún kilómetros, segunda."),
    ("es", "En EE. UU. viven.", "En Estados Unidos viven."),
    ("fr", "M. Dupont, 1 250,50 €", "monsieur Dupont, mille deux cent cinquante euros et cinquante centimes."),
    ("fr", "à 7h30 le 1er mai", "à sept heures trente le premier mai."),
    ("fr", "Louis XIV et le XIXe siècle", "Louis quatorze et le dix-neuvième siècle."),
    ("fr", "-5 °C, 50 %, n° 5", "moins cinq degrés Celsius, cinquante pour cent, numéro cinq."),
    ("it", "Il Sig. Rossi, 21 kg, ecc. 3,14", "Il signor Rossi, ventun chilogrammi, eccetera tre virgola uno quattro."),
    ("it", "il XIX secolo, Luigi XIV", "il diciannovesimo secolo, Luigi quattordicesimo."),
    ("pt", "O Sr. Silva pagou R$ 1.250,50.", "O senhor Silva pagou mil duzentos e cinquenta reais e cinquenta centavos."),
    ("pt", "Século XIX, Dom Pedro II", "Século dezenove, Dom Pedro segundo."),
    ("de", "hans@beispiel.de", "hans ät beispiel Punkt de."),
    ("ru", "3 мая 👍", "три мая."),
    ("hi", "यह 5 किताबें हैं। ₹1,250", "यह पाँच किताबें हैं। ₹1,250."),
    ("ja", "2024年に3人が来た。", "二千二十四年に三人が来た。"),
    ("xx", "One 5 is **here**.", "One 5 is here."),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "words"), READINGS)
def test_what_is_written_becomes_what_is_spoken(language: str, text: str, words: str) -> None:
    assert spoken_text(text, language=language).text == words


@pytest.mark.parametrize(
    ("language", "said"),
    [("de", "eine Million"), ("es", "un millón"), ("it", "un milione"), ("pt", "um milhão")],
)
def test_points_between_thousands_are_no_version(language: str, said: str) -> None:
    assert said in spoken_text("x 1.000.000 x", language=language).text
