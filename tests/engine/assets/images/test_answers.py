"""Pictures as services send them: what is no picture, what shows nothing, notes, and scaling up."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.picture_setup import picture_request
from tests.support.picture_vendors import black, drawing
from tests.support.samples import bomb
from video_pipeline.engine.assets.images.answers import (
    decoded_answer_picture,
    decoded_base64,
    enlarged,
    read_png_notes,
    write_noted_png,
)
from video_pipeline.engine.assets.images.drawn import DRAWN_OVERSIZE
from video_pipeline.engine.assets.stills import check_png
from video_pipeline.engine.common.cache import DamagedError
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.net.client import ServiceClient
from video_pipeline.engine.net.spending import PICTURES, DailyCount, Spending


@pytest.fixture
def client(tmp_path: Path) -> ServiceClient:
    meter = Spending(job_limit=1, day_limit=1, count=DailyCount(lambda: tmp_path, billed=PICTURES))
    return ServiceClient(service="fake", timeout=1, meter=meter)


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    data = io.BytesIO()
    image.save(data, form)
    return data.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_each_format_is_decoded_to_rgb(form: str, client: ServiceClient) -> None:
    made = decoded_answer_picture(drawing(60, 90, 3, form), client)
    assert (made.mode, made.size) == ("RGB", (60, 90))


@pytest.mark.parametrize(
    ("data", "kind", "told"),
    [
        (b"", "busy", r"no picture of a known format \(.*JPEG"),
        (b"<html></html>", "busy", r"no picture of a known format \(.*PNG"),
        (drawing(60, 90, 3)[:900], "busy", "no whole picture"),
        (black(), "rejected", "of one colour"),
        (encoded(Image.new("RGBA", (40, 40), (200, 0, 0, 0))), "rejected", "of one colour"),
        (bomb(20_000, 20_000), "rejected", "20000 x 20000 pixels"),
    ],
)
def test_what_is_no_picture_or_shows_nothing_is_an_error(
    data: bytes, kind: str, told: str, client: ServiceClient
) -> None:
    with pytest.raises(ServiceError, match=told) as caught:
        decoded_answer_picture(data, client)
    assert caught.value.kind == kind


def test_base64_may_be_a_data_url_and_must_be_whole(client: ServiceClient) -> None:
    text = base64.b64encode(b"picture").decode()
    assert (
        decoded_base64(text, client) == decoded_base64(f"data:image/png;base64,{text}", client) == b"picture"
    )
    for wrong in ("http://x/y.png", text[:-1], None):
        with pytest.raises(ServiceError, match="no picture in base64"):
            decoded_base64(wrong, client)


def test_notes_are_kept_and_a_wrong_bit_in_them_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_noted_png(Image.open(io.BytesIO(drawing(20, 30, 1))), {"seed": 5, "words": "ä"}, path)
    check_png(path)
    assert read_png_notes(path) == {"seed": 5, "words": "ä"}
    data = bytearray(path.read_bytes())
    data[data.index(b'"seed"') + 8] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedError):
        check_png(path)


def scene(width: int, height: int) -> Image.Image:
    """Return a picture with edges and slopes of many sizes."""
    y, x = np.mgrid[0:height, 0:width]
    rings = 127 + 100 * np.sin(np.hypot(x - width / 3, y - height / 2) / 9)
    bars = np.where((x // 23 + y // 41) % 2, 30.0, -30.0)
    levels = np.clip(rings + bars, 0, 255).astype(np.uint8)
    return Image.fromarray(levels).convert("RGB")


def error_of(made: Image.Image, true: Image.Image) -> float:
    difference = np.asarray(made.convert("L"), float) - np.asarray(true.convert("L"), float)
    return float(np.sqrt(np.mean(difference**2)))


def test_a_small_picture_is_scaled_up_better_than_by_bicubic() -> None:
    frame = (round(480 / DRAWN_OVERSIZE), round(720 / DRAWN_OVERSIZE))
    true = scene(480, 720)
    small = true.resize((240, 360), Image.Resampling.LANCZOS)
    made = enlarged(small, frame)
    assert made.size == (480, 720)
    assert error_of(made, true) < error_of(small.resize((480, 720), Image.Resampling.BICUBIC), true)


def test_a_picture_that_is_large_enough_stays_as_it_is() -> None:
    picture = scene(480, 720)
    assert enlarged(picture, (400, 600)) is picture
    assert enlarged(picture, (400, 400)) is picture
    assert picture_request().frame_px == (270, 480)
