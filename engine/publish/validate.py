"""Check a finished video and its texts against a platform's rules."""

from __future__ import annotations

from pathlib import Path

from video_pipeline.engine.publish.facts import video_facts
from video_pipeline.engine.publish.rules import Reason, check_facts, platform_table
from video_pipeline.engine.publish.texts import post_texts, read_metadata


def check_video(video: Path, *, platform: str, metadata_of: Path | None = None) -> list[Reason]:
    """Return the reasons why a video does not fit a platform, errors first.

    Its texts are those of the metadata file beside `metadata_of` (default: the video), as they are cut for the platform.
    Raises InputError for a file that is no video and for an unknown platform.
    """
    table = platform_table(platform)
    facts = video_facts(video)
    metadata = read_metadata(metadata_of or video)
    texts = post_texts(metadata, platform=platform).facts() if metadata else {}
    return check_facts(table.platform, {**facts, **texts})


def verdict(platform: str, reasons: list[Reason]) -> str:
    """Return one line that says whether a video fits."""
    title = platform_table(platform).title
    errors = sum(reason.severity == "error" for reason in reasons)
    warnings = len(reasons) - errors
    told = [
        f"{count} {word}{'s' * (count != 1)}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    ]
    return f"{title}: {'does not fit' if errors else 'fits'}" + (f" ({', '.join(told)})" if told else "")
