"""Lay captions out and prepare them for drawing, as lines for drawtext or as pictures to overlay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache as cached_call
from pathlib import Path
from typing import Final, NamedTuple

from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.captions import CaptionAnimation, CaptionPosition
from video_pipeline.engine.render.captions.lettering import (
    Lettering,
    LetterSheet,
    letter_sheet,
    lettering,
    parts_at,
    typing_frames,
)
from video_pipeline.engine.render.captions.phrases import phrases_in
from video_pipeline.engine.render.captions.pictures import (
    Room,
    caption_picture,
    font_file,
    framed,
    has_ink,
    paint_letters,
    part_picture,
    text_file,
)
from video_pipeline.engine.render.captions.safe_areas import ink_reach_px, safe_area
from video_pipeline.engine.timeline import Caption, Timeline
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.fade import light
from video_pipeline.filters.graph import Value
from video_pipeline.filters.text import drawtext_able, drawtext_options
from video_pipeline.filters.typeset import FontStack, TextLayout, rasterise, rasterise_box

ANIMATION_SECONDS = 0.4
"""Seconds that a caption's entrance lasts, and the exit of `fade`."""

NATIVE_ANIMATIONS: frozenset[CaptionAnimation] = frozenset(["pop", "typewriter"])
"""Animations that only the native and cuda compositors draw; filter graphs draw `fade_in` instead."""

POP_FROM = 0.6
"""Size at the start of `pop`, as a fraction of the caption's size."""

_OVERSHOOT = 0.1
"""Penner's back easing goes beyond its end by this part of the way."""

MIN_SIZE_PX = 10

_PLAINER: Final = {
    "animation": "fade_in is drawn instead",
    "highlight": "its words are drawn in one colour",
    "captions.style": "its words are drawn still and in one colour",
}
"""What filter graphs draw instead."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """How a caption enters: for how many seconds, from which size `pop` grows, and whether `pop` also fades in."""

    seconds: float
    pop_from: float
    pop_fades: bool

    @property
    def largest(self) -> float:
        """The largest size of `pop`, relative to the final one."""
        return 1 + (1 - self.pop_from) * _OVERSHOOT


BLOCK_ENTRANCE: Final = Entrance(ANIMATION_SECONDS, POP_FROM, pop_fades=True)
PHRASE_ENTRANCE: Final = Entrance(0.07, 0.8, pop_fades=False)
"""Phrases follow one another quickly, so they enter quickly, and none leaves the frame without words."""


class CaptionPiece(NamedTuple):
    """A piece of a caption on one frame: a part of a picture, and where and how it is drawn.

    `part` is (left, top, width, height) in pixels of the picture, None for all of it. The picture is scaled about its
    middle and moved down by `rise_px`.
    """

    picture: Path
    x_px: int
    y_px: int
    part: tuple[int, int, int, int] | None
    opacity: float
    scale: float
    rise_px: float

    @property
    def moves(self) -> bool:
        """Whether the picture is scaled or away from its place. Then all pieces of the caption are."""
        return self.scale != 1 or self.rise_px != 0


@dataclass(frozen=True, slots=True)
class CaptionArt:
    """A caption ready to be drawn: lines for drawtext, or transparent pictures.

    `x_px`, `y_px` is the top-left corner of the picture; drawtext lines have their own positions. `text`
    gives the position and time of each letter. `spoken` is the same picture with letters in the highlight
    colour, `plate` the box behind typed letters; all pictures have one size. `fade_in_frames` and `fade_out_frames`
    are the fades of the clip below, with which the caption fades, counted from the ends of `fading` (None: of
    `frames`).
    """

    scene_id: str
    frames: FrameRange
    animation: CaptionAnimation
    picture: Path | None
    x_px: int
    y_px: int
    lines: tuple[dict[str, Value], ...]
    rise_px: int
    text: Lettering | None = None
    spoken: Path | None = None
    plate: Path | None = None
    fade_in_frames: int = 0
    fade_out_frames: int = 0
    fading: FrameRange | None = None
    enters: Entrance = BLOCK_ENTRANCE

    def entrance_frames(self, fps: Fraction) -> int:
        """Return the length of the entrance in frames, at most half of the caption's."""
        return min(max(1, round(self.enters.seconds * fps)), max(1, len(self.frames) // 2))

    def entrance(self, at: int, *, fps: Fraction) -> tuple[float, float]:
        """Return the opacity (0 to 1) and the distance below the final position (px) at frame `at` of the caption."""
        length = self.entrance_frames(fps)
        progress = min(at / length, 1.0)
        rise = self.rise_px * (1 - progress) ** 3 if self.animation == "slide_up" else 0.0
        opacity = 1.0 if self.animation in ("none", "typewriter") else progress
        if self.animation == "pop":
            opacity = min(1.0, 2 * progress) if self.enters.pop_fades else 1.0
        if self.animation == "fade":
            opacity = min(opacity, max(0.0, (len(self.frames) - at) / length))
        return opacity * self._light(at), rise

    def _light(self, at: int) -> float:
        fading = self.fades_within
        at += self.frames.start - fading.start
        return light(at, len(fading), self.fade_in_frames, self.fade_out_frames)

    @property
    def fades_within(self) -> FrameRange:
        """The frames at whose ends the clip's fades are."""
        return self.fading or self.frames

    def scale(self, at: int, *, fps: Fraction) -> float:
        """Return the size at frame `at` of the caption, relative to its final size.

        `pop` grows to slightly over 1 and shrinks to 1 (Penner's back easing, with a tenth of overshoot).
        """
        left = 1 - min(at / self.entrance_frames(fps), 1.0)
        if self.animation != "pop" or left == 0:
            return 1.0
        return 1 + (1 - self.enters.pop_from) * (1.70158 * left**2 - 2.70158 * left**3)

    def pieces(self, at: int, *, fps: Fraction) -> Iterator[CaptionPiece]:
        """Yield the pieces of frame `at` of a caption that is drawn as pictures, in drawing order."""
        assert self.picture is not None
        opacity, rise = self.entrance(at, fps=fps)
        if self.plate is not None:
            shown = min(1.0, at / self.entrance_frames(fps)) * self._light(at)
            yield CaptionPiece(self.plate, self.x_px, self.y_px, None, shown, 1.0, 0.0)
        motion = (opacity, self.scale(at, fps=fps), rise)
        parts = parts_at(self.text, at) if self.text else []
        whole = self.text is None or (
            not any(part.spoken for part in parts)
            and sum((part.right - part.left) * (part.bottom - part.top) for part in parts)
            == self.text.width_px * self.text.rows[-1]
        )
        if whole:
            yield CaptionPiece(self.picture, self.x_px, self.y_px, None, *motion)
            return
        for left, top, right, bottom, spoken in parts:
            picture = self.spoken if spoken and self.spoken else self.picture
            yield CaptionPiece(
                picture, self.x_px, self.y_px, (left, top, right - left, bottom - top), *motion
            )

    @property
    def pictures(self) -> tuple[Path, ...]:
        """The caption's picture files."""
        return tuple(path for path in (self.plate, self.picture, self.spoken) if path is not None)

    @property
    def drawn_by(self) -> str:
        """How the caption is drawn: `drawtext` or `raster`."""
        return "raster" if self.picture else "drawtext"


@dataclass(frozen=True, slots=True)
class _CaptionPlace:
    """Where a caption may be: within `left`, `top`, `right` and `bottom` of the frame, also while it moves."""

    frame_px: tuple[int, int]
    position: CaptionPosition
    top: float
    bottom: float
    width: float

    @classmethod
    def of(
        cls, caption: Caption, frame_px: tuple[int, int], enters: Entrance, *, rise_px: int
    ) -> _CaptionPlace:
        """Return the place of a caption in the safe area of its platform."""
        width, height = frame_px
        area, reach = safe_area(width, height, caption.platform), ink_reach_px(caption.style)
        largest = enters.largest if caption.animation == "pop" else 1.0
        top, bottom = height * area.top + reach, height * (1 - area.bottom) - reach
        spare = (bottom - top) * (largest - 1) / 2
        rise = rise_px if caption.animation == "slide_up" else 0
        room = max(1.0, width * (1 - 2 * area.side) / largest - 2 * reach)
        return cls(frame_px, caption.position, top + spare, max(top + spare + 1, bottom - spare - rise), room)

    def room(self) -> Room:
        """Return the space that the caption's lines are fitted into."""
        share = 1 if self.position == "center" else 0.6
        return Room(round(self.width), max(1, round((self.bottom - self.top) * share)), MIN_SIZE_PX)

    def corner(self, size_px: tuple[int, int]) -> tuple[int, int]:
        """Return the left and top of lines of this size."""
        width, height = size_px
        top = {
            "top": self.top,
            "center": min(max((self.frame_px[1] - height) / 2, self.top), self.bottom - height),
            "bottom": self.bottom - height,
        }[self.position]
        return round((self.frame_px[0] - width) / 2), round(top)


def _on_grid(x_px: int, y_px: int) -> tuple[int, int]:
    """Round a position to the 4:2:0 grid as ffmpeg's overlay does, so that all compositors draw the same."""
    return x_px // 2 * 2, y_px // 2 * 2


def draw_caption(
    caption: Caption, timeline: Timeline, *, fonts: FontCatalogue, cache: ContentCache, drawtext: bool = True
) -> CaptionArt | None:
    """Lay a caption out in the safe area and write its files into the cache; return None if nothing is visible.

    With `drawtext` the caption is prepared for filter graphs: as lines for drawtext if that filter can draw them,
    and only with animations that a graph can draw. Without it, every caption is drawn as pictures.
    """
    width, height = timeline.width_px, timeline.height_px
    stack = fonts.resolve(caption.font)
    enters = BLOCK_ENTRANCE if caption.shown_as == "block" else PHRASE_ENTRANCE
    rise_px = round(height * 0.02)
    place = _CaptionPlace.of(caption, (width, height), enters, rise_px=rise_px)
    box, placed = place.room(), place.corner
    animation = caption.animation
    if drawtext and animation in NATIVE_ANIMATIONS:
        animation = "fade_in" if caption.shown_as == "block" else "none"
    art = CaptionArt(
        scene_id=caption.scene_id,
        frames=caption.frames,
        animation=animation,
        picture=None,
        x_px=0,
        y_px=0,
        lines=(),
        rise_px=rise_px,
        fade_in_frames=caption.fade_in_frames,
        fade_out_frames=caption.fade_out_frames,
        fading=caption.fading,
        enters=enters,
    )
    if drawtext and not caption.colours and drawtext_able(caption.text, stack, caption.style):
        layout = box.lay_out(caption, stack)
        if not has_ink(layout):
            return None
        left, top = placed((layout.width_px, layout.height_px))
        lines: list[dict[str, Value]] = []
        font = font_file(stack.faces[0], cache)
        for options in drawtext_options(layout, font=font, x_px=left, y_px=top):
            text = str(options.pop("text"))
            lines.append({**options, "textfile": text_file(text, cache)})
        return replace(art, x_px=left, y_px=top, lines=tuple(lines))
    if not drawtext and caption.animation == "typewriter":
        return _typed_caption(art, caption, place, stack, fps=timeline.fps, cache=cache)
    lay_out = cached_call(lambda: box.lay_out(caption, stack))
    whole = caption_picture(caption, stack, box, cache, lay_out=lay_out)
    if whole is None:
        return None
    left, top = placed(whole.size_px)
    x, y = _on_grid(left + whole.left_px, top + whole.top_px)
    art = replace(art, picture=whole.picture, x_px=x, y_px=y)
    if drawtext or caption.highlight is None or caption.spoken is None:
        return art
    look = replace(caption, style=replace(caption.style, color=caption.highlight), colours=())
    lit = caption_picture(look, stack, box, cache, lay_out=lay_out)
    if lit is None or (lit.left_px, lit.top_px, lit.sheet) != (whole.left_px, whole.top_px, whole.sheet):
        return _typed_caption(art, caption, place, stack, fps=timeline.fps, cache=cache)
    timed = _lettered(art, caption, lay_out(), whole.sheet, fps=timeline.fps)
    return replace(art, text=timed, spoken=lit.picture if timed else None)


def _typed_caption(
    art: CaptionArt,
    caption: Caption,
    place: _CaptionPlace,
    fonts: FontStack,
    *,
    fps: Fraction,
    cache: ContentCache,
) -> CaptionArt | None:
    """Return the art of a caption whose pictures must be drawn alike: letters, spoken letters, and the box behind."""
    layout = place.room().lay_out(caption, fonts)
    if not has_ink(layout):
        return None
    left, top = place.corner((layout.width_px, layout.height_px))
    raster = paint_letters(layout, caption)
    x, y = _on_grid(left + raster.left_px, top + raster.top_px)
    plate = None
    if art.animation == "typewriter" and caption.style.box:
        # The box appears before its letters, so it needs a picture of its own.
        plate = part_picture(
            framed(rasterise_box(layout), like=raster),
            layout,
            caption,
            cache,
            part=f"box {raster.image.size}",
        )
        layout = replace(layout, style=replace(layout.style, box=None))
        raster = framed(paint_letters(layout, caption), like=raster)
    picture = part_picture(raster, layout, caption, cache, part=f"letters {raster.image.size}")
    text = _lettered(art, caption, layout, letter_sheet(layout, raster), fps=fps)
    art = replace(art, picture=picture, x_px=x, y_px=y, plate=plate, text=text)
    if caption.highlight is None or text is None or not text.words:
        return art
    look = replace(layout, style=replace(layout.style, color=caption.highlight))
    drawn = framed(rasterise(look), like=raster)
    lit = replace(caption, colours=())
    return replace(art, spoken=part_picture(drawn, look, lit, cache, part=f"spoken {raster.image.size}"))


def _lettered(
    art: CaptionArt, caption: Caption, layout: TextLayout, sheet: LetterSheet, *, fps: Fraction
) -> Lettering | None:
    """Return the timing of a caption's letters and words, None if they appear at once and in one colour."""
    spoken: FrameRange | None = None
    if caption.spoken is not None and (heard := caption.spoken.intersection(caption.frames)):
        spoken = FrameRange(heard.start - caption.frames.start, heard.stop - caption.frames.start)
    typed: FrameRange | None = None
    if art.animation == "typewriter":
        length = len(caption.frames)
        typed = spoken or typing_frames(len(layout.letters), length_frames=length, fps=fps)
    coloured = spoken if caption.highlight is not None else None
    if typed is None and coloured is None:
        return None
    words = [
        replace(
            word, frames=FrameRange(heard.start - caption.frames.start, heard.stop - caption.frames.start)
        )
        for word in caption.words
        if (heard := word.frames.intersection(caption.frames))
    ]
    text = lettering(layout, sheet, typed=typed, spoken=coloured, text=caption.text, words=words)
    return replace(text, swept=caption.shown_as == "karaoke")


def draw_captions(
    timeline: Timeline,
    *,
    fonts: FontCatalogue,
    cache: ContentCache,
    drawtext: bool = True,
    shown: FrameRange | None = None,
) -> tuple[CaptionArt, ...]:
    """Return the art of every caption of a timeline and of its phrases, in order; with `shown`, of those seen there."""
    drawn = (
        draw_caption(phrase, timeline, fonts=fonts, cache=cache, drawtext=drawtext)
        for phrase in phrases_in(timeline.captions, shown, fps=timeline.fps)
    )
    return tuple(art for art in drawn if art)


def caption_rows(caption: Caption, timeline: Timeline, *, fonts: FontCatalogue) -> tuple[int, int] | None:
    """Return the rows of a frame that a caption covers with outline, shadow and box, None if nothing is visible."""
    width, height = timeline.width_px, timeline.height_px
    enters = BLOCK_ENTRANCE if caption.shown_as == "block" else PHRASE_ENTRANCE
    place = _CaptionPlace.of(caption, (width, height), enters, rise_px=round(height * 0.02))
    layout = place.room().lay_out(caption, fonts.resolve(caption.font))
    if not has_ink(layout):
        return None
    top, reach = place.corner((layout.width_px, layout.height_px))[1], ink_reach_px(caption.style)
    return top - reach, top + layout.height_px + reach


def in_range(captions: Sequence[CaptionArt], frames: FrameRange) -> list[CaptionArt]:
    """Return the captions that are visible in a range."""
    return [art for art in captions if art.frames.intersection(frames)]


def plainer_captions(timeline: Timeline) -> list[str]:
    """Return a warning for each kind of animation or highlight that filter graphs cannot draw."""
    lost: dict[str, list[str]] = {}
    for caption in timeline.captions:
        lit = caption.highlight is not None and caption.spoken is not None
        if caption.shown_as != "block":
            if caption.animation in NATIVE_ANIMATIONS or lit:
                lost.setdefault(f"captions.style {caption.shown_as!r}", []).append(repr(caption.scene_id))
            continue
        if caption.animation in NATIVE_ANIMATIONS:
            lost.setdefault(f"animation {caption.animation!r}", []).append(repr(caption.scene_id))
        if lit:
            lost.setdefault("highlight", []).append(repr(caption.scene_id))
    return [
        f"{what} of scene{'s' if len(scenes) > 1 else ''} {', '.join(scenes)} needs the native or cuda compositor; "
        f"{_PLAINER[what.split()[0]]}"
        for what, scenes in lost.items()
    ]
