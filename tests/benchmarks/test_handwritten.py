"""The graphs written by hand: they make the frames that they are timed for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from benchmarks.handwritten import RAW, Move, quoted, zoompan_video_argv
from benchmarks.workload import Workload

SIZE_PX = (270, 480)


def workload(folder: Path, *, scenes: int = 3) -> Workload:
    """Return a workload of flat grey scenes, each lighter than the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for number in range(scenes):
        pictures.append(folder / f"{number}.png")
        level = 30 + 60 * number
        Image.new("RGB", (405, 720), (level, level, level)).save(pictures[-1])
    return Workload(
        story=folder / "story.json",
        pictures=tuple(pictures),
        captions=("It's %{n}: one, [two]; 'three' \\ four",) * scenes,
        source=None,
        scene_seconds=1.0,
        fade_seconds=0.2,
        size_px=SIZE_PX,
    )


@pytest.mark.parametrize("name", ["plain", "it's a: [strange], fold\\er; %{n}"])
def test_the_zoompan_graph_makes_every_frame_of_the_workload(tmp_path: Path, name: str) -> None:
    work = workload(tmp_path)
    argv = zoompan_video_argv(imageio_ffmpeg.get_ffmpeg_exe(), work, tmp_path / name)
    taken = subprocess.run([*argv, *RAW], capture_output=True, check=True)
    assert taken.stderr == b""
    frames = np.frombuffer(taken.stdout, np.uint8).reshape(-1, SIZE_PX[1] * 3 // 2, SIZE_PX[0])
    assert len(frames) == work.frames == 78
    middles = frames[:, 200, 135].astype(int)
    assert middles[0] < middles[35] < middles[77]
    assert middles[0] < middles[27] < middles[35], "frame 27 lies inside the first fade"
    caption = frames[:, 370:420, :270]
    assert (caption.max(axis=(1, 2)) > 220).all(), "a caption stands on every frame"


def test_moves_start_in_the_middle_and_go_to_the_right() -> None:
    still = Move(1.2)
    assert still.left(3.0, width_px=1080) == pytest.approx(0.5 - 0.5 / 1.2)
    pan = Move(1.2, pan_px_per_second=10.8)
    gone = pan.left(2.0, width_px=1080) - pan.left(0.0, width_px=1080)
    assert gone * 1.2 * 1080 == pytest.approx(21.6)  # on the screen
    zoom = Move(1.0, 0.05)
    assert zoom.left(4.0, width_px=1080) == pytest.approx(0.5 - 0.5 / 1.2)


def test_values_are_quoted_for_option_and_graph() -> None:
    assert quoted("plain/path.txt") == "'plain/path.txt'"
    assert quoted("a:b") == r"'a\:b'"
    assert quoted("it's") == r"'it\'\''s'"
