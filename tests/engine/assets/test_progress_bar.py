"""The progress bar on decoded frames: how far it reaches, its gaps and edges, alike by every compositor."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.tolerances import COMPOSITORS_DB, psnr_db
from tests.support.video import bt709, clip_of, compositor_of, draw_range, flat, planes, timeline_of
from video_pipeline import native
from video_pipeline.engine.assets.progress_bar import MOST_GAPS, prepare_progress
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.plan import plan_timeline
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.encoders.base import encoder_settings, load_encoder
from video_pipeline.engine.render.segment_key import segment_key
from video_pipeline.engine.story import parse_story
from video_pipeline.engine.timeline import Timeline, Transition
from video_pipeline.engine.timing import FrameRange

SETTINGS = encoder_settings(load_encoder("libx264"), load_config({}, environ=False).video)
RED, WIDTH, FRAMES = "#FF3030", 180, 20
COMPOSITORS = [
    "ffmpeg",
    pytest.param(
        "native",
        marks=pytest.mark.skipif(not native.available(), reason="the native extension was not built"),
    ),
]


def barred(folder: Path, **keys: Any) -> Timeline:
    """Return two joined grey clips of 20 frames under a bar."""
    clips = [
        replace(clip_of(flat(folder / f"{n}.png", (60, 60, 60)), 8 * n, 8 * n + 12), scene_id=f"s{n}")
        for n in (0, 1)
    ]
    joined = timeline_of(clips, transitions=[Transition("fade", 0, FrameRange(8, 12))])
    given = {"show": True, "color": RED, "background": "#0000FF", "height": 48, **keys}
    settings = load_config({"progress_bar": given}, environ=False).progress_bar
    return replace(joined, progress=prepare_progress(settings, joined, cache=ContentCache(folder / "cache")))


def opened(name: str, shown: Timeline) -> Compositor:
    if name == "ffmpeg":
        return compositor_of(shown)
    from video_pipeline.engine.render.compositors.native import NativeCompositor

    return NativeCompositor(timeline=shown, captions=(), graphs=compositor_of(shown))


def filled_px(row: Any) -> int:
    """Return how many pixels of a row of V are those of the bar's red, in luma pixels."""
    return 2 * int((row > 200).sum())


@pytest.mark.parametrize("name", COMPOSITORS)
@pytest.mark.parametrize("start", [0, 7])
def test_the_bar_grows_by_frames_and_is_full_at_the_last_one(tmp_path: Path, name: str, start: int) -> None:
    shown = barred(tmp_path)
    _, u, v = planes(draw_range(opened(name, shown), start))
    reached = [filled_px(frame[-2]) for frame in v]
    assert reached == [WIDTH * (frame + 1) // FRAMES // 2 * 2 for frame in range(start, FRAMES)]
    assert reached[-1] == WIDTH
    assert u[0][-2].max() > 200, "what is left has its own colour"
    assert (v[0][10] < 135).all(), "and nothing else is covered"


@pytest.mark.parametrize("name", COMPOSITORS)
def test_a_bar_at_the_top_has_its_height_and_gaps_where_scenes_meet(tmp_path: Path, name: str) -> None:
    shown = barred(tmp_path, position="top", segmented=True, height=36)
    y, _, v = planes(draw_range(opened(name, shown)))
    bar = y[-1].astype(int)
    red, grey = bt709(255, 48, 48)[0], bt709(60, 60, 60)[0]
    assert np.abs(bar[:6, :80] - red).max() <= 2
    assert np.abs(bar[6:12] - grey).max() <= 2
    gap = np.flatnonzero(np.abs(bar[2] - grey) <= 2)
    assert (gap.min(), gap.max() - gap.min() + 1) == (WIDTH * 10 // FRAMES - 2 + WIDTH * 10 // FRAMES % 2, 2)
    assert WIDTH // 2 - (v[-1][1] > 200).sum() in (1, 2), "chroma is left-sited"


@pytest.mark.skipif(not native.available(), reason="the native extension was not built")
@pytest.mark.parametrize("background", ["#00000060", "#FFFFFF"])
def test_the_compositors_agree(tmp_path: Path, background: str) -> None:
    shown = barred(tmp_path, segmented=True, color="#FFC80090", background=background)
    one, other = (draw_range(opened(name, shown)) for name in ("ffmpeg", "native"))
    assert psnr_db(one, other) >= COMPOSITORS_DB


@pytest.mark.parametrize("name", COMPOSITORS)
def test_a_frame_for_the_thumbnail_has_no_bar(tmp_path: Path, name: str) -> None:
    compositor = opened(name, barred(tmp_path)).without_captions()
    assert (planes(draw_range(compositor, 19))[2] < 135).all()


def test_a_segment_s_key_has_its_place_in_the_whole_video(tmp_path: Path) -> None:
    shown = barred(tmp_path)

    def key(timeline: Timeline) -> str:
        return segment_key(timeline, (), FrameRange(0, 8), settings=SETTINGS, compositor={})

    assert shown.progress is not None
    longer = replace(shown, progress=replace(shown.progress, frames=FrameRange(0, 40)))
    assert len({key(shown), key(longer), key(replace(shown, progress=None))}) == 3


def test_many_scenes_have_no_gaps(tmp_path: Path) -> None:
    clips = [
        replace(clip_of(flat(tmp_path / "0.png", (9, 9, 9)), n, n + 1), scene_id=f"s{n}")
        for n in range(2 * MOST_GAPS + 2)
    ]
    settings = load_config({"progress_bar": {"show": True, "segmented": True}}, environ=False).progress_bar
    bar = prepare_progress(settings, timeline_of(clips), cache=ContentCache(tmp_path / "cache"))
    assert bar is not None
    assert bar.gaps is None


def test_true_stands_for_the_section_and_a_wrong_key_is_an_error() -> None:
    assert load_config({"progress_bar": True}, environ=False).progress_bar.show
    assert not load_config({}, environ=False).progress_bar.show
    for value, message in (
        ({"position": "left"}, "progress_bar.position: got 'left'; allowed: 'top' or 'bottom'"),
        ({"colour": "red"}, "progress_bar.colour: unknown key"),
        ({"color": "redd"}, "progress_bar.color: got 'redd'"),
        ({"height": 0}, "progress_bar.height: got 0"),
        ("yes", "progress_bar: got 'yes'"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_config({"progress_bar": value}, environ=False)
        assert message in str(caught.value)


def test_the_plan_of_a_video_has_the_bar_and_draws_nothing_ahead(tmp_path: Path) -> None:
    story = parse_story({"title": "T", "scenes": [{"scene_id": n, "duration": 1} for n in "ab"]})
    begun: list[Any] = []
    config = load_config(
        {"progress_bar": True, "tts": {"service": "none"}, "video": {"size": [180, 320]}}, environ=False
    )
    plan = plan_timeline(story, config=config, cache=ContentCache(tmp_path / "c"), begin=begun.append)
    assert plan.timeline.progress is not None
    assert plan.timeline.progress.frames == FrameRange(0, plan.timeline.frame_count)
    assert Fraction(plan.timeline.progress.width_px) == 180
    assert not begun
