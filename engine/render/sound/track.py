"""Produce the encoded sound of a video, and cache it under everything that it depends on."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

import av
from av import library_versions

from video_pipeline.engine import __version__
from video_pipeline.engine.common.cache import ContentCache, file_sha256
from video_pipeline.engine.config.sections import Audio
from video_pipeline.engine.config.values import parse_bit_rate
from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.render.sound.mix import SAMPLE_RATE_HZ, AudioReport, mix_into
from video_pipeline.engine.timeline import Timeline

logger = logging.getLogger(__name__)

FORMAT: Final = 1
"""Increase it when the same tracks and settings give another sound, so that no older cached sound is used."""

AAC_FRAME_SAMPLES: Final = 1024


RAW_24: Final = {"sample_rate": str(SAMPLE_RATE_HZ), "ch_layout": "stereo"}
"""Options of FFmpeg's demuxer for 24-bit samples without a header."""


def encode_aac(sound: Path | IO[bytes], target: Path, *, bitrate: str) -> int:
    """Encode a WAV, or a stream of 24-bit stereo samples, as stereo AAC at 48 kHz into an MP4.

    Returns the number of samples; raises RenderingError.
    """
    samples = 0
    file, demuxer = (str(sound), "wav") if isinstance(sound, Path) else (sound, "s24le")
    try:
        with (
            av.open(file, "r", format=demuxer, options=RAW_24 if file is sound else None) as source,
            av.open(str(target), "w", format="mp4") as container,
        ):
            stream: Any = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="stereo")
            stream.bit_rate = parse_bit_rate(bitrate)
            resampler = av.AudioResampler(
                format="fltp", layout="stereo", rate=SAMPLE_RATE_HZ, frame_size=AAC_FRAME_SAMPLES
            )
            for frame in chain(source.decode(audio=0), [None]):
                samples += frame.samples if frame else 0
                for part in resampler.resample(frame):
                    container.mux(stream.encode(part))
            container.mux(stream.encode(None))
    except (av.FFmpegError, OSError) as error:
        raise RenderingError(f"{target}: the sound cannot be encoded: {error.strerror or error}") from error
    return samples


def sound_parts(timeline: Timeline, *, settings: Audio, ffmpeg_version: str) -> dict[str, Any]:
    """Return everything that the sound of a timeline depends on, as plain values."""
    return {
        "format": FORMAT,
        "version": __version__,
        "tracks": [
            [
                track.kind,
                track.sha256,
                str(track.at),
                str(track.duration),
                str(track.start),
                track.gain_db,
                track.score is not None,
            ]
            for track in timeline.audio
        ],
        "duration": str(timeline.duration),
        "settings": settings.model_dump(mode="json", exclude={"music", "music_mood", "music_seed"}),
        "ffmpeg": ffmpeg_version,
        "pyav": av.__version__,
        "libraries": {name: list(numbers) for name, numbers in library_versions.items()},
    }


def produce_sound(
    timeline: Timeline,
    *,
    settings: Audio,
    target: Path,
    cache: ContentCache | None,
    ffmpeg: Path,
    ffmpeg_version: str,
    cancelled: Callable[[], bool] = lambda: False,
) -> AudioReport:
    """Write the sound of a timeline as AAC in an MP4 to `target`, from the cache if possible.

    A cached sound is verified by its SHA-256 and replaced if it is corrupt. If the cache cannot be written,
    the sound is not cached, with a warning. Raises the errors of `mix_into` and `encode_aac`.
    """
    parts = sound_parts(timeline, settings=settings, ffmpeg_version=ffmpeg_version)
    # A target of an earlier try may be the cached file itself, by a second name: what is written to one changes both.
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        raise RenderingError(f"{target}: {error.strerror}") from error
    if cache is not None:
        known = _fetch(cache, parts, target)
        if known is not None:
            return known
    encoded = 0

    def encode(sound: IO[bytes]) -> None:
        nonlocal encoded
        encoded = encode_aac(sound, target, bitrate=settings.bitrate)

    report = mix_into(encode, timeline, settings=settings, target=target, ffmpeg=ffmpeg, cancelled=cancelled)
    if encoded != report.samples:
        raise RenderingError(f"the encoded sound has {encoded} samples; the mix has {report.samples}")
    if cache is not None:
        try:
            _keep(cache, parts, target, report)
        except OSError as error:
            logger.warning("%s: %s; the sound is not cached", cache.folder, error.strerror or error)
    return report


def _fetch(cache: ContentCache, parts: dict[str, Any], target: Path) -> AudioReport | None:
    """Copy a cached sound to `target` and return its report, or None if it is missing or corrupt."""
    path, notes = cache.path("sound", parts, ".m4a"), cache.path("sound", parts, ".json")
    try:
        kept = json.loads(notes.read_text(encoding="utf-8"))
        shutil.copyfile(path, target)
        if file_sha256(target) != kept["sha256"]:
            raise ValueError("its SHA-256 does not match the one in its notes")
        speech = tuple((Fraction(start), Fraction(stop)) for start, stop in kept["report"].pop("speech"))
        report = AudioReport(path=target, speech=speech, **kept["report"])
        for used in (path, notes):
            cache.touch(used)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        logger.warning("cached sound %s cannot be used and is produced again: %s", path, error)
        return None
    return report


def _keep(cache: ContentCache, parts: dict[str, Any], sound: Path, report: AudioReport) -> None:
    path, notes = cache.path("sound", parts, ".m4a"), cache.path("sound", parts, ".json")
    values = {key: value for key, value in asdict(report).items() if key != "path"}
    values["speech"] = [[str(start), str(stop)] for start, stop in report.speech]
    cache.store(notes, json.dumps({"sha256": file_sha256(sound), "report": values}).encode())
    cache.store(path, sound)
