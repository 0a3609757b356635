"""The record of an encoder, and the settings that a segment's bytes depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Everything that a segment's bytes depend on besides its frames."""

    encoder: str
    width_px: int
    height_px: int
    fps: Fraction
    gop_frames: int
    options: dict[str, str] = field(default_factory=dict)

    def describe(self) -> dict[str, str | int]:
        """Return the settings as plain values, for the manifest."""
        return {"encoder": self.encoder, "gop_frames": self.gop_frames, **self.options}

    def ffmpeg_options(self) -> dict[str, str]:
        """Return the same settings as output options of the ffmpeg program."""
        options = dict(self.options)
        bit_rate = options.pop("b", None)
        if bit_rate is not None:
            options["b:v"] = bit_rate
        return {"c:v": self.encoder, "g": str(self.gop_frames), **options}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """The record of an FFmpeg encoder in ENCODERS.

    `options` returns FFmpeg's options for a configuration and a GOP length in frames, or raises ConfigError
    naming a wrong key. `versions` returns what the encoded bytes depend on besides the options. `explain_log` turns
    the log of a failed encode into one sentence, or "" if FFmpeg's own message is clear. `on_gpu` means that each
    encode takes an encoder session of a GPU.
    """

    name: str
    options: Callable[[Video, int], dict[str, str]]
    versions: Callable[[], dict[str, Any]]
    explain_log: Callable[[str], str] = lambda log: ""
    on_gpu: bool = False


def quality_text(value: float) -> str:
    """Return a crf or cq as an FFmpeg option value."""
    return f"{value:g}"


def check_option(key: str, value: str | None, allowed: tuple[str, ...], encoder: str) -> None:
    """Raise ConfigError if the encoder does not support the value of a key of `video`."""
    if value is not None and value not in allowed:
        raise ConfigError(
            f"video.{key}: got {value!r}{closest(value, allowed)}; allowed with {encoder}: {', '.join(allowed)}"
        )


def encoder_settings(encoder: Encoder, video: Video) -> EncoderSettings:
    """Return the settings of an encoder from the configuration; raise ConfigError naming a wrong key."""
    width, height = video.canvas_px()
    gop_frames = max(1, round(video.gop * video.fps))
    options = encoder.options(video, gop_frames)
    if video.tune is not None:
        options["tune"] = video.tune
    return EncoderSettings(encoder.name, width, height, video.fps, gop_frames, options)
