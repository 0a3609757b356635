"""Make a file fit a platform without encoding anything again: its packets are written into a new MP4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av

from video_pipeline.engine.common.files import whole_file
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.publish.facts import video_facts
from video_pipeline.engine.publish.rules import Reason, check_facts
from video_pipeline.engine.render.mux import PACKETS_ONLY, WITHOUT_EDIT_LIST

REMUXED = frozenset({"container", "faststart", "edit_list"})
"""Rules that a new container keeps."""


def fit_video(video: Path, target: Path, *, platform: str) -> list[Reason]:
    """Write a copy of a video whose container fits a platform; return the warnings that remain.

    No packet is encoded again; without an edit list, the packet that only primes the AAC decoder is left out. Raises
    InputError, and writes nothing, if an error remains for which the video must be rendered or encoded anew.
    """
    if target.resolve() == video.resolve():
        raise InputError(f"--fit {target}: is the video itself; name another file")
    left = [
        reason
        for reason in check_facts(platform, video_facts(video))
        if reason.severity == "error" and reason.rule not in REMUXED
    ]
    if left:
        raise InputError(
            f"{video}: a new container does not make it fit {platform}:\n  " + "\n  ".join(map(str, left))
        )
    try:
        with whole_file(target) as partial:
            _copy_packets(video, partial)
            reasons = check_facts(platform, video_facts(partial))
            if errors := [reason for reason in reasons if reason.severity == "error"]:
                raise InputError(f"{video}: still does not fit {platform}: {errors[0]}")
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"{target}: cannot be written: {getattr(error, 'strerror', error)}") from error
    return reasons


def _copy_packets(video: Path, target: Path) -> None:
    with (
        av.open(str(video), options=PACKETS_ONLY) as source,
        av.open(str(target), "w", format="mp4", options=WITHOUT_EDIT_LIST) as copy,
    ):
        kept: list[Any] = [*source.streams.video[:1], *source.streams.audio[:1]]
        streams: dict[int, Any] = {}
        for stream in kept:
            made = copy.add_stream_from_template(
                stream, opaque=stream.codec_context.codec.canonical_name == "av1"
            )
            made.codec_context.codec_tag = stream.codec_context.codec_tag
            streams[stream.index] = made
        copy.metadata.update(source.metadata)
        copy.set_chapters(source.chapters())
        for packet in source.demux(kept):
            if packet.pts is None or (packet.stream.type == "audio" and packet.pts < 0):
                continue
            packet.stream = streams[packet.stream.index]
            copy.mux(packet)
