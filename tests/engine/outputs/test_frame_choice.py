"""The frames of real videos that are chosen for thumbnails."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.support.lavfi import RGB_TO_YUV, MakeVideo, pixels
from video_pipeline.engine.outputs.frame_choice import (
    FrameWatch,
    candidate_times,
    frame_at,
    judge,
    pick_frame,
)
from video_pipeline.engine.timeline import Clip, Still, Timeline, Transition
from video_pipeline.engine.timing import FrameRange


def grey_of(image: Image.Image) -> float:
    return float(pixels(image).mean())


def test_the_frame_picked_is_clear_of_black_and_fades(video: MakeVideo) -> None:
    path = video(f"testsrc=s=180x320:r=30:d=3,fade=in:0:30,fade=out:60:30,{RGB_TO_YUV}")
    assert Fraction(1) <= pick_frame(path).time < Fraction(2)


def test_candidates_that_are_black_are_given_up_for_the_rest_of_the_video(video: MakeVideo) -> None:
    path = video(f"testsrc=s=180x320:r=30:d=4,fade=in:60:1,fade=out:75:1,{RGB_TO_YUV}")
    picked = pick_frame(path, [Fraction(1, 2), Fraction(1), Fraction(3)])
    assert Fraction(2) <= picked.time <= Fraction(5, 2)
    assert grey_of(picked.image) > 60


def test_the_brighter_richer_scene_wins_over_a_dull_one(video: MakeVideo) -> None:
    path = video(
        "color=c=0x303030:s=180x320:r=30:d=2[a];testsrc=s=180x320:r=30:d=2,format=rgb24[b];"
        f"[a]format=rgb24[c];[c][b]concat,{RGB_TO_YUV}"
    )
    assert pick_frame(path, [Fraction(1), Fraction(3)]).time == Fraction(3)


@pytest.mark.parametrize("frame", [0, 1, 14, 29, 30, 44])
def test_a_timestamp_gives_the_very_frame_that_is_shown_then(video: MakeVideo, frame: int) -> None:
    path = video("color=c=black:s=64x64:r=30:d=1.5,format=gray,geq=lum=40+N*4,format=yuv420p")
    shown = frame_at(path, Fraction(2 * frame + 1, 60))
    assert shown.time == Fraction(frame, 30)
    expected = 40 + 4 * frame
    assert grey_of(shown.image) == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("time", [Fraction(-1), Fraction(99)])
def test_a_time_outside_the_video_means_its_first_or_last_frame(video: MakeVideo, time: Fraction) -> None:
    path = video("color=c=black:s=64x64:r=30:d=1.5,format=gray,geq=lum=40+N*4,format=yuv420p")
    assert frame_at(path, time).time == (0 if time < 0 else Fraction(44, 30))


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m"])
def test_colours_are_those_that_the_video_names(video: MakeVideo, matrix: str) -> None:
    path = video(
        f"color=c=0xE03020:s=64x64:r=30:d=0.2,format=rgb24,scale=out_color_matrix={matrix}:out_range=tv,"
        f"format=yuv444p,setparams=colorspace={matrix}:range=tv"
    )
    mean = pixels(frame_at(path, Fraction(0)).image).mean(axis=(0, 1))
    assert mean == pytest.approx((0xE0, 0x30, 0x20), abs=3)


def test_frames_watched_while_rendering_give_the_best_of_those_asked_for() -> None:
    def planes(grey: int, noise: int) -> npt.NDArray[np.uint8]:
        made = np.full((480, 180), 128, np.uint8)
        rng = np.random.default_rng(1)
        made[:320] = np.clip(
            grey + rng.integers(-noise, noise + 1, (20, 12)).repeat(16, 0).repeat(15, 1), 16, 235
        )
        return made

    watch = FrameWatch([3, 7, 9])
    assert watch.best is None
    watch(9, planes(16, 0))  # black: never chosen
    assert watch.best is None
    watch(5, planes(120, 100))  # not asked for
    assert watch.best is None
    watch(3, planes(60, 40))
    assert watch.best == 3
    watch(7, planes(120, 100))
    assert watch.best == 7


def test_judging_prefers_sharp_to_soft_and_colour_to_grey() -> None:
    seed = 7
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 256, (40, 24, 3), np.uint8)).resize(
        (192, 320), Image.Resampling.NEAREST
    )
    soft = noise.resize((24, 40), Image.Resampling.BOX).resize((192, 320), Image.Resampling.BICUBIC)
    sharp_looks, soft_looks = judge(np.asarray(noise)), judge(np.asarray(soft))
    grey_looks = judge(np.asarray(noise.convert("L").convert("RGB")))
    assert sharp_looks.sharpness > soft_looks.sharpness, f"seed {seed}"
    assert sharp_looks.colour > grey_looks.colour + 0.3, f"seed {seed}"


def test_candidates_of_a_timeline_are_clear_of_transitions_and_fades() -> None:
    still = Still(Path("a.png"), 9, 16, "")
    clips = (
        Clip("a", FrameRange(0, 60), still, fade_in_frames=15),
        Clip("b", FrameRange(45, 120), still),
        Clip("c", FrameRange(120, 180), still, fade_out_frames=30),
    )
    line = Timeline(1080, 1920, Fraction(30), "t", clips, (Transition("fade", 0, FrameRange(45, 60)),))
    assert candidate_times(line) == (Fraction(30, 30), Fraction(90, 30), Fraction(135, 30))
    assert candidate_times(line, limit=2) == (Fraction(30, 30), Fraction(90, 30))
