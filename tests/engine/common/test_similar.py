"""Names that a wrong one may mean."""

from __future__ import annotations

import pytest

from video_pipeline.engine.common.similar import closest, similar

NAMES = ("fade", "dissolve", "wipeleft")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("disolve", " (did you mean 'dissolve'?)"),
        ("Fade", " (did you mean 'fade'?)"),
        ("zzz", ""),
        ("", ""),
        (7, ""),
        (None, ""),
    ],
)
def test_the_most_similar_name_is_suggested_if_there_is_one(name: object, words: str) -> None:
    assert closest(name, NAMES) == words


def test_the_most_similar_names_come_first() -> None:
    assert similar("fade", ["radial", "fades", "fade"], most=2) == ["fade", "fades"]
    assert similar("fade", ["fades", "fade"], most=1) == ["fade"]
