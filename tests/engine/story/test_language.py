"""The language of a text."""

from __future__ import annotations

import pytest

from video_pipeline.engine.assets.speech.normalisation.european import LANGUAGES as NORMALISED
from video_pipeline.engine.assets.speech.service import load_speech_service
from video_pipeline.engine.story.language import RARE_LANGUAGES, SPOKEN_LANGUAGES, detect_language

SENTENCES = [
    ("en", "The old keeper never spoke of the storm, and nobody asked."),
    ("en", "Once upon a time in Łódź, an old keeper lit the lamp and waited for the boat."),
    ("en", "The café owner, Zoë, served crème brûlée and jalapeño poppers to the naïve fiancé."),
    ("en", "Renée met José at the château; they ordered pâté and drank Gewürztraminer."),
    ("en", "Señor Núñez walked home. The piñata was gone, and the jalapeños too."),
    ("en", "The word 你好 means hello, and こんにちは too."),
    ("zh", "老人从不谈论那场风暴，也没有人问起。"),
    ("zh", "她在 Google 上搜索了“GDP”的意思，然后打开 iPhone 给妈妈发了一条微信。"),
    ("zh", "他说 OK，我们明天在 Starbucks 见。"),
    ("zh", "奶奶笑著點亮了燈，說：「現在我們看得見大海了！」"),
    ("ja", "老いた灯台守は嵐のことを決して話さなかった。"),
    ("ja", "彼はNetflixで古いSF映画を見て、LINEで友達に感想を送った。"),
    ("es", "El viejo farero nunca hablaba de la tormenta."),
    ("es", "El show empieza a las ocho. ¡No llegues tarde, Kevin!"),
    ("fr", "Le vieux gardien ne parlait jamais de la tempête."),
    ("fr", "Le garçon naïf a mangé une crème brûlée au café."),
    ("de", "Der alte Leuchtturmwärter sprach nie über den Sturm."),
    ("de", "Der Chef hat das Meeting gecancelt, weil der Laptop im Büro kaputt war."),
    ("it", "Il computer non funziona più, perciò vado al bar con lo smartphone."),
    ("it", "Perché no? È già tardi."),
    ("pt", "Você já viu o novo filme da Marvel no streaming?"),
    ("pt", "A avó riu e acendeu a lâmpada; o marketing digital não lhe interessava."),
    ("hi", "बूढ़े रखवाले ने तूफान के बारे में कभी बात नहीं की।"),
    ("hi", "राहुल ने YouTube पर एक video देखा और अपने दोस्त को WhatsApp किया।"),
]
"""Sentences of languages that have a voice or rules of their own, many with names and words of others."""

OTHERS = [
    ("ar", "لم يتحدث الحارس العجوز عن العاصفة قط."),
    ("ca", "L'àvia va riure i va encendre el llum. Ara veiem el mar, va dir, i tothom va callar."),
    ("el", "Ο γέρος φύλακας δεν μιλούσε ποτέ."),
    ("gl", "A avoa riu e acendeu a lámpada. Agora xa vemos o mar, dixo."),
    ("ko", "늙은 등대지기는 폭풍에 대해 말하지 않았다."),
    ("mr", "आजीने हसून दिवा लावला. आता आपल्याला समुद्र दिसतो, ती म्हणाली."),
    ("ne", "हजुरआमाले हाँसेर बत्ती बाल्नुभयो। अब हामी समुद्र देख्छौं।"),
    ("nl", "De oude vuurtorenwachter stak de lamp aan en wachtte op de boot."),
    ("no", "Bestemor lo og tente lampen. Nå ser vi havet, sa hun."),
    ("pl", "Stary latarnik zapalił lampę i czekał na łódź."),
    ("ru", "Бабушка включила Netflix и засмеялась."),
    ("sv", "Den gamla fyrvaktaren tände lampan och väntade på båten."),
    ("th", "คุณยายหัวเราะแล้วจุดตะเกียง"),
    ("tr", "Yaşlı fenerci lambayı yaktı ve tekneyi bekledi."),
    ("uk", "Бабуся засміялася і запалила лампу, а онук відкрив YouTube."),
    ("vi", "Bà cười và thắp đèn lên, rồi mở YouTube."),
]
"""Sentences of languages that only services speak: none is taken for a neighbour that has a voice."""


@pytest.mark.parametrize(("language", "text"), SENTENCES)
def test_a_language_that_can_be_spoken_is_found_also_beside_words_of_others(language: str, text: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize(("language", "text"), OTHERS)
def test_other_languages_are_not_taken_for_one_that_can_be_spoken(language: str, text: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize("text", ["Ok.", "Hi", "42", "", "Gull Point", "🌊 !"])
def test_a_text_too_short_for_detection_is_english(text: str) -> None:
    assert detect_language(text) == "en"


def test_the_languages_that_can_be_spoken_are_those_of_the_voices_and_of_the_rules() -> None:
    services = [load_speech_service(name) for name in ("hibari", "kokoro")]
    voices = {language.code for service in services for language in service.languages}
    assert voices | set(NORMALISED) == SPOKEN_LANGUAGES
    assert not SPOKEN_LANGUAGES & RARE_LANGUAGES


@pytest.mark.parametrize(
    "text",
    [
        "“Go!”",
        "“No.”",
        "👋 Hi!",
        "Go—now!",
        "Hi — me.",
        "Hello 😀 world.",
        "👨‍👩‍👧‍👦 🇩🇪 👍🏽 ❤️ end.",
        "See https://example.com/x?y=1 😀 now.",
        "See https://example.com/x?y=1 #fun 🙂.",
        "It’s 20°C — late…",
    ],
)
def test_emoji_punctuation_and_addresses_do_not_make_short_english_foreign(text: str) -> None:
    assert detect_language(text) == "en"
