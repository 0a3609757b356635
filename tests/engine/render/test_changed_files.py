"""Files that change between the plan and the last frame: the render ends, and nothing wrong is cached."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support.swapping import swapping
from tests.support.video import clip_of, compositor_of, draw_range, luma, run_ffmpeg, textured, timeline_of
from tests.support.waiting import again_and_again
from video_pipeline import native
from video_pipeline.engine.assets.footage import probe_footage
from video_pipeline.engine.common.cache import file_sha256
from video_pipeline.engine.errors import FileChangedError, SubprocessError
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.story.model import VideoSpec
from video_pipeline.engine.timeline import Still, Timeline
from video_pipeline.engine.timing import FrameRange

SIZE_PX = (64, 114)
COMPOSITORS = [
    "ffmpeg",
    pytest.param("native", marks=pytest.mark.skipif(not native.available(), reason="not built")),
]


def opened(name: str, timeline: Timeline) -> Compositor:
    graphs = compositor_of(timeline)
    if name == "ffmpeg":
        return graphs
    from video_pipeline.engine.render.compositors.native import NativeCompositor

    return NativeCompositor(timeline=timeline, captions=(), graphs=graphs)


def grey_clip(path: Path, level: int, *, seconds: int = 8) -> Path:
    colour = f"color=0x{level:02x}{level:02x}{level:02x}:s=64x114:r=30:d={seconds}"
    run_ffmpeg("-f", "lavfi", "-i", colour, "-c:v", "mpeg4", "-q:v", "2", path)
    return path


def clip_timeline(path: Path) -> Timeline:
    footage = probe_footage(path, VideoSpec(path=str(path))).footage
    return timeline_of([clip_of(footage, 0, 240)], size_px=SIZE_PX)


@pytest.mark.parametrize("name", COMPOSITORS)
def test_a_clip_that_was_replaced_is_named_with_its_scene(tmp_path: Path, name: str) -> None:
    path = grey_clip(tmp_path / "a.mp4", 40)
    compositor = opened(name, clip_timeline(path))
    assert luma(draw_range(compositor, 0, 3)).mean() < 80
    grey_clip(tmp_path / "b.mp4", 200).replace(path)
    with pytest.raises(FileChangedError) as caught:
        draw_range(compositor, 3, 6)
    assert str(caught.value) == f"scene 's0': {path}: the file changed during the render; render again"


@pytest.mark.parametrize("name", COMPOSITORS)
def test_a_clip_that_changes_and_is_put_back_while_it_is_drawn_is_noticed(tmp_path: Path, name: str) -> None:
    path, other = grey_clip(tmp_path / "a.mp4", 40), grey_clip(tmp_path / "b.mp4", 200)
    first, kept = path.read_bytes(), path.stat()
    compositor = opened(name, clip_timeline(path))
    drawn = compositor.frames(FrameRange(0, 240), threads=1, children=Children())
    next(drawn)
    for data in (other.read_bytes(), first):
        with path.open("r+b") as file:
            file.write(data)
            file.truncate()
        time.sleep(0.02)
        os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert file_sha256(path) == compositor.timeline.clips[0].source.sha256
    with pytest.raises(FileChangedError, match=r"scene 's0': .*a\.mp4"):
        for _ in drawn:
            pass


@pytest.mark.parametrize("name", COMPOSITORS)
def test_a_cached_frame_of_another_clip_is_never_used(tmp_path: Path, name: str) -> None:
    path, other = grey_clip(tmp_path / "a.mp4", 40), grey_clip(tmp_path / "b.mp4", 200)
    shutil.copy(path, tmp_path / "first.mp4")
    compositor = opened(name, clip_timeline(path))
    drawn = Counter[str]()
    with swapping("replace", path, tmp_path / "first.mp4", other, pause_s=0.3):
        for _ in again_and_again(seconds=0, until=lambda: drawn["whole"] and drawn["changed"] > 3):
            try:
                frames = draw_range(compositor, 0, 9)
            except FileChangedError:
                drawn["changed"] += 1
            else:
                assert luma(frames).max() < 80
                drawn["whole"] += 1


@pytest.mark.parametrize("name", COMPOSITORS)
def test_a_picture_that_was_replaced_is_named_with_its_scene(tmp_path: Path, name: str) -> None:
    source = textured(tmp_path / "a.png", 1)
    source = replace(source, sha256=file_sha256(source.path))
    compositor = opened(name, timeline_of([clip_of(source, 0, 5)], size_px=SIZE_PX))
    textured(source.path, 2)
    with pytest.raises(FileChangedError, match=r"^scene 's0': .*a\.png: the file changed"):
        draw_range(compositor, 0, 5)


@pytest.mark.parametrize("name", COMPOSITORS)
def test_a_copy_in_the_cache_has_a_hash_that_is_not_its_own(tmp_path: Path, name: str) -> None:
    source = replace(textured(tmp_path / "a.png", 1), sha256="of the user's file", is_copy=True)
    compositor = opened(name, timeline_of([clip_of(source, 0, 5)], size_px=SIZE_PX))
    assert len(draw_range(compositor, 0, 5)) == 5


def test_the_error_of_ffmpeg_names_the_file_and_not_the_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"no picture")
    source = Still(path, 90, 160, file_sha256(path), "mov")
    compositor = compositor_of(timeline_of([clip_of(source, 0, 5)], size_px=SIZE_PX))
    with pytest.raises(SubprocessError) as caught:
        draw_range(compositor, 0, 5)
    assert str(path) in str(caught.value)
    assert str(path) in caught.value.details["argv"]
    assert "/proc/self/fd" not in str(caught.value)


def test_two_scenes_may_show_one_file(tmp_path: Path) -> None:
    path = grey_clip(tmp_path / "a.mp4", 40)
    footage = probe_footage(path, VideoSpec(path=str(path))).footage
    late = replace(footage, start=Fraction(4), duration=Fraction(4))
    clips = [clip_of(footage, 0, 30), clip_of(late, 30, 60)]
    frames = draw_range(compositor_of(timeline_of(clips, size_px=SIZE_PX)), 0, 60)
    assert len(frames) == 60
    assert np.ptp(luma(frames).mean(axis=(1, 2))) < 2
