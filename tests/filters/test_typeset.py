"""Setting text: every script as real glyphs, lines inside their limits, nothing clipped, hostile text harmless."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import manimgx_fonts
import numpy as np
import pytest
from bidi import get_display
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont, features

from video_pipeline.filters.typeset import (
    Box,
    FontError,
    FontFace,
    FontStack,
    Shadow,
    TextLayout,
    TextStyle,
    layout_text,
    raster,
    rasterise,
)
from video_pipeline.filters.typeset.characters import bidi_levels, clusters, sanitise, visual_order
from video_pipeline.filters.typeset.shaping import shape

FONTS = Path(manimgx_fonts.__file__).parent
NAMES = (
    "NotoSans",
    "NotoSansArabic",
    "NotoSansHebrew",
    "NotoSansDevanagari",
    "NotoSansThai",
    "NotoSansBengali",
    "NotoSansTamil",
    "NotoSansKhmer",
    "NotoSansMyanmar",
    "NotoEmoji",
    "NotoSansSymbols",
)
STACK = FontStack(tuple(FontFace(FONTS / f"{name}[wght].ttf", 700) for name in NAMES))
SAMPLES = {
    "Latin": "The quick brown fox — “Ångström, naïve café”",
    "Greek": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
    "Cyrillic": "Съешь же ещё этих мягких французских булок",
    "Arabic": "مرحبا بالعالم، كيف حالك؟ العدد 123",
    "Hebrew": "שלום עולם, זה טקסט (English 42) בעברית!",
    "Devanagari": "हिन्दी में क्षत्रिय किताब और श्री लक्ष्मी",
    "Thai": "สวัสดีชาวโลก ที่นี่มีน้ำผึ้งและปู่ย่าตายาย",
    "Bengali": "বাংলা ভাষা",
    "Tamil": "தமிழ் மொழி",
    "Khmer": "ភាសាខ្មែរ",
    "Burmese": "မြန်မာဘာသာ",
    "emoji": "🚀 👨‍👩‍👧‍👦 👩‍🚀 👍🏽 🇩🇪 ❤️ 1️⃣ ☀ ✔",
}


def set_text(
    text: str, *, width: int = 900, height: int = 600, min_size_px: int = 12, **style: object
) -> TextLayout:
    return layout_text(
        text,
        fonts=STACK,
        style=TextStyle(**{"size_px": 64, **style}),  # type: ignore[arg-type]
        max_width_px=width,
        max_height_px=height,
        min_size_px=min_size_px,
    )


def glyph_ids(text: str) -> list[int]:
    levels = bidi_levels(text)[1]
    return [glyph.glyph_id for run in shape(text, levels, STACK) for glyph in run.glyphs]


@pytest.mark.parametrize("text", SAMPLES.values(), ids=SAMPLES.keys())
def test_every_script_comes_out_as_glyphs(text: str) -> None:
    layout = set_text(text)
    assert layout.missing == ()
    assert 0 not in {glyph.glyph_id for glyph in layout.glyphs}, "glyph 0 is the empty box"
    alpha = np.asarray(rasterise(layout).image)[..., 3]
    assert alpha.max() == 255
    assert 0.05 < (alpha > 128).mean() < 0.6


def test_a_character_that_no_face_has_is_named() -> None:
    layout = set_text("漢字 and 漢字 and text")
    assert layout.missing == ("漢", "字")


def test_arabic_letters_join() -> None:
    alone = [glyph_ids(letter)[0] for letter in "سلم"]
    joined = glyph_ids("سلم")[::-1]
    assert len(joined) == 3
    assert all(one != other for one, other in zip(alone, joined, strict=True))


def test_devanagari_forms_conjuncts_and_moves_its_vowel_signs() -> None:
    assert len(glyph_ids("क्षि")) < len("क्षि")
    ka, sign = glyph_ids("क")[0], glyph_ids("कि")
    assert sign.index(ka) == 1, "the short i is drawn before the letter that it follows"


def test_thai_marks_take_no_room_and_stack() -> None:
    plain, marked = set_text("ทน"), set_text("ที่น")
    assert marked.text_lines[0].width_px == pytest.approx(plain.text_lines[0].width_px)
    assert len(marked.glyphs) == 4
    assert rasterise(marked).top_px < rasterise(plain).top_px


def test_a_mark_that_its_letters_face_lacks_is_named() -> None:
    layout = set_text("A mark: क\u0363, a number sign: \u0605")
    assert len([glyph for glyph in layout.glyphs if glyph.glyph_id == 0]) == 2
    assert layout.missing == ("क\u0363", "\u0605")


def test_a_right_to_left_line_starts_at_the_right() -> None:
    layout = set_text("אחת שתיים שלוש")
    lefts = [word.left_px for word in layout.words]
    assert [word.text for word in layout.words] == ["אחת", "שתיים", "שלוש"]
    assert lefts == sorted(lefts, reverse=True)
    assert layout.words[0].left_px + layout.words[0].width_px == pytest.approx(
        layout.text_lines[0].width_px, abs=1
    )


def test_latin_and_digits_keep_their_order_inside_a_right_to_left_line() -> None:
    layout = set_text("שלום big world 42 סוף", width=2000)
    left = {word.text: word.left_px for word in layout.words}
    assert left["סוף"] < left["42"] < left["שלום"]
    assert left["big"] < left["world"] < left["שלום"]


def test_each_paragraph_takes_its_direction_from_its_first_strong_letter() -> None:
    layout = set_text("abc שלום\nשלום abc", width=2000)
    first = [word.left_px for word in layout.words if word.line == 0]
    second = [word.left_px for word in layout.words if word.line == 1]
    assert first == sorted(first)
    assert second == sorted(second, reverse=True)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="אבגابت0123٤٥ ()[]abcé,.!-%+$", min_size=1, max_size=40).map(str.strip).filter(bool))
def test_our_order_is_that_of_the_bidi_library(text: str) -> None:
    levels = bidi_levels(text)[1]
    assert "".join(text[i] for i in visual_order(levels)) == get_display(text)


def test_a_text_that_imitates_the_librarys_report_does_not_fool_it() -> None:
    text = 'א levels: [\\n Level(\n 7\n)] "'.replace("\n", " ")
    assert len(bidi_levels(text)[1]) == len(text)
    assert max(bidi_levels(text)[1]) <= 2


@pytest.mark.skipif(
    not features.check("fribidi"), reason="Pillow finds no fribidi here, so its raqm cannot lay out"
)
@pytest.mark.parametrize(
    "script", ["Latin", "Greek", "Cyrillic", "Arabic", "Hebrew", "Devanagari", "Thai", "Tamil"]
)
def test_widths_agree_with_raqm(script: str) -> None:
    name = {"Latin": "", "Greek": "", "Cyrillic": ""}.get(script, script)
    words = [w for w in SAMPLES[script].split() if not any(c.isascii() for c in w)] or SAMPLES[script].split()
    path = FONTS / f"NotoSans{name}[wght].ttf"
    font = ImageFont.truetype(str(path), 400, layout_engine=ImageFont.Layout.RAQM)
    font.set_variation_by_axes([700])
    fonts = FontStack((FontFace(path, 700),))
    for word in words:
        layout = layout_text(
            word, fonts=fonts, style=TextStyle(size_px=400), max_width_px=9000, max_height_px=900
        )
        # Pillow rounds each glyph's advance to a pixel, so a word may be off by half of one for each.
        assert layout.text_lines[0].width_px == pytest.approx(font.getlength(word), abs=0.5 * len(word) + 1)


def test_lines_break_at_words_and_are_balanced() -> None:
    layout = set_text("one two three four five six seven eight nine ten", width=700)
    assert (
        " ".join(line.strip() for line in layout.lines) == "one two three four five six seven eight nine ten"
    )
    widths = [line.width_px for line in layout.text_lines]
    assert len(widths) > 1
    assert min(widths) > 0.7 * max(widths)


def test_a_short_last_word_is_not_left_alone() -> None:
    whole = set_text("Everything that they had known was now", width=5000).text_lines[0].width_px
    layout = set_text("Everything that they had known was now a", width=int(whole) + 4)
    assert len(layout.lines) == 2
    assert len(layout.lines[1].split()) > 2


def test_newlines_are_kept() -> None:
    assert set_text("first\n\nthird\r\nfourth").lines == ("first", "", "third", "fourth")
    assert set_text("a\rb\vc\fd\u2028e\u2029f").lines == tuple("abcdef")


def test_a_slightly_too_long_word_shrinks_the_text_and_stays_whole() -> None:
    layout = set_text("Donaudampfschifffahrtskapitän ahoi", width=700)
    assert layout.lines[0] == "Donaudampfschifffahrtskapitän"
    assert 0.6 * 64 <= layout.size_px < 64


def test_a_far_too_long_word_is_broken_between_clusters() -> None:
    text = "e\u0301👍🏽क्षि" * 30
    layout = set_text(text, width=400, height=5000)
    assert layout.size_px == 64
    assert "".join(layout.lines) == text
    assert clusters(text) == [c for line in layout.lines for c in clusters(line)]
    assert all(line.width_px <= 400 for line in layout.text_lines)
    assert "".join(word.text for word in layout.words) == text


def test_a_broken_word_is_broken_into_even_parts() -> None:
    widths = [
        line.width_px
        for line in set_text(
            "Donaudampfschifffahrtsgesellschaftskapitän" * 2, width=700, height=5000
        ).text_lines
    ]
    assert len(widths) > 2
    assert min(widths) > 0.8 * max(widths)


def test_text_shrinks_until_it_fits_the_height_and_no_further() -> None:
    text = "A sentence that needs some room to be read. " * 8
    layout = set_text(text, width=800, height=300)
    assert 12 < layout.size_px < 64
    assert layout.height_px <= 300
    assert not layout.truncated
    larger = set_text(text, width=800, height=10_000, size_px=layout.size_px + 1)
    assert larger.height_px > 300


def test_text_that_does_not_fit_at_the_smallest_size_ends_in_an_ellipsis() -> None:
    layout = set_text("many words " * 200, width=400, height=100, min_size_px=20)
    assert layout.size_px == 20
    assert layout.truncated
    assert layout.lines[-1].endswith("…")
    assert layout.height_px <= 100
    assert all(line.width_px <= 400 for line in layout.text_lines)


def test_the_ellipsis_of_a_right_to_left_line_is_at_its_left() -> None:
    layout = set_text("מילים רבות " * 200, width=400, height=60, min_size_px=20)
    assert layout.lines[-1].endswith("…")
    line = [g for g in layout.glyphs if g.y_px == layout.text_lines[-1].baseline_px]
    ellipsis_ids = {glyph_ids("…")[0], shape("א…", (1, 1), STACK)[-1].glyphs[0].glyph_id}
    assert min(line, key=lambda g: g.x_px).glyph_id in ellipsis_ids


def test_words_have_boxes_in_reading_order() -> None:
    layout = set_text("Well-known words, in boxes", width=500)
    assert [word.text for word in layout.words] == ["Well-known", "words,", "in", "boxes"]
    assert [word.index for word in layout.words] == sorted({word.index for word in layout.words})
    for word in layout.words:
        assert word.left_px >= 0
        assert word.left_px + word.width_px <= layout.width_px + 1
        assert word.top_px == word.line * layout.line_pitch_px


def test_a_word_box_bounds_the_ink_of_its_word() -> None:
    layout = set_text("alpha beta", color=(255, 255, 255, 255))
    raster = rasterise(layout)
    alpha = np.asarray(raster.image)[..., 3]
    columns = np.flatnonzero(alpha.any(axis=0)) + raster.left_px
    gap = columns[:-1][np.diff(columns) > 12]
    first, second = layout.words
    assert gap.size == 1
    assert first.left_px + first.width_px - 6 <= gap[0] <= first.left_px + first.width_px
    assert second.left_px > gap[0]


@pytest.mark.parametrize("align", ["left", "center", "right"])
def test_alignment_moves_the_shorter_line(align: str) -> None:
    layout = set_text("a much longer line\nshort", align=align)
    short = layout.text_lines[1]
    room = layout.width_px - short.width_px
    assert short.left_px == pytest.approx({"left": 0, "center": room / 2, "right": room}[align])


def test_tall_scripts_get_lines_that_do_not_touch() -> None:
    layout = set_text("ปู่ที่นี่ปู่\nที่นี้ปู่ที่", line_height=1.0)
    rows = np.asarray(rasterise(layout).image)[..., 3].any(axis=1)
    inside = np.flatnonzero(rows)
    assert (np.diff(inside) > 1).any(), "an empty row parts the lines"


def test_edges_have_no_dark_fringe() -> None:
    rgba = np.asarray(rasterise(set_text("fringe", color=(250, 240, 10, 255))).image)
    assert (rgba[..., :3] == (250, 240, 10)).all()
    assert len(np.unique(rgba[..., 3])) > 50, "the edges are antialiased"


def test_a_stroke_surrounds_the_fill_and_covers_no_neighbour() -> None:
    red, blue = (255, 0, 0, 255), (0, 0, 255, 255)
    plain = rasterise(set_text("mill", color=red))
    stroked = rasterise(set_text("mill", color=red, stroke_px=6, stroke_color=blue))
    assert stroked.left_px <= plain.left_px - 6
    assert stroked.image.width >= plain.image.width + 12
    solid = np.argwhere(np.asarray(plain.image)[..., 3] == 255)
    moved = solid + np.array([plain.top_px - stroked.top_px, plain.left_px - stroked.left_px])
    painted = np.asarray(stroked.image)[moved[:, 0], moved[:, 1]]
    assert (painted == red).all()


def test_a_soft_shadow_is_whole() -> None:
    shadow = Shadow(dx_px=20, dy_px=30, blur_px=24, color=(0, 0, 0, 255))
    layout = set_text("gjpq", shadow=shadow)
    raster, plain = rasterise(layout), rasterise(set_text("gjpq"))
    alpha = np.asarray(raster.image)[..., 3]
    right, bottom = alpha[:, -1].max(), alpha[-1].max()
    assert max(right, bottom) <= 2, "it fades out before the picture ends"
    dark = alpha.sum() - np.asarray(plain.image)[..., 3].sum()
    assert dark > 0
    assert raster.left_px + raster.image.width > plain.left_px + plain.image.width + 20 + 12


def test_a_box_is_round_and_padded() -> None:
    layout = set_text("box", box=Box(color=(10, 20, 30, 200), padding_px=20, radius_px=18))
    raster = rasterise(layout)
    assert (raster.left_px, raster.top_px) == (-20, -20)
    assert raster.image.size == (layout.width_px + 40, layout.height_px + 40)
    assert raster.image.getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert raster.image.getpixel((0, raster.image.height // 2)) == (10, 20, 30, 200)
    assert raster.image.getpixel((18, 0)) == (10, 20, 30, 200)


def test_pixels_are_at_the_given_offsets() -> None:
    layout = set_text("HHH", align="left")
    raster = rasterise(layout)
    canvas = Image.new("RGBA", (layout.width_px, layout.height_px))
    canvas.paste(raster.image, (raster.left_px, raster.top_px))
    rows = np.flatnonzero(np.asarray(canvas)[..., 3].any(axis=1))
    assert rows[-1] + 1 == pytest.approx(layout.text_lines[0].baseline_px, abs=1), (
        "an H stands on its baseline"
    )
    assert rows[-1] + 1 - rows[0] == pytest.approx(0.714 * 64, abs=1.5), "Noto's capitals are 0.714 em high"


def test_an_empty_text_is_an_empty_layout() -> None:
    for text in ("", " \n\t ", "\u200e\ufeff"):
        layout = set_text(text, box=Box())
        assert rasterise(layout).image.getextrema()[3] == (0, 0)


def test_control_characters_are_shown_and_steer_nothing() -> None:
    layout = set_text("a\x00b\x1bc\td\u202ee\u2066f\ud800g\x85h\x7f", width=3000)
    assert layout.lines == ("a\ufffdb\ufffdc def\ufffdg\ufffdh\ufffd",)
    assert 0 not in {glyph.glyph_id for glyph in layout.glyphs}
    assert sanitise("\x00\x1b\x7f", has_glyph=lambda _: True) == "\u2400\u241b\u2421"


@pytest.mark.parametrize(
    "text",
    [
        "x" * 5000,
        "words and words " * 320,
        "漢" * 5000,
        "ก" * 5000,
        "م" * 5000,
        "שלום abc (12) " * 360,
        "a" + "\u0301" * 5000,
        "\u200b\u200d" * 2500,
        "👩\u200d" * 2500,
        "\n" * 5000 + "end",
        "a\n" * 2500,
        "(" * 5000 + "א",
        "क्" * 2500,
        "\U000e0041" * 5000,
        "\ufdfd" * 300,
    ],
    ids=lambda text: f"{len(text)}x{text[0]!a}",
)
def test_long_and_hostile_texts_stay_in_their_box_and_are_quick(text: str) -> None:
    start = time.thread_time()
    layout = set_text(text, width=900, height=500)
    raster = rasterise(layout)
    assert time.thread_time() - start < 3
    assert layout.width_px <= 900
    assert layout.height_px <= 500
    assert raster.image.width < 1000


@settings(max_examples=80, deadline=None)
@given(
    text=st.text(max_size=60),
    width=st.integers(1, 600),
    height=st.integers(1, 300),
    size=st.integers(1, 90),
)
def test_any_text_fits_any_box_or_is_marked_as_cut(text: str, width: int, height: int, size: int) -> None:
    layout = set_text(text, width=width, height=height, size_px=size)
    assert layout.size_px <= size
    assert layout.truncated or len(layout.lines) <= 1 or layout.height_px <= height + 1
    if layout.size_px > 12:
        assert layout.height_px <= height + 1
        assert layout.width_px <= width + 1
    rasterise(layout)


def test_a_layout_is_drawn_in_another_process_as_here() -> None:
    layout = set_text("Über שלום 🚀", stroke_px=3)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(rasterise, layout).result(timeout=120)
    assert there.image.tobytes() == rasterise(layout).image.tobytes()


def test_threads_draw_the_same_as_one_thread() -> None:
    texts = [*SAMPLES.values()] * 3

    def paint(text: str) -> bytes:
        return rasterise(set_text(text, size_px=31, stroke_px=2)).image.tobytes()

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(paint, texts))
    assert together == [paint(text) for text in texts]


def test_a_weight_changes_the_stems() -> None:
    def ink(weight: int) -> int:
        fonts = FontStack((FontFace(FONTS / "NotoSans[wght].ttf", weight),))
        layout = layout_text("lll", fonts=fonts, style=TextStyle(), max_width_px=500, max_height_px=200)
        return int(np.asarray(rasterise(layout).image)[..., 3].sum())

    assert ink(400) < ink(550) < ink(700) == ink(900), "the axis ends at 700"


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (TextStyle, {"size_px": 0}, "size_px: got 0"),
        (TextStyle, {"stroke_px": -1}, "stroke_px: got -1"),
        (TextStyle, {"line_height": float("nan")}, "line_height: got nan"),
        (TextStyle, {"color": (256, 0, 0, 255)}, "color: "),
        (TextStyle, {"align": "middle"}, "align: got 'middle'; allowed: left, center, right"),
        (Shadow, {"blur_px": -2}, "shadow.blur_px"),
        (Box, {"padding_px": -1}, "box.padding_px"),
    ],
)
def test_wrong_styles_say_what_is_allowed(kind: type, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**options)


def test_a_file_that_is_not_a_font_is_named(tmp_path: Path) -> None:
    fake = tmp_path / "fake.ttf"
    fake.write_text("not a font")
    for path, reason in ((fake, "not a font"), (tmp_path / "none.ttf", "cannot be read")):
        with pytest.raises(FontError, match=f"{path.name}.*{reason}"):
            layout_text(
                "x",
                fonts=FontStack((FontFace(path),)),
                style=TextStyle(),
                max_width_px=100,
                max_height_px=100,
            )


def test_large_glyphs_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    raster._glyph_mask.cache_clear()
    large = rasterise(set_text("Wide", size_px=raster._REMEMBERED_PX + 20)).image
    assert raster._glyph_mask.cache_info().currsize == 0
    monkeypatch.setattr(raster, "_REMEMBERED_PX", 1000)
    assert rasterise(set_text("Wide", size_px=180)).image.tobytes() == large.tobytes()
    assert raster._glyph_mask.cache_info().currsize > 0
