"""The format of a finished video, read from its file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.render.mux import PACKETS_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """The format of a finished video; `duration` in seconds, `resolution` (width, height) in pixels."""

    duration: float
    resolution: tuple[int, int]
    fps: Fraction
    file_size: int
    aspect_ratio: str
    frame_count: int
    video_codec: str
    audio_codec: str | None
    bit_rate: int | None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields of `video_info` as plain values."""
        return {
            "duration": round(self.duration, 6),
            "resolution": list(self.resolution),
            "fps": round(float(self.fps), 6),
            "file_size": self.file_size,
            "aspect_ratio": self.aspect_ratio,
            "frame_count": self.frame_count,
            "video_codec": self.video_codec,
            "audio_codec": self.audio_codec,
            "bit_rate": self.bit_rate,
        }


def aspect_ratio(width: int, height: int) -> str:
    """Return an aspect in its lowest terms, such as '9:16'."""
    common = math.gcd(width, height)
    return f"{width // common}:{height // common}"


def probe_video(path: Path) -> VideoInfo:
    """Return the format of a video file; raise RenderingError if it cannot be read."""
    try:
        options = {"protocol_whitelist": "file,pipe", **PACKETS_ONLY}
        with av.open(str(path), options=options) as container:
            if not container.streams.video:
                raise RenderingError(f"{path}: has no video stream")
            video = container.streams.video[0]
            sound = container.streams.audio[0] if container.streams.audio else None
            fps = video.average_rate or video.guessed_rate or Fraction(0)
            codec, width, height = video.codec_context.name, video.width, video.height
            # Report the codec's name, which players and platforms know, not the decoder's.
            codec = video.codec_context.codec.canonical_name or codec
            bit_rate = container.bit_rate or None
            duration = Fraction(container.duration, av.time_base) if container.duration else Fraction(0)
            frames = video.frames
            if not frames or not duration:
                frames, duration = _counted(container, video)
    except av.FFmpegError as error:
        raise RenderingError(f"{path}: cannot be read as a video: {error.strerror}") from error
    return VideoInfo(
        duration=float(duration),
        resolution=(width, height),
        fps=fps,
        file_size=path.stat().st_size,
        aspect_ratio=aspect_ratio(width, height),
        frame_count=frames,
        video_codec=codec,
        audio_codec=sound.codec_context.codec.canonical_name if sound else None,
        bit_rate=bit_rate,
    )


def _counted(container: av.container.InputContainer, video: av.VideoStream) -> tuple[int, Fraction]:
    """Return the frame count and duration, measured by reading packets, if the header lacks them."""
    count, end = 0, Fraction(0)
    for packet in container.demux(video):
        if packet.pts is not None and packet.time_base is not None:
            count += 1
            end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
    return count, end
