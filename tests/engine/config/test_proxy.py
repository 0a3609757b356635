"""The size of a proxy."""

from __future__ import annotations

import pytest

from video_pipeline.engine.config import load_config


@pytest.mark.parametrize(
    ("aspect", "size"),
    [("9:16", (1080, 1920)), ("1:1", (1080, 1080)), ("16:9", (1920, 1080)), ("4:5", (1080, 1350))],
)
def test_a_proxy_has_half_the_sides_and_the_finished_video_its_own(
    aspect: str, size: tuple[int, int]
) -> None:
    proxy = load_config({"video": {"default_aspect_ratio": aspect, "proxy": True}}, environ=False).video
    assert (proxy.finished_px(), proxy.canvas_px()) == (size, tuple(2 * round(side / 4) for side in size))
    whole = load_config({"video": {"default_aspect_ratio": aspect}}, environ=False).video
    assert whole.canvas_px() == whole.finished_px() == size
