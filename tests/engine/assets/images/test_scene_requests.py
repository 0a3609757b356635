"""Requests for the pictures of a whole story: seeds that edits keep, views, and neighbours that differ."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.likeness import likeness
from video_pipeline.engine.assets.images.drawn import DrawnPainter, drawn_picture
from video_pipeline.engine.assets.images.scene_requests import picture_requests
from video_pipeline.engine.assets.images.service import PictureRequest
from video_pipeline.engine.assets.models import DrawnPicture
from video_pipeline.engine.config import load_config
from video_pipeline.engine.story import parse_story, story_scenes


def requests_of(*scenes: str | dict[str, Any], genre: str = "mystery", **images: Any) -> list[PictureRequest]:
    """Return the requests of a story of these scenes, or of scenes with these words."""
    given = [
        {"scene_id": f"s{at}", **({"text": scene} if isinstance(scene, str) else scene)}
        for at, scene in enumerate(scenes)
    ]
    story = parse_story({"title": "T", "metadata": {"genre": genre, "language": "en"}, "scenes": given})
    config = load_config({"images": images, "video": {"size": [90, 160]}}, environ=False)
    return list(picture_requests(story, story_scenes(story), config=config))


def test_scenes_in_a_row_at_one_place_are_seen_from_opposite_sides() -> None:
    words = ("The sea.", "A boat on the sea.", "The sea at night.", "A forest.", "A dark forest.", "The sea.")
    assert [each.view for each in requests_of(*words)] == [0, 1, 0, 0, 1, 0]
    assert [each.view for each in requests_of(*words, style="genre")] == [0] * 6
    assert [each.view for each in requests_of(*words, style="dunes")] == [0, 1] * 3


def test_an_edit_of_one_scene_leaves_the_requests_of_the_others() -> None:
    before = requests_of("The sea.", "A castle.", "A forest.")
    after = requests_of("The sea.", "A village.", "A forest.")
    assert (before[0], before[2]) == (after[0], after[2])
    assert before[1] != after[1]


def test_the_seed_of_a_scene_is_also_that_of_services() -> None:
    own, other = requests_of({"text": "The sea.", "seed": 7}, "The sea.")
    assert (own.seed, own.service_seed) == (7, 7)
    assert other.service_seed not in (7, other.seed)


def test_what_is_drawn_is_named_by_motifs_or_style() -> None:
    named, styled, own = requests_of(
        "A lighthouse at night.", {"text": "A castle.", "picture_style": "silk"}, {"motif": ["map"]}
    )
    assert drawn_picture(named) == DrawnPicture(motifs=("sea", "lighthouse", "night"), seed=named.seed)
    assert drawn_picture(styled) == DrawnPicture(style="silk", seed=styled.seed)
    assert drawn_picture(own) == DrawnPicture(motifs=("table", "map"), seed=own.seed)
    by_genre = [drawn_picture(each).style for each in requests_of("A.", "B.", style="genre")]
    assert None not in by_genre
    assert len(set(by_genre)) == 2


@pytest.mark.parametrize(
    "words", ["The sea.", "A castle.", "A forest.", "A room.", "The stairs.", "A map.", "Words."]
)
@pytest.mark.parametrize("genre", ["mystery", "adventure"])
def test_no_two_neighbouring_pictures_are_alike(words: str, genre: str, tmp_path: Path) -> None:
    images = []
    for at, request in enumerate(requests_of(*[words] * 4, genre=genre)):
        DrawnPainter().paint(request, tmp_path / f"{at}.png")
        images.append(Image.open(tmp_path / f"{at}.png"))
    assert max(likeness(before, now) for before, now in pairwise(images)) < 0.95
