"""What a video's files say of pictures that a model made, and of those that others made."""

from __future__ import annotations

from video_pipeline.engine.assets.models import PictureOrigin
from video_pipeline.engine.outputs.disclosure import SOURCE_TYPE, credits_of, disclosed

MADE = PictureOrigin(service="dalle", generated=True, model="gpt-image-2", prompt="A boat", seed=None)
STOCK = PictureOrigin(
    service="pexels", generated=False, credit="Ann on Pexels", link="https://p/1", licence="https://p/license"
)


def test_scenes_of_one_model_are_one_entry_and_authors_are_named_once() -> None:
    found = disclosed({"a": MADE, "b": STOCK, "c": MADE, "d": STOCK})
    assert found == {
        "generated_media": [
            {
                "kind": "picture",
                "digital_source_type": SOURCE_TYPE,
                "service": "dalle",
                "model": "gpt-image-2",
                "scenes": ["a", "c"],
            }
        ],
        "credits": ["Ann on Pexels: https://p/1 (https://p/license)"],
    }


def test_a_video_of_ones_own_or_drawn_pictures_discloses_nothing() -> None:
    assert disclosed({}) == {}
    assert credits_of([MADE]) == []
