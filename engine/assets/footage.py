"""Probe and trim the video clips that scenes show; a clip can never make FFmpeg open another file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import av

from video_pipeline.engine.assets.clip_color import UNSPECIFIED, color_of
from video_pipeline.engine.assets.clip_frames import (
    LastFrame,
    axis_start,
    decoded,
    find_last_frame,
    is_cover,
    packets_of,
    rewind,
    shown_streams,
)
from video_pipeline.engine.assets.formats import ALLOWED, HEAD_BYTES, sniff
from video_pipeline.engine.assets.models import Sound
from video_pipeline.engine.common.input_files import (
    ANY_FILES,
    InputFiles,
    NotAFileError,
    OpenFile,
    why_not_opened,
)
from video_pipeline.engine.errors import AssetError
from video_pipeline.engine.machine.hwaccel import EXACT_CODECS, EXACT_FORMATS
from video_pipeline.engine.story.model import VideoSpec
from video_pipeline.engine.timeline import Footage
from video_pipeline.engine.timing import exact_seconds

READ_BYTES = 256 * 1024
"""Bytes of a clip that are read at once."""

HD_LONG_SIDE_PX = 1280

ALPHA_DECODERS: Final = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders that return the alpha channel, which WebM stores beside each frame; FFmpeg's own omit it."""

WITHOUT_HEADER = frozenset(["mpegts", "mpeg"])
"""PyAV's names of containers that store no length, so FFmpeg estimates it from time stamps."""

FIRST_FIELDS: Final[dict[int, Literal["tff", "bff"]]] = {2: "tff", 3: "bff", 4: "bff", 5: "tff"}
"""Which field is shown first, by FFmpeg's AVFieldOrder."""

FLAG_INTERLACED: Final = frozenset(
    ["h264", "hevc", "vvc", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "wmv3", "dvvideo", "prores", "dnxhd"]
)
"""Codecs that flag each interlaced frame; for others the container has one flag for all frames."""

COUNTED_BY_STREAM: Final = frozenset(["mpegts", "mpeg"])
"""Containers whose time stamps may restart: ffmpeg starts their time at the first of the streams that it uses."""

TAGGED_DURATION: Final = re.compile(r"([0-9]{1,4}):([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]{1,9})?)", re.ASCII)

MISSED_S = Fraction(1, 4)
"""Seconds by which a header's end may differ without a missing frame: rounding, and sound that ends slightly later."""


class NotVideoError(AssetError):
    """A file that is not a video or has no decodable picture."""


@dataclass(frozen=True, slots=True)
class Clipped:
    """A clip's picture, its sound (None if unwanted or absent), and a warning about the file, if any."""

    footage: Footage
    sound: Sound | None
    warning: str | None = None


def _open(path: Path, files: InputFiles) -> OpenFile:
    try:
        return files.open(path)
    except NotAFileError as error:
        raise NotVideoError(f"{path}: {why_not_opened(error)}") from error
    except OSError as error:
        raise AssetError(f"{path}: {why_not_opened(error)}") from error


def _demuxer(file: OpenFile) -> str:
    head = file.head(HEAD_BYTES)
    if not head:
        raise AssetError(f"{file.path}: is empty (0 bytes)")
    content = sniff(head)
    if content is None or "video" not in content.kinds:
        raise NotVideoError(f"{file.path}: is not a video; allowed: {ALLOWED['video']}")
    if not content.demuxer:
        raise NotVideoError(
            f"{file.path}: is {content.name}, which FFmpeg does not read; give it to a story's scene"
        )
    return content.demuxer


def probe_footage(path: Path, spec: VideoSpec, *, files: InputFiles = ANY_FILES) -> Clipped:
    """Return the clip that `spec` selects from a file.

    The demuxer is chosen by the first bytes of the file, so a playlist is rejected. Raises AssetError naming the file
    and the reason.
    """
    with _open(path, files) as file:
        try:
            demuxer = _demuxer(file)
            with av.open(
                file.stream,
                mode="r",
                format=demuxer,
                options={"protocol_whitelist": "file,pipe"},
                metadata_errors="replace",  # accept clips with titles in Latin-1
                buffer_size=READ_BYTES,
            ) as container:
                clipped = _cut_out(container, file, spec, demuxer)
        except (av.FFmpegError, OSError) as error:
            file.check()
            raise AssetError(f"{path}: cannot be decoded: {error.strerror}") from error
        file.check()
        return clipped


def _cut_out(
    container: av.container.InputContainer, file: OpenFile, spec: VideoSpec, demuxer: str
) -> Clipped:
    path = file.path
    stream, frame = _first_frame(container, path)
    turned = abs(frame.rotation) % 180 == 90
    pixels = (frame.height, frame.width) if turned else (frame.width, frame.height)
    width, height = pixels
    ratio = stream.sample_aspect_ratio or Fraction(1)
    if ratio > 0 and ratio != 1:
        width, height = (width, round(height * ratio)) if turned else (round(width * ratio), height)
    # Players treat large untagged video as BT.709, but FFmpeg's scaler treats all untagged video as BT.601.
    untagged = stream.codec_context.colorspace == UNSPECIFIED
    matrix = "bt709" if untagged and max(width, height) >= HD_LONG_SIDE_PX else None
    grid = _chroma_grid_px(frame.format, turned=turned)
    has_sound = bool(container.streams.audio)
    wanted_end = exact_seconds(spec.end) if spec.end is not None else None
    promised = _promised_end(container, stream)
    near = promised if promised is None or wanted_end is None else min(promised, wanted_end)
    last = find_last_frame(container, stream, near=near, until=wanted_end)
    last = last or _first_as_last(container, frame)
    length = _length(promised, last, wanted_end)
    start = exact_seconds(spec.start)
    end = min(length, wanted_end) if wanted_end is not None else length
    if start >= length:
        raise AssetError(
            f"{path}: start {spec.start:g} s is past its end; allowed: at least 0, less than {float(length):.2f} s"
        )
    # If the video stream has no length, the picture may end before the sound.
    has_length = stream.duration or _tagged_duration(stream)
    reached = last.end if has_length else max(last.end, last.others_end)
    warning, seekable = None, end - reached <= MISSED_S
    if is_cover(stream):
        warning = f"{path}: its only picture is its cover, which is held"
    elif not seekable:
        warning = (
            f"{path}: its frames end at {float(last.end):.2f} s, not at {float(end):.2f} s as its header says; "
            f"the last one is held"
        )
    codec = stream.codec_context.name
    alpha_decoder = ALPHA_DECODERS.get(codec) if stream.metadata.get("alpha_mode") == "1" else None
    footage = Footage(
        path=path.absolute(),
        width_px=max(2, width),
        height_px=max(2, height),
        sha256=file.sha256,
        demuxer=demuxer,
        start=start,
        duration=end - start,
        color_matrix=matrix,
        pixels_px=None if pixels == (width, height) else pixels,
        chroma_grid_px=grid,
        last_frame=last.start,
        stream_index=stream.index if stream.index != container.streams.video[0].index else None,
        changes_size=bool(last.sizes_px - {(frame.width, frame.height)}),
        seekable=seekable,
        color=color_of(stream, frame),
        interlaced=bool(frame.interlaced_frame) or last.interlaced,
        first_field=None if frame.interlaced_frame else _first_field(stream),
        transparent=alpha_decoder is not None or (codec != "rawvideo" and _has_alpha(frame.format)),
        alpha_decoder=alpha_decoder,
        ffmpeg_zero=_ffmpeg_zero(container, stream, demuxer),
        exact_pix_fmt=_exact_pix_fmt(codec, frame, plain=seekable and len(last.sizes_px) <= 1),
    )
    sound = Sound(path.absolute(), file.sha256, length) if has_sound and spec.sound else None
    return Clipped(footage, sound, warning)


def _first_frame(container: av.container.InputContainer, path: Path) -> tuple[av.VideoStream, av.VideoFrame]:
    """Return the stream to show and its first decodable frame."""
    streams = shown_streams(container)
    if not streams:
        raise NotVideoError(f"{path}: has no video stream")
    for number, stream in enumerate(streams):
        if number:
            rewind(container)
        frame = next(decoded(packets_of(container), stream), None)
        if frame is not None:
            return stream, frame
    raise NotVideoError(f"{path}: has no frame that can be decoded")


def _first_field(stream: av.VideoStream) -> Literal["tff", "bff"] | None:
    """Return which field of each frame is shown first according to the container, for codecs without such flags."""
    if stream.codec_context.name in FLAG_INTERLACED:
        return None
    return FIRST_FIELDS.get(int(stream.codec_context.field_order))


def _ffmpeg_zero(container: av.container.InputContainer, stream: av.VideoStream, demuxer: str) -> Fraction:
    """Return the time on the clip's axis at which ffmpeg starts the time of a stream that it reads alone."""
    if demuxer not in COUNTED_BY_STREAM or stream.start_time is None or not stream.time_base:
        return Fraction(0)
    return stream.start_time * stream.time_base - axis_start(container)


def _first_as_last(container: av.container.InputContainer, frame: av.VideoFrame) -> LastFrame:
    """Return the first frame as the last one; if the picture begins late, that frame is also shown before."""
    begins = Fraction(0)
    if frame.pts is not None and frame.time_base:
        begins = max(begins, frame.pts * frame.time_base - axis_start(container))
    return LastFrame(begins, begins)


def _exact_pix_fmt(codec: str, frame: av.VideoFrame, *, plain: bool) -> str | None:
    """Return a clip's pixel format if every decoder gives the same pixels: for `plain` clips of some codecs."""
    exact = plain and codec in EXACT_CODECS and frame.format.name in EXACT_FORMATS
    return frame.format.name if exact else None


def _chroma_grid_px(pix_fmt: av.VideoFormat, *, turned: bool) -> tuple[int, int]:
    """Return how many luma pixels share one chroma sample in a format, across and down."""
    if pix_fmt.is_bayer:
        return 2, 2
    across, down = 16 // pix_fmt.chroma_width(16), 16 // pix_fmt.chroma_height(16)
    # To rotate a frame, ffmpeg may convert it to a format with a square grid.
    return (max(across, down),) * 2 if turned else (across, down)


def _has_alpha(pix_fmt: av.VideoFormat) -> bool:
    return any(component.is_alpha for component in pix_fmt.components)


def _promised_end(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    """Return the end of the picture in seconds according to the file's header, or None if it has none."""
    origin = axis_start(container)
    if container.format.name in WITHOUT_HEADER:
        return None
    tagged = _tagged_duration(stream)
    if tagged is not None and tagged > origin:
        return tagged - origin
    if stream.duration and stream.time_base:
        begins = (stream.start_time or 0) * stream.time_base - origin if stream.start_time else Fraction(0)
        return begins + stream.duration * stream.time_base
    if not container.duration:
        return None
    # Some Matroska writers count the length from time stamp 0, others from the first time stamp.
    whole = Fraction(container.duration, av.time_base)
    return whole - origin if whole > origin else whole


def _tagged_duration(stream: av.VideoStream) -> Fraction | None:
    """Return the end of a track in seconds by its tag DURATION, or None if it has none.

    Matroska writers add the tag, because the length of the file may be that of its sound.
    None for a track of one frame, which is a cover or a picture that is held while the sound continues.
    """
    found = TAGGED_DURATION.fullmatch(stream.metadata.get("DURATION", ""))
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    tagged = (int(hours) * 60 + int(minutes)) * 60 + Fraction(seconds)
    return tagged if tagged * (stream.average_rate or 25) >= 2 else None


def _length(promised: Fraction | None, last: LastFrame, until: Fraction | None) -> Fraction:
    """Return the length of a clip in seconds: the header's, unless a frame ends after that."""
    if promised is None or (until is None and last.end - promised > MISSED_S):
        return last.end if until is None or last.end < until else until
    return promised
