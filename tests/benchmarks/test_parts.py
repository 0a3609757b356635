"""The programs that measure a part of a render: each does all of that part."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.contenders import Contender, Settings
from benchmarks.draw import draw_video
from benchmarks.encode_segments import ReadyFrames
from benchmarks.planned import planned
from benchmarks.python_share import SMALL_PX, measure_python, shrunk
from benchmarks.turns import count_frames, take_turns
from benchmarks.workload import Workload
from tests.support.paths import ROOT
from video_pipeline.engine.plan import VideoPlan
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.timing import FrameRange

SIZE = "180x320"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(1)
    pictures = []
    for number in range(3):
        pictures.append(folder / f"{number}.png")
        coarse = Image.fromarray(rng.integers(0, 256, (16, 9, 3), np.uint8))
        coarse.resize((270, 480), Image.Resampling.BICUBIC).save(pictures[-1])
    return Workload(
        story=folder / "story.json",
        pictures=tuple(pictures),
        captions=("One.", "Two.", "Three."),
        source=None,
        scene_seconds=1.0,
        fade_seconds=0.2,
        size_px=(180, 320),
    ).write()


@pytest.fixture(scope="module")
def plan(work: Workload) -> Iterator[VideoPlan]:
    with planned(argparse.Namespace(story=work.story, size=SIZE, fps=30, compositor="auto")) as made:
        yield made


def drawn_frames(plan: VideoPlan) -> list[np.ndarray]:
    whole = FrameRange(0, plan.frames.timeline.frame_count)
    return [frame.copy() for frame in plan.frames.compositor.frames(whole, threads=1, children=Children())]


def test_a_plan_follows_the_options(plan: VideoPlan, work: Workload) -> None:
    assert plan.frames.timeline.frame_count == work.frames
    assert (plan.encoding.settings.width_px, plan.encoding.settings.height_px) == (180, 320)
    assert plan.encoding.settings.options["crf"] == "21"
    assert plan.encoding.settings.options["preset"] == "veryfast"
    options = argparse.Namespace(
        story=work.story, size=SIZE, fps=30, compositor="ffmpeg", preset="medium", crf=21.0, bitrate="800k"
    )
    with planned(options) as other:
        assert other.encoding.settings.options["b"] == "800k"
        assert "crf" not in other.encoding.settings.options
        assert other.frames.compositor.name == "ffmpeg"


@pytest.mark.parametrize("workers", [1, 3])
def test_every_frame_is_drawn(plan: VideoPlan, work: Workload, workers: int) -> None:
    assert draw_video(plan.frames.compositor, workers=workers) == work.frames


def test_drawn_frames_can_be_kept_in_their_order(plan: VideoPlan, tmp_path: Path) -> None:
    raw = tmp_path / "frames.yuv"
    draw_video(plan.frames.compositor, workers=3, raw=raw)
    assert raw.read_bytes() == b"".join(frame.tobytes() for frame in drawn_frames(plan))


def test_the_drawing_program_prints_what_it_took(work: Workload) -> None:
    argv = (sys.executable, "-m", "benchmarks.draw", str(work.story), "--size", SIZE)
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)
    told = json.loads(done.stdout)
    assert told["frames"] == work.frames
    assert 0 < told["working_s"] < told["whole_s"]


def test_ready_frames_are_encoded_in_the_renderers_segments(
    plan: VideoPlan, work: Workload, tmp_path: Path
) -> None:
    frames = drawn_frames(plan)
    raw, output = tmp_path / "frames.yuv", tmp_path / "out.mp4"
    raw.write_bytes(b"".join(frame.tobytes() for frame in frames))
    ready = ReadyFrames(plan.frames.compositor, raw)
    assert ready.segments() == plan.frames.compositor.segments()
    read = ready.frames(FrameRange(40, 43), threads=1, children=Children())
    assert all(np.array_equal(one, frames[40 + at]) for at, one in enumerate(read))
    argv = (sys.executable, "-m", "benchmarks.encode_segments", str(work.story), str(raw), "-o", str(output))
    done = subprocess.run((*argv, "--size", SIZE), capture_output=True, text=True, check=True, cwd=ROOT)
    told = json.loads(done.stdout)
    assert told["frames"] == work.frames == count_frames(output)
    assert told["segments"] == len(plan.frames.compositor.segments())


def test_a_file_with_the_first_frames_only_is_encoded_to_its_end(plan: VideoPlan, tmp_path: Path) -> None:
    raw = tmp_path / "frames.yuv"
    raw.write_bytes(bytes(180 * 320 * 3 // 2 * 41))
    assert sum(len(segment) for segment in ReadyFrames(plan.frames.compositor, raw).segments()) == 41


def test_pythons_share_is_measured_on_the_same_segments_and_frames(plan: VideoPlan, work: Workload) -> None:
    small = shrunk(plan)
    assert small.frames.compositor.segments() == plan.frames.compositor.segments()
    assert all(frame.shape == (SMALL_PX[1] * 3 // 2, SMALL_PX[0]) for frame in drawn_frames(small))
    found = measure_python(work, Settings(), repeats=2)
    assert found["frames"] == work.frames
    assert len(found["python_s"]) == len(found["wall_s"]) == 2
    assert 0 < found["share"] < 1.5  # the real frames are small here too
    assert 10 < found["python_us_a_frame"] < 20_000


def test_contenders_take_turns_and_tell_their_own_seconds(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f"import json; open({str(log)!r}, 'a').write(%r); print(json.dumps({{'working_s': 0.5}}))"
    contenders = [
        Contender(
            name=name,
            argv=(sys.executable, "-c", script % name),
            output=None,
            frames=10,
            slow=name == "b",
            prints_seconds=name == "a",
        )
        for name in "ab"
    ]
    found = take_turns(contenders, repeats=3, slow_repeats=1)
    assert log.read_text() == "abaa"
    assert found["a"]["working_s"] == [0.5, 0.5, 0.5]
    assert "working_s" not in found["b"]
    assert not found["a"]["encodes"]
