"""Where lines of Thai, Chinese, Japanese and Korean break."""

from __future__ import annotations

import pytest

from tests.filters.test_typeset import set_text
from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.filters.typeset import TextStyle, layout_text


def test_thai_breaks_between_words_without_blanks() -> None:
    layout = set_text("สวัสดีชาวโลกที่นี่มีน้ำผึ้งและปู่ย่าตายายอยู่กรุงเทพมหานคร", width=500)
    assert layout.size_px == 64
    assert len(layout.lines) > 1
    assert all(line.width_px <= 500 for line in layout.text_lines)
    assert "".join(word.text for word in layout.words) == "".join(layout.lines)
    assert {"สวัสดี", "และ", "อยู่"} <= {word.text for word in layout.words}


@pytest.mark.parametrize(
    ("language", "text", "lines"),
    [
        (
            "ja",
            "むかしむかし、あるところに、おじいさんとおばあさんがいました。",
            "むかしむかし、|あるところに、|おじいさんと|おばあさんが|いました。",
        ),
        (
            "zh",
            "从前有座山，山里有座庙。他说《红楼梦》很长。",
            "从前有座山，|山里有座庙。|他说《红楼梦》|很长。",
        ),
        (
            "ko",
            "옛날 옛적에 어느 마을에 할아버지가 살았습니다.",
            "옛날 옛적에 어느|마을에 할아버지가|살았습니다.",
        ),
    ],
)
def test_chinese_japanese_and_korean_lines_break_between_words(language: str, text: str, lines: str) -> None:
    fonts = FontCatalogue(language=language).resolve("Arial-Bold")
    layout = layout_text(text, fonts=fonts, style=TextStyle(size_px=64), max_width_px=500, max_height_px=900)
    assert layout.size_px == 64
    assert layout.lines == tuple(lines.split("|"))


def test_no_line_begins_with_a_mark_that_belongs_to_the_one_before() -> None:
    fonts = FontCatalogue(language="ja").resolve("Arial-Bold")
    text = "「コーヒーをどうぞ」、ちょっと待ってください。きゃりーぱみゅぱみゅ！"
    for width in range(250, 700, 30):
        layout = layout_text(
            text, fonts=fonts, style=TextStyle(size_px=64), max_width_px=width, max_height_px=3000
        )
        assert not any(line[0] in "」、。！ーゃゅょっ" for line in layout.lines), layout.lines
