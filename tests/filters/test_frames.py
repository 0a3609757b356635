"""Streams that are numbered and cut: the time stamp of every frame."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from tests.support.video import flat
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.filters.frames import retime, trim
from video_pipeline.filters.graph import Stream, argv, open_input

RATES = [Fraction(24), Fraction(60), Fraction(30000, 1001)]


def times_of(stream: Stream, fps: Fraction) -> list[Fraction]:
    """Return the time of each frame of a stream in seconds, to a hundredth of a frame."""
    base = str(1 / fps / 100)
    command = argv(
        find_ffmpeg().path, [stream], "pipe:1", f="framehash", enc_time_base=base, fps_mode="passthrough"
    )
    done = subprocess.run(command, capture_output=True, timeout=60, check=True, text=True)
    lines = done.stdout.splitlines()
    return [int(line.split(",")[2]) * Fraction(base) for line in lines if not line.startswith("#")]


def still_stream(folder: Path, *, count: int) -> Stream:
    picture = flat(folder / "p.png", (90, 90, 90), (16, 16)).path
    return open_input(picture, demuxer="png_pipe", framerate=25).filter("loop", loop=count - 1, size=1)


@pytest.mark.parametrize("fps", RATES, ids=str)
@pytest.mark.parametrize("offset", [0, 7])
def test_frames_are_numbered_at_the_exact_rate(tmp_path: Path, fps: Fraction, offset: int) -> None:
    stream = retime(still_stream(tmp_path, count=200), offset, fps=fps)
    assert times_of(stream, fps) == [(number + offset) / fps for number in range(200)]


@pytest.mark.parametrize("fps", RATES, ids=str)
def test_a_cut_part_begins_at_time_0(tmp_path: Path, fps: Fraction) -> None:
    stream = retime(still_stream(tmp_path, count=60), fps=fps)
    assert times_of(trim(stream, 13, 41, fps=fps), fps) == [number / fps for number in range(28)]
