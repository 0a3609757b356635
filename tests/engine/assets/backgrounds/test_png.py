"""PNG files of drawn pictures: every reader sees the same pixels."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from video_pipeline.engine.assets.backgrounds.png import write_png
from video_pipeline.engine.assets.stills import check_png


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (33, 17), (256, 300)])
def test_pillow_and_ffmpeg_read_back_the_same_pixels(shape: tuple[int, int], tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8)
    target = tmp_path / "picture.png"
    write_png(Image.fromarray(pixels), target)
    check_png(target)
    with Image.open(target) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        assert np.array_equal(np.asarray(image), pixels)
    with av.open(str(target)) as container:
        (frame,) = container.decode(video=0)
        assert np.array_equal(frame.to_ndarray(format="rgb24"), pixels)


def test_a_smooth_picture_is_smaller_than_its_pixels(tmp_path: Path) -> None:
    gradient = Image.linear_gradient("L").resize((200, 300))
    write_png(Image.merge("RGB", [gradient] * 3), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size < 200 * 300 * 3 / 4
