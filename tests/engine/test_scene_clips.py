"""Scenes that outlast one still have several shots, of a second view or of other parts of their picture."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from tests.engine.test_compose import composed, footage
from video_pipeline.engine.assets.models import SceneAssets, Sound, StoryAssets
from video_pipeline.engine.common.spoken_words import SpokenWord, words_of
from video_pipeline.engine.compose import compose
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.pipeline import RenderResult, render_story
from video_pipeline.engine.preview import FrameAt, preview_story
from video_pipeline.engine.story import parse_story
from video_pipeline.engine.timeline import Clip, Still, Timeline
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.geometry import Camera, Rect, largest_rect

LIMIT = {"scenes": {"max_still_seconds": 3.5}}
WIDE = Still(Path("w.png"), 1920, 1080, "00", subject=(0.8, 0.4))
SECOND = Still(Path("b.png"), 1296, 2304, "33")


def shots(scene: dict[str, Any], picture: Still | None = None, **scenes: Any) -> tuple[Clip, ...]:
    """Return the clips of a story of one scene."""
    config = {"scenes": LIMIT["scenes"] | scenes}
    return composed([scene], pictures=[picture or WIDE], config=config).timeline.clips


def camera_of(clip: Clip) -> Camera:
    return clip.effective_camera(9 / 16)


def shared(first: Rect, second: Rect) -> float:
    """Return the area in both rectangles as a part of the area in either."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    both = max(0.0, width) * max(0.0, height)
    return both / (first.width * first.height + second.width * second.height - both)


@pytest.mark.parametrize("effects", [None, [], ["ken_burns"], ["fade_in", "fade_out"]])
@pytest.mark.parametrize("subject", [None, (0.8, 0.4), (0.02, 0.97)])
def test_a_photograph_is_reframed_about_its_subject(
    effects: list[str] | None, subject: tuple[float, float] | None
) -> None:
    found = shots({"duration": 16.0, "effects": effects}, replace(WIDE, subject=subject))
    assert len(found) == 5
    first = largest_rect(16 / 9, 9 / 16, focus=subject or (0.5, 0.5))
    x, y = subject or (0.5, 0.5)
    for clip in found:
        for rect in (camera_of(clip).start, camera_of(clip).end):
            assert rect.width >= 0.6 * first.width - 1e-9
            assert rect.x - 1e-9 <= x <= rect.x + rect.width + 1e-9
            assert rect.y - 1e-9 <= y <= rect.y + rect.height + 1e-9
            assert rect.x >= -1e-9
            assert rect.y >= -1e-9
            assert rect.x + rect.width <= 1 + 1e-9
            assert rect.y + rect.height <= 1 + 1e-9
    for before, after in pairwise(found):
        assert shared(camera_of(before).end, camera_of(after).start) < 0.65


def test_shots_share_scene_chapter_and_fades() -> None:
    scene = {"duration": 8, "title": "One", "effects": ["fade_in", "fade_out"]}
    timeline = composed([scene, {"duration": 2}], config=LIMIT).timeline
    assert [clip.scene_id for clip in timeline.clips] == ["s0", "s0", "s0", "s1"]
    assert timeline.scene_numbers() == (0, 0, 0, 1)
    assert [title for _, title in timeline.chapters()] == ["One", "s1"]
    assert [clip.fade_in_frames for clip in timeline.clips[:3]] == [15, 0, 0]
    (transition,) = timeline.transitions
    assert transition.after == 2
    assert transition.frames == FrameRange(225, 240)
    assert timeline.clips[2].frames.stop == 240
    assert all(first.frames.stop == second.frames.start for first, second in pairwise(timeline.clips[:3]))


def test_a_limit_of_the_scene_wins_and_zero_or_null_is_none() -> None:
    assert len(shots({"duration": 8})) == 3
    assert len(shots({"duration": 8, "max_still_seconds": 0})) == 1
    assert len(shots({"duration": 8, "max_still_seconds": 6})) == 2
    assert len(shots({"duration": 8, "max_still_seconds": 2}, max_still_seconds=None)) == 4
    for off in (0, None):
        assert len(shots({"duration": 8}, max_still_seconds=off)) == 1
    assert load_config({}, environ=False).scenes.max_still_seconds == 3.5


def test_clips_and_camera_moves_of_the_story_stay_one_shot() -> None:
    rects = {"start": {"x": 0, "y": 0, "width": 0.3}, "end": {"x": 0.5, "y": 0, "width": 0.3}}
    for move in (rects, {"zoom": [1, 1.2]}):
        assert len(shots({"duration": 9, "effects": [{"type": "ken_burns", **move}]})) == 1
    (clip,) = composed(
        [{"video": "v.mp4", "duration": 9}], pictures=[footage(9)], config=LIMIT
    ).timeline.clips
    assert clip.camera is None


def spoken_timeline(
    scenes: list[dict[str, Any]], *, count: int | None = None, config: Config | None = None, **keys: Any
) -> Timeline:
    """Lay scenes out whose words are heard for 0.4 s each; only the first `count` have assets."""
    parsed = parse_story({"title": "T", "metadata": {"language": "en"}, "scenes": scenes})
    assets = []
    for scene in parsed.scenes or ():
        places = words_of(scene.spoken)
        words = tuple(
            SpokenWord(start, stop, Fraction(2 * at, 5), Fraction(2 * at + 2, 5))
            for at, (start, stop) in enumerate(places)
        )
        voice = Sound(Path("v.wav"), "11", Fraction(2 * len(places), 5))
        assets.append(SceneAssets(scene.scene_id, WIDE, narration=voice, words=words, **keys))
    config = config or load_config({}, environ=False)
    return compose(parsed, parsed.scenes or (), StoryAssets(tuple(assets[:count])), config=config).timeline


CLAUSES = "The lighthouse stood above the grey sea; the boat came home at night, and the storm was over."


def test_a_spoken_scene_is_cut_where_a_clause_ends_and_shows_its_second_view() -> None:
    timeline = spoken_timeline([{"scene_id": "a", "text": CLAUSES}], second_view=SECOND)
    starts = {word.frames.start: word.start for word in timeline.captions[0].words}
    cuts = [clip.frames.start for clip in timeline.clips[1:]]
    assert [CLAUSES[starts[cut] :].split(maxsplit=1)[0] for cut in cuts] == ["the", "and"]
    assert [clip.source for clip in timeline.clips] == [WIDE, SECOND, WIDE]
    assert shared(camera_of(timeline.clips[0]).end, camera_of(timeline.clips[2]).start) < 0.75
    (caption,) = timeline.captions
    assert caption.frames == FrameRange(0, timeline.frame_count)


def test_the_first_scenes_have_the_same_shots_before_later_ones_are_known() -> None:
    scenes = [{"scene_id": name, "text": CLAUSES} for name in "abcd"]
    whole = spoken_timeline(scenes)
    for count in (2, 3):
        some = spoken_timeline(scenes, count=count)
        assert some.clips == whole.clips[: len(some.clips)]
        assert some.transitions == whole.transitions[: len(some.transitions)]


def test_a_cut_within_a_scene_makes_no_click() -> None:
    click = Sound(Path("c.wav"), "44", Fraction(1, 10))
    config = {"scenes": {"max_still_seconds": 3.5, "transition": "cut"}, "audio": {"effects": "transitions"}}
    scenes = [{"duration": 8}, {"duration": 8}]
    tracks = composed(scenes, config=config, effects={"click": click}).timeline.audio
    assert [track.at for track in tracks if track.kind == "effect"] == [8]


def picture(path: Path) -> None:
    """Write a photograph 16:9 with a red subject on the right."""
    image = Image.new("RGB", (960, 540), (40, 90, 140))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 380, 960, 540), fill=(60, 120, 60))
    draw.ellipse((650, 200, 730, 280), fill=(230, 40, 30))
    image.save(path)


def frames_of(video: Path) -> list[npt.NDArray[np.int16]]:
    with av.open(str(video)) as container:
        return [frame.to_ndarray(format="rgb24").astype(np.int16) for frame in container.decode(video=0)]


def small_config(folder: Path, compositor: str, **scenes: Any) -> Config:
    return load_config(
        {
            "video": {"size": [180, 320], "preset": "ultrafast", "compositor": compositor},
            "tts": {"service": "none"},
            "scenes": scenes,
            "storage": {"cache_path": str(folder / "cache")},
        },
        environ=False,
    )


def rendered(
    folder: Path, name: str, compositor: str, scenes: list[dict[str, Any]], **keys: Any
) -> RenderResult:
    picture(folder / "p.png")
    config = small_config(folder, compositor, **keys)
    story = parse_story({"title": "T", "scenes": scenes})
    return render_story(story, folder / f"{name}.mp4", config=config, base=folder)


def red_share(frame: npt.NDArray[np.int16]) -> float:
    return float(((frame[:, :, 0] > 150) & (frame[:, :, 1] < 90)).mean())


@pytest.mark.parametrize("compositor", ["native", "ffmpeg"])
def test_the_pictures_of_a_rendered_scene_change_at_its_cuts_alone(compositor: str, tmp_path: Path) -> None:
    move = {"effects": ["ken_burns"]}
    scenes = [
        {"scene_id": "photo", "image": "p.png", "duration": 5, "transition": "cut", **move},
        {"scene_id": "drawn", "motif": "lighthouse", "duration": 5, **move},
    ]
    result = rendered(tmp_path, "v", compositor, scenes)
    frames = frames_of(result.outputs.video)
    assert len(frames) == 300
    change = [float(np.abs(after - before).mean()) for before, after in pairwise(frames)]
    assert sorted(sorted(range(299), key=lambda at: change[at])[-3:]) == [74, 149, 224]
    assert sorted(change)[-3] > 2 * sorted(change)[-4]
    # The subject is seen in both shots, and larger in the second one.
    assert 0 < 1.3 * red_share(frames[74]) < red_share(frames[75])
    manifest = json.loads(result.outputs.manifest.read_text())
    assert [shot["frames"] for shot in manifest["shots"]["photo"]] == [[0, 75], [75, 150]]
    first, second = manifest["shots"]["drawn"]
    assert first["sha256"] != second["sha256"]
    with av.open(str(result.outputs.video)) as container:
        chapters = [chapter["metadata"]["title"] for chapter in container.chapters()]
    assert chapters == ["photo", "drawn"]


def test_a_preview_shows_the_shot_of_the_video(tmp_path: Path) -> None:
    scenes = [{"scene_id": "photo", "image": "p.png", "duration": 5}, {"scene_id": "b", "duration": 5}]
    result = rendered(tmp_path, "v", "native", scenes)
    config = small_config(tmp_path, "native")
    story = parse_story({"title": "T", "scenes": scenes})
    video = frames_of(result.outputs.video)
    for frame in (40, 110, 240):
        preview_story(story, tmp_path / "f.png", at=FrameAt(frame), config=config, base=tmp_path)
        seen = np.asarray(Image.open(tmp_path / "f.png").convert("RGB")).astype(np.int16)
        assert np.abs(seen - video[frame]).mean() < 8


@pytest.mark.parametrize("fit", ["cover", "blur"])
@pytest.mark.parametrize("effects", [[], ["ken_burns"], ["fade_in", "fade_out"]])
def test_a_push_moves_the_camera_between_framings_without_a_jump(effects: list[str], fit: str) -> None:
    scene = {"duration": 8.0, "effects": effects, "fit": fit}
    cut, pushed = shots(scene), shots(scene, reframe="push")
    assert [len(clip.frames) for clip in pushed[1::2]] == [18, 18]
    assert [clip.frames.start for clip in pushed[1::2]] == [clip.frames.start for clip in cut[1:]]
    assert pushed[-1].frames.stop == cut[-1].frames.stop
    for before, after in pairwise(pushed):
        assert before.frames.stop == after.frames.start
        assert camera_of(before).end == camera_of(after).start
    for push in pushed[1::2]:
        assert push.camera is not None
        assert push.camera.easing == "ease_in_out"
        assert shared(push.camera.start, push.camera.end) < 0.65


def test_another_picture_and_a_shot_without_time_for_a_push_are_cut_to() -> None:
    scenes = [{"scene_id": "a", "text": CLAUSES}]
    pushing = load_config({"scenes": {"reframe": "push"}}, environ=False)
    assert spoken_timeline(scenes, second_view=SECOND, config=pushing) == spoken_timeline(
        scenes, second_view=SECOND
    )
    assert len(shots({"duration": 2}, max_still_seconds=0.5, reframe="push")) == len(
        shots({"duration": 2}, max_still_seconds=0.5)
    )


@pytest.mark.parametrize("compositor", ["native", "ffmpeg"])
def test_a_rendered_push_changes_no_frame_as_a_cut_does(compositor: str, tmp_path: Path) -> None:
    scene = {"scene_id": "a", "image": "p.png", "duration": 5, "effects": []}
    change = {}
    for reframe in ("cut", "push"):
        result = rendered(tmp_path, reframe, compositor, [scene], reframe=reframe)
        frames = frames_of(result.outputs.video)
        change[reframe] = [float(np.abs(after - before).mean()) for before, after in pairwise(frames)]
        # Both end with the nearer framing.
        assert red_share(frames[-1]) > 1.3 * red_share(frames[0])
    moving = [at for at, each in enumerate(change["push"]) if each > 0.5]
    assert min(moving) >= 74
    assert max(moving) <= 93
    assert max(change["push"]) < 0.5 * change["cut"][74]
