"""Draw the pictures of the documentation: `python -m benchmarks.contact_sheet [FOLDER]`.

`captions.jpg` has the example in each caption style, a row for each, at the same moments, and in a fifth row speakers
with colours of their own. `examples.jpg` has frames of the two example videos as they are rendered by
default.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args

from PIL import Image

from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.captions import CaptionStyle
from video_pipeline.engine.config import load_config
from video_pipeline.engine.plan import plan_captions, plan_timeline
from video_pipeline.engine.render.compositors.still_frame import draw_frame
from video_pipeline.engine.story import Story, load_story, parse_story
from video_pipeline.engine.timing import FrameRange

STYLES_AT: Final = (2.2, 3.1, 8.9, 12.3, 17.8)
"""Seconds of the example: words that are spoken, over pictures of different brightness."""

DIALOGUE: Final[dict[str, Any]] = {
    "id": "lighthouse",
    "title": "The Keeper's Last Light",
    "metadata": {"genre": "mystery", "language": "en"},
    "scenes": [
        {"scene_id": "boat", "text": "Mary: A boat?\nTom: Without a light."},
        {"scene_id": "map", "text": "Tom: What is it?\nMary: A map, I think."},
        {"scene_id": "island", "text": "The fog lay thick.\nMary: Look! An island."},
        {"scene_id": "stairs", "text": "Mary: Stay!\nTom: One last time."},
        {"scene_id": "light", "style": "block", "size": 68, "text": "Tom: Ready?\nMary: Row, Tom."},
    ],
}
"""Scenes in which two speak."""

DIALOGUE_AT: Final = (1.0, 3.5, 6.5, 9.5, 12.5)

LIGHTHOUSE_AT, VOYAGE_AT = (2.2, 8.9, 12.3), (3.0, 9.0)
TILE_PX: Final = (216, 384)
GAP_PX: Final = 6


def frames_of(
    story: Story, seconds: Sequence[float], *, style: str, cache: ContentCache
) -> list[Image.Image]:
    """Return frames of a story, at the size of a tile."""
    config = load_config({"captions": {"style": style}}, environ=False)
    plan = plan_timeline(story, config=config, base=Path("examples"), cache=cache)
    found = []
    for second in seconds:
        at = min(round(second * plan.timeline.fps), plan.timeline.frame_count - 1)
        shown = plan_captions(plan, shown=FrameRange(at, at + 1))
        found.append(draw_frame(shown.compositor, at).resize(TILE_PX, Image.Resampling.LANCZOS))
    return found


def as_sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Return pictures in rows, with gaps between them."""
    width, height = (side + GAP_PX for side in TILE_PX)
    size = (width * max(map(len, rows)) - GAP_PX, height * len(rows) - GAP_PX)
    sheet = Image.new("RGB", size, "white")
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (column * width, row * height))
    return sheet


def main(folder: Path) -> None:
    """Write both pictures into a folder."""
    lighthouse, voyage = (
        load_story(Path("examples/lighthouse.json")),
        load_story(Path("examples/voyage.yaml")),
    )
    with tempfile.TemporaryDirectory(prefix="video-pipeline-") as scratch:
        cache = ContentCache(Path(scratch))
        styles = [
            frames_of(lighthouse, STYLES_AT, style=style, cache=cache) for style in get_args(CaptionStyle)
        ]
        styles.append(frames_of(parse_story(DIALOGUE), DIALOGUE_AT, style="phrases", cache=cache))
        as_sheet(styles).save(folder / "captions.jpg", quality=85)
        examples = [
            *frames_of(lighthouse, LIGHTHOUSE_AT, style="auto", cache=cache),
            *frames_of(voyage, VOYAGE_AT, style="auto", cache=cache),
        ]
        as_sheet([examples]).save(folder / "examples.jpg", quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
