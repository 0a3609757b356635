"""The contact sheet: every motif and every style as a small picture with its name."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFont

from video_pipeline.engine.story.motifs import MOTIFS, depict_motifs

from . import STYLES, draw_background, draw_depiction

TILE_PX = (216, 384)
LABEL_PX = 26
COLUMNS = 12
_DRAWN_TIMES = 2


def pictures_of_all(*, genre: str, seed: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield the name and the picture of each motif, then of each style, at `TILE_PX`."""
    size_px = (TILE_PX[0] * _DRAWN_TIMES, TILE_PX[1] * _DRAWN_TIMES)
    for index, motif in enumerate(MOTIFS):
        shown = depict_motifs([motif.name], genre=genre)
        assert shown is not None
        image = draw_depiction(shown, genre=genre, seed=seed + index, size_px=size_px, palette=seed + index)
        yield motif.name, image.resize(TILE_PX, Image.Resampling.LANCZOS)
    for index, style in enumerate(STYLES):
        image = draw_background(genre=genre, seed=seed + index, size_px=size_px, style=style.name)
        yield style.name, image.resize(TILE_PX, Image.Resampling.LANCZOS)


def contact_sheet(*, genre: str = "general", seed: int = 0) -> Image.Image:
    """Return all motifs and styles as one RGB picture, in rows of `COLUMNS`, each with its name below."""
    tiles = list(pictures_of_all(genre=genre, seed=seed))
    wide, high = TILE_PX[0] + 4, TILE_PX[1] + LABEL_PX
    sheet = Image.new("RGB", (COLUMNS * wide, -(-len(tiles) // COLUMNS) * high), "#101318")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for index, (name, image) in enumerate(tiles):
        row, column = divmod(index, COLUMNS)
        sheet.paste(image, (column * wide + 2, row * high))
        draw.text((column * wide + 8, row * high + TILE_PX[1] + 3), name, fill="#e8e8e8", font=font)
    return sheet
