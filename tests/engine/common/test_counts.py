"""Counts have the right form of their noun."""

from __future__ import annotations

import pytest

from video_pipeline.engine.common.counts import count_text


@pytest.mark.parametrize(
    ("count", "nouns", "text"),
    [
        (1, ("clip",), "1 clip"),
        (0, ("clip",), "0 clips"),
        (2, ("clip",), "2 clips"),
        (1, ("trial is", "trials are"), "1 trial is"),
        (3, ("trial is", "trials are"), "3 trials are"),
    ],
)
def test_one_thing_is_singular_and_any_other_count_plural(
    count: int, nouns: tuple[str, ...], text: str
) -> None:
    assert count_text(count, *nouns) == text
