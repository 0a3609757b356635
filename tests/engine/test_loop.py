"""A video that repeats ends with what its first frame shows, without black and without silence."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.engine.config.test_caption_looks import options
from tests.engine.test_compose import composed, footage, voices
from tests.engine.test_scene_clips import frames_of, picture, small_config
from video_pipeline.engine.cli.options import configuration
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.job import job_config
from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.outputs.frame_choice import candidate_times
from video_pipeline.engine.pipeline import RenderResult, render_story
from video_pipeline.engine.story import load_story, parse_story
from video_pipeline.engine.timeline import Footage
from video_pipeline.engine.timing import FrameRange

LOOP = {"scenes": {"loop": True}}


def test_the_last_scene_leads_back_to_the_first_within_its_length() -> None:
    timeline = composed([{"duration": 4, "title": "One"}, {"duration": 3}], config=LOOP).timeline
    assert timeline.frame_count == 195
    first, last, back = timeline.clips
    assert back.frames == FrameRange(180, 195)
    assert back.source == first.source
    assert [(join.after, join.frames) for join in timeline.transitions] == [
        (0, FrameRange(105, 120)),
        (1, FrameRange(180, 195)),
    ]
    assert first.camera is not None
    assert back.camera is not None
    assert back.camera.start == back.camera.end == first.camera.start
    assert (first.fade_in_frames, last.fade_out_frames) == (0, 0)
    assert timeline.scene_numbers() == (0, 1, 0)
    assert [title for _, title in timeline.chapters()] == ["One", "s1"]
    assert [frames.stop for frames in timeline.segments()][-1] == 195
    assert len(candidate_times(timeline)) == 2


@pytest.mark.parametrize("seconds", [0.05, 0.8, 1])
def test_a_transition_back_from_a_short_scene_is_shortened_with_its_clip(seconds: float) -> None:
    config = {"scenes": {"loop": True, "transition_duration": 0.7}}
    timeline = composed([{"duration": 3}, {"duration": seconds}], config=config).timeline
    joins = {join.after: join.frames for join in timeline.transitions}
    for index, frames in joins.items():
        shown, following = timeline.clips[index : index + 2]
        assert (shown.frames.stop, following.frames.start) == (frames.stop, frames.start)
    assert timeline.frame_count == timeline.clips[-1].frames.stop == timeline.segments()[-1].stop


def test_speech_ends_before_the_middle_of_the_transition_back() -> None:
    timeline = composed([{"text": "a"}, {"text": "b"}], spoken=[2, 2], config=LOOP)
    *_, last = voices(timeline)
    back = timeline.timeline.clips[-1].frames
    assert (last.at + last.duration) * 30 <= (back.start + back.stop) / 2
    assert timeline.timeline.captions[-1].frames.stop == (back.start + back.stop) // 2


def test_a_cut_back_adds_nothing_and_no_fade_of_the_story_is_at_the_ends() -> None:
    fades: dict[str, Any] = {"effects": ["fade_in", "fade_out"], "transition": "cut", "duration": 2}
    first, last = composed([fades, fades], config=LOOP).timeline.clips
    assert (first.fade_in_frames, first.fade_out_frames) == (0, 15)
    assert (last.fade_in_frames, last.fade_out_frames) == (15, 0)


def test_a_scene_alone_leads_back_to_itself_and_a_clip_to_its_first_frame() -> None:
    config = {"scenes": {"loop": True, "max_still_seconds": 3.5}}
    timeline = composed([{"duration": 7}], config=config).timeline
    assert [clip.frames.stop for clip in timeline.clips][-2:] == [210, 210]
    (clip, back) = composed([{"video": "v.mp4"}], pictures=[footage(4)], config=LOOP).timeline.clips
    assert isinstance(back.source, Footage)
    assert back.source.duration * 30 == 1
    assert back.source.last_frame in (None, back.source.start), "a frame that is decodable later is not shown"
    assert isinstance(clip.source, Footage)
    assert clip.source.duration == 4


def test_story_job_and_option_say_whether_a_video_repeats(tmp_path: Path) -> None:
    assert configuration(options("--loop")).scenes.loop
    assert not configuration(options()).scenes.loop
    job = job_config(load_config({}, environ=False), {"scenes": {"loop": True, "max_still_seconds": 2}})
    assert (job.scenes.loop, job.scenes.max_still_seconds) == (True, 2)
    story = tmp_path / "s.md"
    story.write_text("---\nloop: false\n---\n# Title\n\nSome words.\n", encoding="utf-8")
    assert load_story(story).loop is False
    with pytest.raises(StoryError, match=r"loop.*'yes please'"):
        parse_story({"title": "T", "content": "a", "loop": "yes please"})


def rendered(folder: Path, name: str, story: dict[str, Any], compositor: str = "native") -> RenderResult:
    picture(folder / "p.png")
    scenes = [
        {"scene_id": "photo", "image": "p.png", "duration": 2},
        {"scene_id": "drawn", "motif": "lighthouse", "duration": 2, "effects": ["fade_out"]},
    ]
    parsed = parse_story({"title": "T", "scenes": scenes, "music": "auto", **story})
    return render_story(parsed, folder / f"{name}.mp4", config=small_config(folder, compositor), base=folder)


def edges_of_sound(video: Path) -> tuple[float, float]:
    """Return the loudness (RMS) of the first and the last 0.3 s."""
    with av.open(str(video)) as container:
        blocks = [frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)]
    samples = np.concatenate(blocks)
    count = 48_000 * 3 // 10
    return tuple(float(np.sqrt((part**2).mean())) for part in (samples[:count], samples[-count:]))  # type: ignore[return-value]


@pytest.mark.parametrize("compositor", ["native", "ffmpeg"])
def test_a_rendered_video_ends_as_it_begins(compositor: str, tmp_path: Path) -> None:
    result = rendered(tmp_path, "loop", {"loop": True}, compositor)
    frames = frames_of(result.outputs.video)
    assert len(frames) == 105
    seam = float(np.abs(frames[0] - frames[-1]).mean())
    across = float(np.abs(frames[0] - frames[85]).mean())
    assert seam < across / 5
    assert min(float(frame.mean()) for frame in frames) > 20
    steps = [float(np.abs(after - before).mean()) for before, after in pairwise(frames)]
    assert seam < 2 * max(steps)


def test_music_and_picture_fade_without_a_loop_alone(tmp_path: Path) -> None:
    looped, plain = (rendered(tmp_path, name, {"loop": name == "loop"}) for name in ("loop", "plain"))
    assert frames_of(plain.outputs.video)[-1].mean() < 20
    begins, ends = edges_of_sound(looped.outputs.video)
    faded_in, faded_out = edges_of_sound(plain.outputs.video)
    assert begins > 2 * faded_in
    assert ends > 2 * faded_out
