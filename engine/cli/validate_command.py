"""`video-pipeline validate`: whether a video fits a platform, and why not."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.common.process import importing

if TYPE_CHECKING:
    from video_pipeline.engine.publish.rules import Reason


def _add_validate_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Say whether a video and the texts of its metadata file fit a platform: each rule that is broken, with its limit, "
        "what to do, and where the platform states it. Nothing is sent, and no account is needed, unless --account names one. "
        "Exit status 1 if it does not fit."
    )
    parser.epilog = (
        "examples:\n  video-pipeline validate out/story.mp4 --platform reels --platform tiktok\n"
        "  video-pipeline validate footage.mp4 --platform reels --fit footage.reels.mp4"
    )
    parser.add_argument("video", metavar="VIDEO", type=Path, help="a video file")
    parser.add_argument(
        "--platform",
        metavar="NAME",
        action="append",
        required=True,
        help="reels (also instagram), stories, shorts, youtube or tiktok; may be given again",
    )
    parser.add_argument(
        "--fit",
        metavar="FILE",
        type=Path,
        help="write a copy whose container fits (index first, no edit list); no packet is encoded again",
    )
    parser.add_argument(
        "--account",
        metavar="NAME",
        help="also ask whether this account of the configuration can publish: how long it is connected, what is left of a quota",
    )
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="configuration file (YAML) with the --account"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _validate(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.config import load_config
        from video_pipeline.engine.errors import InputError
        from video_pipeline.engine.publish.account_facts import check_account
        from video_pipeline.engine.publish.fit import fit_video
        from video_pipeline.engine.publish.rules import platform_table
        from video_pipeline.engine.publish.validate import check_video

    platforms = list(dict.fromkeys(arguments.platform))
    for platform in platforms:
        platform_table(platform)
    if arguments.fit is not None and len(platforms) != 1:
        raise InputError("--fit: needs one --platform")
    video = arguments.video
    if arguments.fit is not None:
        fit_video(video, arguments.fit, platform=platforms[0])
    reasons = {
        platform: check_video(arguments.fit or video, platform=platform, metadata_of=video)
        for platform in platforms
    }
    if arguments.account is not None:
        config = load_config(arguments.config)
        for platform in platforms:
            reasons[platform] += check_account(config, platform=platform, account=arguments.account)
            reasons[platform].sort(key=lambda reason: reason.severity)
    fits = {platform: all(each.severity != "error" for each in found) for platform, found in reasons.items()}
    if arguments.json:
        print(
            json.dumps(
                {
                    "video": str(arguments.fit or video),
                    "platforms": {
                        platform: {"fits": fits[platform], "reasons": [each.as_dict() for each in found]}
                        for platform, found in reasons.items()
                    },
                },
                ensure_ascii=False,
                indent=2,
            )
        )
    else:
        for platform, found in reasons.items():
            _print_reasons(platform, found)
        if arguments.fit is not None:
            print(f"wrote {arguments.fit}")
    return 0 if all(fits.values()) else 1


def _print_reasons(platform: str, reasons: list[Reason]) -> None:
    from video_pipeline.engine.publish.validate import verdict

    print(verdict(platform, reasons))
    for reason in reasons:
        print(f"  {reason}")
        print(f"    {reason.source} ({f'read {reason.date}' if reason.date else 'not read'})")


COMMANDS: dict[str, Command] = {"validate": (_add_validate_options, _validate)}
