"""`video-pipeline pictures`: list the motifs and styles of drawn pictures, and draw a sheet of all."""

from __future__ import annotations

import argparse
from pathlib import Path

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.common.process import importing

SHEET_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def _add_pictures_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List what drawn pictures can show: motifs, which a scene's words name or its field `motif`, and styles "
        "(`picture_style`, images.style). With -o, draw all of them on one sheet."
    )
    parser.epilog = "examples:\n  video-pipeline pictures\n  video-pipeline pictures -o sheet.jpg --genre mystery --seed 3"
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="the sheet (.jpg, .png or .webp)")
    parser.add_argument("--genre", default="general", help="whose colours are used; default: general")
    parser.add_argument("--seed", type=int, default=0, help="another number draws them in another way")


def _show_pictures(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.assets.backgrounds import STYLES
        from video_pipeline.engine.assets.backgrounds.sheet import contact_sheet
        from video_pipeline.engine.errors import InputError
        from video_pipeline.engine.story.motifs import MOTIFS

    if arguments.output is None:
        for motif in MOTIFS:
            print(f"{motif.name:14}{motif.kind:9}{motif.description}")
        for style in STYLES:
            print(f"{style.name:14}{'style':9}{style.description}")
        return 0
    if arguments.output.suffix.lower() not in SHEET_SUFFIXES:
        raise InputError(f"--output: got {arguments.output}; allowed: {', '.join(SHEET_SUFFIXES)}")
    if not arguments.output.parent.is_dir():
        raise InputError(f"--output: {arguments.output} cannot be written: its folder does not exist")
    sheet = contact_sheet(genre=arguments.genre, seed=arguments.seed)
    try:
        sheet.save(arguments.output, quality=88)
    except OSError as error:
        arguments.output.unlink(missing_ok=True)
        raise InputError(f"--output: {arguments.output} cannot be written: {error.strerror}") from error
    print(arguments.output)
    return 0


COMMANDS: dict[str, Command] = {"pictures": (_add_pictures_options, _show_pictures)}
