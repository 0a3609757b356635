"""The filter graph that draws the frames of a video clip."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

from video_pipeline.engine.assets.formats import INDEXED_DEMUXERS
from video_pipeline.engine.timeline import Footage
from video_pipeline.engine.timing import FrameRange, frame_time
from video_pipeline.filters.color import (
    Converter,
    convert_to_bt709,
    on_black,
    scale_each,
    scale_to_bt709,
    to_pix_fmt,
)
from video_pipeline.filters.crop import crop
from video_pipeline.filters.fit import compose_fit
from video_pipeline.filters.frames import trim
from video_pipeline.filters.geometry import Fit, Rect, nearest_window
from video_pipeline.filters.grade import grade_colours
from video_pipeline.filters.graph import Stream, open_input


def draw_footage(
    footage: Footage,
    span: FrameRange,
    *,
    fit: Fit,
    shown: Rect,
    canvas_px: tuple[int, int],
    fps: Fraction,
    converter: Converter,
    decoders: frozenset[str],
    hwaccel: str | None = None,
    lut: Path | None = None,
) -> Stream:
    """Return frames `span` of a clip's footage, counted from the clip's first frame, fitted into the canvas.

    With `cover`, `shown` is the part of the picture that fills the canvas. `decoders` are those of the ffmpeg program, and `hwaccel` is its acceleration for decoding this clip. `lut` is the .cube file of its grade. The file is sought by whole seconds, so that the frame grid never
    shifts.
    """
    step = fps.denominator  # this many seconds hold a whole number of frames
    skipped_seconds = max(0, int(frame_time(span.start, fps)) - 1) // step * step
    skipped_seconds = min(skipped_seconds, max(0, int(footage.duration) - 1) // step * step)
    if footage.last_frame is not None:
        left = max(0, math.floor(footage.last_frame - footage.start))
        skipped_seconds = min(skipped_seconds, left // step * step)
    first = span.start - int(skipped_seconds * fps)
    wanted = footage.start + skipped_seconds
    if footage.last_frame is not None:
        wanted = min(wanted, footage.last_frame)  # do not seek past the frame that is held
    stream = _seek_to(footage, wanted, decoders, hwaccel)
    if footage.first_field is not None:
        stream = stream.filter("setfield", footage.first_field)
    if footage.interlaced or footage.first_field is not None:
        stream = stream.filter("bwdif", mode="send_frame", deint="interlaced")
    if not footage.seekable:
        # The number of frames is unknown, so repeat the last one before the trim.
        stream = stream.filter("tpad", stop=-1, stop_mode="clone")
    if footage.changes_size:
        # Otherwise ffmpeg would rebuild the graph and restart its frame count.
        upright = footage.pixels_px or (footage.width_px, footage.height_px)
        stream = scale_each(stream, width_px=upright[0], height_px=upright[1])
    end = footage.duration
    if footage.last_frame is not None and footage.last_frame >= footage.start + end:
        # The part begins before the first frame: keep the first frame, which is shown instead.
        end = footage.last_frame - footage.start + step / fps
    stream = stream.filter("trim", end=float(end - skipped_seconds))
    if footage.color_matrix:
        stream = stream.filter("setparams", colorspace=footage.color_matrix)
    # eof_action=pass keeps a last frame that lasts less than half an output frame.
    stream = stream.filter("fps", fps=fps, start_time=0, eof_action="pass")
    stream = stream.filter("tpad", stop=-1, stop_mode="clone")
    stream = trim(stream, first, first + len(span), fps=fps)
    if footage.transparent:
        stream = on_black(stream)
    source = (footage.width_px, footage.height_px)
    pixels = footage.pixels_px or source
    if fit != "cover":
        stream = _as_bt709(stream, footage, converter)
        if lut is not None:
            stream = grade_colours(stream, lut)
        return compose_fit(stream, fit=fit, source_px=source, pixels_px=pixels, canvas_px=canvas_px)
    window = nearest_window(shown, pixels, footage.chroma_grid_px)
    stream = crop(stream, window, size_px=pixels, chroma_grid_px=footage.chroma_grid_px)
    stream = _as_bt709(stream, footage, converter)
    if lut is not None:
        stream = grade_colours(stream, lut, size_px=canvas_px)
    return scale_to_bt709(stream, width_px=canvas_px[0], height_px=canvas_px[1])


def _seek_to(footage: Footage, wanted: Fraction, decoders: frozenset[str], hwaccel: str | None) -> Stream:
    """Open a clip and make `wanted` its time 0."""
    options: dict[str, Any] = {}
    # An accurate seek would drop the frame on screen at the start; the fps filter needs it, before time 0.
    seeks = footage.demuxer in INDEXED_DEMUXERS and footage.seekable
    if seeks:
        options |= {"ss": float(wanted), "noaccurate_seek": None}
    if footage.changes_size:
        options["reinit_filter"] = 0
    if footage.alpha_decoder in decoders:
        options["c:v"] = footage.alpha_decoder
    if hwaccel is not None:
        options["hwaccel"] = hwaccel
    stream = open_input(footage.path, demuxer=footage.demuxer, stream_index=footage.stream_index, **options)
    if hwaccel is not None and footage.exact_pix_fmt is not None:
        stream = to_pix_fmt(
            stream, footage.exact_pix_fmt
        )  # a GPU's decoder gives the same pixels in another layout
    if not seeks:
        shift = float(wanted - footage.ffmpeg_zero)
        stream = stream.filter("setpts", f"PTS{'+' if shift < 0 else '-'}{abs(shift):.9f}/TB")
    return stream


def _as_bt709(stream: Stream, footage: Footage, converter: Converter) -> Stream:
    if footage.color is None:
        return stream
    return convert_to_bt709(stream, footage.color, converter=converter)
