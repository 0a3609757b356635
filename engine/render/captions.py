"""Captions become pictures: laid out once, then drawn by drawtext or rasterised and overlaid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from pathlib import Path

from engine.assets.cache import ContentCache, file_sha256
from engine.assets.fonts import FontCatalogue
from engine.timeline import Caption, CaptionAnimation, CaptionPosition, Timeline
from engine.timing import FrameRange
from filters.graph import Value
from filters.text import drawtext_able, drawtext_options
from filters.typeset import layout_text, rasterise

ANIMATION_SECONDS = 0.4
"""Length of a caption's entrance (and, for `fade`, of its leaving)."""

MIN_SIZE_PX = 10


@dataclass(frozen=True, slots=True)
class SafeArea:
    """Margins, in fractions of the frame, that captions keep clear of.

    Tall frames are shown under the buttons and captions of Reels, Shorts and TikTok, which cover about a
    tenth at the top and a fifth at the bottom.
    """

    side: float
    top: float
    bottom: float


def safe_area(width_px: int, height_px: int) -> SafeArea:
    """Return the safe area of a frame of this shape."""
    return SafeArea(0.075, 0.12, 0.20) if height_px / width_px > 1.5 else SafeArea(0.07, 0.08, 0.08)


@dataclass(frozen=True, slots=True)
class CaptionArt:
    """A caption ready for the filter graph: lines for drawtext, or one transparent picture.

    `x_px`, `y_px` is the top-left corner of the picture; drawtext lines carry their own places.
    `missing` holds characters that no font here has.
    """

    scene_id: str
    frames: FrameRange
    animation: CaptionAnimation
    picture: Path | None
    x_px: int
    y_px: int
    lines: tuple[dict[str, Value], ...]
    rise_px: int
    missing: tuple[str, ...] = ()

    def entrance_frames(self, fps: Fraction) -> int:
        """Return the length of the entrance; half of the caption's at most."""
        return min(max(1, round(ANIMATION_SECONDS * fps)), max(1, len(self.frames) // 2))

    def entrance(self, at: int, *, fps: Fraction) -> tuple[float, float]:
        """Return opacity (0 to 1) and how far below its place (px) it is, at its frame number `at`."""
        length = self.entrance_frames(fps)
        progress = min(at / length, 1.0)
        rise = self.rise_px * (1 - progress) ** 3 if self.animation == "slide_up" else 0.0
        opacity = 1.0 if self.animation == "none" else progress
        if self.animation == "fade":
            opacity = min(opacity, max(0.0, (len(self.frames) - at) / length))
        return opacity, rise

    @property
    def drawn_by(self) -> str:
        """What draws it: `drawtext` or `raster`."""
        return "raster" if self.picture else "drawtext"


def _top(position: CaptionPosition, height_px: int, block_px: int, area: SafeArea) -> int:
    if position == "top":
        return round(height_px * area.top)
    if position == "center":
        return round((height_px - block_px) / 2)
    return round(height_px * (1 - area.bottom) - block_px)


def draw_caption(
    caption: Caption, timeline: Timeline, *, fonts: FontCatalogue, cache: ContentCache, drawtext: bool = True
) -> CaptionArt | None:
    """Lay a caption out in the safe area and write what its compositor needs into the cache; None for no ink.

    Without `drawtext` every caption becomes a picture.
    """
    width, height = timeline.width_px, timeline.height_px
    area = safe_area(width, height)
    stack = fonts.resolve(caption.font)
    room = 1 - area.top - area.bottom
    layout = layout_text(
        caption.text,
        fonts=stack,
        style=caption.style,
        max_width_px=round(width * (1 - 2 * area.side)),
        max_height_px=round(height * room * (1 if caption.position == "center" else 0.6)),
        min_size_px=MIN_SIZE_PX,
    )
    if not any(line.strip() for line in layout.lines):
        return None
    left = round((width - layout.width_px) / 2)
    top = _top(caption.position, height, layout.height_px, area)
    art = CaptionArt(
        scene_id=caption.scene_id,
        frames=caption.frames,
        animation=caption.animation,
        picture=None,
        x_px=left,
        y_px=top,
        lines=(),
        rise_px=round(height * 0.02),
        missing=layout.missing,
    )
    if drawtext and drawtext_able(caption.text, stack, caption.style):
        lines: list[dict[str, Value]] = []
        for options in drawtext_options(layout, x_px=left, y_px=top):
            text = str(options.pop("text"))
            file, _ = cache.get_or_make("captions", {"text": text}, ".txt", partial(_write_text, text))
            lines.append({**options, "textfile": file})
        return replace(art, lines=tuple(lines))
    parts = {
        "text": caption.text,
        "style": asdict(caption.style),
        # The first face may be a file of the user's; the others come with the packaged fonts' version.
        "font_sha256": file_sha256(stack.faces[0].path),
        "faces": [[face.path.name, face.weight, face.index] for face in stack.faces],
        "width_px": layout.width_px,
        "lines": layout.lines,
        "size_px": layout.size_px,
        "versions": [version(name) for name in ("uharfbuzz", "freetype-py", "manimgx-fonts")],
    }
    raster = rasterise(layout)
    picture, _ = cache.get_or_make("captions", parts, ".png", lambda path: raster.image.save(path, "PNG"))
    # On the grid of 4:2:0, where ffmpeg's overlay would put it anyway: every compositor draws the same.
    x, y = (left + raster.left_px) // 2 * 2, (top + raster.top_px) // 2 * 2
    return replace(art, picture=picture, x_px=x, y_px=y)


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", newline="")


def draw_captions(
    timeline: Timeline, *, fonts: FontCatalogue, cache: ContentCache, drawtext: bool = True
) -> tuple[CaptionArt, ...]:
    """Return the art of every caption of a timeline, in order."""
    drawn = (
        draw_caption(caption, timeline, fonts=fonts, cache=cache, drawtext=drawtext)
        for caption in timeline.captions
    )
    return tuple(art for art in drawn if art)


def in_range(captions: Sequence[CaptionArt], frames: FrameRange) -> list[CaptionArt]:
    """Return the captions that are seen in a range."""
    return [art for art in captions if art.frames.intersection(frames)]
