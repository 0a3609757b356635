"""Emoji: sequences are one picture, in their own colours at every size."""

from __future__ import annotations

import numpy as np
import pytest

from tests.filters.test_typeset import glyph_ids
from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.filters.typeset import Shadow, TextStyle, layout_text, rasterise
from video_pipeline.filters.typeset.characters import clusters


def test_an_emoji_sequence_is_one_picture() -> None:
    assert len(glyph_ids("👨‍👩‍👧‍👦")) == 1
    assert len(glyph_ids("🇩🇪")) == 1
    assert len(clusters("👩‍🚀é👍🏽")) == 3


@pytest.mark.parametrize("size", [12, 40, 96, 300])
def test_emoji_are_drawn_in_their_own_colours(size: int) -> None:
    fonts = FontCatalogue().resolve("Arial-Bold")
    for text in ("🇪🇸", "👍🏽", "👩‍👩‍👧", "❤️", "❤", "🏴‍☠️", "1️⃣"):
        layout = layout_text(
            text, fonts=fonts, style=TextStyle(size_px=size), max_width_px=900, max_height_px=600
        )
        assert len(layout.glyphs) == 1
        assert layout.missing == ()
        drawn = np.asarray(rasterise(layout).image).astype(int)
        inked = drawn[drawn[..., 3] == 255][:, :3]
        assert len(inked) > 0.2 * size * size
        assert len(np.unique(inked[::7] // 16, axis=0)) > 2, "more than one colour"
        assert drawn.shape[0] < 1.3 * size
        assert drawn.shape[1] < 1.3 * size


def test_a_flag_has_its_colours_from_the_top_down() -> None:
    fonts = FontCatalogue().resolve("Arial-Bold")
    layout = layout_text("🇩🇪", fonts=fonts, style=TextStyle(size_px=90), max_width_px=900, max_height_px=600)
    drawn = np.asarray(rasterise(layout).image).astype(int)
    middle = drawn[:, drawn.shape[1] // 2]
    third = len(middle) // 3
    black, red, gold = (
        middle[third * n + third // 2 : third * n + third // 2 + 3].mean(axis=0) for n in range(3)
    )
    assert black[:3].max() < 90
    assert red[0] > 150 > red[1]
    assert gold[0] > 200 > gold[2]
    assert gold[1] > 150


def test_an_emoji_keeps_its_colours_beside_text_with_a_stroke_a_shadow_and_opacity() -> None:
    fonts = FontCatalogue().resolve("Arial-Bold")

    def heart(**style: object) -> np.ndarray:
        look = TextStyle(size_px=80, color=(0, 0, 255, 255), **style)  # type: ignore[arg-type]
        layout = layout_text("I ❤️", fonts=fonts, style=look, max_width_px=900, max_height_px=600)
        drawn = rasterise(layout)
        (red,) = [glyph for glyph in layout.glyphs if glyph.face.path.name == "NotoColorEmoji.ttf"]
        x, y = round(red.x_px) - drawn.left_px + 50, round(red.y_px) - drawn.top_px - 30
        return np.asarray(drawn.image)[y, x]

    plain = heart()
    assert plain[0] > 200
    assert plain[2] < 90
    assert plain[3] == 255
    assert (heart(stroke_px=6, shadow=Shadow()) == plain).all()


def test_a_text_selector_and_the_plain_emoji_font_have_the_texts_colour() -> None:
    for name, text in (("Arial", "☎\ufe0e"), ("Arial", "☎"), ("Arial", "❤\ufe0e"), ("Noto Emoji", "🚀❤️")):
        fonts = FontCatalogue().resolve(name)
        look = TextStyle(size_px=60, color=(0, 255, 0, 255))
        drawn = np.asarray(
            rasterise(layout_text(text, fonts=fonts, style=look, max_width_px=900, max_height_px=600)).image
        )
        assert (drawn[drawn[..., 3] > 0][:, :3] == (0, 255, 0)).all(), (name, text)
