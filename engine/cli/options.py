"""The options shared by commands on a story, and the configuration that they give."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from video_pipeline.engine.common.captions import CaptionStyleChoice, Platform
from video_pipeline.engine.config.families import COMPOSITORS, ENCODERS
from video_pipeline.engine.config.policy import LENIENT, STRICT
from video_pipeline.engine.config.quality import QUALITY_MAX, QUALITY_MIN, QUALITY_WORDS

if TYPE_CHECKING:
    from video_pipeline.engine.config import Config

PROXY_PRESET = "ultrafast"
PROXY_CRF = 28.0
PROFILE_HELP = "encoder settings by name (draft, social, archive or guide) or from a YAML file, in place of the configuration's"
LOOK_HELP = "look of stories that name none: one of `video-pipeline looks`, a YAML file, or none"
LEXICON_HELP = "how words are spoken: a YAML or JSON file of words, each with another spelling or /IPA/"


def add_story_options(
    parser: argparse.ArgumentParser, *, encodes: bool = True, template: bool = False
) -> None:
    """Add the options for story, configuration and picture.

    With `encodes`, those of the encoder too; with `template`, the story is a batch's template and an option.
    """
    if template:
        add_batch_options(parser)
    else:
        parser.add_argument(
            "story",
            metavar="STORY",
            type=Path,
            help="story file: JSON, YAML, Markdown or plain text; - is standard input",
        )
    parser.add_argument("--config", metavar="FILE", type=Path, help="configuration file (YAML)")
    parser.add_argument("--lexicon", metavar="FILE", type=Path, help=LEXICON_HELP)
    picture = parser.add_argument_group("picture")
    shape = picture.add_mutually_exclusive_group()
    shape.add_argument("--aspect", metavar="W:H", help="9:16 (default), 1:1, 16:9 or 4:5")
    shape.add_argument("--size", metavar="WxH", help="explicit size in pixels, such as 1080x1920")
    proxy = "half the width and height, for a quick look"
    if encodes:
        proxy += f"; preset {PROXY_PRESET} and crf {PROXY_CRF:g} unless the options set them or a profile"
    picture.add_argument("--proxy", action="store_true", help=proxy)
    picture.add_argument("--fps", metavar="N", help="frames per second, 24 to 60, or 30000/1001")
    picture.add_argument("--compositor", metavar="NAME", help=f"compositor: {COMPOSITORS.summary()}")
    picture.add_argument(
        "--captions", metavar="STYLE", help=f"captions: {', '.join(get_args(CaptionStyleChoice))}"
    )
    picture.add_argument(
        "--platform",
        metavar="NAME",
        help=f"where the video is shown, whose buttons captions keep clear of: {', '.join(get_args(Platform))}",
    )
    picture.add_argument(
        "--loop",
        action="store_true",
        help="lead back to the first picture, unless the story says loop: false",
    )
    parser.add_argument(
        "--music",
        metavar="auto|none|FILE",
        help="music of stories that name none: auto (synthesised by mood), none, or a file",
    )
    parser.add_argument("--look", metavar="NAME|FILE", help=LOOK_HELP)
    around = parser.add_argument_group("before and after the story")
    around.add_argument(
        "--title-card", action="store_true", help="a card with the title, unless the story says otherwise"
    )
    around.add_argument(
        "--end-card",
        metavar="TEXT",
        help="a card with a text after the last scene, such as 'Part 2 of {{title}}'",
    )
    around.add_argument("--intro", metavar="FILE", help="a video clip before everything else")
    around.add_argument("--outro", metavar="FILE", help="a video clip after everything else")
    picture.add_argument(
        "--progress-bar", action="store_true", help="show how much of the video is over at the edge"
    )
    if encodes:
        encoding = parser.add_argument_group("encoding")
        encoding.add_argument("--encoder", metavar="NAME", help=f"encoder: {ENCODERS.summary()}")
        encoding.add_argument("--profile", metavar="NAME|FILE", help=PROFILE_HELP)
        encoding.add_argument("--preset", metavar="NAME", help="x264 preset, or p1 to p7 for NVENC")
        rate = encoding.add_mutually_exclusive_group()
        rate.add_argument("--crf", metavar="N", type=float, help="constant quality, 0 to 51 (cq for NVENC)")
        rate.add_argument(
            "--quality",
            metavar="VMAF|NAME",
            help=f"quality to reach, {QUALITY_MIN} to {QUALITY_MAX}, or {QUALITY_WORDS}",
        )
        rate.add_argument("--bitrate", metavar="RATE", help="average bit rate, such as 8000k")
    add_policy_options(parser)
    talk = parser.add_argument_group("output")
    talk.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    talk.add_argument("-v", "--verbose", action="store_true", help="print debug messages too")


def add_batch_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for a batch's table, template and names."""
    parser.add_argument(
        "table", metavar="TABLE", type=Path, help="a row for each video: CSV, TSV or JSON Lines"
    )
    parser.add_argument(
        "--template",
        dest="story",
        metavar="STORY",
        type=Path,
        required=True,
        help="story file whose texts name columns of the table as {{column}}, with a default as {{column|default}}",
    )
    parser.add_argument(
        "--name",
        metavar="PATTERN",
        help="names of the videos, such as '{{city}}-{{row}}'; default: the column `output`, or the template's name with "
        "the row's number",
    )


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the error policy."""
    group = parser.add_argument_group(
        "error policy",
        "what happens if a file is missing or unusable, or no font has a letter; default: it is an error",
    )
    policy = group.add_mutually_exclusive_group()
    for record in (LENIENT, STRICT):
        policy.add_argument(
            f"--{record.name}", dest="policy", action="store_const", const=record.name, help=record.summary
        )


def configuration(arguments: argparse.Namespace) -> Config:
    """Return the configuration: options override environment, file and defaults, in this order."""
    from video_pipeline.engine.config import load_config
    from video_pipeline.engine.config.values import parse_size
    from video_pipeline.engine.errors import ConfigError

    config = load_config(arguments.config)
    if not hasattr(arguments, "story"):
        return config
    if getattr(arguments, "target", None) is not None:
        from video_pipeline.engine.publish.rules import render_settings

        for section, values in render_settings(arguments.target).items():
            config = config.override(section, **values)
    size: tuple[int, ...] | None = None
    if arguments.size:
        try:
            size = parse_size(arguments.size)
        except ValueError as error:
            raise ConfigError(f"--size: got {arguments.size!r}; {error}") from error
    if arguments.aspect:
        # An aspect given as an option overrides a size in the file.
        config = config.model_copy(update={"video": config.video.model_copy(update={"size": None})})
    config = config.override(
        "video",
        size=size,
        default_aspect_ratio=arguments.aspect,
        fps=arguments.fps,
        compositor=arguments.compositor,
        proxy=arguments.proxy or None,
    )
    config = config.override("captions", style=arguments.captions, platform=arguments.platform)
    config = config.override("scenes", loop=arguments.loop or None)
    config = config.override("look", name=arguments.look)
    config = config.override("progress_bar", show=arguments.progress_bar or None)
    config = config.override("title_card", show=arguments.title_card or None)
    config = config.override("end_card", show=arguments.end_card is not None or None, text=arguments.end_card)
    config = config.override("intro", path=arguments.intro)
    config = config.override("outro", path=arguments.outro)
    config = config.override("audio", music=arguments.music)
    config = config.override("error_handling", policy=arguments.policy)
    if arguments.lexicon is not None:
        from video_pipeline.engine.config.lexicon_files import read_lexicon
        from video_pipeline.engine.story.lexicon import merged

        words = merged(config.tts.lexicon, read_lexicon(arguments.lexicon))
        config = config.override("tts", lexicon=words)
    return _encoding(config, arguments) if hasattr(arguments, "encoder") else config


def _encoding(config: Config, arguments: argparse.Namespace) -> Config:
    from video_pipeline.engine.config.profiles import NO_PROFILE

    profile, preset, crf = arguments.profile, arguments.preset, arguments.crf
    if arguments.proxy and profile is None:
        # The file's encoder settings are for the finished video, so only the options' apply to a proxy.
        profile, preset = NO_PROFILE, preset or PROXY_PRESET
        crf = PROXY_CRF if arguments.crf is arguments.bitrate is arguments.quality is None else crf
    rate = {"crf": crf, "bitrate": arguments.bitrate, "quality": arguments.quality}
    return config.override("video", profile=profile, codec=arguments.encoder, preset=preset, **rate)
