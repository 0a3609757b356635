"""Captions, the progress bar and the watermark in the filter graph of the FFmpeg compositor."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from video_pipeline.engine.render.captions.draw import CaptionArt
from video_pipeline.engine.timeline import ProgressBar, Watermark
from video_pipeline.engine.timing import FrameRange, frame_time
from video_pipeline.filters import fade
from video_pipeline.filters.frames import repeat, retime
from video_pipeline.filters.graph import Stream, merge, open_input


def overlay_caption(base: Stream, art: CaptionArt, frames: FrameRange, *, fps: Fraction) -> Stream:
    """Draw a caption, as drawtext lines or pictures, on the frames of a range that show it."""
    seen = art.frames.intersection(frames)
    assert seen is not None
    # Added to a frame's number in the range, it gives the frame's number in the caption.
    offset = frames.start - art.frames.start
    enable = f"between(n,{seen.start - frames.start},{seen.stop - frames.start - 1})"
    entrance = art.entrance_frames(fps)
    # overlay's n is one ahead of the frame being drawn; its t is not.
    now = "n" if art.picture is None else f"t*{fps}"
    progress = f"clip(({now}+{offset})/{entrance},0,1)"
    rise = f"{art.rise_px}*pow(1-{progress},3)" if art.animation == "slide_up" else ""
    fades_in, fades_out = art.animation != "none", art.animation == "fade"
    fading = art.fades_within
    before = art.frames.start - fading.start
    if art.picture is None:
        alpha = progress if fades_in else "1"
        if fades_out:
            alpha = f"min({alpha},clip(({len(art.frames)}-n-{offset})/{entrance},0,1))"
        if art.fade_in_frames:
            alpha += f"*clip((n+{offset + before})/{art.fade_in_frames},0,1)"
        if art.fade_out_frames:
            alpha += f"*clip(({len(fading)}-n-{offset + before})/{art.fade_out_frames},0,1)"
        for line in art.lines:
            options = dict(line)
            if rise:
                options["y"] = f"{options['y']}+{rise}"
            base = base.filter("drawtext", **options, alpha=alpha, enable=enable)
        return base
    overlay = open_input(art.picture, demuxer="png_pipe", framerate=fps)
    overlay = overlay.filter("scale", "iw", "ih", out_color_matrix="bt709", out_range="tv")
    overlay = repeat(overlay.filter("format", "yuva420p"), len(seen), fps=fps)
    # Fades by their first or last frame, counted from the clip's, and by their length.
    ins = [(before, entrance if fades_in else 0), (0, art.fade_in_frames)]
    outs = [(before + len(art.frames), entrance if fades_out else 0), (len(fading), art.fade_out_frames)]
    if any(length for _, length in ins + outs):
        overlay = retime(overlay, seen.start - fading.start, fps=fps)
    for first, length in ins:
        if length:
            start, duration = frame_time(first, fps), frame_time(length, fps)
            overlay = fade.fade_in(overlay, start=start, duration=duration, alpha=True)
    for last, length in outs:
        if length:
            # The fade filter takes no negative start, so a fade longer than the caption needs later time stamps.
            shift = max(0, length - last)
            overlay = retime(overlay, seen.start - fading.start + shift, fps=fps)
            start, duration = frame_time(last + shift - length, fps), frame_time(length, fps)
            overlay = fade.fade_out(overlay, start=start, duration=duration, alpha=True)
    overlay = retime(overlay, seen.start - frames.start, fps=fps)
    return merge(
        "overlay",
        (base, overlay),
        x=art.x_px,
        y=f"{art.y_px}+{rise}" if rise else art.y_px,
        format="yuv420",
        eof_action="repeat",
        enable=enable,
    )


def overlay_progress(base: Stream, bar: ProgressBar, frames: FrameRange, *, fps: Fraction) -> Stream:
    """Draw the progress bar of the frames of a range.

    A window as wide as the frame moves over both colours, side by side; then gaps are cut out of it.
    """

    def picture(path: Path) -> Stream:
        shown = open_input(path, demuxer="png_pipe", framerate=fps).filter("format", "rgba")
        return repeat(shown, len(frames), fps=fps)

    width = bar.width_px
    over = f"{width}*(n+{frames.start + 1 - bar.frames.start})/{len(bar.frames)}"
    reached = f"clip(2*floor(({over})/2+1e-9),2,{width})"
    window = picture(bar.both).filter("crop", width, bar.height_px, f"{width}-{reached}", 0)
    if bar.gaps is not None:
        window = merge("blend", (window, picture(bar.gaps)), c3_mode="multiply")
    window = window.filter("scale", "iw", "ih", out_color_matrix="bt709", out_range="tv").filter(
        "format", "yuva420p"
    )
    return merge(
        "overlay", (base, retime(window, fps=fps)), x=0, y=bar.y_px, format="yuv420", eof_action="repeat"
    )


def overlay_watermark(base: Stream, mark: Watermark, *, fps: Fraction) -> Stream:
    """Draw the watermark on every frame of a range."""
    picture = open_input(mark.path, demuxer="png_pipe", framerate=fps)
    picture = picture.filter("format", "rgba").filter("colorchannelmixer", aa=mark.opacity)
    picture = picture.filter("scale", "iw", "ih", out_color_matrix="bt709", out_range="tv")
    picture = retime(picture.filter("format", "yuva420p"), fps=fps)
    return merge("overlay", (base, picture), x=mark.x_px, y=mark.y_px, format="yuv420", eof_action="repeat")
