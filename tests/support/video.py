"""Pictures and clips made for tests, and frames read back from ffmpeg and from files."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.render.captions.draw import CaptionArt
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.compositors.ffmpeg import FfmpegCompositor
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.timeline import Clip, Footage, Still, Timeline, Transition
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.graph import Stream, argv

Frames = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

SIZE_PX = (180, 320)


@cache
def catalogue() -> FontCatalogue:
    """The packaged fonts."""
    return FontCatalogue()


def run_ffmpeg(*arguments: str | Path) -> bytes:
    """Run ffmpeg quietly and return its standard output; raise with its log if it fails."""
    command = [find_ffmpeg().path, "-v", "error", "-nostdin", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return done.stdout


def as_frames(data: bytes, size_px: tuple[int, int]) -> Frames:
    """Return raw yuv420p as an array (frames, height * 3 / 2, width)."""
    width, height = size_px
    return np.frombuffer(data, np.uint8).reshape(-1, height * 3 // 2, width)


def draw(compositor: FfmpegCompositor, start: int = 0, stop: int | None = None) -> Frames:
    """Return the frames that a compositor's own command writes for a range."""
    timeline = compositor.timeline
    frames = FrameRange(start, timeline.frame_count if stop is None else stop)
    command = compositor.frames_command(frames, threads=1)
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return as_frames(done.stdout, (timeline.width_px, timeline.height_px))


def draw_range(compositor: Compositor, start: int = 0, stop: int | None = None) -> Frames:
    """Return the frames of a range as any compositor draws them."""
    wanted = FrameRange(start, compositor.timeline.frame_count if stop is None else stop)
    drawn = compositor.frames(wanted, threads=1, children=Children())
    return np.stack([array.copy() for array in drawn])


def draw_stream(stream: Stream, size_px: tuple[int, int]) -> Frames:
    """Return every frame of a filter graph."""
    command = argv(
        find_ffmpeg().path, [stream], "pipe:1", f="rawvideo", pix_fmt="yuv420p", fps_mode="passthrough"
    )
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return as_frames(done.stdout, size_px)


def decode(path: Path, size_px: tuple[int, int]) -> Frames:
    """Return every coded frame of a file, with none duplicated or dropped."""
    return as_frames(
        run_ffmpeg(
            "-i",
            path,
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "yuv420p",
            "-",
        ),
        size_px,
    )


def planes(frames: Frames) -> tuple[Frames, Frames, Frames]:
    """Return Y, U and V of frames (…, height * 3 / 2, width)."""
    height = frames.shape[-2] * 2 // 3
    half = (*frames.shape[:-2], height // 2, frames.shape[-1] // 2)
    chroma = frames[..., height:, :].reshape(*frames.shape[:-2], -1)
    count = half[-1] * half[-2]
    return frames[..., :height, :], chroma[..., :count].reshape(half), chroma[..., count:].reshape(half)


def luma(frames: Frames) -> Frames:
    """Return the Y plane of frames."""
    return planes(frames)[0]


def middle_colour(frame: Frames) -> tuple[int, int, int]:
    """Return Y, U, V at the centre of one frame."""
    y, u, v = planes(frame)
    return tuple(int(plane[plane.shape[0] // 2, plane.shape[1] // 2]) for plane in (y, u, v))  # type: ignore[return-value]


def bt709(red: int, green: int, blue: int) -> tuple[float, float, float]:
    """Return Y, U, V of an RGB colour by BT.709 limited range (ITU-R BT.709-6, 3 and 4)."""
    r, g, b = red / 255, green / 255, blue / 255
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return 16 + 219 * y, 128 + 224 * (b - y) / 1.8556, 128 + 224 * (r - y) / 1.5748


# -- pictures -----------------------------------------------------------------------------------


def still(path: Path, pixels: npt.NDArray[np.uint8], **save_options: Any) -> Still:
    """Write a picture, (height, width) or (height, width, 3), and return it as a still."""
    Image.fromarray(pixels).save(path, **save_options)
    demuxer = {"png": "png_pipe", "jpg": "jpeg_pipe", "webp": "webp_pipe"}[path.suffix[1:]]
    return Still(path, pixels.shape[1], pixels.shape[0], "", demuxer)


def flat(path: Path, colour: tuple[int, int, int], size_px: tuple[int, int] = SIZE_PX) -> Still:
    """Write a picture of one colour."""
    return still(path, np.full((size_px[1], size_px[0], 3), colour, np.uint8), quality=100)


def textured(path: Path, seed: int, size_px: tuple[int, int] = (240, 427)) -> Still:
    """Write a picture with soft shapes of many colours, different for each seed."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 5, 3), np.uint8))
    big = np.asarray(small.resize(size_px, Image.Resampling.BICUBIC)).astype(np.int16)
    big += rng.integers(-12, 13, big.shape, np.int16)
    return still(path, big.clip(0, 255).astype(np.uint8))


def blobs(size_px: tuple[int, int], centres: Points, sigma_px: float) -> npt.NDArray[np.uint8]:
    """Return white Gaussian blobs on black; a centre of 0.5 lies in the middle of the first pixel."""
    y, x = np.mgrid[0.5 : size_px[1], 0.5 : size_px[0]]
    picture = np.zeros((size_px[1], size_px[0]))
    for cx, cy in centres:
        picture += 255 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma_px**2))
    return picture.clip(0, 255).round().astype(np.uint8)


def centroid(
    frame: Frames, near: tuple[float, float], reach_px: int, floor: float = 20.0
) -> tuple[float, float]:
    """Return the centroid of light around a position in a luma plane; the first pixel's centre is at 0.5."""
    left, top = max(0, round(near[0]) - reach_px), max(0, round(near[1]) - reach_px)
    part = frame[top : top + 2 * reach_px, left : left + 2 * reach_px].astype(np.float64)
    light = np.maximum(part - floor, 0)
    total = light.sum()
    assert total > 0, f"no light near {near}"
    x = light.sum(axis=0) @ (np.arange(part.shape[1]) + 0.5) / total
    y = light.sum(axis=1) @ (np.arange(part.shape[0]) + 0.5) / total
    return x + left, y + top


# -- clips --------------------------------------------------------------------------------------

BITS = 10


def numbered_frame(number: int, size_px: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return a luma plane that carries a number: one bright or dark band for each bit, top to bottom."""
    width, height = size_px
    rows = np.arange(height) * BITS // height
    bits = (number >> rows) & 1
    return np.repeat((60 + 120 * bits).astype(np.uint8)[:, None], width, axis=1)


def number_of(frame: Frames) -> int:
    """Return the number that a drawn frame carries, read along its middle column."""
    y = luma(frame)
    height, width = y.shape
    middles = [int((bit + 0.5) * height / BITS) for bit in range(BITS)]
    strip = y[:, width // 2 - 2 : width // 2 + 2].mean(axis=1)
    return sum(int(strip[row] > 120) << bit for bit, row in enumerate(middles))


def numbered_clip(
    path: Path,
    *,
    times: Sequence[Fraction],
    size_px: tuple[int, int] = (64, 114),
    last_frame: Fraction = Fraction(1, 25),
    sample_aspect_ratio: Fraction = Fraction(1),
    gop: int = 12,
    bf: str = "2",
) -> Path:
    """Write an H.264 clip whose frame n, shown from times[n], carries the number n."""
    width, height = size_px[0] // 2 * 2, size_px[1] // 2 * 2
    tick = Fraction(1, 90_000)
    if path.suffix == ".gif":
        made = numbered_clip(path.with_suffix(".mp4"), times=times, size_px=size_px, bf="0")
        run_ffmpeg("-i", made, "-fps_mode", "passthrough", "-final_delay", str(round(last_frame * 100)), path)
        return path
    with av.open(str(path), "w") as container:
        video = container.add_stream(
            "libx264", rate=90_000, options={"crf": "10", "preset": "ultrafast", "bf": bf}
        )
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        context = video.codec_context
        context.time_base, context.gop_size = tick, gop
        context.sample_aspect_ratio = sample_aspect_ratio
        grey = np.full((height // 2, width), 128, np.uint8)
        ends = [*times[1:], times[-1] + last_frame]
        lengths = {round(at / tick): round((end - at) / tick) for at, end in zip(times, ends, strict=True)}

        def write(packets: Sequence[Any]) -> None:
            for packet in packets:
                packet.duration = lengths[packet.pts or 0]
                container.mux(packet)

        for number, at in enumerate(times):
            array = np.vstack([numbered_frame(number, (width, height)), grey])
            frame = av.VideoFrame.from_ndarray(array, format="yuv420p")
            frame.pts, frame.time_base = round(at / tick), tick
            write(video.encode(frame))
        write(video.encode(None))
    return path


# -- timelines ----------------------------------------------------------------------------------


def timeline_of(
    clips: Sequence[Clip],
    *,
    fps: Fraction | int = 30,
    size_px: tuple[int, int] = SIZE_PX,
    transitions: Sequence[Transition] = (),
) -> Timeline:
    """Return a timeline without captions and sound."""
    return Timeline(size_px[0], size_px[1], Fraction(fps), "title", tuple(clips), tuple(transitions))


def compositor_of(
    timeline: Timeline, *, captions: Sequence[CaptionArt] = (), motion: str = "auto", oversample: int = 4
) -> FfmpegCompositor:
    """Return a compositor that uses the same ffmpeg as a render."""
    program = find_ffmpeg()
    return FfmpegCompositor(
        timeline,
        tuple(captions),
        program.path,
        motion=motion,
        oversample=oversample,
        decoders=program.decoders,
    )


def clip_of(source: Still | Footage, start: int, stop: int, **fields: object) -> Clip:
    """Return a clip on a range of frames."""
    return Clip(f"s{start}", FrameRange(start, stop), source, **fields)  # type: ignore[arg-type]
