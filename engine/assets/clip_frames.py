"""Where the frames of a clip lie: the stream that is shown, its first frame, and the last that can be decoded.

Times are on the clip's axis: seconds from where the file starts, on which ffmpeg places its frames and its sound.
A header is a promise; files are cut short, downloads stay unfinished, recordings restart their time stamps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any, Final

import av
import av.container
from av.stream import Disposition

from video_pipeline.engine.timing import Seconds

INDEXED: Final = frozenset(["mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi"])
"""PyAV's names of the containers in which a seek finds a keyframe; the others are read from their start."""

NO_MOVING_PICTURE: Final = Disposition.attached_pic | Disposition.timed_thumbnails

STEPS_BACK_S: Final = (0, 1, 4, 16, 64, 256, 1024, 4096)
"""How far before its end a file is searched for frames that can be read, step by step."""

DECODED_PIXELS: Final = 48 * 1920 * 1080
"""Past this much of a tail, a tenth of a second of work, the rest is taken to be as good: ffmpeg holds what is not."""

RESTART_S: Final = Fraction(1, 10)
"""Time stamps that go back by more have started anew: ffmpeg lets what follows go on where they were."""

JUMP_S: Final = 10
"""Time stamps that jump ahead by more are taken for restarted by ffmpeg, too."""


@dataclass(frozen=True, slots=True)
class LastFrame:
    """The last frame that can be decoded: when it begins and ends. `others_end` is where the other streams end.

    `sizes_px` are the sizes of frames that were seen on the way.
    """

    start: Seconds
    end: Seconds
    sizes_px: frozenset[tuple[int, int]] = frozenset()
    others_end: Seconds = Fraction(0)


def shown_streams(container: av.container.InputContainer) -> list[av.VideoStream]:
    """Return the video streams that can be decoded, in the order in which they are tried; covers come last."""
    return sorted(
        (stream for stream in container.streams.video if stream.codec_context is not None),
        key=lambda stream: (
            bool(stream.disposition & NO_MOVING_PICTURE),
            not stream.disposition & Disposition.default,
            stream.index,
        ),
    )


def is_cover(stream: av.VideoStream) -> bool:
    """Return whether a stream is one picture that was attached to the file."""
    return bool(stream.disposition & Disposition.attached_pic)


def axis_start(container: av.container.InputContainer) -> Seconds:
    """Return the time stamp, in seconds, of the start of a file's axis."""
    return Fraction(container.start_time or 0, av.time_base)


def packets_of(container: av.container.InputContainer) -> Iterator[av.Packet[Any]]:
    """Yield the packets of all streams to the end, or to where a damaged file cannot be read on."""
    packets = container.demux()
    while True:
        try:
            packet = next(packets)
        except (StopIteration, EOFError, av.FFmpegError):
            return
        if packet.size:
            yield packet


def decoded(packets: Iterable[av.Packet[Any]], stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Yield the frames of a stream's packets; what cannot be decoded is left out."""
    for packet in chain(packets, [None]):
        if packet is not None and packet.stream.index != stream.index:
            continue
        try:
            frames = stream.codec_context.decode(packet)
        except (EOFError, av.FFmpegError):
            continue
        yield from frames


def find_last_frame(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    *,
    near: Seconds | None,
    until: Seconds | None,
) -> LastFrame | None:
    """Return the last frame that begins before `until` (None: the last of all), or None if none can be decoded.

    `near` is where the header says that it is (None: it does not say). A file without an index is read as a whole.
    """
    if near is None or container.format.name not in INDEXED:
        rewind(container)
        return _Search(container, stream, until).decode_end(packets_of(container))
    stop = until
    for back in STEPS_BACK_S:
        at = max(Fraction(0), near - back)
        container.seek(int((at + axis_start(container)) / (stream.time_base or Fraction(1))), stream=stream)
        search = _Search(container, stream, stop)
        if found := search.decode(packets_of(container)):
            return found
        if at == 0:
            return None
        stop = search.first if search.first is not None else stop
    return None


def rewind(container: av.container.InputContainer) -> None:
    """Go back to the beginning of a file, by bytes if its demuxer cannot seek by time (FLV without an index)."""
    try:
        container.seek(0)
    except av.FFmpegError:
        container.seek(0, unsupported_byte_offset=True)


class _Search:
    """One reading of a file in search of the last frame that begins before `until`."""

    def __init__(
        self, container: av.container.InputContainer, stream: av.VideoStream, until: Seconds | None
    ) -> None:
        self._stream, self._until = stream, until
        self._origin = axis_start(container)
        self._restarts = container.format.name not in INDEXED
        self._offset = Fraction(0)
        self._due: Seconds | None = None
        self._times: dict[int, tuple[Seconds, Seconds]] = {}
        """When frames begin and end, by the time stamps of their packets."""
        self._others_end = Fraction(0)
        self._sizes_px: set[tuple[int, int]] = set()
        self.first: Seconds | None = None
        """Where the first frame that was read begins."""

    def _timed(self, packets: Iterable[av.Packet[Any]]) -> Iterator[av.Packet[Any]]:
        """Yield the stream's packets before `until`, and note when their frames are shown."""
        for packet in packets:
            if packet.is_corrupt:
                continue  # half of a frame
            own, tick = packet.stream.index == self._stream.index, packet.time_base
            stamp = packet.dts if packet.dts is not None else packet.pts
            if stamp is None or tick is None:
                if own:
                    yield packet  # a cover has no time
                continue
            length = (packet.duration or 0) * tick
            begins = (packet.pts if packet.pts is not None else stamp) * tick - self._origin + self._offset
            if not own:
                self._others_end = max(self._others_end, begins + length)
                continue
            decoding = stamp * tick - self._origin + self._offset
            if self._restarts and self._due is not None and not -RESTART_S <= decoding - self._due <= JUMP_S:
                # ffmpeg lets frames go on where the others ended.
                self._offset += self._due - decoding
                begins += self._due - decoding
                decoding = self._due
            if self._until is not None and decoding >= self._until:
                return
            length = length or 1 / (self._stream.average_rate or Fraction(25))
            self._due = decoding + length
            if self._until is None or begins < self._until:
                self.first = begins if self.first is None else min(self.first, begins)
                for key in {packet.pts, stamp}:
                    if key is not None:
                        self._times[key] = begins, begins + length
            yield packet

    def decode(self, packets: Iterable[av.Packet[Any]]) -> LastFrame | None:
        """Return the last frame of some packets."""
        return self._last(self._timed(packets))

    def decode_end(self, packets: Iterable[av.Packet[Any]]) -> LastFrame | None:
        """Return the last frame of some packets, of which only those after the last two keyframes are decoded."""
        before: list[av.Packet[Any]] = []
        tail: list[av.Packet[Any]] = []
        for packet in self._timed(packets):
            if packet.is_keyframe:
                before, tail = tail, []
                self._note_size(packet)
            tail.append(packet)
        return self._last(iter(tail)) or self._last(iter(before))

    def _note_size(self, keyframe: av.Packet[Any]) -> None:
        self._stream.codec_context.flush_buffers()
        self._sizes_px.update((frame.width, frame.height) for frame in decoded([keyframe], self._stream))

    def _last(self, packets: Iterator[av.Packet[Any]]) -> LastFrame | None:
        context = self._stream.codec_context
        context.flush_buffers()
        left = DECODED_PIXELS
        last: tuple[Seconds, Seconds] | None = None
        for frame in decoded(packets, self._stream):
            stamps = [stamp for stamp in (frame.pts, frame.dts) if stamp in self._times]
            if self._times and not stamps:
                continue  # it begins at `until` or later
            time = self._times[stamps[0]] if stamps else (Fraction(0), Fraction(0))
            last = time if last is None else max(last, time)
            self._sizes_px.add((frame.width, frame.height))
            left -= frame.width * frame.height
            if left < 0:
                for _ in packets:  # the rest is taken to be as good
                    pass
                last = max(self._times.values(), default=last)
                break
        context.flush_buffers()
        return LastFrame(*last, frozenset(self._sizes_px), self._others_end) if last else None
