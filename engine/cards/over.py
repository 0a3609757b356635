"""A title over the beginning of the first scene, clear of captions and of what apps lay over the video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.cards.drawing import draw_over, lay_out_card
from video_pipeline.engine.cards.texts import CardTexts
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.captions import Platform
from video_pipeline.engine.render.captions.draw import CaptionArt, caption_rows
from video_pipeline.engine.render.captions.phrases import phrases_in
from video_pipeline.engine.render.captions.safe_areas import ink_reach_px, safe_area
from video_pipeline.engine.story.fields import parse_colour
from video_pipeline.engine.timeline import Timeline
from video_pipeline.engine.timing import FrameRange, exact_seconds, frames_round
from video_pipeline.filters.typeset import Box, Shadow, TextStyle

FADE_SECONDS: Final = 0.4
FIRST_CHOICE: Final = 0.12
"""Share of the frame's height that is room enough above the captions; with less, the larger room is taken."""


MOST_HEIGHT: Final = 0.2
"""Share of the frame's height that a title may take."""


def _shown_from(timeline: Timeline) -> tuple[int, int]:
    """Return the first frame of a title over the first scene of the story, and for how many it appears with the scene.

    After a transition, from an intro, it appears in the second half, as captions do.
    """
    index = next(index for index, clip in enumerate(timeline.clips) if not clip.apart)
    clip, join = timeline.clips[index], timeline.transition_after(index - 1)
    if join is None:
        return clip.frames.start, clip.fade_in_frames
    half = len(join.frames) // 2
    return join.frames.start + half, len(join.frames) - half


def over_frames(card: CardTexts, timeline: Timeline) -> FrameRange:
    """Return the frames of a title over the first scene of the story, at most until that leads into the next."""
    clips = [clip for clip in timeline.clips if not clip.apart]
    own = [
        index
        for index, clip in enumerate(timeline.clips)
        if clip.scene_id == clips[0].scene_id and not clip.apart
    ]
    first, _ = _shown_from(timeline)
    last = next(index for index in own if index + 1 not in own)  # not what leads back to it at the end
    join = timeline.transition_after(last)
    end = join.frames.start if join is not None else timeline.clips[last].frames.stop
    seconds = frames_round(exact_seconds(card.keys.seconds), timeline.fps)
    return FrameRange(first, max(first + 1, min(end, first + seconds)))


def draw_title_over(
    card: CardTexts, timeline: Timeline, *, platform: Platform, fonts: FontCatalogue, cache: ContentCache
) -> tuple[CaptionArt | None, tuple[str, ...]]:
    """Return a title as a caption of its own that appears with its scene and fades out, and warnings.

    It takes MOST_HEIGHT of the frame at most, and stands above the captions of its frames if there is room, otherwise in the larger room beside them. A title that has
    room in neither is left out, with a warning.
    """
    frames = over_frames(card, timeline)
    width, height = timeline.width_px, timeline.height_px
    area = safe_area(width, height, platform)
    scale = min(width, height) / 1080
    style = _over_style(card, card.keys.text_size * scale)
    reach = ink_reach_px(style)
    rows = [
        found
        for phrase in phrases_in(timeline.captions, frames, fps=timeline.fps)
        if (found := caption_rows(phrase, timeline, fonts=fonts)) is not None
    ]
    top, bottom = _room(rows, round(height * area.top), round(height * (1 - area.bottom)), height)
    high = min(bottom - top, round(MOST_HEIGHT * height))
    room = (round(width * (1 - 2 * max(area.side, 0.06))) - 2 * reach, high - 2 * reach)
    least = card.keys.text_size * scale * 0.5
    if min(room) < least:
        return None, (f"{card.place}: there is no room beside the captions; the title is left out",)
    block = lay_out_card(card, room_px=room, scale=scale, style=style)
    if block.height_px > room[1]:
        return None, (f"{card.place}: there is no room beside the captions; the title is left out",)
    picture, above = draw_over(card, block, width_px=width, cache=cache)
    y = top + reach + max(0, min(round(0.02 * height), bottom - top - 2 * reach - block.height_px))
    warnings = (f"{card.place}: does not fit over the scene; its end is left out",) if block.truncated else ()
    art = CaptionArt(
        scene_id=next(clip.scene_id for clip in timeline.clips if not clip.apart),
        frames=frames,
        animation="none",
        picture=picture,
        x_px=0,
        y_px=(y - above) // 2 * 2,
        lines=(),
        rise_px=0,
        fade_in_frames=min(_shown_from(timeline)[1], max(0, len(frames) - 1)),
        fade_out_frames=min(
            frames_round(exact_seconds(FADE_SECONDS), timeline.fps), max(1, len(frames) // 3)
        ),
    )
    return art, warnings


def _over_style(card: CardTexts, size_px: float) -> TextStyle:
    """Return the style of a title over a picture: in a box if its background is plain, otherwise with a strong shadow."""
    if card.keys.background == "plain":
        colour = (*parse_colour(card.keys.background_color)[:3], 225)
        return TextStyle(
            box=Box(color=colour, padding_px=round(size_px / 5), radius_px=round(size_px / 8)),
            line_height=1.12,
        )
    shadow = Shadow(dx_px=0, dy_px=round(size_px / 20), blur_px=size_px / 4, color=(0, 0, 0, 220))
    return TextStyle(shadow=shadow, stroke_px=size_px / 26, stroke_color=(0, 0, 0, 170), line_height=1.12)


def _room(rows: Sequence[tuple[int, int]], top: int, bottom: int, height: int) -> tuple[int, int]:
    """Return the rows of the safe area above all captions, or below them if there is too little room above."""
    if not rows:
        return top, bottom
    above = (top, min(bottom, *(first for first, _ in rows)))
    below = (max(top, *(last for _, last in rows)), bottom)
    if above[1] - above[0] >= FIRST_CHOICE * height:
        return above
    return max(above, below, key=lambda room: room[1] - room[0])
