"""`video-pipeline looks`: list the looks of videos, and draw a sheet of a story in every look."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.common.process import importing

if TYPE_CHECKING:
    from PIL import Image

    from video_pipeline.engine.config import Config

LOOK_SHEET_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")
SHEET_SIZE_PX: Final = (540, 960)
TILE_WIDTH_PX, GAP_PX, NAME_PX = 300, 6, 30
SHOWN_AT: Final = 0.6
"""The part of a scene after which its frame is shown: its caption is whole by then."""

OPENING_SECONDS: Final = 1.2
"""When the title is shown, on a card or over the first scene."""

EXAMPLE: Final[dict[str, Any]] = {
    "title": "The keeper",
    "metadata": {"genre": "adventure", "language": "en", "author": "Ann Lee"},
    "end_card": "Part 2 tomorrow",
    "scenes": [
        {"scene_id": "sea", "text": "The lighthouse stood above the sea.", "motif": "lighthouse", "seed": 4},
        {"scene_id": "sand", "text": "Far away lay the warm sand.", "motif": "desert", "seed": 3},
    ],
}


def _add_looks_options(parser: argparse.ArgumentParser) -> None:
    parser.description = "List the looks that `look` in a story, --look and look.name take. With -o, draw frames of a story in every look on one sheet."
    parser.epilog = "examples:\n  video-pipeline looks\n  video-pipeline looks -o sheet.jpg\n  video-pipeline looks -o sheet.jpg --story story.json"
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="the sheet (.jpg, .png or .webp)")
    parser.add_argument(
        "--story", dest="shown", metavar="STORY", type=Path, help="the story; default: a short example"
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="configuration file (YAML)")


def _show_looks(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.config import load_config
        from video_pipeline.engine.config.looks import load_look, look_names
        from video_pipeline.engine.errors import InputError

    config = load_config(arguments.config)
    looks = {name: load_look(name, folder=config.look.folder) for name in look_names(config.look.folder)}
    if arguments.output is None:
        for name, look in looks.items():
            print(f"{name:14}{look.description}")
        return 0
    if arguments.output.suffix.lower() not in LOOK_SHEET_SUFFIXES:
        raise InputError(f"--output: got {arguments.output}; allowed: {', '.join(LOOK_SHEET_SUFFIXES)}")
    if not arguments.output.parent.is_dir():
        raise InputError(f"--output: {arguments.output} cannot be written: its folder does not exist")
    sheet = _sheet_of({name: _frames_in(name, config, arguments.shown) for name in looks})
    try:
        sheet.save(arguments.output, quality=88)
    except OSError as error:
        arguments.output.unlink(missing_ok=True)
        raise InputError(f"--output: {arguments.output} cannot be written: {error.strerror}") from error
    print(arguments.output)
    return 0


def _frames_in(look: str, config: Config, path: Path | None) -> list[Image.Image]:
    """Return frames in a look: how the video begins, a story's first two scenes, and the end card if there is one."""
    from video_pipeline.engine.plan import plan_captions, plan_timeline
    from video_pipeline.engine.render.compositors.still_frame import draw_frame
    from video_pipeline.engine.story import load_story, parse_story

    story = parse_story(EXAMPLE) if path is None else load_story(path)
    story = story.model_copy(update={"look": look})
    config = config.override("video", size=SHEET_SIZE_PX).override("tts", service="none")
    plan = plan_captions(
        plan_timeline(story, config=config, base=Path() if path is None else path.parent, speak=())
    )
    timeline = plan.timeline
    last_shots = {clip.scene_id: clip for clip in timeline.clips if not clip.apart}
    shown = list(last_shots.values())[:2]
    shown += [
        clip for clip in timeline.clips[2:] if clip.apart and clip.scene_id != timeline.clips[0].scene_id
    ]
    frames = [min(round(OPENING_SECONDS * timeline.fps), timeline.frame_count - 1)]
    frames += [clip.frames.start + round(SHOWN_AT * len(clip.frames)) for clip in shown]
    return [draw_frame(plan.compositor, frame) for frame in frames]


def _sheet_of(looks: dict[str, list[Image.Image]]) -> Image.Image:
    """Return one picture: a column for each look, its frames below each other, and its name."""
    from PIL import Image, ImageDraw, ImageFont

    tile = (TILE_WIDTH_PX, TILE_WIDTH_PX * SHEET_SIZE_PX[1] // SHEET_SIZE_PX[0])
    rows = max(map(len, looks.values()))
    size = (len(looks) * (tile[0] + GAP_PX), rows * (tile[1] + GAP_PX) + NAME_PX)
    sheet = Image.new("RGB", size, "#101318")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for column, (name, frames) in enumerate(looks.items()):
        left = column * (tile[0] + GAP_PX) + GAP_PX // 2
        for row, frame in enumerate(frames):
            sheet.paste(frame.resize(tile, Image.Resampling.LANCZOS), (left, row * (tile[1] + GAP_PX)))
        draw.text((left + 6, size[1] - NAME_PX + 3), name, fill="#e8e8e8", font=font)
    return sheet


COMMANDS: dict[str, Command] = {"looks": (_add_looks_options, _show_looks)}
