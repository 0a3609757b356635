"""Frames of video clips, drawn by the real ffmpeg and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.tolerances import assert_frames_equal
from tests.support.video import (
    Frames,
    clip_of,
    compositor_of,
    draw,
    footage_of,
    luma,
    middle_colour,
    number_of,
    numbered_clip,
    run_ffmpeg,
    steady,
    timeline_of,
)
from video_pipeline.engine.timeline import Footage, Timeline
from video_pipeline.filters.geometry import Camera, largest_rect

SIZE_PX = (108, 192)


def numbers(frames: Frames) -> list[int]:
    return [number_of(frame) for frame in frames]


def is_shown_at(times: Sequence[Fraction], number: int, at: Fraction, fps: Fraction) -> bool:
    """Say whether a source frame may be seen at a time: it is on screen then, or within half a frame of it."""
    current = max((index for index, time in enumerate(times) if time <= at), default=0)
    return number == current or abs(times[number] - at) <= Fraction(501, 1000) / fps


VARIABLE = [
    Fraction(0),
    *(Fraction(ms, 1000) for ms in (40, 55, 200, 233, 266, 500, 505, 900, 1300, 1333, 1366, 1500, 2300)),
]
SOURCES = {
    "24": steady(60, 24),
    "25": steady(60, 25),
    "23.976": steady(60, Fraction(24000, 1001)),
    "29.97": steady(80, Fraction(30000, 1001)),
    "60": steady(150, 60),
    "variable": VARIABLE,
}


def timeline_with(clip: Footage, frames: int, fps: Fraction | int = 30) -> Timeline:
    return timeline_of([clip_of(clip, 0, frames)], fps=fps, size_px=SIZE_PX)


@pytest.mark.parametrize("fps", [30, Fraction(30000, 1001), 60], ids=str)
@pytest.mark.parametrize("rate", SOURCES)
@pytest.mark.parametrize("start", ["0", "0.517"])
def test_a_clip_of_any_rate_shows_the_frame_of_each_moment(
    tmp_path: Path, start: str, rate: str, fps: Fraction | int
) -> None:
    times = SOURCES[rate]
    path = numbered_clip(tmp_path / "f.mp4", times=times, last_frame=Fraction(1, 10))
    clip = footage_of(path, start=float(start))
    count = int((times[-1] - clip.start) * fps)
    seen = numbers(draw(compositor_of(timeline_with(clip, count, fps))))
    assert len(seen) == count
    for frame, number in enumerate(seen):
        at = clip.start + Fraction(frame) / fps
        assert is_shown_at(times, number, at, Fraction(fps)), f"frame {frame}: {number}"
    assert all(a <= b for a, b in pairwise(seen))


def test_a_clip_of_the_same_rate_is_shown_frame_by_frame(tmp_path: Path) -> None:
    path = numbered_clip(tmp_path / "f.mp4", times=steady(200, 30))
    compositor = compositor_of(timeline_with(footage_of(path, start=1.2), 140))
    assert numbers(draw(compositor)) == list(range(36, 176))
    assert numbers(draw(compositor, 97, 140)) == list(range(36 + 97, 176))


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("gop", [1, 50])
def test_ranges_of_a_clip_agree_in_every_container(tmp_path: Path, ending: str, gop: int) -> None:
    made = numbered_clip(tmp_path / "m.mp4", times=steady(200, 30), gop=gop)
    path = tmp_path / f"f.{ending}"
    if ending == "avi":
        run_ffmpeg("-i", made, "-c:v", "mjpeg", "-q:v", "2", path)
    else:
        run_ffmpeg("-i", made, "-c", "copy", path)
    compositor = compositor_of(timeline_with(footage_of(path, start=0.6), 170))
    frames = draw(compositor)
    assert numbers(frames) == list(range(18, 188))
    for start, stop in ((31, 40), (60, 61), (100, 170), (149, 151)):
        assert_frames_equal(draw(compositor, start, stop), frames[start:stop])


def test_the_end_of_a_cut_is_held_and_nothing_after_it_is_shown(tmp_path: Path) -> None:
    path = numbered_clip(tmp_path / "f.mp4", times=steady(100, 30))
    clip = footage_of(path, start=0.5, end=1.5)
    compositor = compositor_of(timeline_with(clip, 120))
    seen = numbers(draw(compositor))
    assert seen == [*range(15, 45), *[44] * 90]
    assert numbers(draw(compositor, 100, 120)) == [44] * 20
    assert numbers(draw(compositor, 25, 40)) == seen[25:40]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "gif"])
def test_a_last_frame_that_lasts_for_seconds_is_there_in_every_range(tmp_path: Path, ending: str) -> None:
    times = [*steady(15, 25), Fraction(3, 5)]
    path = numbered_clip(tmp_path / f"f.{ending}", times=times, last_frame=Fraction(6), bf="0")
    clip = footage_of(path)
    assert clip.duration > 6
    compositor = compositor_of(timeline_with(clip, 240))
    seen = numbers(draw(compositor))
    assert seen[18:] == [15] * 222
    assert numbers(draw(compositor, 150, 240)) == [15] * 90


def test_a_clip_with_one_frame_is_held(tmp_path: Path) -> None:
    path = numbered_clip(tmp_path / "f.mp4", times=[Fraction(0)], last_frame=Fraction(1, 25))
    assert numbers(draw(compositor_of(timeline_with(footage_of(path), 50)))) == [0] * 50


@pytest.mark.parametrize(("turn", "quarter"), [(90, 1), (180, 2), (270, 3)])
@pytest.mark.parametrize("fit", ["cover", "contain"])
def test_a_turned_clip_is_shown_upright(tmp_path: Path, turn: int, quarter: int, fit: str) -> None:
    coded = tmp_path / "c.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=160x90:r=30:d=0.3"),
        *("-vf", "drawbox=0:0:80:90:white:fill", "-c:v", "libx264", coded),
    )
    path = tmp_path / "f.mp4"
    run_ffmpeg("-display_rotation", str(turn), "-i", coded, "-c", "copy", path)
    clip = footage_of(path)
    upright = (90, 160) if quarter % 2 else (160, 90)
    assert (clip.width_px, clip.height_px) == upright
    y = luma(draw(compositor_of(timeline_of([clip_of(clip, 0, 3, fit=fit)], size_px=upright))))[1]
    bright = np.rot90(np.repeat(np.arange(160)[None] < 80, 90, axis=0), quarter)
    assert y[bright].mean() > 220
    assert y[~bright].mean() < 30


@pytest.mark.parametrize(("x", "level"), [(0.0, 235), (0.5, 126), (1.0, 16)])
@pytest.mark.parametrize("aspect", ["1", "2"])
def test_a_clip_is_cropped_where_its_camera_is(tmp_path: Path, x: float, level: int, aspect: str) -> None:
    path = tmp_path / "f.mp4"
    # Three stripes: white, grey, black.
    grey = "geq=lum='if(lt(X,80),235,if(lt(X,160),126,16))':cb=128:cr=128"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=240x160:r=30:d=0.2"),
        *("-vf", f"{grey},setsar={aspect}", "-c:v", "libx264", "-qp", "4", path),
    )
    clip = footage_of(path)
    rect = largest_rect(clip.width_px / clip.height_px, 80 / 160 * int(aspect), focus=(x, 0.5))
    shown = clip_of(clip, 0, 2, camera=Camera(rect, rect))
    y = luma(draw(compositor_of(timeline_of([shown], size_px=(80 * int(aspect), 160)))))[1]
    assert y.shape == (160, 80 * int(aspect))
    assert np.abs(y[:, 8:-8].astype(int) - level).max() <= 2


@pytest.mark.parametrize("fit", ["cover", "contain", "blur"])
def test_pixels_that_are_not_square_are_shown_in_their_shape(tmp_path: Path, fit: str) -> None:
    path = tmp_path / "f.mp4"
    # 180 x 160 coded pixels, each twice as wide as it is high: a ring that looks round is coded narrow.
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=180x160:r=30:d=0.2"),
        *(
            "-vf",
            "geq=lum='if(lt(hypot((X-90)*2,Y-80),60),235,16)':cb=128:cr=128,setsar=2",
            "-c:v",
            "libx264",
            path,
        ),
    )
    clip = footage_of(path)
    assert (clip.width_px, clip.height_px) == (360, 160)
    y = luma(draw(compositor_of(timeline_of([clip_of(clip, 0, 2, fit=fit)], size_px=(180, 180)))))[1]
    disc = y > 224 if fit == "blur" else y > 120  # the fill is darkened to 220
    across, down = disc.any(axis=0).sum(), disc.any(axis=1).sum()
    assert across == pytest.approx(down, abs=3)
    assert down == pytest.approx(120 * (180 / 160 if fit == "cover" else 0.5), abs=4)


def test_a_clip_fades_and_its_levels_are_right(tmp_path: Path) -> None:
    path = tmp_path / "f.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "color=white:s=96x170:r=25:d=2", "-c:v", "libx264", "-qp", "4", path)
    clip = clip_of(footage_of(path), 0, 60, fade_in_frames=10, fade_out_frames=20)
    frames = draw(compositor_of(timeline_of([clip], size_px=SIZE_PX)))
    levels = [middle_colour(frame)[0] for frame in frames]
    assert levels[0] == 16
    assert levels[5] == pytest.approx(16 + 219 / 2, abs=2)
    assert min(levels[10:41]) >= 234
    assert levels[50] == pytest.approx(16 + 219 / 2, abs=2)
    assert levels[59] == pytest.approx(16 + 219 / 20, abs=2)


def test_frames_flagged_interlaced_are_deinterlaced(tmp_path: Path) -> None:
    path = tmp_path / "f.mp4"
    # A bar that moves 8 pixels a field: woven, its edges are combs.
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=192x108:r=60:d=1"),
        *("-vf", "geq=lum='if(between(X,8*N,8*N+60),235,16)':cb=128:cr=128,interlace=lowpass=off"),
        *("-c:v", "libx264", "-flags", "+ilme+ildct", "-x264-params", "tff=1", "-qp", "4", path),
    )
    footage = footage_of(path)
    assert footage.interlaced
    timeline = timeline_of([clip_of(footage, 0, 15)], size_px=(192, 108))
    frames = luma(draw(compositor_of(timeline))).astype(int)
    woven = luma(
        draw(
            compositor_of(
                timeline_of(
                    [replace(timeline.clips[0], source=replace(footage, interlaced=False))],
                    size_px=(192, 108),
                )
            )
        )
    ).astype(int)
    assert combing(woven[7]) > 5
    assert combing(frames[7]) < combing(woven[7]) / 5


def combing(frame: np.ndarray) -> float:
    return float(np.abs(frame[1:-1] - (frame[:-2] + frame[2:]) / 2).mean())


MOVING_BAR = (
    *("-f", "lavfi", "-i", "color=black:s=192x108:r=60:d=1"),
    *("-vf", "geq=lum='if(between(X,8*N,8*N+60),235,16)':cb=128:cr=128,interlace=lowpass=off"),
)


def test_frames_that_are_interlaced_only_later_are_deinterlaced(tmp_path: Path) -> None:
    coding = ("-c:v", "libx264", "-flags", "+ilme+ildct", "-x264-params", "tff=1", "-qp", "4")
    run_ffmpeg(*MOVING_BAR, *coding, tmp_path / "i.ts")
    plain = ("-f", "lavfi", "-i", "color=gray:s=192x108:r=30:d=0.5", "-c:v", "libx264", "-qp", "4")
    run_ffmpeg(*plain, tmp_path / "p.ts")
    for name, parts in {"end.ts": "pi", "middle.ts": "pip"}.items():
        path = tmp_path / name
        path.write_bytes(b"".join((tmp_path / f"{part}.ts").read_bytes() for part in parts))
        footage = footage_of(path)
        assert footage.interlaced
        timeline = timeline_of([clip_of(footage, 0, 30)], size_px=(192, 108))
        frames = luma(draw(compositor_of(timeline))).astype(int)
        assert max(combing(frame) for frame in frames) < 2


@pytest.mark.parametrize("codec", ["mjpeg", "v210", "rawvideo"])
def test_frames_that_only_their_container_calls_interlaced_are_deinterlaced(
    tmp_path: Path, codec: str
) -> None:
    path = tmp_path / "f.mov"
    options = {"mjpeg": ("-q:v", "2"), "v210": (), "rawvideo": ("-pix_fmt", "uyvy422")}[codec]
    run_ffmpeg(*MOVING_BAR, "-c:v", codec, *options, "-field_order", "tt", path)
    footage = footage_of(path)
    assert footage.interlaced or footage.first_field == "tff"
    timeline = timeline_of([clip_of(footage, 0, 15)], size_px=(192, 108))
    frames = luma(draw(compositor_of(timeline))).astype(int)
    assert max(combing(frame) for frame in frames) < 2


@pytest.mark.parametrize("suffix", ["gif", "mkv", "vp8.webm", "vp9.webm"])
@pytest.mark.parametrize("fit", ["cover", "contain"])
def test_a_transparent_clip_is_flattened_on_black_like_a_still(tmp_path: Path, suffix: str, fit: str) -> None:
    picture, path = tmp_path / "p.png", tmp_path / f"f.{suffix}"
    pixels = np.zeros((96, 54, 4), np.uint8)
    pixels[:48] = (255, 255, 255, 0)
    pixels[48:] = (200, 200, 200, 255)
    image = Image.fromarray(pixels)
    image.save(picture)
    if suffix == "gif":
        image.save(path, save_all=True, append_images=[image] * 9, duration=100, disposal=2)
    else:
        coding = ("-c:v", "ffv1", "-pix_fmt", "bgra")
        if suffix.endswith("webm"):
            encoder = "libvpx" if suffix.startswith("vp8") else "libvpx-vp9"
            coding = ("-c:v", encoder, "-b:v", "2M", "-auto-alt-ref", "0", "-pix_fmt", "yuva420p")
        run_ffmpeg("-loop", "1", "-framerate", "10", "-t", "1", "-i", picture, *coding, path)
    footage = footage_of(path)
    assert footage.transparent
    y = luma(draw(compositor_of(timeline_of([clip_of(footage, 0, 3, fit=fit)], size_px=(54, 96)))))[1]
    assert y[:44].max() <= 18
    assert abs(int(y[70, 27]) - (16 + 200 * 219 / 255)) <= 2
