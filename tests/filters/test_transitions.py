"""Every transition that this ffmpeg has, drawn through the compositor."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support.tolerances import XFADE_START_DB, assert_frames_equal, psnr_db
from tests.support.video import clip_of, compositor_of, draw, run_ffmpeg, textured, timeline_of
from video_pipeline.engine.timeline import Transition
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.graph import open_input
from video_pipeline.filters.transitions import CUT, TRANSITION_NAMES, XFADE_NAMES, xfade

SIZE_PX = (90, 160)


def test_the_names_are_those_of_ffmpeg() -> None:
    listing = run_ffmpeg("-h", "filter=xfade").decode()
    options = listing[listing.index(" transition ") : listing.index(" duration ")]
    listed = re.findall(r"^ {5,}(\w+) +-?\d+ ", options, re.M)
    assert set(XFADE_NAMES) == set(listed) - {"custom"}
    assert len(XFADE_NAMES) == len(set(XFADE_NAMES)) == 58
    assert (CUT, *XFADE_NAMES) == TRANSITION_NAMES


@pytest.mark.parametrize("name", XFADE_NAMES)
def test_a_transition_goes_from_the_first_scene_to_the_second_in_its_frames(
    tmp_path: Path, name: str
) -> None:
    first, second = textured(tmp_path / "a.png", 1, (120, 213)), textured(tmp_path / "b.png", 2, (120, 213))
    overlap = FrameRange(6, 12)
    timeline = timeline_of(
        [clip_of(first, 0, 12), clip_of(second, 6, 18)],
        transitions=[Transition(name, 0, overlap)],
        size_px=SIZE_PX,
    )
    frames = draw(compositor_of(timeline))
    assert len(frames) == 18
    alone = draw(compositor_of(timeline_of([clip_of(first, 0, 1), clip_of(second, 1, 2)], size_px=SIZE_PX)))
    assert_frames_equal(frames[:6], np.repeat(alone[:1], 6, axis=0))
    assert_frames_equal(frames[12:], np.repeat(alone[1:], 6, axis=0))
    # xfade itself lets a line of pixels of the other scene in, or scales the picture, at progress 1.
    assert_frames_equal(frames[6:7], alone[:1], min_psnr_db=XFADE_START_DB)
    assert psnr_db(frames[6], alone[0]) > psnr_db(frames[6], alone[1]) + 8
    assert psnr_db(frames[9], alone[0]) < 30
    assert psnr_db(frames[9], alone[1]) < 30


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(tmp_path: Path) -> None:
    stream = open_input(tmp_path / "a.png", demuxer="png_pipe")
    with pytest.raises(ValueError, match="got 'custom'; allowed: cut, fade, fadefast"):
        xfade(stream, stream, name="custom", frames=6, fps=Fraction(30))
