"""German, Spanish, French, Italian, Portuguese; and languages without rules of their own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    ("ru", "3 мая 👍", "третье мая."),
    ("ru", "12.05.2024, №5, 1990-е, site.com", "двенадцатое мая две тысячи двадцать четвертого года, номер пять, 1990-е, site точка com."),
    ("ru", "2024-05-12 и 45.13.2024", "двенадцатое мая две тысячи двадцать четвертого года и 45.13.2024."),
    ("hi", "12/05/2024 को 7:30 बजे", "बारह मई दो हज़ार चौबीस को सात बजकर तीस मिनट."),
    ("es", "21 años, 500 personas, 21 casas, 1 libro, 1 casa, 1 de 3, 200 días", "veintiún años, quinientas personas, veintiuna casas, un libro, una casa, uno de tres, doscientos días."),
    ("es", "tel. 912 34", "teléfono nueve uno dos, tres cuatro."),
    ("pt", "2 meninas, 200 pessoas, 21 casas, 2 dias, 1 livro", "duas meninas, duzentas pessoas, vinte e uma casas, dois dias, um livro."),
    ("fr", "21 pages, 1 nuit, 1 livre, 1 de ces", "vingt-et-une pages, une nuit, un livre, un de ces."),
    ("it", "1 libro, 1 casa, 1 specchio, 1 di loro", "un libro, una casa, uno specchio, uno di loro."),
    ("de", "1 Apfel, 1 Stunde, 1 kleine Katze, 1 von ihnen", "ein Apfel, eine Stunde, eine kleine Katze, eins von ihnen."),
    ("hi", "यह 5 किताबें हैं। ₹1,250", "यह पाँच किताबें हैं। एक हज़ार दो सौ पचास रुपये."),
    ("ja", "2024年に3人が来た。", "二千二十四年に三人が来た。"),
    ("xx", "One 5 is **here**.", "One 5 is here."),
    ("de", "2 Mrd. € und 3 Mio. Euro, 1 Mio. Menschen.", "zwei Milliarden Euro und drei Millionen Euro, eine Million Menschen."),
    ("de", "um 7.30 Uhr am 3. Mai", "um sieben Uhr dreißig am dritten Mai."),
    ("de", "Der 1. FC Köln schlug Bayern 3:2.", "Der erste FC Köln schlug Bayern drei zu zwei."),
    ("de", "Benedikt XVI. war Papst", "Benedikt der Sechzehnte war Papst."),
    ("de", "in den 90er und 1990ern", "in den neunziger und neunzehnhundertneunzigern."),
    ("de", "In der Hauptstr. 5. Er auch.", "In der Hauptstraße fünf. Er auch."),
    ("de", "½ Tasse, 2½ Löffel, 3/4 Stunde", "ein halb Tasse, zweieinhalb Löffel, drei Viertel Stunde."),
    ("de", "3x4 Meter, 2x täglich", "drei mal vier Meter, zweimal täglich."),
    ("de", "CHF 1'000, 10 %-20 %", "eintausend Franken, zehn bis zwanzig Prozent."),
    ("fr", "1,5 million € et 3 milliards de dollars", "un virgule cinq million d'euros et trois milliards de dollars."),
    ("fr", "François Ier, Elisabeth II, la Ire République", "François premier, Elisabeth deux, la première République."),
    ("fr", "Mme Dupont et Mlle Martin à 14h30", "madame Dupont et mademoiselle Martin à quatorze heures trente."),
    ("fr", "2 1/2, 3/4, 3:2, 2x", "deux et demi, trois quarts, trois à deux, deux fois."),
    ("es", "2 millones de euros, $2 M", "dos millones de euros, dos millones de dólares."),
    ("es", "Juan XXIII, S. XIX, n.º 5, el 3er piso", "Juan veintitrés, siglo diecinueve, número cinco, el tercer piso."),
    ("es", "1/2 kilo, 3:2, a las 10:30 h", "medio kilo, tres a dos, a las diez y treinta."),
    ("it", "2,5 mln di euro e 3 mld", "due virgola cinque milioni di euro e tre miliardi."),
    ("it", "Elisabetta II, sec. XIX, 3° posto, 20° a nord", "Elisabetta seconda, secolo diciannovesimo, terzo posto, venti gradi a nord."),
    ("it", "la Sig.ra Bianchi, ore 10.30, 2 1/2", "la signora Bianchi, ore dieci e trenta, due e mezzo."),
    ("pt", "R$ 1,5 milhão e 2 bilhões de reais", "um vírgula cinco milhão de reais e dois bilhões de reais."),
    ("pt", "D. João VI, séc. XIX, 1.º lugar, 2ª vez", "dom João sexto, século dezenove, primeiro lugar, segunda vez."),
    ("pt", "10 %-20 % e 20 °C, 2x", "dez a vinte por cento e vinte graus Celsius, duas vezes."),
    ("ru", "1 000 000 ₽, 21 %, −5 °C, 22 км", "один миллион рублей, двадцать один процент, минус пять градусов Цельсия, двадцать два километра."),
    ("ru", "В 14:30 за 2,5 млн $", "В четырнадцать часов тридцать минут за два запятая пять миллиона долларов."),
    ("hi", "₹1,00,000 और 25%, 2.5 लाख", "एक लाख रुपये और पच्चीस प्रतिशत, दो दशमलव पाँच लाख."),
    ("hi", "10:30 और 5:00", "दस बजकर तीस मिनट और पाँच बजे."),
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


@pytest.mark.parametrize(("language", "text", "_"), READINGS)
def test_every_word_that_is_shown_is_spoken_by_some_part(language: str, text: str, _: str) -> None:
    spoken = spoken_text(text, language=language)
    covered = set()
    for part in spoken.parts:
        assert 0 <= part.start <= part.stop <= len(text)
        covered.update(range(part.start, part.stop))
    silent = {at for at, letter in enumerate(text) if letter.isalnum()} - covered
    assert not {text[at] for at in silent}, f"{text!r}: {[text[at] for at in sorted(silent)]}"


@given(
    st.sampled_from(["de", "fr", "es", "it", "pt"]),
    st.text("0123456789.,:/-% °½€$XVIa mMio°xº'", max_size=24),
)
def test_no_text_of_numbers_and_signs_breaks_the_rules(language: str, text: str) -> None:
    said = spoken_text(text, language=language).text
    assert not re.search(r"\d", re.sub(r"[½]", "", said)) or len(re.findall(r"\d", text)) > 15
