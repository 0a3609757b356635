"""NVENC: the encoders of NVIDIA GPUs for H.264, HEVC and AV1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.render.encoders.base import Encoder, Fault
from video_pipeline.engine.render.encoders.options import quality_options, table_options

DEFAULTS: Final[dict[str, str | int]] = {"tune": "hq", "bf": 2, "aq": "spatial"}
"""The encoders' values for keys that are null."""

PRESET_B_FRAMES: Final = 3
"""B-frames of NVENC's presets at most, for a configuration without the option."""


def frames_held(options: Mapping[str, str]) -> int:
    """Return how many frames in a GPU's memory FFmpeg's NVENC holds at most, for the options of a session.

    It is the number of its surfaces, from nvenc_recalc_surfaces of libavcodec/nvenc.c.
    """
    b_frames, lookahead = int(options.get("bf", PRESET_B_FRAMES)), int(options.get("rc-lookahead", 0))
    held = max(4, 4 * (b_frames + 1))
    return max(held, lookahead + b_frames + 1 + 5) if lookahead else held


LOSSLESS: Final = "lossless"
"""The tune that has no rate."""

FAULTS: Final = (
    Fault(r"Cannot load (libcuda\.so|nvcuda\.dll)", "no NVIDIA driver on this machine", "absent"),
    Fault(
        r"Cannot load (libnvidia-encode\.so|nvEncodeAPI)",
        "the driver's encoder library is missing (in a container: the `video` driver capability)",
        "absent",
    ),
    Fault(
        r"Cannot load (cu\w+|[Nn]v\w+)",
        r"the NVIDIA driver is too old for this FFmpeg: it has no \1",
        "absent",
    ),
    Fault(
        r"required nvenc API version\. Required: (\S+) Found: (\S+)",
        r"the NVIDIA driver is too old for this FFmpeg: its NVENC API is \2, and \1 is needed",
        "absent",
    ),
    Fault(
        r"minimum required Nvidia driver for nvenc is (\S+)",
        r"the NVIDIA driver is too old for this FFmpeg: \1 is needed",
        "absent",
    ),
    Fault(
        r"Failed to (query nvenc max version|create nvenc instance): (.*)",
        r"the driver's encoder library does not start: \2",
        "absent",
    ),
    Fault(r"OpenEncodeSessionEx failed: unsupported device \(2\)", "this GPU has no NVENC", "absent"),
    Fault(
        r"OpenEncodeSessionEx failed: incompatible client key \(21\)",
        "every NVENC session that the driver allows is taken",
        "refused",
    ),
    Fault(
        r"OpenEncodeSessionEx failed: out of memory \(10\)", "NVENC is out of sessions or memory", "refused"
    ),
    Fault(r"OpenEncodeSessionEx failed: (.*)", r"NVENC opens no session: \1", "machine"),
    Fault(r"Max B-frames \d+ exceed 0", "this GPU encodes no B-frames with this codec (video.bf)", "options"),
    Fault(
        r"Max B-frames (\d+) exceed (\d+)",
        r"this GPU encodes at most \2 B-frames in a row (video.bf), not \1",
        "options",
    ),
    Fault(
        r"Width (\d+) exceeds (\d+)",
        r"this GPU encodes pictures of at most \2 pixels width, not \1",
        "options",
    ),
    Fault(
        r"Height (\d+) exceeds (\d+)",
        r"this GPU encodes pictures of at most \2 pixels height, not \1",
        "options",
    ),
    Fault(
        r"macroblock count (\d+) exceeds maximum of (\d+)",
        r"the picture is larger than this GPU encodes: \1 macroblocks, at most \2",
        "options",
    ),
    Fault(
        r"Frame Dimension less than the minimum|less than the minimum supported",
        "the picture is smaller than NVENC supports",
        "options",
    ),
    Fault(r"RC lookahead not supported", "this GPU has no lookahead (video.lookahead)", "options"),
    Fault(r"Temporal AQ not supported", "this GPU has no temporal AQ (video.aq)", "options"),
    Fault(
        r"Multiple reference frames are not supported",
        "this GPU has one reference frame only (video.refs)",
        "options",
    ),
    Fault(r"Lossless encoding not supported", "this GPU encodes nothing lossless (video.tune)", "options"),
    Fault(r"Codec not supported", "this GPU has no encoder for this codec", "absent"),
    Fault(r"Requested GPU (\d+), but only (\d+)", r"there is no GPU \1: this machine has \2", "absent"),
    Fault(
        r"([A-Z][\w -]*) (?:is|are )?not supported|doesn't support required NVENC features",
        r"this GPU cannot do what the options ask for: \g<0>",
        "options",
    ),
    Fault(r"Value (\S+) for parameter '(\S+)' out of range (.*)", r"\2: got \1; allowed: \3", "options"),
    Fault(
        r'Unable to parse "(\S+)" option value "(.*)"', r"this FFmpeg's encoder has no \1 named \2", "options"
    ),
    Fault(r"Error setting option (\S+) to value (.*)\.", r"this FFmpeg's encoder takes no \1=\2", "options"),
    Fault(
        r"Cannot get the preset configuration: (.*)",
        r"NVENC does not have this preset and tune: \1",
        "options",
    ),
    Fault(r"InitializeEncoder failed: out of memory.*", "the GPU's memory is full", "machine"),
    Fault(r"InitializeEncoder failed: (.*)", r"NVENC does not take these options: \1", "options"),
    Fault(r"CUDA_ERROR_OUT_OF_MEMORY", "the GPU's memory is full", "machine"),
    Fault(
        r"cuInit\(.*CUDA_ERROR_NO_DEVICE|No CUDA capable devices found",
        "CUDA could not be started: it sees no GPU (CUDA_VISIBLE_DEVICES, or a container without one)",
        "absent",
    ),
    Fault(
        r"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
        "CUDA could not be started: the driver's libraries and its kernel module have different versions",
        "absent",
    ),
    Fault(
        r"cu(?:Init|DeviceGet\w*|DeviceComputeCapability|CtxCreate\w*|DevicePrimaryCtx\w*)\(.*failed"
        r"(?: -> (\w+))?",
        r"CUDA could not be started: \1",
        "machine",
    ),
    Fault(r"(cu\w+)\(.*failed(?: -> (\w+))?", r"the GPU failed: \2 (\1)", "machine"),
    Fault(
        r"Primary context already active",
        "another library of this process uses the GPU in a way that FFmpeg cannot share",
        "machine",
    ),
    Fault(
        r"(?:Create\w+Buffer|GetSequenceParams|CreateBitstreamBuffer) failed: out of memory.*",
        "the GPU's memory is full",
        "machine",
    ),
    Fault(
        r"Error (?:registering|mapping) an input resource.*|Could not register an input HW frame.*",
        r"the GPU does not encode frames of its own memory: \g<0>",
        "options",
    ),
    Fault(
        r"EncodePicture failed!: (.*)|Failed (?:un)?(?:locking|mapping|registering)\b.*|\w+ failed!?: .*\(\d+\).*",
        r"the GPU stopped encoding: \g<0>",
        "machine",
    ),
    # FFmpeg's last line after most faults.
    Fault(r"No (NVENC )?capable devices found", "no GPU here can encode", "absent", weak=True),
)
"""Patterns of FFmpeg's log lines and their meaning; the first log line that matches one is used."""


def _options_of(encoder: str, video: Video) -> dict[str, str]:
    """Return the options of one of NVENC's encoders; raise ConfigError naming a wrong key."""
    options = table_options(video, encoder, defaults=DEFAULTS) | {"forced-idr": "1"}
    if options["tune"] == LOSSLESS:
        for key in ("crf", "bitrate", "max_bitrate", "bufsize"):
            if key in video.model_fields_set and getattr(video, key) is not None:
                raise ConfigError(
                    f"video.{key}: got {getattr(video, key)!r}; leave it out: video.tune {LOSSLESS} has no rate"
                )
        return options
    options["rc"] = "vbr"
    rate = video.rate_control()
    if rate.max_bit_rate is not None:
        options["maxrate"] = str(rate.max_bit_rate)
    if rate.bitrate is not None:
        options["b"] = rate.bitrate
        if rate.buffer_bits is not None or rate.max_bit_rate is not None:
            options["bufsize"] = str(rate.buffer_bits or rate.capped_buffer_bits)
    elif rate.crf is not None:
        if rate.buffer_bits is not None:
            raise ConfigError(
                f"video.bufsize: got {video.bufsize!r}; {encoder} has a buffer only with video.bitrate and without "
                "video.crf"
            )
        options |= quality_options(rate.crf, encoder) | {"b": "0"}
    return options


def _without_b_frames(video: Video) -> tuple[tuple[Video, str], ...]:
    """Return the configuration for a GPU without B-frames, unless it asks for some itself."""
    if video.bf is not None:
        return ()
    return ((video.model_copy(update={"bf": 0}), "without B-frames, which this GPU does not encode"),)


def _encoder(name: str, *, tag: str = "") -> Encoder:
    # The encoder's context has the GOP.
    return Encoder(
        name=name,
        options=lambda video, gop_frames: _options_of(name, video),
        versions=dict,  # the settings name GPU and driver
        faults=FAULTS,
        tag=tag,
        on_gpu=True,
        simpler=_without_b_frames,
    )


H264_NVENC: Final = _encoder("h264_nvenc")
HEVC_NVENC: Final = _encoder("hevc_nvenc", tag="hvc1")  # the tag that Apple's players take
AV1_NVENC: Final = _encoder("av1_nvenc")
