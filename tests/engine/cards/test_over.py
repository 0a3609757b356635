"""A title over the first scene: its frames, its place beside captions, and how it looks by every compositor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.tolerances import COMPOSITORS_DB, psnr_db
from tests.support.video import draw_range, luma
from video_pipeline import native
from video_pipeline.engine.cards.over import over_frames
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.look_keys import SHIPPED_LOOKS
from video_pipeline.engine.plan import FramePlan, plan_captions, plan_timeline
from video_pipeline.engine.render.captions.draw import caption_rows
from video_pipeline.engine.story import parse_story
from video_pipeline.engine.timing import FrameRange

SIZE_PX = (180, 320)
NATIVE = pytest.param(
    "native", marks=pytest.mark.skipif(not native.available(), reason="the native extension was not built")
)


def planned(
    folder: Path,
    compositor: str = "ffmpeg",
    *,
    text: str = "A red scene.",
    title: str = "The last light",
    own_effects: bool = True,
    **sections: Any,
) -> FramePlan:
    """Return the plan of two scenes, captions drawn, with the title over the first one.

    Without `own_effects` the scenes have those of the configuration.
    """
    effects: dict[str, Any] = {"effects": []} if own_effects else {}
    Image.new("RGB", SIZE_PX, (60, 60, 60)).save(folder / "grey.png")
    scenes = [
        {"scene_id": name, "image": str(folder / "grey.png"), "text": text, "duration": 3, **effects}
        for name in ("one", "two")
    ]
    story = parse_story({"title": title, "scenes": scenes, "title_card": {"over": True, "seconds": 2}})
    config = load_config(
        {
            "tts": {"service": "none"},
            **sections,
            "video": {"size": [*SIZE_PX], "compositor": compositor, **sections.get("video", {})},
            "title_card": {"text_color": "#00FF00", **sections.get("title_card", {})},
        },
        environ=False,
    )
    return plan_captions(plan_timeline(story, config=config, cache=ContentCache(folder / "cache"), speak=()))


def green_rows(plan: FramePlan, frame: int) -> Any:
    """Return the rows of a frame that have pixels of the title's green."""
    frames = draw_range(plan.compositor, frame, frame + 1)
    height = SIZE_PX[1]
    chroma = frames[0, height:].reshape(2, height // 2, SIZE_PX[0] // 2)
    return 2 * np.flatnonzero((chroma < 70).all(axis=0).any(axis=1))


@pytest.mark.parametrize("compositor", ["ffmpeg", NATIVE])
def test_the_title_is_whole_from_the_first_frame_on_and_fades_out(tmp_path: Path, compositor: str) -> None:
    plan = planned(tmp_path, compositor)
    assert [clip.scene_id for clip in plan.timeline.clips] == ["one", "two"], "it is no scene of its own"
    assert [title for _, title in plan.timeline.chapters()] == ["one", "two"]
    assert len(green_rows(plan, 0)) > 5
    assert set(green_rows(plan, 0)) == set(green_rows(plan, 40))
    assert len(green_rows(plan, 61)) == 0
    assert len(draw_range(plan.compositor.without_captions(), 0, 1)) == 1


@pytest.mark.skipif(not native.available(), reason="the native extension was not built")
def test_the_compositors_draw_it_alike(tmp_path: Path) -> None:
    one, other = (draw_range(planned(tmp_path, name).compositor, 40, 56) for name in ("ffmpeg", "native"))
    assert psnr_db(luma(one), luma(other)) >= COMPOSITORS_DB


@pytest.mark.parametrize("position", ["top", "center", "bottom"])
@pytest.mark.parametrize("size", [(180, 320), (320, 180)])
def test_the_title_keeps_clear_of_captions_and_of_what_apps_show(
    tmp_path: Path, position: str, size: tuple[int, int]
) -> None:
    plan = planned(
        tmp_path,
        text="Some words that take two or three lines of the frame.",
        scenes={"text_position": position},
        video={"size": [*size]},
        title_card={"text_size": 60},
    )
    timeline = plan.timeline
    title = plan.captions[-1]
    assert title.picture is not None
    with Image.open(title.picture) as picture:
        seen = picture.getchannel("A").getbbox()
    assert seen is not None
    top, bottom = title.y_px + seen[1], title.y_px + seen[3]
    assert top >= size[1] * (0.08 if size[0] > size[1] else 0.14)
    assert bottom <= size[1] * (0.93 if size[0] > size[1] else 0.66)
    rows = caption_rows(timeline.captions[0], timeline, fonts=plan.fonts)
    assert rows is not None
    if timeline.captions[0].shown_as == "block":
        assert bottom <= rows[0] + 4 or top >= rows[1] - 4


@pytest.mark.parametrize("transition", ["cut", "fade"])
def test_after_an_intro_the_title_appears_with_the_scene(tmp_path: Path, transition: str) -> None:
    Image.new("RGB", SIZE_PX, (20, 20, 200)).save(tmp_path / "logo.png")
    intro = {"image": str(tmp_path / "logo.png"), "seconds": 1, "transition": transition}
    fading = {"effects": ["fade_in"]}
    plan = planned(tmp_path, intro=intro, scenes=fading, own_effects=False)
    first = next(clip for clip in plan.timeline.clips if clip.scene_id == "one")
    join = plan.timeline.transition_after(0)
    assert (join is None) == (transition == "cut")
    title = plan.captions[-1]
    begin = join.frames.start + len(join.frames) // 2 if join is not None else first.frames.start
    end = join.frames.stop if join is not None else begin + first.fade_in_frames
    assert (title.frames.start, title.frames.start + title.fade_in_frames) == (begin, end)
    assert end > begin
    assert len(green_rows(plan, begin)) == 0
    assert len(green_rows(plan, end)) > 5
    opacities = [title.entrance(at, fps=plan.timeline.fps)[0] for at in range(len(title.frames))]
    assert opacities[: end - begin] == [at / (end - begin) for at in range(end - begin)]


@pytest.mark.parametrize("size", [(180, 320), (320, 180), (240, 240)])
@pytest.mark.parametrize("look", SHIPPED_LOOKS)
def test_a_long_title_takes_a_fifth_of_the_frame_at_most(
    tmp_path: Path, look: str, size: tuple[int, int]
) -> None:
    title = "Why nobody in the harbour town had seen the keeper of the old lighthouse for a hundred and ten long years"
    keys = {"look": look, "video": {"size": [*size]}}
    plan = planned(tmp_path, title=title, **keys)
    art = plan.captions[-1]
    assert plan.title_over is not None
    assert art.picture is not None
    with Image.open(art.picture) as picture:
        alpha = np.asarray(picture.getchannel("A")) > 128
    rows = np.flatnonzero(alpha.any(axis=1))
    assert 0.04 * size[1] < rows[-1] - rows[0] <= 0.24 * size[1], "padding and stroke lie outside"


def test_a_title_without_room_is_left_out_with_a_warning(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        text="word " * 80,
        captions={"style": "block"},
        scenes={"text_position": "center", "text_size": 200},
        title_card={"text_size": 300},
    )
    assert [art.scene_id for art in plan.captions] == ["one", "two"]
    assert any("there is no room beside the captions" in warning for warning in plan.warnings)


def test_the_title_ends_before_the_scene_does(tmp_path: Path) -> None:
    plan = planned(tmp_path, title_card={"seconds": 30})
    assert plan.title_over is not None
    assert over_frames(plan.title_over, plan.timeline) == FrameRange(0, 60)
    story = parse_story({"title": "T", "content": "Some words.", "title_card": {"over": True, "seconds": 30}})
    config = load_config({"tts": {"service": "none"}, "video": {"size": [*SIZE_PX]}}, environ=False)
    whole = plan_timeline(story, config=config, cache=ContentCache(tmp_path / "cache"), speak=())
    assert whole.title_over is not None
    assert over_frames(whole.title_over, whole.timeline) == FrameRange(0, whole.timeline.frame_count)
