"""English: what is written, and what is spoken for it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from video_pipeline.engine.assets.speech.normalisation.dates import DateOrder
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text

READINGS = {
    "negative money": [
        ("$-5, -$5 and €-2.50", "minus five dollars, minus five dollars and minus two euros and fifty cents."),
        ("₹1,00,000 and ₹2,35,00,500", "one lakh rupees and two crore thirty-five lakh five hundred rupees."),
    ],
    "spans and durations": [
        ("10%-20%", "ten percent to twenty percent."),
        ("5kg–10kg", "five kilograms to ten kilograms."),
        ("5-10%", "five to ten percent."),
        ("5min 30s", "five minutes thirty seconds."),
        ("1h 05m", "one hour five minutes."),
        ("2h30m15s", "two hours thirty minutes fifteen seconds."),
        ("Wait 30s", "Wait thirty seconds."),
        ("in her 30s", "in her thirties."),
        ("24 hrs., daily", "twenty-four hours, daily."),
        ("£1.5bn-£2bn", "one point five billion pounds to two billion pounds."),
        ("1st-2nd place", "first to second place."),
        ("5 × 3 = 15", "five times three equals fifteen."),
        ("at 9 p.m. EST", "at nine PM EST."),
        ("b. 1850, d. 1911", "born eighteen fifty, died nineteen eleven."),
        ("9.8 m/s² or m/s²", "nine point eight meters per second squared or meters per second squared."),
        ("４５％ and １０ km", "forty-five percent and ten kilometers."),
        ("12:30:45.5", "twelve thirty and forty-five point five seconds."),
    ],
    "sequences": [
        ("1-800-FLOWERS", "one eight hundred, FLOWERS."),
        ("1-866-GET-HELP", "one eight six six, GET HELP."),
        ("1-2-3", "one, two, three."),
        ("978-3-16-148410-X", "nine seven eight, three, one six, one four eight four one zero, X."),
        ("078-05-1120", "zero seven eight, zero five, one one two zero."),
        ("2024-05-12", "May twelfth, twenty twenty-four."),
    ],
    "capital ordinals and powers": [
        ("1ST, 2ND, 3RD and 4TH", "first, second, third and fourth."),
        ("2^n and x^2", "two to the power of n and x squared."),
    ],
    "inches in fractions": [
        ('a 5/8" bolt', "a five eighths inch bolt."),
        ('2 1/2"', "two and a half inches."),
        ('He said "take 5/8" and left.', "He said “take five eighths” and left."),
    ],
    "street addresses": [
        ("On 5th Ave. NW he lived.", "On fifth Avenue Northwest he lived."),
        ("Omaha, NE", "Omaha, NE."),
    ],
    "money": [
        ("He paid $1,250.50.", "He paid one thousand two hundred fifty dollars and fifty cents."),
        ("$1", "one dollar."),
        ("$0.99", "ninety-nine cents."),
        ("$3.5 million", "three point five million dollars."),
        ("-$5M", "minus five million dollars."),
        ("$5–$10", "five to ten dollars."),
        ("5 €, €5 and 5€", "five euros, five euros and five euros."),
        ("£3.50", "three pounds and fifty pence."),
        ("¥500", "five hundred yen."),
        ("99¢", "ninety-nine cents."),
        ("EUR 20", "twenty euros."),
        ("$20/hour", "twenty dollars per hour."),
    ],
    "dates": [
        ("on 12/05/2024.", "on December fifth, twenty twenty-four."),
        ("on 25/12/2024", "on December twenty-fifth, twenty twenty-four."),
        ("2024-05-12", "May twelfth, twenty twenty-four."),
        ("May 5, 2024", "May fifth, twenty twenty-four."),
        ("5 May 2024", "the fifth of May twenty twenty-four."),
        ("the 3rd of March", "the third of March."),
        ("Sept. 11, 2001", "September eleventh, two thousand one."),
        ("Jan. 3", "January third."),
        ("in March 12 people came", "in March twelve people came."),
    ],
    "years": [
        ("In 1984 and 2005", "In nineteen eighty-four and two thousand five."),
        ("1500 people in 1500", "one thousand five hundred people in fifteen hundred."),
        ("the 1990s, the '80s, 80s", "the nineteen nineties, the eighties, eighties."),
        ("1914–1918 and 1990-95", "nineteen fourteen to nineteen eighteen and nineteen ninety to ninety-five."),
        ("44 BC", "forty-four BC."),
        ("In 1066 and mid-1960s", "In ten sixty-six and mid nineteen sixties."),
    ],
    "times": [
        ("At 7:30 pm.", "At seven thirty PM."),
        ("At 7 AM. I left.", "At seven AM. I left."),
        ("Mon-Fri 9-5, Jan.–Mar.", "Monday to Friday nine to five, January to March."),
        ("At 7 p.m. He left.", "At seven PM. He left."),
        ("at 7 p.m. on Monday", "at seven PM on Monday."),
        ("12:00, 0:00, 7:05", "twelve o'clock, midnight, seven oh five."),
        ("19:45", "nineteen forty-five."),
        ("9am-5pm", "nine AM to five PM."),
        ("10:30–11:15", "ten thirty to eleven fifteen."),
        ("3:1 and 16:9", "three to one and sixteen to nine."),
    ],
    "units": [
        ("It was 20°C.", "It was twenty degrees Celsius."),
        ("-5 °F, 180℃, 45°", "minus five degrees Fahrenheit, one hundred eighty degrees Celsius, forty-five degrees."),
        ("He is 6'2\" tall", "He is six foot two tall."),
        ("a 12\" ruler", "a twelve inches ruler."),
        ('"He is 12" she said', "“He is twelve” she said."),
        ("60 mph, 100 km/h, 5 m/s", "sixty miles per hour, one hundred kilometers per hour, five meters per second."),
        ("1 kg or 2 kg", "one kilogram or two kilograms."),
        ("5 ft. tall", "five feet tall."),
        ("for 20 min. It", "for twenty minutes. It."),
        ("50% of 10 m²", "fifty percent of ten square meters."),
    ],
    "numbers": [
        ("1,250,000", "one million two hundred fifty thousand."),
        ("3.14 and .5", "three point one four and zero point five."),
        ("007", "zero zero seven."),
        ("10^5", "ten to the power of five."),
        ("x² and 10⁵", "x squared and ten to the power of five."),
        ("1.5e-3", "one point five times ten to the power of minus three."),
        ("1st, 22nd, 1,000th", "first, twenty-second, one thousandth."),
        ("1/2, 3/4, 2 1/2, 3½", "one half, three quarters, two and a half, three and a half."),
        ("12/25", "December twenty-fifth."),
        ("½ tsp, 1½ km, 3/4 mi", "one half teaspoon, one and a half kilometers, three quarters mile."),
        ("10%–20%", "ten percent to twenty percent."),
        ("24/7 and 7/10", "twenty-four seven and seven out of ten."),
        ("3–5 days", "three to five days."),
        ("5 - 3 = 2", "five minus three equals two."),
        ("1080x1920", "ten eighty by nineteen twenty."),
        ("10k, 1.5M, 10x", "ten thousand, one point five million, ten times."),
        ("Call (555) 123-4567.", "Call five five five, one two three, four five six seven."),
        ("call 911", "call nine one one."),
        ("192.168.0.1", "one hundred ninety-two dot one hundred sixty-eight dot zero dot one."),
        ("#1 and No. 5", "number one and Number five."),
        ("1234567890", "one two three four five six seven eight nine zero."),
    ],
    "names with digits": [
        ("4K, 5G, MP3", "four K, five G, MP three."),
        ("COVID-19", "COVID nineteen."),
        ("B52 and A380", "B fifty-two and A three eighty."),
        ("H2O and H₂O", "H two O and H two O."),
        ("a word¹ and ٣", "a word and three."),
        ("221B Baker St.", "two twenty-one B Baker Street."),
    ],
    "abbreviations": [
        ("Tom vs. Jerry", "Tom versus Jerry."),
        ("See p. 12 and pp. 3-4.", "See page twelve and pages three to four."),
        ("No. I won't.", "No. I won't."),
        ("Dr. Smith of Main St. in St. Paul", "Doctor Smith of Main Street in Saint Paul."),
        ("Elm Dr. is near", "Elm Drive is near."),
        ("etc. The end.", "et cetera. The end."),
        ("e.g. this, i.e. that", "for example this, that is that."),
        ("the U.S. The end.", "the US. The end."),
        ("J. K. Rowling", "J K Rowling."),
        ("Generation X. Then Y.", "Generation X. Then Y."),
        ("Mr Smith, Mrs. Jones", "Mister Smith, Missus Jones."),
        ("INT. KITCHEN - DAY", "Interior KITCHEN — DAY."),
        ("w/o you, and/or, AT&T", "without you, and or, AT and T."),
    ],
    "Roman numerals": [
        ("The book I wrote", "The book I wrote."),
        ("The Book I wrote", "The Book I wrote."),
        ("the part I like is chapter I.", "the part I like is chapter one."),
        ("Chapter I begins", "Chapter one begins."),
        ("Chapter IV, World War II", "Chapter four, World War two."),
        ("Henry VIII and Louis XIV's", "Henry the eighth and Louis the fourteenth's."),
        ("King Charles I was", "King Charles the first was."),
        ("Charles, I was there", "Charles, I was there."),
        ("Malcolm X, Plan B, vitamin C", "Malcolm X, Plan B, vitamin C."),
        ("a CD MIX", "a CD MIX."),
        ("III. The storm", "three. The storm."),
    ],
    "addresses": [
        ("See https://www.example.com/map?x=1&y=2.", "See example dot com."),
        ("mail john.doe@example.co.uk!", "mail john dot doe at example dot co dot uk!"),
        ("www.site.org, example.com/story", "site dot org, example dot com."),
        ("#OldHarbour by @old_man", "Old Harbour by at old man."),
        ("[the map](https://example.com/x)", "the map."),
    ],
    "silent": [
        ("👍🏽 yes 🇪🇸 no ❤️ 1️⃣ done 👩‍👩‍👧", "yes no done."),
        ("It was **dark** and _cold_ `now`.", "It was dark and cold now."),
        ("<b>x</b>", "x."),
        ("Hello\x00\n\u200b 🎉 wor\u00adld", "Hello world."),
    ],
    "marks": [
        ('"Help!" he cried.', "“Help!” he cried."),
        ("Wait... what?!", "Wait… what?"),
        ("no—yes – maybe -- so", "no—yes — maybe — so."),
        ("rock 'n' roll, 'Twas, goin'", "rock and roll, Twas, goin'."),
        ("the dogs' bowls", "the dogs bowls."),
        ("well-known mother-in-law", "well-known mother-in-law."),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("text", "words"), [case for cases in READINGS.values() for case in cases])
def test_what_is_written_becomes_what_is_spoken(text: str, words: str) -> None:
    assert spoken_text(text, language="en").text == words


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("mdy", "December fifth, twenty twenty-four."),
        ("dmy", "May twelfth, twenty twenty-four."),
        ("ymd", "December fifth, twenty twenty-four."),
    ],
)
def test_a_date_in_numbers_is_read_in_the_given_order(order: DateOrder, words: str) -> None:
    assert spoken_text("12/05/2024", language="en", dates=order).text == words
    assert (
        spoken_text("25/12/2024", language="en", dates=order).text
        == "December twenty-fifth, twenty twenty-four."
    )


def test_blocks_end_with_a_pause_and_their_marks_are_silent() -> None:
    text = "# Chapter 1\n\n---\n\nIngredients:\n\n- 2 eggs\n- 1 cup milk\n\nMix\nwell\n\n1. Bake!\n2. Eat"
    assert spoken_text(text, language="en").text == (
        "Chapter one. Ingredients: two eggs. one cup milk. Mix well. one. Bake! two. Eat."
    )


def test_acronyms_that_are_words_are_spelled_unless_all_is_in_capitals() -> None:
    spelled = [
        text.text[part.at : part.end]
        for text in [spoken_text("The US army told us IT is fine. NASA agrees.", language="en")]
        for part in text.parts
        if part.spell
    ]
    assert spelled == ["US", "IT"]
    assert not any(part.spell for part in spoken_text("STOP! IT IS US! RUN!", language="en").parts)


def shown_of(text: str) -> list[tuple[str, str]]:
    spoken = spoken_text(text, language="en")
    return [(spoken.text[part.at : part.end], text[part.start : part.stop]) for part in spoken.parts]


def test_parts_of_spans_durations_and_phone_numbers_stand_for_their_own_characters() -> None:
    assert shown_of("10%-20% in 5min 30s at 1-800-FLOWERS") == [
        ("ten percent", "10%"),
        ("to twenty percent", "20%"),
        ("in", "in"),
        ("five minutes", "5min"),
        ("thirty seconds", "30s"),
        ("at", "at"),
        ("one eight hundred,", "1-800"),
        ("FLOWERS", "FLOWERS"),
    ]


def test_each_spoken_part_knows_the_characters_it_stands_for() -> None:
    assert shown_of("He paid $5 million on May 5, 2024, J. K. said.") == [
        ("He", "He"),
        ("paid", "paid"),
        ("five", "$5 "),
        ("million dollars", "million"),
        ("on", "on"),
        ("May", "May"),
        ("fifth", "5"),
        ("twenty twenty-four", "2024"),
        ("J", "J."),
        ("K", "K."),
        ("said", "said"),
    ]


ODD = st.text(
    st.sampled_from("aI VX1250.,:;/-–'\"$€%°#@*_()[]<>^~=&+ \n\t👍🏽\u20e3\u200d½²№St.Dr")
    | st.characters(codec="utf-8"),
    max_size=60,
)


@given(ODD, st.sampled_from(["en", "de", "es", "fr", "it", "pt", "ja", "ru", "xx"]))
@example("1" * 60, "en")
@example("$" + "9" * 40 + ".99", "fr")
@example("١٢٣ ²³ ①", "en")
@example("10^99999 1e999", "en")
@example("MMMMCM.", "en")
@example("¹0", "en")
def test_any_text_is_read_and_its_parts_are_in_order(text: str, language: str) -> None:
    spoken = spoken_text(text, language=language)
    at = start = 0
    for part in spoken.parts:
        assert at <= part.at < part.end <= len(spoken.text)
        assert start <= part.start <= part.stop <= len(text)
        at, start = part.end, part.start
    if language == "en":
        assert not any(character in "0123456789" for character in spoken.text)
