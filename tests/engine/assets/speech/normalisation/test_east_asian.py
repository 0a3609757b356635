"""Japanese and Chinese: what is written, and what is spoken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text

JAPANESE_READINGS = [
    ("気温は25℃、夜は-5°C。", "気温は二十五度、夜はマイナス五度。"),
    ("北緯35°です。", "北緯三十五度です。"),
    ("売上は４５％、10%-20%増えた。", "売上は四十五パーセント、十パーセントから二十パーセント増えた。"),
    ("電話は03-1234-5678です。", "電話はゼロ三、一二三四、五六七八です。"),
    ("¥1,200と3.5億円と$5", "千二百円と三点五億円と五ドル."),
    ("3〜5人が来た。", "三から五人が来た。"),
    ("1/2の人", "二分の一の人."),
    ("2024-05-03 10:30", "二千二十四年五月三日 十時三十分."),
    ("9:05と8:00、3:2で勝つ", "九時五分と八時、三対二で勝つ."),
    ("3.14と0.5", "三点一四とゼロ点五."),
    ("60km/hで5km", "時速六十キロメートルで五キロメートル."),
    ("ＡＢＣの話", "ABCの話."),
]

CHINESE_READINGS = [
    ("气温是25℃，夜里-5°C。", "气温是二十五摄氏度，夜里负五摄氏度。"),
    ("增长了４５％，5-10%。", "增长了百分之四十五，百分之五到十。"),
    ("电话是13812345678。", "电话是一三八一二三四五六七八。"),
    ("电话010-12345678", "电话零一零，一二三四五六七八."),
    ("¥1,200和3.5亿元", "一千二百元和三点五亿元."),
    ("3〜5个人，3-5天", "三到五个人，三到五天."),
    ("1/2的人", "二分之一的人."),
    ("2024年5月3日", "二零二四年五月三日."),
    ("1990年代，2005年", "一九九零年代，二零零五年."),
    ("2024/5/3 10:30", "二零二四年五月三日 十点三十分."),
    ("9:05出发，3:2获胜", "九点零五分出发，三比二获胜."),
    ("2个人，2小时，12个", "两个人，两小时，十二个."),
    ("3.14，5kg", "三点一四，五公斤."),
]


@pytest.mark.parametrize(("text", "words"), JAPANESE_READINGS)
def test_japanese_is_spoken_as_it_is_said(text: str, words: str) -> None:
    assert spoken_text(text, language="ja").text == words


@pytest.mark.parametrize(("text", "words"), CHINESE_READINGS)
def test_chinese_is_spoken_as_it_is_said(text: str, words: str) -> None:
    assert spoken_text(text, language="zh").text == words


def test_east_asian_parts_stand_for_the_characters_that_they_read() -> None:
    spoken = spoken_text("价格¥1,200，10%-20%。", language="zh")
    assert [
        (spoken.text[part.at : part.end], spoken.shown[part.start : part.stop]) for part in spoken.parts
    ] == [
        ("价格", "价格"),
        ("一千二百元", "¥1,200"),
        ("百分之十到百分之二十", "10%-20%"),
    ]


@given(
    st.text("0123456789４.,，:/-〜%％°C℃¥$年月日人万億亿Ａ +kmh", max_size=30), st.sampled_from(["ja", "zh"])
)
def test_no_digit_is_left_and_parts_are_in_order(text: str, language: str) -> None:
    spoken = spoken_text(text, language=language)
    at = start = 0
    for part in spoken.parts:
        assert at <= part.at < part.end <= len(spoken.text)
        assert start <= part.start <= part.stop <= len(text)
        at, start = part.end, part.start
    assert not any(character.isdecimal() for character in spoken.text)
