"""Draw a card as a picture of the frame's size, and a title without a background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from video_pipeline.engine import __version__
from video_pipeline.engine.assets.cube import load_lut
from video_pipeline.engine.assets.fonts import font_versions
from video_pipeline.engine.assets.stills import check_png
from video_pipeline.engine.cards.texts import CardTexts
from video_pipeline.engine.common.cache import ContentCache, FileDigests, file_sha256
from video_pipeline.engine.common.captions import Platform
from video_pipeline.engine.common.input_files import open_again
from video_pipeline.engine.common.versions import version
from video_pipeline.engine.render.captions.safe_areas import safe_area
from video_pipeline.engine.story.fields import parse_colour
from video_pipeline.engine.timeline import Grade, Still
from video_pipeline.filters.typeset import Shadow, TextLayout, TextStyle, layout_text, rasterise

CARD_VERSION: Final = 1
"""Increase it when cards change, so that cached ones are not used."""

SUBTITLE_SIZE: Final = 0.5
"""Size of the small text in that of the large one's."""

LEAST_SIZE: Final = 0.5
"""How far a text may shrink."""

PICTURE_SHADE: Final = 0.62
"""How much of the background's colour lies over a blurred picture."""

_digest = FileDigests()


@dataclass(frozen=True, slots=True)
class CardBlock:
    """The lines of a card at their final sizes, below each other; `height_px` is all of it."""

    text: TextLayout
    subtitle: TextLayout | None
    gap_px: int

    @property
    def height_px(self) -> int:
        """The height of both texts with the gap between them."""
        below = self.gap_px + self.subtitle.height_px if self.subtitle is not None else 0
        return self.text.height_px + below

    @property
    def truncated(self) -> bool:
        """Whether a text is too long."""
        return self.text.truncated or (self.subtitle is not None and self.subtitle.truncated)


def lay_out_card(
    card: CardTexts, *, room_px: tuple[int, int], scale: float, style: TextStyle | None = None
) -> CardBlock:
    """Lay out a card's texts within a room; `scale` is 1 for a frame 1080 px wide."""
    size = max(8, round(card.keys.text_size * scale))
    # Beneath dark letters a shadow looks like dirt.
    is_light = sum(parse_colour(card.keys.text_color)[:3]) > 3 * 128
    shadow = (
        Shadow(dx_px=0, dy_px=round(size / 26), blur_px=size / 6, color=(0, 0, 0, 110)) if is_light else None
    )
    large = style or TextStyle(shadow=shadow, line_height=1.12)
    large = replace(large, size_px=size, color=parse_colour(card.keys.text_color))
    gap = round(size * (0.75 if card.keys.ornament == "line" else 0.4))
    subtitle = None
    left = room_px[1]
    if card.subtitle:
        small = round(size * SUBTITLE_SIZE)
        subtitle = layout_text(
            card.subtitle,
            fonts=card.fonts,
            style=replace(large, size_px=small, color=parse_colour(card.keys.accent_color), line_height=1.25),
            max_width_px=room_px[0],
            max_height_px=max(1, round(0.35 * left)),
            min_size_px=max(6, round(small * LEAST_SIZE)),
        )
        left -= subtitle.height_px + gap
    text = layout_text(
        card.text,
        fonts=card.fonts,
        style=large,
        max_width_px=room_px[0],
        max_height_px=max(1, left),
        min_size_px=max(8, round(size * LEAST_SIZE)),
    )
    return CardBlock(text, subtitle, gap)


def draw_card(
    card: CardTexts,
    *,
    frame_px: tuple[int, int],
    platform: Platform,
    behind: Still | None,
    grade: Grade | None,
    cache: ContentCache,
) -> tuple[Still, bool]:
    """Return a card as a still of the frame's size, and whether a text was too long and ends in an ellipsis.

    `behind` is the picture that a background of that kind shows, in the colours of `grade`; without one it is a gradient.
    """
    width, height = frame_px
    area = safe_area(width, height, platform)
    inset = round(width * max(area.side, 0.1))
    room = (max(8, width - 2 * inset), max(8, round(height * (1 - area.top - area.bottom) * 0.8)))
    block = lay_out_card(card, room_px=room, scale=min(frame_px) / 1080)
    if card.keys.background != "picture":
        behind = None
    parts: dict[str, Any] = {
        **_card_identity(card),
        "frame": list(frame_px),
        "platform": platform,
        "behind": (behind.sha256 or file_sha256(behind.path)) if behind is not None else None,
        "grade": [grade.sha256, grade.strength] if grade is not None and behind is not None else None,
    }
    middle = height * (area.top + 1 - area.bottom) / 2 if area.bottom > 0.2 else height / 2
    paint = partial(_paint_card, card, block, frame_px, middle, behind, grade)
    path, _ = cache.get_or_make("cards", parts, ".png", paint, check=check_png)
    return Still(path, width, height, file_sha256(path), is_copy=True), block.truncated


def draw_over(card: CardTexts, block: CardBlock, *, width_px: int, cache: ContentCache) -> tuple[Path, int]:
    """Return a card's texts as a transparent picture as wide as the frame, and how far below its top they begin, in px."""
    reach = 2 * block.text.size_px
    size = (width_px, block.height_px + 2 * reach)
    parts = {**_card_identity(card), "over": list(size), "laid_out": _laid_out(block)}

    def paint(target: Path) -> None:
        canvas = Image.new("RGBA", size, (*parse_colour(card.keys.text_color)[:3], 0))
        _paint_block(canvas, card, block, reach, with_line=False)
        canvas.save(target, "PNG", compress_level=1)

    path, _ = cache.get_or_make("cards", parts, ".png", paint, check=check_png)
    return path, reach


def _laid_out(block: CardBlock) -> list[Any]:
    """Return what a block's letters depend on beside their texts."""
    layouts = [each for each in (block.text, block.subtitle) if each is not None]
    return [[repr(each.style), each.size_px, *each.lines] for each in layouts]


def _card_identity(card: CardTexts) -> dict[str, Any]:
    face = card.fonts.faces[0]
    return {
        "texts": [card.text, card.subtitle],
        "keys": card.keys.model_dump(
            mode="json", exclude={"show", "text", "subtitle", "seconds", "transition"}
        ),
        "font_sha256": face.sha256 or _digest(face.path),
        "faces": [[each.path.name, each.weight, each.index] for each in card.fonts.faces],
        "versions": [__version__, CARD_VERSION, version("Pillow"), version("numpy"), *font_versions()],
    }


def _paint_card(
    card: CardTexts,
    block: CardBlock,
    frame_px: tuple[int, int],
    middle_px: float,
    behind: Still | None,
    grade: Grade | None,
    target: Path,
) -> None:
    canvas = _background(card, frame_px, behind, grade)
    if card.keys.ornament == "frame":
        _paint_frame(canvas, card)
    _paint_block(
        canvas, card, block, round(middle_px - block.height_px / 2), with_line=card.keys.ornament == "line"
    )
    canvas.save(target, "PNG", compress_level=1)


def _background(
    card: CardTexts, frame_px: tuple[int, int], behind: Still | None, grade: Grade | None
) -> Image.Image:
    first, last = (
        np.array(parse_colour(colour)[:3], np.float32)
        for colour in (card.keys.background_color, card.keys.background_end)
    )
    width, height = frame_px
    if behind is not None:
        picture = _blurred(behind, frame_px, grade)
        return Image.blend(picture, Image.new("RGB", frame_px, tuple(map(int, first))), PICTURE_SHADE)
    if card.keys.background == "plain":
        return Image.new("RGB", frame_px, tuple(map(int, first)))
    at = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    ramp = first + at * (last - first)
    # Without noise a slow gradient shows bands in eight bits.
    noise = np.random.default_rng(0).random((height, width, 1), dtype=np.float32)
    return Image.fromarray(np.clip(np.floor(ramp + noise), 0, 255).astype(np.uint8))


def _blurred(still: Still, frame_px: tuple[int, int], grade: Grade | None) -> Image.Image:
    """Return a still that covers a frame, blurred, in the colours of a grade."""
    small = (max(2, frame_px[0] // 4), max(2, frame_px[1] // 4))
    with (
        open_again(still.path, sha256="" if still.is_copy else still.sha256) as file,
        Image.open(file.stream) as image,
    ):
        image.draft("RGB", small)
        scale = max(small[0] / image.width, small[1] / image.height)
        left, top = (image.width - small[0] / scale) / 2, (image.height - small[1] / scale) / 2
        box = (left, top, image.width - left, image.height - top)
        cover = image.convert("RGB").resize(small, Image.Resampling.LANCZOS, box=box)
    if grade is not None:
        table = load_lut(grade.path)
        cover = cover.filter(
            ImageFilter.Color3DLUT(len(table), np.ascontiguousarray(table.ravel(), np.float32))
        )
    soft = cover.filter(ImageFilter.GaussianBlur(max(1.0, frame_px[0] / 135)))
    return soft.resize(frame_px, Image.Resampling.BICUBIC)


def _paint_frame(canvas: Image.Image, card: CardTexts) -> None:
    """Draw a thick and a thin line around a card."""
    short = min(canvas.size)
    draw = ImageDraw.Draw(canvas)
    for inset, thick in ((0.045, 0.006), (0.06, 0.002)):
        edge = round(short * inset)
        draw.rectangle(
            (edge, edge, canvas.width - 1 - edge, canvas.height - 1 - edge),
            outline=parse_colour(card.keys.accent_color)[:3],
            width=max(1, round(short * thick)),
        )


def _paint_block(
    canvas: Image.Image, card: CardTexts, block: CardBlock, top_px: int, *, with_line: bool
) -> None:
    """Paint the texts below each other in the middle of a canvas, and a short line between them."""

    def paint(layout: TextLayout, top: int) -> None:
        raster = rasterise(layout)
        left = (canvas.width - layout.width_px) // 2
        place = (left + raster.left_px, top + raster.top_px)
        if canvas.mode == "RGBA":
            canvas.alpha_composite(raster.image, (max(0, place[0]), max(0, place[1])))
        else:
            canvas.paste(raster.image, place, raster.image)

    paint(block.text, top_px)
    bottom = top_px + block.text.height_px
    if with_line:
        long, thick = round(canvas.width * 0.14), max(2, round(block.text.size_px * 0.06))
        middle = bottom + (
            block.gap_px // 2 if block.subtitle is not None else round(block.text.size_px * 0.4)
        )
        left = (canvas.width - long) // 2
        ImageDraw.Draw(canvas).rectangle(
            (left, middle, left + long - 1, middle + thick - 1), fill=parse_colour(card.keys.accent_color)[:3]
        )
    if block.subtitle is not None:
        paint(block.subtitle, bottom + block.gap_px)
