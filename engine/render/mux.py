"""Segments and sound become one MP4: packets are moved, never encoded again; the file is whole or absent."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av

from engine.config import Audio
from engine.errors import RenderingError
from engine.render.encoder import parse_bit_rate
from engine.timing import FrameRange

AUDIO_RATE_HZ = 48_000
AAC_FRAME_SAMPLES = 1024


@dataclass(frozen=True, slots=True)
class Chapter:
    """A named range of the video."""

    frames: FrameRange
    title: str


class Mp4Writer:
    """Writes one MP4, faststart, to a path that its caller has staged. A context manager."""

    def __init__(
        self,
        target: Path,
        *,
        fps: Fraction,
        title: str,
        chapters: Sequence[Chapter],
        audio: Path | None,
        settings: Audio,
    ) -> None:
        self._target, self._fps = target, fps
        self._title, self._chapters = title, chapters
        self._audio_path, self._settings = audio, settings
        self._container: Any = None  # PyAV types its output streams too loosely to be of use here
        self._video: Any = None
        self._audio: Any = None
        self._sound: Iterator[av.AudioFrame] = iter(())
        self._sound_at = Fraction(0)
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
        self._container = av.open(str(self._target), "w", format="mp4", options={"movflags": "+faststart"})
        self._video = self._container.add_stream_from_template(template)
        if self._audio_path is not None:
            self._audio = self._container.add_stream("aac", rate=AUDIO_RATE_HZ, layout="stereo")
            self._audio.bit_rate = parse_bit_rate(self._settings.bitrate)
            self._sound = self._read_sound(self._audio_path)
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

    def _read_sound(self, path: Path) -> Iterator[av.AudioFrame]:
        source = self._open_files.enter_context(av.open(str(path), format="wav"))
        resampler = av.AudioResampler(
            format="fltp", layout="stereo", rate=AUDIO_RATE_HZ, frame_size=AAC_FRAME_SAMPLES
        )
        for frame in source.decode(audio=0):
            yield from resampler.resample(frame)
        yield from resampler.resample(None)

    def _write_sound(self, until: Fraction | None) -> None:
        """Encode sound up to a time in seconds, or all that is left."""
        if self._audio is None:
            return
        while until is None or self._sound_at < until:
            frame = next(self._sound, None)
            if frame is None:
                break
            self._container.mux(self._audio.encode(frame))
            self._sound_at += Fraction(frame.samples, AUDIO_RATE_HZ)
        if until is None:
            self._container.mux(self._audio.encode(None))

    def add_segment(self, data: bytes, frames: FrameRange) -> None:
        """Append an encoded segment that shows `frames`; segments come in order and without gaps."""
        if frames.start != self._frames:
            raise RenderingError(f"segment {frames} does not follow frame {self._frames}")
        try:
            with av.open(io.BytesIO(data), "r", format="mp4") as segment:
                stream = segment.streams.video[0]
                if self._container is None:
                    self._start(stream)
                    self._extradata = stream.codec_context.extradata
                elif stream.codec_context.extradata != self._extradata:
                    raise RenderingError(
                        f"segment {frames}: its H.264 headers differ from the first segment's"
                    )
                assert stream.time_base is not None
                ticks = 1 / (self._fps * stream.time_base)
                if ticks.denominator != 1:
                    raise RenderingError(
                        f"time base {stream.time_base} does not hold whole frames at {self._fps} fps"
                    )
                shift = frames.start * ticks.numerator
                count = 0
                for packet in segment.demux(stream):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = self._video
                    self._container.mux(packet)
                    count += 1
            if count != len(frames):
                raise RenderingError(f"segment {frames}: {count} packets came out of {len(frames)} frames")
            self._frames = frames.stop
            self._write_sound(Fraction(self._frames) / self._fps)
        except (av.FFmpegError, OSError) as error:
            raise RenderingError(f"{self._target}: cannot be written: {_reason(error)}") from error

    def finish(self) -> None:
        """Write what is left of the sound and close the file."""
        try:
            self._write_sound(None)
            self._container.close()
            self._container = None
        except (av.FFmpegError, OSError) as error:
            raise RenderingError(f"{self._target}: cannot be written: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
