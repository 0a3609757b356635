"""The probe: which frames it draws, and that it measures what the encoder does to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.engine.render.test_renderer import settings_of, timeline
from tests.support.video import compositor_of, draw
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.quality.probe import (
    HELD_FRAMES,
    RUN_FRAMES,
    joins_of,
    measure_run,
    opening_of,
    probe_segment,
    run_of,
    see_opening,
    see_run,
)
from video_pipeline.engine.timing import FrameRange


def test_a_run_is_in_the_middle_of_what_shows_one_scene(tmp_path: Path) -> None:
    line = timeline(tmp_path, scenes=3, length=30)  # transitions at [25, 30) and [50, 55)
    assert run_of(line, FrameRange(0, 30)) == FrameRange(11, 14)
    assert run_of(line, FrameRange(30, 55)) == FrameRange(38, 41)
    assert run_of(line, FrameRange(23, 30)) == FrameRange(23, 25)
    assert run_of(line, FrameRange(25, 30)) == FrameRange(26, 29)


def test_transitions_are_named_with_their_share_unless_there_is_nothing_else(tmp_path: Path) -> None:
    line = timeline(tmp_path, scenes=3, length=30)
    assert joins_of(line, FrameRange(0, 30)) == (("fade", 5 / 30),)
    assert joins_of(line, FrameRange(30, 50)) == ()
    assert joins_of(line, FrameRange(25, 30)) == ()


def frames(count: int, *, step: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    picture = rng.integers(40, 200, (720, 480), np.uint8)
    return [np.roll(picture, number * step, axis=1) for number in range(count)]


def test_less_is_kept_at_a_higher_crf() -> None:
    run = see_run(iter(frames(RUN_FRAMES)), RUN_FRAMES)
    settings = settings_of()
    good, bad = (measure_run(run, settings, crf=crf)[1] for crf in (14, 34))
    assert good.detail > bad.detail
    assert all(better > worse for better, worse in zip(good.information, bad.information, strict=True))


@pytest.mark.parametrize("count", [1, 2, RUN_FRAMES])
def test_a_run_of_any_length_is_measured(count: int) -> None:
    run = see_run(iter(frames(count, step=3)), count)
    first, later, _ = measure_run(run, settings_of())
    assert 0 < later.detail <= 1
    assert (first == later) == (count == 1)


def test_motion_is_seen() -> None:
    assert see_run(iter(frames(6)), 6).motion == 0
    assert see_run(iter(frames(6, step=3)), 6).motion > 1


def test_a_probe_is_the_same_each_time_and_leaves_the_settings_of_the_render(tmp_path: Path) -> None:
    compositor = compositor_of(timeline(tmp_path, scenes=2, length=30))
    settings = settings_of(quality=95)
    kept = replace(settings, options=dict(settings.options))
    probes = []
    for _ in range(2):
        probe, opening = probe_segment(compositor, FrameRange(0, 30), settings, Children())
        assert opening is not None
        opening.close()
        probes.append(probe)
    assert probes[0] == probes[1]
    assert settings == kept
    assert probes[0].joins == (("fade", 5 / 30),)


def test_the_frames_that_a_probe_has_seen_are_not_drawn_again(tmp_path: Path) -> None:
    compositor = compositor_of(timeline(tmp_path, scenes=2, length=30))
    _, opening = probe_segment(compositor, FrameRange(0, 30), settings_of(quality=95), Children())
    assert opening is not None
    assert len(opening.held) == HELD_FRAMES
    assert np.array_equal(np.stack([frame.copy() for frame in opening.frames()]), draw(compositor, 0, 30))
    assert opening.held == ()


def test_an_opening_reaches_beyond_a_fade(tmp_path: Path) -> None:
    line = timeline(tmp_path, scenes=1, length=60)
    faded = replace(line, clips=(replace(line.clips[0], fade_in_frames=12),))
    assert opening_of(line, FrameRange(0, 60)) == (0, HELD_FRAMES)
    assert opening_of(faded, FrameRange(0, 60)) == (12, 12 + HELD_FRAMES)
    assert opening_of(faded, FrameRange(30, 60)) == (0, HELD_FRAMES)
    assert opening_of(faded, FrameRange(0, 8)) == (8 - RUN_FRAMES, 8)
    assert opening_of(faded, FrameRange(0, 2)) == (0, 2)


def test_the_motion_of_an_opening_is_the_mean_over_all_that_is_held() -> None:
    still, moving = frames(4), frames(5, step=3)[1:]
    held = see_opening([*still, *moving])
    assert see_opening(still).motion == 0
    assert held.motion == pytest.approx(
        see_opening(moving).motion / 2, rel=0.05
    )  # 3 of 6 frames, as for VMAF
    assert all(map(np.array_equal, held.mosaics, see_opening(still).mosaics))


@pytest.mark.parametrize("count", [1, 2])
def test_an_opening_may_be_shorter_than_a_run(count: int) -> None:
    seen = see_opening(frames(count, step=3))
    assert len(seen.mosaics) == count
    assert (seen.motion > 0) == (count > 1)
