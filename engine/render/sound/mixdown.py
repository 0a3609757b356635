"""Mix a timeline's sound block by block, so that memory depends on neither its length nor the number of scenes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.assets.sound import SAMPLE_RATE_HZ, Samples, read_sound
from video_pipeline.engine.config.sections import Audio
from video_pipeline.engine.errors import AssetError, FileChangedError
from video_pipeline.engine.timeline import AudioTrack, Timeline
from video_pipeline.engine.timing import Seconds

BLOCK: Final = SAMPLE_RATE_HZ
"""Samples mixed at once."""

EDGE: Final = SAMPLE_RATE_HZ * 8 // 1000
"""Samples over which every track fades at its ends, so that cuts do not click."""

CROSSFADE: Final = SAMPLE_RATE_HZ * 50 // 1000
"""Samples of the crossfade from the end of repeated music to its beginning."""

DUCK_ATTACK: Final = Fraction(1, 4)
"""Seconds before speech over which the music is lowered."""

DUCK_RELEASE: Final = Fraction(3, 5)
"""Seconds after speech over which the music is raised again."""

MERGE_GAP: Final = DUCK_ATTACK + DUCK_RELEASE
"""In shorter pauses, in seconds, the music stays low: there is no time to raise and lower it."""

Interval = tuple[Seconds, Seconds]
Curve = npt.NDArray[np.float64]


def sample_at(time: Seconds) -> int:
    """Return the index of the sample nearest to a time in seconds."""
    return round(time * SAMPLE_RATE_HZ)


def speech_intervals(timeline: Timeline) -> tuple[Interval, ...]:
    """Return the half-open intervals of speech in order; pauses shorter than `MERGE_GAP` count as speech."""
    merged: list[Interval] = []
    spoken = sorted(
        (max(track.at, Fraction(0)), min(track.at + track.duration, timeline.duration))
        for track in timeline.audio
        if track.kind == "narration"
    )
    for start, stop in spoken:
        if start >= stop:
            continue
        if merged and start - merged[-1][1] < MERGE_GAP:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return tuple(merged)


class Envelope:
    """The depth of ducking over time: 0 without speech, 1 under speech, with cosine ramps between.

    It is computed from the timeline, so the music is low before the first word; a compressor, which reacts to
    the sound, would be late by its attack. Blocks must be requested in order.
    """

    def __init__(self, speech: tuple[Interval, ...]) -> None:
        self._attack = sample_at(DUCK_ATTACK)
        self._release = sample_at(DUCK_RELEASE)
        self._speech = [(sample_at(start), sample_at(stop)) for start, stop in speech]
        self._first = 0

    def depth(self, begin: int, end: int) -> Curve | None:
        """Return the depth at samples [begin, end), or None if it is 0 throughout."""
        while self._first < len(self._speech) and self._speech[self._first][1] + self._release <= begin:
            self._first += 1
        at = np.arange(begin, end)
        depth: Curve | None = None
        for index in range(self._first, len(self._speech)):
            start, stop = self._speech[index]
            if start - self._attack >= end:
                break
            rise = (at - (start - self._attack)) / self._attack
            fall = (stop + self._release - at) / self._release
            shape = _rise(np.minimum(rise, fall))
            depth = shape if depth is None else np.maximum(depth, shape)
        return depth


def _rise(linear: Curve) -> Curve:
    """Map a linear ramp to a cosine ramp: 0 for 0 and less, 1 for 1 and more."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(linear, 0.0, 1.0))


class Reader:
    """A reader of a sound in blocks of any size that can decode ahead to find its end."""

    def __init__(self, pieces: Iterator[Samples]) -> None:
        self._pieces = pieces
        self._ready: list[Samples] = []
        self.buffered = 0
        self.ended = False

    def ahead(self, count: int) -> None:
        """Decode until `count` samples are buffered or the sound ends."""
        while self.buffered < count and not self.ended:
            piece = next(self._pieces, None)
            if piece is None:
                self.ended = True
            elif len(piece):
                self._ready.append(piece)
                self.buffered += len(piece)

    def take(self, count: int) -> Samples:
        """Return the next `count` samples, or fewer at the end of the sound."""
        self.ahead(count)
        if not self._ready:
            return np.zeros((0, 2), np.float32)
        joined = np.concatenate(self._ready)
        # A copy, so that a short rest does not keep the whole block in memory.
        self._ready = [joined[count:].copy()] if len(joined) > count else []
        self.buffered = max(0, len(joined) - count)
        return joined[:count]

    def close(self) -> None:
        """Close the file that the sound is read from."""
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()


def repeated(
    open_pass: Callable[[], Iterator[Samples]], *, name: str, crossfade: int = CROSSFADE
) -> Iterator[Samples]:
    """Repeat a sound without end, with a crossfade of so many samples from each end to the next beginning.

    Raises AssetError naming the sound if it is empty.
    """
    reader = Reader(open_pass())
    reader.ahead(BLOCK)
    if reader.ended:  # keep a sound shorter than a block, rather than open it many times a second
        kept = reader.take(reader.buffered)
        if not len(kept):
            raise AssetError(f"{name}: the music is empty: no sample could be decoded", path=name)
        overlap = min(crossfade, len(kept) // 4)
        open_pass = partial(_once, kept)
        reader = Reader(open_pass())
    else:
        overlap = crossfade
    while True:
        try:
            while True:
                reader.ahead(BLOCK + overlap)
                count = min(BLOCK, reader.buffered - overlap)
                if count <= 0:
                    break
                yield reader.take(count)
            tail = reader.take(overlap)
        finally:
            reader.close()
        reader = Reader(open_pass())
        if overlap:
            head = reader.take(overlap)
            yield _crossfade(tail[: len(head)], head)


def _once(sound: Samples) -> Iterator[Samples]:
    yield sound


def _crossfade(tail: Samples, head: Samples) -> Samples:
    """Crossfade two sounds at constant power."""
    angle = (np.arange(len(tail), dtype=np.float32)[:, None] + 0.5) / len(tail) * np.float32(math.pi / 2)
    blended: Samples = tail * np.cos(angle) + head * np.sin(angle)
    return blended


@dataclass(frozen=True, slots=True)
class Placed:
    """A track in samples: it plays in [begin, end), from `start` seconds into its file."""

    track: AudioTrack
    begin: int
    end: int
    start: Seconds
    gain: float
    fade: int
    duck_db: float


def place(timeline: Timeline, settings: Audio) -> list[Placed]:
    """Return the audible tracks, cut to the timeline and sorted by their first sample."""
    total = sample_at(timeline.duration)
    placed: list[Placed] = []
    for track in timeline.audio:
        begin, end = sample_at(track.at), min(total, sample_at(track.at + track.duration))
        start = track.start
        if begin < 0:
            start, begin = start - track.at, 0
        if begin >= end:
            continue
        music = track.kind == "music"
        fade = sample_at(Fraction(settings.music_fade)) if music else 0
        fade = min(max(fade, EDGE), (end - begin) // 2)
        gain_db = track.gain_db + (settings.music_volume if music else 0.0)
        placed.append(
            Placed(
                track=track,
                begin=begin,
                end=end,
                start=start,
                gain=10 ** (gain_db / 20),
                fade=fade,
                duck_db=0.0 if track.kind in ("narration", "effect") else settings.music_duck,
            )
        )
    return sorted(placed, key=lambda item: item.begin)


def _read_track(track: AudioTrack, start: Seconds) -> Iterator[Samples]:
    """Yield a track's sound; raise FileChangedError that names its scene."""
    try:
        yield from read_sound(track.path, start=start, sha256=track.sha256)
    except FileChangedError as error:
        scene = f"scene {track.scene_id!r}" if track.scene_id else track.kind
        raise FileChangedError(f"{scene}: {error}") from error


class Voice:
    """A track that is being mixed."""

    def __init__(self, placed: Placed) -> None:
        self.placed = placed
        track, start = placed.track, placed.start
        if track.kind == "music":
            pieces = repeated(
                lambda: _read_track(track, start),
                name=str(track.path),
                crossfade=CROSSFADE if track.score is None else 0,
            )
        else:
            pieces = _read_track(track, start)
        self._reader = Reader(pieces)
        self._at = placed.begin
        self._end = placed.end

    def add_to(self, block: Samples, begin: int, depth: Curve | None) -> bool:
        """Add the track to the block that starts at sample `begin`; return whether it continues after the block."""
        placed = self.placed
        first = self._at - begin
        count = min(len(block) - first, self._end - self._at)
        # If the file is shorter than the track, the fade ends with the file.
        self._reader.ahead(count + EDGE)
        if self._reader.ended:
            self._end = min(self._end, self._at + self._reader.buffered)
        samples = self._reader.take(min(count, self._end - self._at))
        last = first + len(samples)
        gain = self._gain(len(samples))
        if depth is not None and placed.duck_db:
            gain *= np.power(10.0, depth[first:last] * (placed.duck_db / 20))
        block[first:last] += samples * gain.astype(np.float32)[:, None]
        self._at += len(samples)
        return self._at < self._end

    def _gain(self, count: int) -> Curve:
        gain = np.full(count, self.placed.gain)
        fade = self.placed.fade
        at = np.arange(self._at, self._at + count) + 0.5
        for distance in (at - self.placed.begin, self._end - at):
            if count and distance.min() < fade:
                gain *= _rise(distance / fade)
        return gain

    def close(self) -> None:
        """Close the file of the track."""
        self._reader.close()


def mixed_samples(timeline: Timeline, *, settings: Audio, speech: tuple[Interval, ...]) -> Iterator[Samples]:
    """Yield the whole mix in order as float32 of shape (samples, 2), at 48 kHz.

    The mix has round(duration · 48000) samples; sums above full scale are not clipped. Only the files that are
    playing are open. Raises AssetError if a file cannot be read.
    """
    total = sample_at(timeline.duration)
    waiting = place(timeline, settings)
    waiting.reverse()
    envelope = Envelope(speech)
    voices: list[Voice] = []
    try:
        for begin in range(0, total, BLOCK):
            block = np.zeros((min(BLOCK, total - begin), 2), np.float32)
            end = begin + len(block)
            while waiting and waiting[-1].begin < end:
                voices.append(Voice(waiting.pop()))
            depth = envelope.depth(begin, end)
            for voice in list(voices):
                if not voice.add_to(block, begin, depth):
                    voice.close()
                    voices.remove(voice)
            yield block
    finally:
        for voice in voices:
            voice.close()
