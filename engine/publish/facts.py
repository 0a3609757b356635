"""What platforms ask of a video and its texts, as one flat record of facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av

from video_pipeline.engine.common.documents import DocumentError, read_document
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.publish.mp4_boxes import read_layout

Fact = str | int | float | bool
Facts = Mapping[str, Fact]

_INTERLACED: Final = frozenset({"tt", "bb", "tb", "bt"})
MENTION: Final = re.compile(r"(?<![\w.])@[\w.]+")
HASHTAG: Final = re.compile(r"(?<!\w)#\w+")


def video_facts(path: Path) -> dict[str, Fact]:
    """Return the facts of a video file; what the file does not say is left out.

    Sizes are in bytes, times in seconds, rates in bits or samples a second, `ratio` is width by height. `watermark` is
    what the manifest beside the video says. Raises InputError if the file is no video.
    """
    if not path.is_file():
        why = "is a folder, and no file" if path.is_dir() else "there is no such file"
        raise InputError(f"video {path}: {why}")
    facts: dict[str, Fact] = {"file_size": path.stat().st_size}
    layout = read_layout(path)
    try:
        with av.open(str(path), options={"protocol_whitelist": "file,pipe"}) as container:
            facts["container"] = layout.container if layout else container.format.name.split(",")[0]
            if not container.streams.video:
                raise InputError(f"video {path}: has no video stream")
            facts |= _stream_facts(container)
    except av.FFmpegError as error:
        raise InputError(f"video {path}: cannot be read as a video: {error.strerror}") from error
    if layout:
        facts |= {"faststart": layout.faststart, "edit_list": layout.edit_list}
    return facts | manifest_facts(path)


def _stream_facts(container: av.container.InputContainer) -> dict[str, Fact]:
    video = container.streams.video[0]
    context = video.codec_context
    facts: dict[str, Fact] = {
        "width": video.width,
        "height": video.height,
        "ratio": round(_shown_ratio(video), 6),
        "video_codec": context.codec.canonical_name,
        "pixel_format": context.pix_fmt or "unknown",
        "interlaced": _is_interlaced(container, video),
    }
    if rate := video.average_rate or video.guessed_rate:
        facts["fps"] = round(float(rate), 3)
    if container.duration:
        facts["duration"] = container.duration / av.time_base
    if video.bit_rate or container.bit_rate:
        facts["video_bit_rate"] = int(video.bit_rate or container.bit_rate)
    if container.streams.audio:
        sound = container.streams.audio[0]
        facts |= {
            "audio_codec": sound.codec_context.codec.canonical_name,
            "audio_rate": sound.rate,
            "audio_channels": sound.channels,
        }
        if sound.bit_rate:
            facts["audio_bit_rate"] = int(sound.bit_rate)
    return facts


def _shown_ratio(video: av.VideoStream) -> float:
    """Return width by height as a player shows it: pixels may be wider than high."""
    pixel = video.sample_aspect_ratio or Fraction(1)
    return float(Fraction(video.width, video.height) * (pixel if pixel > 0 else 1))


def _is_interlaced(container: av.container.InputContainer, video: av.VideoStream) -> bool:
    for frame in container.decode(video):
        return bool(frame.interlaced_frame)
    return False


def manifest_facts(path: Path) -> dict[str, Fact]:
    """Return what only the manifest tells: whether a watermark was drawn."""
    beside = path.with_name(f"{path.stem}.manifest.json")
    if not beside.is_file():
        return {}
    try:
        manifest: Any = read_document(beside, "json")
    except DocumentError:
        return {}
    inputs = manifest.get("inputs") if isinstance(manifest, Mapping) else None
    if not isinstance(inputs, list):
        return {}
    return {
        "watermark": any(isinstance(each, Mapping) and each.get("role") == "watermark" for each in inputs)
    }


def text_facts(*, title: str, description: str, hashtags: tuple[str, ...], caption: str) -> dict[str, Fact]:
    """Return the facts of a post's texts. `caption` is the one text of platforms without a title."""
    return {
        "title_characters": len(title),
        "title_has_angle_brackets": bool(re.search("[<>]", title)),
        "description_bytes": len(description.encode()),
        "description_has_angle_brackets": bool(re.search("[<>]", description)),
        "tags_characters": tags_length(hashtags),
        "caption_characters": len(caption),
        "caption_utf16": len(caption.encode("utf-16-le")) // 2,
        "hashtags": len(HASHTAG.findall(caption)),
        "mentions": len(MENTION.findall(caption)),
    }


def tags_length(tags: tuple[str, ...]) -> int:
    """Return the length of YouTube's tag list: commas count, and a tag with a blank has quotes around it."""
    return sum(len(tag) + (2 if " " in tag else 0) for tag in tags) + max(0, len(tags) - 1)
