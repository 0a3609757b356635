"""Frames become H.264: one closed segment at a time, each byte the same whoever makes it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.errors import ConfigError, RenderingError
from video_pipeline.engine.render.planes import Buffer, video_frame

X264_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
NVENC_PRESETS = ("p1", "p2", "p3", "p4", "p5", "p6", "p7")
X264_TUNES = ("film", "animation", "grain", "stillimage", "psnr", "ssim", "fastdecode", "zerolatency")
NVENC_TUNES = ("hq", "uhq", "ll", "ull", "lossless")

NVENC_FOR_X264_PRESET = {
    "ultrafast": "p1",
    "superfast": "p1",
    "veryfast": "p2",
    "faster": "p3",
    "fast": "p4",
    "medium": "p4",
    "slow": "p5",
    "slower": "p6",
    "veryslow": "p7",
    "placebo": "p7",
}
"""The NVENC preset that stands where an x264 preset was configured."""


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


def _quality(value: float) -> str:
    return f"{value:g}"


def encoder_settings(encoder: str, video: Video) -> EncoderSettings:
    """Return the settings of an encoder from the configuration; raise ConfigError naming a wrong key."""
    width, height = video.canvas_px()
    gop_frames = max(1, round(video.gop * video.fps))
    options: dict[str, str]
    if encoder == "libx264":
        _check_choice("preset", video.preset, X264_PRESETS, encoder)
        _check_choice("tune", video.tune, X264_TUNES, encoder)
        # stitchable: headers depend on the settings alone, so segments share them. A fixed keyint, no open GOP.
        # cpu-independent: the same bytes from every processor. Without it x264 (core 165) decides by what its
        # memory held before, in mbtree with AVX-512: a segment encoded twice came out in two ways.
        params = f"stitchable=1:cpu-independent=1:open-gop=0:keyint={gop_frames}"
        options = {"preset": video.preset, "x264-params": params}
        options["crf" if video.crf is not None else "b"] = (
            _quality(video.crf) if video.crf is not None else video.bitrate
        )
    else:
        preset = NVENC_FOR_X264_PRESET.get(video.preset, video.preset)
        _check_choice("preset", preset, NVENC_PRESETS, encoder)
        _check_choice("tune", video.tune, NVENC_TUNES, encoder)
        options = {
            "preset": preset,
            "tune": "hq",
            "rc": "vbr",
            "spatial-aq": "1",
            "bf": "2",
            "forced-idr": "1",
        }
        if video.crf is not None:
            options |= {"cq": _quality(video.crf), "b": "0"}
        else:
            options["b"] = video.bitrate
    if video.tune is not None:
        options["tune"] = video.tune
    return EncoderSettings(encoder, width, height, video.fps, gop_frames, options)


def _check_choice(key: str, value: str | None, allowed: tuple[str, ...], encoder: str) -> None:
    if value is not None and value not in allowed:
        raise ConfigError(f"video.{key}: got {value!r}; allowed with {encoder}: {', '.join(allowed)}")


def parse_bit_rate(text: str) -> int:
    """Return bits a second of '8000k', '8M' or '8000000'."""
    factor = {"k": 1000, "m": 1_000_000}.get(text[-1].lower(), 1)
    return int(text.rstrip("kKmM")) * factor


def encode_segment(frames: Iterator[Buffer], settings: EncoderSettings, *, threads: int = 1) -> bytes:
    """Encode 4:2:0 frames into an MP4 in memory: one closed segment that starts with an IDR frame.

    `frames` yields arrays of shape (height * 3 / 2, width), planes Y, U, V one under the other, BT.709
    limited range. x264 with another number of threads makes other bytes, so it is part of the settings and
    one by default. Raises RenderingError.
    """
    buffer = io.BytesIO()
    try:
        with av.open(buffer, "w", format="mp4") as container:
            stream = container.add_stream(settings.encoder, rate=settings.fps)
            assert isinstance(stream, av.VideoStream)
            context = stream.codec_context
            context.width, context.height = settings.width_px, settings.height_px
            context.pix_fmt = "yuv420p"
            context.time_base = 1 / settings.fps
            context.gop_size = settings.gop_frames
            context.thread_count = threads
            context.color_range = ColorRange.MPEG
            context.colorspace = Colorspace.ITU709
            context.color_primaries = ColorPrimaries.BT709
            context.color_trc = ColorTrc.BT709
            options = dict(settings.options)
            if "b" in options:
                context.bit_rate = parse_bit_rate(options.pop("b"))
            context.options = options
            for number, array in enumerate(frames):
                frame = video_frame(array)
                frame.pts, frame.time_base = number, 1 / settings.fps
                frame.color_range, frame.colorspace = ColorRange.MPEG, Colorspace.ITU709
                frame.color_primaries, frame.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except av.FFmpegError as error:
        raise RenderingError(f"{settings.encoder}: {error}", options=settings.describe()) from error
    return buffer.getvalue()
