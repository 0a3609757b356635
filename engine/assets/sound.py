"""Sound files: opened safely, probed, and read as 48 kHz stereo.

The file's suffix is ignored: FFmpeg inspects the bytes, chooses only among containers that can hold sound, and
opens no other file. So a playlist named `.mp3` is refused, not followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Final

import av
import av.container
import numpy as np
import numpy.typing as npt
from av.stream import Discard

from video_pipeline.engine.assets.formats import ALLOWED, HEAD_BYTES, contents_of, sniff
from video_pipeline.engine.assets.models import Sound
from video_pipeline.engine.common.input_files import (
    ANY_FILES,
    InputFiles,
    NotAFileError,
    OpenFile,
    open_again,
)
from video_pipeline.engine.errors import AssetError
from video_pipeline.engine.timing import Seconds
from video_pipeline.filters.graph import PROTOCOLS

SAMPLE_RATE_HZ: Final = 48_000

DEMUXERS: Final = tuple(content.demuxer for content in contents_of("sound"))
"""The accepted containers."""

READ_BYTES: Final = 256 * 1024
"""How much of a file is read at once."""

COUNTED_BYTES: Final = 64 * 2**20
"""Up to this size a file's length is measured by decoding, because headers of MP3, AAC and truncated files are inexact."""

COUNTED_SECONDS: Final = 1800
"""Longer sound, by its header, is not measured: hours of music take minutes to decode, and a video uses a part of it."""

GAP_TOLERANCE_S: Final = 0.05
"""Time stamps that jump by more mean lost sound, which becomes silence; smaller jumps are the container's rounding."""

START_TOLERANCE_S: Final = 0.002
"""Matroska rounds the first time stamp to a millisecond."""

SEEK_FROM_S: Final = 10
"""Nearer to the beginning, decoding from the start is as fast as seeking, and exact in every container."""

SEEK_MARGIN_S: Final = 1

Samples = npt.NDArray[np.float32]
"""Sound of shape (samples, 2)."""


@contextmanager
def open_sound(file: OpenFile) -> Iterator[tuple[av.container.InputContainer, av.AudioStream]]:
    """Yield an open file's container and its first audio stream.

    Raises AssetError that names the file and the reason.
    """
    path = file.path
    if file.size == 0:
        raise AssetError(f"{path}: the file is empty (0 bytes)", path=str(path))
    content = sniff(file.head(HEAD_BYTES))
    try:
        container = av.open(
            file.stream,
            mode="r",
            # The picture and the sound of a clip must be read with the same demuxer.
            format=content.demuxer if content is not None and "video" in content.kinds else None,
            options={"protocol_whitelist": PROTOCOLS, "format_whitelist": ",".join(DEMUXERS)},
            metadata_errors="replace",  # accept old tags in Latin-1
            buffer_size=READ_BYTES,
        )
    except OSError as error:
        raise AssetError(f"{path}: cannot be read: {error.strerror}", path=str(path)) from error
    except (av.FFmpegError, ValueError) as error:
        raise AssetError(
            f"{path}: not a sound file that can be opened; allowed: {ALLOWED['sound']}", path=str(path)
        ) from error
    with container:
        if not container.streams.audio:
            raise AssetError(f"{path}: no audio stream in it", path=str(path))
        stream = container.streams.audio[0]
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        yield container, stream


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise AssetError where opening a file raises OSError."""
    try:
        yield
    except (IsADirectoryError, NotAFileError) as error:
        raise AssetError(f"{path}: not a file; allowed: {ALLOWED['sound']}", path=str(path)) from error
    except OSError as error:
        raise AssetError(f"{path}: cannot be read: {error.strerror}", path=str(path)) from error


def probe_sound(path: Path, *, files: InputFiles = ANY_FILES) -> Sound:
    """Return a sound file with its hash and exact length; long files have the length in their header.

    Raises AssetError that names the file and the reason: missing, empty, not a sound file, no audio stream,
    nothing in it that can be decoded. Raises FileChangedError if it changes meanwhile.
    """
    with _readable(path), files.open(path) as file:
        with open_sound(file) as (container, stream):
            duration = _duration(container, stream, file)
        file.check()
        return Sound(path=path, sha256=file.sha256, duration=duration)


def _duration(container: av.container.InputContainer, stream: av.AudioStream, file: OpenFile) -> Seconds:
    path = file.path
    frames = _frames(container, stream, path)
    first = next(frames, None)
    if first is None:
        raise AssetError(f"{path}: the audio stream is empty: no sample could be decoded", path=str(path))
    told = _header_duration(container, stream)
    if told is not None and file.size > COUNTED_BYTES:
        return told
    if told is not None and told > COUNTED_SECONDS and stream.time_base is not None:
        packets = container.demux(stream)
        return sum((Fraction(packet.duration or 0) for packet in packets), Fraction(0)) * stream.time_base
    duration = Fraction(first.samples, first.sample_rate)
    for frame in frames:
        duration += Fraction(frame.samples, frame.sample_rate)
    return duration


def check_decodable(path: Path, *, files: InputFiles = ANY_FILES) -> None:
    """Raise AssetError if a file has sound of which nothing can be decoded; a stream without packets is silent."""
    with _readable(path), files.open(path, in_memory=False) as file:
        with open_sound(file) as (container, stream):
            if next(_frames(container, stream, path), None) is not None:
                return
        file.stream.seek(0)
        with open_sound(file) as (container, stream):
            if any(packet.size for packet in container.demux(stream)):
                raise AssetError(f"{path}: nothing of its sound can be decoded", path=str(path))


def _header_duration(container: av.container.InputContainer, stream: av.AudioStream) -> Seconds | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def _frames(
    container: av.container.InputContainer, stream: av.AudioStream, path: Path
) -> Iterator[av.AudioFrame]:
    """Yield decoded frames; skip damaged packets, and stop at the end of a truncated file."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, EOFError):
            return
        except OSError as error:
            raise AssetError(f"{path}: cannot be read: {error.strerror}", path=str(path)) from error
        except av.FFmpegError:
            return
        try:
            frames = packet.decode()
        except EOFError:
            return
        except av.FFmpegError:
            continue
        for frame in frames:
            if isinstance(frame, av.AudioFrame) and frame.samples and frame.sample_rate:
                yield frame


def read_sound(path: Path, *, start: Seconds = Fraction(0), sha256: str = "") -> Iterator[Samples]:
    """Yield a sound from `start` on at 48 kHz stereo, in small pieces, to its end.

    Sound is placed by its time stamps, with silence in gaps. Mono is copied to both sides; more than two
    channels are mixed down. Close the iterator to close the file. Raises FileChangedError if the file does not
    have the hash `sha256` (empty: any) when it is opened and until it is closed.
    """
    with _readable(path), open_again(path, sha256=sha256) as file, open_sound(file) as (container, stream):
        origin = max(Fraction(0), Fraction(container.start_time or 0, av.time_base))
        sought = start >= SEEK_FROM_S and _seek(container, stream, origin + start)
        frames = _frames(container, stream, path)
        first = next(frames, None)
        if first is None:
            return
        begins = _frame_seconds(first)
        if begins is None or (not sought and abs(begins - origin) <= START_TOLERANCE_S):
            begins = origin
        lead = round((begins - origin - start) * SAMPLE_RATE_HZ)
        yield from _silent_samples(lead)
        early = max(0, -lead)
        for piece in _continuous(chain([first], frames), _Resampler(path)):
            if early < len(piece):
                yield piece[early:]
            early = max(0, early - len(piece))


def _seek(container: av.container.InputContainer, stream: av.AudioStream, time: Seconds) -> bool:
    """Seek to a little before `time`; return whether the time stamps that follow are reliable."""
    if container.format.name in ("mp3", "aac") or not stream.time_base:
        return False  # after a seek their time stamps are estimated from the bit rate
    try:
        container.seek(int(max(Fraction(0), time - SEEK_MARGIN_S) / stream.time_base), stream=stream)
    except av.FFmpegError:
        container.seek(0)
        return False
    return True


def _frame_seconds(frame: av.AudioFrame) -> Seconds | None:
    return frame.pts * frame.time_base if frame.pts is not None and frame.time_base else None


def _continuous(frames: Iterator[av.AudioFrame], resampler: _Resampler) -> Iterator[Samples]:
    """Resample consecutive frames, with silence in the gaps between their time stamps."""
    due: Seconds | None = None
    for frame in frames:
        time = _frame_seconds(frame)
        if due is not None and time is not None and time - due > GAP_TOLERANCE_S:
            yield from resampler.flush()
            yield from _silent_samples(round((time - due) * SAMPLE_RATE_HZ))
            due = time
        elif due is None:
            due = time
        yield from resampler.push(frame)
        if due is not None:
            due += Fraction(frame.samples, frame.sample_rate)
    yield from resampler.flush()


def _silent_samples(samples: int) -> Iterator[Samples]:
    for begin in range(0, samples, SAMPLE_RATE_HZ):
        yield np.zeros((min(SAMPLE_RATE_HZ, samples - begin), 2), np.float32)


class _Resampler:
    """Converts frames to 48 kHz stereo; their rate, format and layout may change between frames."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inner: av.AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None
        self._channels = 2

    def push(self, frame: av.AudioFrame) -> list[Samples]:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        pieces: list[Samples] = []
        if self._inner is None or form != self._form:
            pieces = self.flush()
            self._form = form
            # FFmpeg would lower mono by 3 dB; it is copied to both sides instead.
            self._channels = 1 if frame.layout.nb_channels == 1 else 2
            layout = "mono" if self._channels == 1 else "stereo"
            self._inner = av.AudioResampler(format="flt", layout=layout, rate=SAMPLE_RATE_HZ)
        frame.pts = None
        return pieces + self._pull(frame)

    def flush(self) -> list[Samples]:
        """Return the rest of the filter's output; the next frame starts a new filter."""
        if self._inner is None:
            return []
        pieces = self._pull(None)
        self._inner = None
        return pieces

    def _pull(self, frame: av.AudioFrame | None) -> list[Samples]:
        assert self._inner is not None
        try:
            frames = self._inner.resample(frame)
        except (av.FFmpegError, ValueError) as error:
            raise AssetError(f"{self._path}: sound of form {self._form} cannot be read: {error}") from error
        pieces: list[Samples] = []
        for piece in frames:
            samples = piece.to_ndarray().reshape(-1, self._channels).astype(np.float32, copy=False)
            pieces.append(np.repeat(samples, 2, axis=1) if self._channels == 1 else samples)
        return pieces
