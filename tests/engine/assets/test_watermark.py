"""Watermarks from users' files: their size, position, and errors for bad files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from video_pipeline.engine.assets.watermark import prepare_watermark
from video_pipeline.engine.common.cache import ContentCache, file_sha256
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.timeline import Watermark

FRAME_PX = (360, 640)


def logo(path: Path, size_px: tuple[int, int] = (200, 100)) -> Path:
    """Write a red picture whose left half is transparent, with green under the transparency."""
    pixels = np.zeros((size_px[1], size_px[0], 4), np.uint8)
    pixels[..., 0], pixels[..., 3] = 255, 255
    pixels[:, : size_px[0] // 2] = (0, 255, 0, 0)
    Image.fromarray(pixels if path.suffix != ".jpg" else pixels[..., :3].copy()).save(path, lossless=True)
    return path


def prepared(path: Path, folder: Path, **settings: object) -> Watermark | None:
    config = load_config({"watermark": {"image": str(path), **settings}}, environ=False)
    return prepare_watermark(
        config.watermark, frame_px=FRAME_PX, cache=ContentCache(folder / "cache"), max_megapixels=20
    )


@pytest.mark.parametrize(
    ("corner", "place"),
    [
        ("top_left", (36, 36)),
        ("top_right", (252, 36)),
        ("bottom_left", (36, 568)),
        ("bottom_right", (252, 568)),
    ],
)
def test_the_watermark_has_its_corner_and_size(tmp_path: Path, corner: str, place: tuple[int, int]) -> None:
    path = logo(tmp_path / "logo.png")
    mark = prepared(path, tmp_path, corner=corner, width=0.2, margin=0.1, opacity=0.5)
    assert mark is not None
    assert (mark.x_px, mark.y_px) == place
    assert (mark.width_px, mark.height_px) == (72, 36)
    assert (mark.name, mark.sha256, mark.opacity) == ("logo.png", file_sha256(path), 0.5)
    with Image.open(mark.path) as picture:
        assert (picture.size, picture.mode) == ((72, 36), "RGBA")


@pytest.mark.parametrize("name", ["logo.png", "logo.webp", "logo.jpg"])
def test_colours_under_transparency_do_not_show(tmp_path: Path, name: str) -> None:
    mark = prepared(logo(tmp_path / name), tmp_path, width=0.2)
    assert mark is not None
    with Image.open(mark.path) as picture:
        pixels = np.asarray(picture).astype(float)
    if name == "logo.jpg":
        assert pixels[..., 3].min() == 255
    else:
        seen = pixels[pixels[..., 3] > 8]
        assert seen[:, 1].max() < 24
        assert pixels[:, :30, 3].max() == 0


def test_a_watermark_higher_than_the_frame_becomes_narrower(tmp_path: Path) -> None:
    mark = prepared(logo(tmp_path / "tall.png", (20, 400)), tmp_path, width=0.5, margin=0.05)
    assert mark is not None
    assert mark.height_px == FRAME_PX[1] - 2 * 18
    assert mark.width_px == pytest.approx(mark.height_px / 20, abs=1)


def test_no_watermark_is_drawn_without_an_image_or_with_opacity_zero(tmp_path: Path) -> None:
    assert prepared(logo(tmp_path / "logo.png"), tmp_path, opacity=0) is None
    settings = load_config({}, environ=False).watermark
    assert (
        prepare_watermark(settings, frame_px=FRAME_PX, cache=ContentCache(tmp_path), max_megapixels=9) is None
    )


@pytest.mark.parametrize("fault", ["missing", "empty", "text", "truncated", "icon", "folder", "huge"])
def test_the_error_for_a_bad_file_has_key_path_and_what_is_allowed(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "mark.png"
    if fault == "empty":
        path.touch()
    elif fault == "text":
        path.write_text("not a picture")
    elif fault == "truncated":
        path.write_bytes(logo(tmp_path / "whole.png").read_bytes()[:150])
    elif fault == "icon":
        Image.new("RGB", (8, 8)).save(path, "ICO")
    elif fault == "folder":
        path.mkdir()
    elif fault == "huge":
        Image.new("L", (6000, 4000)).save(path)
    with pytest.raises(ConfigError) as caught:
        prepared(path, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"watermark.image: {path}")
    assert "allowed: at most 20" in message if fault == "huge" else "PNG" in message.split("allowed:")[1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"corner": "middle"}, ["watermark.corner", "'middle'", "'bottom_left'"]),
        ({"opacity": 1.5}, ["watermark.opacity", "1.5", "allowed: 0 to 1"]),
        ({"width": 0}, ["watermark.width", "got 0", "allowed: more than 0, at most 1"]),
        ({"margin": 0.5}, ["watermark.margin", "0.5", "0.45"]),
        ({"file": "a.png"}, ["watermark.file", "unknown key", "corner, image, margin"]),
    ],
)
def test_the_error_for_a_bad_setting_says_what_is_allowed(
    settings: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"watermark": settings}, environ=False)
    for word in words:
        assert word in str(caught.value)
