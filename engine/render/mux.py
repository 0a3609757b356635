"""Join segments and sound into one MP4 by copying packets, without encoding again."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import av

from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.timing import FrameRange

PACKETS_ONLY = {"codec_whitelist": "none"}
"""Options without decoders: otherwise FFmpeg decodes a frame of each segment (20 ms) to learn what the header says."""

WITH_EDIT_LIST: Final = {"movflags": "+faststart"}
WITHOUT_EDIT_LIST: Final = {"movflags": "+faststart+negative_cts_offsets", "use_editlist": "0"}
"""Options of FFmpeg's MP4 writer."""


CODEC_TITLES: Final = {"h264": "H.264", "hevc": "HEVC", "av1": "AV1"}


@dataclass(frozen=True, slots=True)
class Chapter:
    """A named range of the video."""

    frames: FrameRange
    title: str


class Mp4Writer:
    """A writer of one MP4 with its index first (faststart); a context manager.

    The caller publishes or removes `target`. `audio` is an MP4 with one stream, the sound of the video; it is opened
    when the first segment is added. Without `edit_list` every track starts at 0 by itself: composition offsets are
    signed, and the packet that only primes the AAC decoder is left out, so the first 1024 samples fade in.
    """

    def __init__(
        self,
        target: Path,
        *,
        fps: Fraction,
        title: str,
        chapters: Sequence[Chapter],
        audio: Path | None,
        edit_list: bool = False,
    ) -> None:
        self._target, self._fps = target, fps
        self._title, self._chapters = title, chapters
        self._audio_path, self._edit_list = audio, edit_list
        self._container: Any = None  # PyAV's types of output streams are too loose to check anything
        self._video: Any = None
        self._audio: Any = None
        self._sound: Iterator[av.Packet[av.AudioStream]] = iter(())
        self._sound_at, self._sound_tick = 0, Fraction(1)
        self._frames = 0
        self._extradata: bytes | None = None
        self._open_files = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._container is not None:
            with contextlib.suppress(av.FFmpegError, OSError, ValueError):
                self._container.close()
        self._open_files.close()

    def _start(self, template: av.VideoStream) -> None:
        options = WITH_EDIT_LIST if self._edit_list else WITHOUT_EDIT_LIST
        self._container = av.open(str(self._target), "w", format="mp4", options=options)
        # PyAV looks for an encoder of the decoder's name, which AV1's decoder does not share; opaque, it looks for none.
        opaque = template.codec_context.codec.canonical_name == "av1"
        self._video = self._container.add_stream_from_template(template, opaque=opaque)
        self._video.codec_context.codec_tag = template.codec_context.codec_tag
        if self._audio_path is not None:
            source = self._open_files.enter_context(av.open(str(self._audio_path), format="mp4"))
            sound = source.streams.audio[0]
            assert sound.time_base is not None
            self._sound_tick = sound.time_base
            self._audio = self._container.add_stream_from_template(sound)
            packets = (packet for packet in source.demux(audio=0) if packet.pts is not None)
            self._sound = (packet for packet in packets if self._edit_list or (packet.pts or 0) >= 0)
        self._container.metadata["title"] = self._title
        self._container.set_chapters(
            [
                {
                    "id": number,
                    "start": chapter.frames.start * self._fps.denominator,
                    "end": chapter.frames.stop * self._fps.denominator,
                    "time_base": Fraction(1, self._fps.numerator),
                    "metadata": {"title": chapter.title},
                }
                for number, chapter in enumerate(self._chapters, start=1)
            ]
        )

    def _write_sound(self, until: Fraction | None) -> None:
        """Write sound up to the time `until` in seconds, or to the end if it is None."""
        # In ticks: a Fraction for each of fifty packets a second would cost more than copying them.
        stop = None if until is None else math.ceil(until / self._sound_tick)
        while stop is None or self._sound_at < stop:
            packet = next(self._sound, None)
            if packet is None:
                break
            assert packet.pts is not None
            self._sound_at = packet.pts + (packet.duration or 0)
            packet.stream = self._audio
            self._container.mux(packet)

    def add_segment(self, data: bytes, frames: FrameRange) -> tuple[int, ...]:
        """Append the encoded segment of `frames`, the next in order, without a gap. Raises RenderingError.

        Returns the bytes of each frame, in the order of their decoding.
        """
        if frames.start != self._frames:
            raise RenderingError(f"segment {frames} does not follow frame {self._frames}")
        try:
            with av.open(io.BytesIO(data), "r", format="mp4", options=PACKETS_ONLY) as segment:
                stream = segment.streams.video[0]
                if self._container is None:
                    self._start(stream)
                    self._extradata = stream.codec_context.extradata
                elif stream.codec_context.extradata != self._extradata:
                    codec = CODEC_TITLES[stream.codec_context.codec.canonical_name]
                    raise RenderingError(
                        f"segment {frames}: its {codec} headers differ from the first segment's"
                    )
                assert stream.time_base is not None
                ticks = 1 / (self._fps * stream.time_base)
                if ticks.denominator != 1:
                    raise RenderingError(
                        f"time base {stream.time_base} does not hold whole frames at {self._fps} fps"
                    )
                shift = frames.start * ticks.numerator
                sizes: list[int] = []
                for packet in segment.demux(stream):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = self._video
                    sizes.append(packet.size)
                    self._container.mux(packet)
            if len(sizes) != len(frames):
                raise RenderingError(
                    f"segment {frames}: {len(sizes)} packets came out of {len(frames)} frames"
                )
            self._frames = frames.stop
            self._write_sound(Fraction(self._frames) / self._fps)
        except (av.FFmpegError, OSError) as error:
            raise RenderingError(f"{self._target}: cannot be written: {_reason(error)}") from error
        return tuple(sizes)

    def finish(self) -> None:
        """Write the rest of the sound and close the file; raise RenderingError."""
        try:
            self._write_sound(None)
            self._container.close()
            self._container = None
        except (av.FFmpegError, OSError) as error:
            raise RenderingError(f"{self._target}: cannot be written: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
