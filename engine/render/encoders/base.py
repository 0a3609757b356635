"""The record of an encoder, and the settings that a segment's bytes depend on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, cast

from video_pipeline.engine.config.families import ENCODERS
from video_pipeline.engine.config.sections import Video


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Everything that a segment's bytes depend on besides its frames.

    With a `quality`, a VMAF, they are those of a whole video, and each segment's have the crf with which it reaches that.
    """

    encoder: str
    width_px: int
    height_px: int
    fps: Fraction
    gop_frames: int
    options: dict[str, str] = field(default_factory=dict)
    gpu: str = ""
    """The name and driver of the GPUs that encode; all segments of a video come from GPUs of one model."""
    quality: float | None = None

    def describe(self) -> dict[str, str | int | float]:
        """Return the settings as plain values, for the manifest."""
        gpu = {"gpu": self.gpu} if self.gpu else {}
        quality = {"quality": self.quality} if self.quality is not None else {}
        return {"encoder": self.encoder, "gop_frames": self.gop_frames, **gpu, **quality, **self.options}

    def ffmpeg_options(self) -> dict[str, str]:
        """Return the same settings as output options of the ffmpeg program."""
        options = dict(self.options)
        tag = load_encoder(self.encoder).tag
        if tag:
            options["tag:v"] = tag
        bit_rate = options.pop("b", None)
        if bit_rate is not None:
            options["b:v"] = bit_rate
        return {"c:v": self.encoder, "g": str(self.gop_frames), **options}


FaultKind = Literal["absent", "machine", "refused", "options"]
"""absent: the machine does not have it. machine: it may work later. refused: it works when another session has ended.
options: it cannot do what was asked for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of line in FFmpeg's log: a pattern, and what it means, in which `\\1` is the pattern's first group.

    A `weak` one decides only if no other line does.
    """

    pattern: str
    meaning: str
    kind: FaultKind
    weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """The record of an FFmpeg encoder in ENCODERS.

    `options` returns FFmpeg's options for a configuration and a GOP length in frames, or raises ConfigError
    naming a wrong key. `versions` returns what the encoded bytes depend on besides the options. `faults` gives the
    meaning of lines of FFmpeg's log. `tag` is the codec's name in MP4 files if FFmpeg would choose another. `on_gpu`
    means that each encode takes an encoder session of a GPU. `simpler` returns configurations to try if the GPU cannot
    do what the encoder does by default, each with its reason.
    """

    name: str
    options: Callable[[Video, int], dict[str, str]]
    versions: Callable[[], dict[str, Any]]
    faults: tuple[Fault, ...] = ()
    tag: str = ""
    on_gpu: bool = False
    simpler: Callable[[Video], tuple[tuple[Video, str], ...]] = lambda video: ()


def load_encoder(name: str) -> Encoder:
    """Return the record of an encoder; raise UnavailableError if ENCODERS has none of that name."""
    return cast(Encoder, ENCODERS.load(name))


def find_fault(lines: Sequence[str], faults: Sequence[Fault]) -> Fault | None:
    """Return the first fault that a line of a log matches, with the meaning filled in."""
    for weak in (False, True):
        for line in lines:
            for fault in faults:
                if fault.weak == weak and (found := re.search(fault.pattern, line)):
                    return replace(fault, meaning=found.expand(fault.meaning))
    return None


def encoder_settings(encoder: Encoder, video: Video) -> EncoderSettings:
    """Return the settings of an encoder from the configuration; raise ConfigError naming a wrong key."""
    width, height = video.canvas_px()
    gop_frames = max(1, round(video.gop * video.fps))
    options = encoder.options(video, gop_frames)
    quality = video.rate_control().quality
    return EncoderSettings(encoder.name, width, height, video.fps, gop_frames, options, quality=quality)
