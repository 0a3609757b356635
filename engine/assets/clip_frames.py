"""Find a clip's frames: the stream to show, its first frame, and its last decodable frame.

Times are on the clip's axis: seconds from the file's start, the axis on which ffmpeg places frames and sound.
Headers can be wrong: files are truncated, downloads incomplete, and recordings restart their time stamps.
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

from video_pipeline.engine.assets.formats import INDEXED_DEMUXERS
from video_pipeline.engine.timing import Seconds

NO_MOVING_PICTURE: Final = Disposition.attached_pic | Disposition.timed_thumbnails

STEPS_BACK_S: Final = (0, 1, 4, 16, 64, 256, 1024, 4096)
"""Seconds before the end at which each step of the search for readable frames begins."""

DECODED_PIXELS: Final = 48 * 1920 * 1080
"""Pixels of a tail that are decoded at most, a tenth of a second of work; ffmpeg holds the last good frame of the rest."""

RESTART_S: Final = Fraction(1, 10)
"""Time stamps that go back by more seconds have restarted: ffmpeg continues the timeline at the old position."""

JUMP_S: Final = 10
"""Time stamps that jump ahead by more seconds also count as restarted in ffmpeg."""


@dataclass(frozen=True, slots=True)
class LastFrame:
    """The start and end of the last decodable frame. `others_end` is when the other streams end.

    `sizes_px` are the sizes of the frames decoded during the search.
    """

    start: Seconds
    end: Seconds
    sizes_px: frozenset[tuple[int, int]] = frozenset()
    others_end: Seconds = Fraction(0)


def shown_streams(container: av.container.InputContainer) -> list[av.VideoStream]:
    """Return the video streams that have a decoder, in the order in which to try them; cover pictures come last."""
    return sorted(
        (stream for stream in container.streams.video if stream.codec_context is not None),
        key=lambda stream: (
            bool(stream.disposition & NO_MOVING_PICTURE),
            not stream.disposition & Disposition.default,
            stream.index,
        ),
    )


def is_cover(stream: av.VideoStream) -> bool:
    """Return whether a stream is a single attached picture."""
    return bool(stream.disposition & Disposition.attached_pic)


def axis_start(container: av.container.InputContainer) -> Seconds:
    """Return the time stamp, in seconds, of the start of a file's axis."""
    return Fraction(container.start_time or 0, av.time_base)


def packets_of(container: av.container.InputContainer) -> Iterator[av.Packet[Any]]:
    """Yield the packets of all streams to the end, or to the first error of a damaged file."""
    packets = container.demux()
    while True:
        try:
            packet = next(packets)
        except (StopIteration, EOFError, av.FFmpegError):
            return
        if packet.size:
            yield packet


def decoded(packets: Iterable[av.Packet[Any]], stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Yield the frames of a stream's packets; skip packets that cannot be decoded."""
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

    `near` is its time according to the header (None: unknown). A file without an index is read completely.
    """
    stop = until
    indexed = near is not None and container.format.name in INDEXED_DEMUXERS
    for back in STEPS_BACK_S if indexed else ():
        at = max(Fraction(0), (near or 0) - back)
        try:
            container.seek(
                int((at + axis_start(container)) / (stream.time_base or Fraction(1))), stream=stream
            )
        except av.FFmpegError:  # such as a stream whose only packet is a cover picture
            break
        search = _Search(container, stream, stop)
        if found := search.decode(packets_of(container)):
            return found
        if at == 0:
            return None
        stop = search.first if search.first is not None else stop
    rewind(container)
    return _Search(container, stream, until).decode_end(packets_of(container))


def rewind(container: av.container.InputContainer) -> None:
    """Go back to the beginning of a file, by bytes if its demuxer cannot seek by time (FLV without an index)."""
    try:
        container.seek(0)
    except av.FFmpegError:
        container.seek(0, unsupported_byte_offset=True)


class _Search:
    """One pass over a file, searching for the last frame that begins before `until`."""

    def __init__(
        self, container: av.container.InputContainer, stream: av.VideoStream, until: Seconds | None
    ) -> None:
        self._stream, self._until = stream, until
        self._origin = axis_start(container)
        self._restarts = container.format.name not in INDEXED_DEMUXERS
        self._offset = Fraction(0)
        self._due: Seconds | None = None
        self._times: dict[int, tuple[Seconds, Seconds]] = {}
        """The start and end of each frame, by the time stamps of its packet."""
        self._stamped = False
        """Whether the stream's packets have time stamps; those of a cover picture have none."""
        self._others_end = Fraction(0)
        self._sizes_px: set[tuple[int, int]] = set()
        self.first: Seconds | None = None
        """The start of the first frame that was read."""

    def _timed(self, packets: Iterable[av.Packet[Any]]) -> Iterator[av.Packet[Any]]:
        """Yield the stream's packets before `until`, and record the times of their frames."""
        for packet in packets:
            if packet.is_corrupt:
                continue  # an incomplete frame
            own, tick = packet.stream.index == self._stream.index, packet.time_base
            stamp = packet.dts if packet.dts is not None else packet.pts
            self._stamped |= own and stamp is not None
            if stamp is None or tick is None:
                if own:
                    yield packet  # a cover picture has no time stamp
                continue
            length = (packet.duration or 0) * tick
            begins = (packet.pts if packet.pts is not None else stamp) * tick - self._origin + self._offset
            if not own:
                self._others_end = max(self._others_end, begins + length)
                continue
            decoding = stamp * tick - self._origin + self._offset
            if self._restarts and self._due is not None and not -RESTART_S <= decoding - self._due <= JUMP_S:
                # ffmpeg continues at the end of the frames before.
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
        """Return the last frame of some packets, decoding only the last keyframe's group, or the one before it."""
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
            if self._stamped and not stamps:
                continue  # it begins at `until` or later
            time = self._times[stamps[0]] if stamps else (Fraction(0), Fraction(0))
            last = time if last is None else max(last, time)
            self._sizes_px.add((frame.width, frame.height))
            left -= frame.width * frame.height
            if left < 0:
                for _ in packets:  # the rest is assumed to be decodable
                    pass
                last = max(self._times.values(), default=last)
                break
        context.flush_buffers()
        return LastFrame(*last, frozenset(self._sizes_px), self._others_end) if last else None
