"""What cropping and zooming keep in view: the subject, the middle, or a point of the story."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_compose import WHOLE, cameras, composed, footage
from video_pipeline.engine.timeline import Focus, Still
from video_pipeline.filters.geometry import largest_rect

WIDE = Still(Path("w.png"), 1920, 1080, "00", subject=(0.8, 0.4))


@pytest.mark.parametrize("move", [[], [{"type": "ken_burns", "zoom": [1, 1.4]}], [{"type": "ken_burns"}]])
def test_every_view_of_a_cropped_picture_holds_its_subject(move: list[dict[str, Any]]) -> None:
    scenes = [{"duration": 4, "effects": move}]
    (camera,) = cameras(scenes, pictures=[WIDE])
    for rect in (camera.start, camera.end):
        assert rect.x + rect.width / 4 < 0.8 < rect.x + 3 * rect.width / 4
        assert rect.y <= 0.4 <= rect.y + rect.height
    (clip,) = composed(scenes, pictures=[WIDE]).timeline.clips
    assert clip.focus == Focus(0.8, 0.4, "found")


def test_a_subject_at_the_edge_leaves_no_view_outside_the_picture() -> None:
    edge = replace(WIDE, subject=(1.0, 0.0))
    for effects in ([], ["ken_burns"]):
        for rect in (camera := cameras([{"effects": effects}], pictures=[edge])[0]).start, camera.end:
            assert rect.x + rect.width == pytest.approx(1)
            assert rect.y == 0


@pytest.mark.parametrize(
    ("scene", "config", "focus"),
    [
        ({}, {}, Focus(0.8, 0.4, "found")),
        ({}, {"images": {"focus": "center"}}, Focus(0.5, 0.5, "center")),
        ({"focus": "auto"}, {"images": {"focus": "center"}}, Focus(0.8, 0.4, "found")),
        ({"focus": "center"}, {}, Focus(0.5, 0.5, "center")),
        ({"focus": [0.1, 1]}, {}, Focus(0.1, 1, "story")),
        ({"focus": [0, 0]}, {"images": {"focus": "center"}}, Focus(0, 0, "story")),
        (
            {"focus": [0.1, 1], "effects": [{"type": "ken_burns", "focus": [0.3, 0.2]}]},
            {},
            Focus(0.3, 0.2, "story"),
        ),
    ],
)
def test_a_focus_of_the_story_wins_over_a_found_one(
    scene: dict[str, Any], config: dict[str, Any], focus: Focus
) -> None:
    (clip,) = composed([scene], pictures=[WIDE], config=config).timeline.clips
    assert clip.focus == focus
    assert clip.camera is not None
    assert clip.camera.start == largest_rect(16 / 9, 9 / 16, focus=(focus.x, focus.y))


def test_rectangles_of_the_story_have_no_focus() -> None:
    rect = {"x": 0, "y": 0, "width": 0.2}
    effect = {"type": "ken_burns", "start": rect, "end": rect}
    (clip,) = composed([{"effects": [effect], "focus": [0.9, 0.9]}], pictures=[WIDE]).timeline.clips
    assert clip.focus is None
    assert clip.camera is not None
    assert clip.camera.start.x == 0


@pytest.mark.parametrize("fit", ["contain", "blur"])
def test_a_fitted_picture_is_zoomed_about_its_subject(fit: str) -> None:
    effect = {"type": "ken_burns", "zoom": [1, 2]}
    (camera,) = cameras([{"effects": [effect], "fit": fit}], pictures=[WIDE])
    assert camera.start == WHOLE
    height = (9 / 16) / (16 / 9)  # of the picture, in fractions of the frame
    x, y = 0.8, 0.5 - 0.1 * height
    assert (x - camera.end.x) / camera.end.width == pytest.approx(x)
    assert (y - camera.end.y) / camera.end.height == pytest.approx(y)


def test_without_a_focus_a_still_or_fitted_picture_has_no_camera() -> None:
    plain = replace(WIDE, subject=None)
    for scene, picture in (({}, plain), ({"focus": "center"}, WIDE), ({"fit": "blur"}, WIDE)):
        (clip,) = composed([{**scene, "effects": []}], pictures=[picture]).timeline.clips
        assert clip.camera is None


def test_a_clip_is_cropped_about_a_point_of_the_story_only() -> None:
    scenes = [{"video": "v.mp4", "effects": ["ken_burns"], **own} for own in ({}, {"focus": [0.1, 0.5]})]
    plain, focused = composed(scenes, pictures=[footage(3), footage(3)]).timeline.clips
    assert plain.camera is None
    assert focused.camera is not None
    assert not focused.camera.moves
    assert focused.camera.start.x == 0
