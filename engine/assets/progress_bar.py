"""The pictures of a progress bar: what is over, and what is left, each as wide as the frame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from PIL import Image

from video_pipeline.engine.assets.stills import check_png
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config.progress_keys import ProgressKeys
from video_pipeline.engine.story.fields import parse_colour
from video_pipeline.engine.timeline import ProgressBar, Timeline
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.geometry import even
from video_pipeline.filters.text import Color

BAR_VERSION: Final = 1
GAP_PX: Final = 6
"""Width of a gap in px on a 1080 px wide frame."""

MOST_GAPS: Final = 60
OPAQUE: Final[Color] = (255, 255, 255, 255)
Columns = tuple[tuple[int, int], ...]


def prepare_progress(
    settings: ProgressKeys, timeline: Timeline, *, cache: ContentCache
) -> ProgressBar | None:
    """Return the progress bar of a timeline, or None if it has none.

    Its rows and gaps are even, to align with 4:2:0 chroma. A bar of more than MOST_GAPS cuts has no gaps.
    """
    if not settings.show:
        return None
    width, scale = timeline.width_px, min(timeline.width_px, timeline.height_px) / 1080
    height = max(2, even(settings.height * scale))
    gaps = _gaps(timeline, max(2, even(GAP_PX * scale))) if settings.segmented else ()
    over, left = parse_colour(settings.color), parse_colour(settings.background)

    def made(colours: Sequence[Color], gaps: Columns) -> Path:
        parts: dict[str, Any] = {
            "size": [width, height],
            "colours": [list(colour) for colour in colours],
            "gaps": [list(columns) for columns in gaps],
            "version": BAR_VERSION,
        }
        draw = partial(_draw_bar, (width, height), colours, gaps)
        return cache.get_or_make("bars", parts, ".png", draw, check=check_png)[0]

    return ProgressBar(
        filled=made([over], gaps),
        empty=made([left], gaps),
        both=made([over, left], ()),
        gaps=made([OPAQUE], gaps) if gaps else None,
        y_px=0 if settings.position == "top" else timeline.height_px - height,
        width_px=width,
        height_px=height,
        frames=FrameRange(0, timeline.frame_count),
    )


def _gaps(timeline: Timeline, width_px: int) -> Columns:
    """Return the columns of the gaps, in the middle of what joins scenes."""
    total, found = timeline.frame_count, []
    for index, (clip, following) in enumerate(zip(timeline.clips, timeline.clips[1:], strict=False)):
        if clip.scene_id == following.scene_id:
            continue
        join = timeline.transition_after(index)
        middle = (join.frames.start + join.frames.stop) // 2 if join else following.frames.start
        left = even(timeline.width_px * middle / total - width_px / 2)
        if width_px < left < timeline.width_px - 2 * width_px:
            found.append((left, left + width_px))
    return tuple(found) if len(found) <= MOST_GAPS else ()


def _draw_bar(size_px: tuple[int, int], colours: Sequence[Color], gaps: Columns, target: Path) -> None:
    """Write bars of these colours side by side; gaps are transparent and keep the colour, so that edges have no fringe."""
    width, height = size_px
    image = Image.new("RGBA", (width * len(colours), height))
    for number, colour in enumerate(colours):
        image.paste(colour, (number * width, 0, (number + 1) * width, height))
    for left, right in gaps:
        image.paste((*colours[0][:3], 0), (left, 0, right, height))
    image.save(target, "PNG")
