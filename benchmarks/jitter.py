"""Measure how steadily a renderer moves a picture.

The renderer moves a still of white Gaussian blobs on a dark ground, and each blob's intensity centroid is
tracked through the decoded frames. A steady move has a second difference of zero; the jitter is the RMS of the
second difference over blobs, frames and both axes, in px/frame². A backward step goes more than 0.02 px along
an axis against the blob's overall direction.

    python -m benchmarks.jitter                        every renderer below
    python -m benchmarks.jitter perspective zoompan-4x --seconds 2
    python -m benchmarks.jitter --moves                zooms of 1 to 10 %/s, pans of 2 to 10 px/s
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.handwritten import RAW, perspective_argv, zoompan_argv
from benchmarks.measure import measure
from benchmarks.workload import BUILD, PICTURE_PX, Workload, one_scene

Luma = NDArray[np.uint8]
Points = NDArray[np.float64]

BLOB_COLUMNS, BLOB_ROWS = 4, 7
BLOB_SEED = 1
GROUND, PEAK = 16.0, 236.0
BACKWARD_PX = 0.02
ABOVE_GROUND = 5.0
"""Luma threshold above the ground; anything darker is coding or rounding noise."""
STILL_PX = 0.5
"""A blob that moves less than this along an axis over the whole video has no direction on that axis."""


@dataclass(frozen=True, slots=True)
class Jitter:
    """The jitter of a move (px/frame², RMS) and its backward steps, out of `steps` in total."""

    rms_px: float
    backward_steps: int
    steps: int
    blobs: int


def blob_centres(size_px: tuple[int, int] = PICTURE_PX) -> Points:
    """Return the blobs' centres, shape (blobs, 2), x before y, in pixels of a picture of `size_px`.

    They form a loose grid at fractional pixels, so far from the edges that no move of the benchmark crops one.
    """
    rng = np.random.default_rng(BLOB_SEED)
    width, height = size_px
    return np.array(
        [
            (
                width * (0.2 + 0.6 * column / (BLOB_COLUMNS - 1)) + rng.uniform(-0.0125, 0.0125) * width,
                height * (0.15 + 0.7 * row / (BLOB_ROWS - 1)) + rng.uniform(-0.0125, 0.0125) * width,
            )
            for column in range(BLOB_COLUMNS)
            for row in range(BLOB_ROWS)
        ]
    )


def draw_blobs(centres: Points, *, size_px: tuple[int, int], sigma_px: float) -> Luma:
    """Return a picture, (height, width), of Gaussian blobs at `centres`, where (0.5, 0.5) is a pixel's middle."""
    width, height = size_px
    picture = np.full((height, width), GROUND)
    reach = int(6 * sigma_px) + 1
    for x, y in centres:
        left, top = max(0, int(x) - reach), max(0, int(y) - reach)
        right, bottom = min(width, int(x) + reach), min(height, int(y) + reach)
        across = np.exp(-((np.arange(left, right) + 0.5 - x) ** 2) / (2 * sigma_px**2))
        down = np.exp(-((np.arange(top, bottom) + 0.5 - y) ** 2) / (2 * sigma_px**2))
        picture[top:bottom, left:right] += (PEAK - GROUND) * down[:, None] * across
    return picture.clip(0, 255).round().astype(np.uint8)


def follow(frames: Iterable[Luma], starts: Points, *, window_px: int) -> Points:
    """Return the blobs' centroids, shape (frames, blobs, 2); NaN once a blob's window has left the frame.

    The window, `window_px` square, moves with the blob. Pixels less than ABOVE_GROUND above the ground count as
    zero, so the window's position does not affect the centroid.
    """
    half = window_px // 2
    coordinates = np.arange(2 * half) + 0.5
    places = starts.copy()
    tracks: list[Points] = []
    floor = 0.0
    for number, frame in enumerate(frames):
        height, width = frame.shape
        if number == 0:
            floor = float(np.median(frame)) + ABOVE_GROUND
        for blob, (x, y) in enumerate(places):
            if np.isnan(x):
                continue
            left, top = round(x) - half, round(y) - half
            places[blob] = np.nan
            if left < 0 or top < 0 or left + 2 * half > width or top + 2 * half > height:
                continue
            light = np.maximum(
                frame[top : top + 2 * half, left : left + 2 * half].astype(np.float64) - floor, 0
            )
            total = light.sum()
            if total > 0:
                places[blob] = (
                    light.sum(axis=0) @ coordinates / total + left,
                    light.sum(axis=1) @ coordinates / total + top,
                )
        tracks.append(places.copy())
    return np.array(tracks)


def jitter_of(tracks: Points) -> Jitter:
    """Return the jitter of `tracks`, shape (frames, blobs, 2) in pixels; ValueError if no blob is seen in 3."""
    frames = len(tracks)
    seen = ~np.isnan(tracks[:, :, 0]) if frames else np.zeros((0, 0), bool)
    if frames < 3 or not (seen.sum(axis=0) >= 3).any():
        raise ValueError(
            f"{frames} frames with {int(seen.any(axis=0).sum())} blobs; give at least 3 with a blob in each"
        )
    second = np.diff(tracks, 2, axis=0)
    steps = np.diff(tracks, axis=0)
    way = np.nansum(steps, axis=0)
    way = np.where(np.abs(way) >= STILL_PX, np.sign(way), 0.0)
    return Jitter(
        rms_px=float(np.sqrt(np.nanmean(second**2))),
        backward_steps=int(np.nansum(steps * way < -BACKWARD_PX)),
        steps=int((~np.isnan(steps)).sum()),
        blobs=int(seen.any(axis=0).sum()),
    )


def luma_frames(argv: list[str], *, size_px: tuple[int, int]) -> Iterator[Luma]:
    """Yield the luma planes, (height, width), that an ffmpeg command writes to its output as raw yuv420p."""
    width, height = size_px
    frame_bytes = width * height * 3 // 2
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while len(data := process.stdout.read(frame_bytes)) == frame_bytes:
            yield np.frombuffer(data, np.uint8, width * height).reshape(height, width)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode} from {' '.join(argv)}")


def decode_argv(ffmpeg: str, video: Path) -> list[str]:
    """Return the command that decodes a video for `luma_frames`."""
    return [
        ffmpeg,
        "-v",
        "error",
        "-nostdin",
        "-i",
        str(video),
        "-map",
        "0:v:0",
        "-fps_mode",
        "passthrough",
        *RAW,
    ]


def engine_argv(work: Workload, output: Path, *, options: tuple[str, ...] = ()) -> list[str]:
    """Return the engine's command that renders `work` with lossless encoding."""
    return [
        *(
            sys.executable,
            "-m",
            "video_pipeline.engine.cli.main",
            "render",
            str(work.story),
            "-o",
            str(output),
            "--no-cache",
            "--json",
        ),
        *("--encoder", "libx264", "--preset", "veryfast", "--crf", "0"),
        *("--size", f"{work.size_px[0]}x{work.size_px[1]}", "--fps", str(work.fps), *options),
    ]


def blob_workload(
    *,
    seconds: float = 4.0,
    zoom_per_second: float = 0.05,
    size_px: tuple[int, int] = (1080, 1920),
    folder: Path = BUILD,
) -> Workload:
    """Return a workload with one still of blobs, 1.5 times the frame's size."""
    picture_px = (size_px[0] * 3 // 2, size_px[1] * 3 // 2)
    picture = folder / "pictures" / f"blobs-{picture_px[0]}x{picture_px[1]}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    blobs = draw_blobs(blob_centres(picture_px), size_px=picture_px, sigma_px=picture_px[0] / 180)
    Image.fromarray(blobs).convert("RGB").save(picture)
    return one_scene(
        f"jitter-{size_px[0]}x{size_px[1]}-{seconds:g}s",
        picture=picture,
        seconds=seconds,
        zoom_per_second=zoom_per_second,
        size_px=size_px,
        folder=folder,
    )


def measure_luma(frames: Iterable[Luma], work: Workload, *, start_zoom: float) -> Jitter:
    """Return the jitter of frames that show the blobs; raise RuntimeError if their count is wrong.

    `start_zoom` is the first frame's scale about the centre of the picture.
    """
    middle = np.array(work.size_px) / 2
    centres = blob_centres((work.size_px[0] * 3 // 2, work.size_px[1] * 3 // 2)) / 1.5
    starts = (centres - middle) * start_zoom + middle
    window_px = max(16, round(work.size_px[0] * 0.074) // 2 * 2)
    tracks = follow(frames, starts, window_px=window_px)
    if len(tracks) != work.frames:
        raise RuntimeError(f"{len(tracks)} frames of the blobs; expected {work.frames}")
    return jitter_of(tracks)


def measure_frames(argv: list[str], work: Workload) -> Jitter:
    """Return the jitter of the frames that a command writes; raise RuntimeError if their count is wrong."""
    return measure_luma(luma_frames(argv, size_px=work.size_px), work, start_zoom=work.start_zoom)


def measure_video(ffmpeg: str, video: Path, work: Workload) -> Jitter:
    """Return the jitter of a rendered video."""
    return measure_frames(decode_argv(ffmpeg, video), work)


def _engine(ffmpeg: str, work: Workload) -> Jitter:
    output = BUILD / "out" / "jitter.mp4"
    output.parent.mkdir(parents=True, exist_ok=True)
    measure(engine_argv(work, output))
    return measure_video(ffmpeg, output, work)


def _perspective(ffmpeg: str, work: Workload) -> Jitter:
    return measure_frames(perspective_argv(ffmpeg, work, pix_fmt="yuv420p"), work)


def _zoompan(ffmpeg: str, work: Workload, *, oversample: int, pix_fmt: str) -> Jitter:
    return measure_frames(zoompan_argv(ffmpeg, work, oversample=oversample, pix_fmt=pix_fmt), work)


RENDERERS: dict[str, Callable[[str, Workload], Jitter]] = {
    "engine": _engine,
    "perspective": _perspective,
    "zoompan-1x": partial(_zoompan, oversample=1, pix_fmt="yuv420p"),
    "zoompan-4x": partial(_zoompan, oversample=4, pix_fmt="yuv420p"),
    "zoompan-4x-444": partial(_zoompan, oversample=4, pix_fmt="yuv444p"),
}
"""The renderers by name; the frames of plain ffmpeg filters are measured before encoding."""


def table_row(name: str, jitter: Jitter) -> str:
    """Return a result as a line of text."""
    return f"{name:16} {jitter.rms_px:8.4f} px/frame²  {jitter.backward_steps:5d} of {jitter.steps} steps backward"


def main() -> int:
    """Measure the named renderers, or all."""
    import imageio_ffmpeg

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.jitter", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument(
        "renderers", nargs="*", metavar="RENDERER", help=f"of {', '.join(RENDERERS)}; default: all"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="length of the move (default 4)")
    parser.add_argument(
        "--rate", type=float, default=0.05, help="zoom a second; negative zooms out (default 0.05)"
    )
    parser.add_argument(
        "--moves",
        action="store_true",
        help="measure many moves, drawn by the native compositor and by ffmpeg filters",
    )
    options = parser.parse_args()
    if options.moves:
        from benchmarks.jitter_moves import measure_moves
        from benchmarks.report import moves_table

        rows = measure_moves(
            imageio_ffmpeg.get_ffmpeg_exe(),
            seconds=options.seconds,
            report=lambda line: print(line, file=sys.stderr, flush=True),
        )
        print(moves_table(rows))
        return 0
    unknown = [name for name in options.renderers if name not in RENDERERS]
    if unknown:
        parser.error(f"unknown renderer {unknown[0]!r}; allowed: {', '.join(RENDERERS)}")
    work = blob_workload(seconds=options.seconds, zoom_per_second=options.rate)
    for name in options.renderers or RENDERERS:
        print(table_row(name, RENDERERS[name](imageio_ffmpeg.get_ffmpeg_exe(), work)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
