"""Files that another process swaps while they are read: nothing is kept under the hash of other bytes."""

from __future__ import annotations

import shutil
import wave
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.swapping import Way, swapping
from tests.support.waiting import again_and_again
from video_pipeline.engine.assets.sound import probe_sound, read_sound
from video_pipeline.engine.assets.stills import prepare_still
from video_pipeline.engine.assets.watermark import prepare_watermark
from video_pipeline.engine.common.cache import ContentCache, file_sha256
from video_pipeline.engine.config.sections import WatermarkSettings
from video_pipeline.engine.errors import AssetError, ConfigError, FileChangedError

SECONDS = 2
FRAME_PX = (270, 480)

Read = Callable[[Path, ContentCache], tuple[str, object]]
"""Reads a file and returns the hash that it is kept under, and what is seen or heard of it."""


def picture(path: Path, *, red: int) -> None:
    noise = np.random.default_rng(red).integers(0, 9, (300, 200, 3), np.uint8)
    noise[..., 0] += red
    Image.fromarray(noise).save(path)


def sound(path: Path, *, red: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes((np.full(4800 + 480 * (red > 0), 50 * red, "<i2")).tobytes())


def redness(path: Path) -> int:
    with Image.open(path) as image:
        pixel = image.convert("RGB").getpixel((5, 5))
    assert isinstance(pixel, tuple)
    return int(pixel[0]) // 100


def shown(path: Path, cache: ContentCache) -> tuple[str, object]:
    still = prepare_still(path, cache=cache, max_megapixels=9, max_side_px=90)
    return still.sha256, redness(still.path)


def marked(path: Path, cache: ContentCache) -> tuple[str, object]:
    mark = prepare_watermark(WatermarkSettings(image=path), frame_px=FRAME_PX, cache=cache, max_megapixels=9)
    assert mark is not None
    return mark.sha256, redness(mark.path)


def measured(path: Path, cache: ContentCache) -> tuple[str, object]:
    del cache
    found = probe_sound(path)
    return found.sha256, round(found.duration * 100)


def heard(path: Path, cache: ContentCache) -> tuple[str, object]:
    del cache
    known = file_sha256(path)
    return known, round(float(np.concatenate(list(read_sound(path, sha256=known))).max()) * 10)


@pytest.mark.parametrize("way", ["replace", "rewrite"])
@pytest.mark.parametrize(
    ("make", "suffix", "read"),
    [(picture, "png", shown), (picture, "png", marked), (sound, "wav", measured), (sound, "wav", heard)],
    ids=["picture", "watermark", "length of a sound", "sound"],
)
def test_no_file_is_cached_under_the_hash_of_other_bytes(
    tmp_path: Path, make: Callable[..., None], suffix: str, read: Read, way: Way
) -> None:
    known: dict[str, object] = {}
    files = [tmp_path / f"{name}.{suffix}" for name in ("a", "b")]
    for path, red in zip(files, (0, 200), strict=True):
        make(path, red=red)
        digest, value = read(path, ContentCache(tmp_path / f"{red}"))
        known[digest] = value
    assert len(set(known.values())) == 2
    path = tmp_path / f"x.{suffix}"
    shutil.copy(files[0], path)
    seen = Counter[str]()
    with swapping(way, path, *files):
        for _ in again_and_again(seconds=SECONDS, until=lambda: set(known) <= set(seen)):
            cache = ContentCache(tmp_path / "cache")
            try:
                digest, value = read(path, cache)
            except (AssetError, ConfigError):  # changed, or half-written
                seen["error"] += 1
            else:
                assert known.get(digest, value) == value
                seen[digest] += 1
            shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def test_a_changed_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sound(path, red=0)
    known = file_sha256(path)
    sound(path, red=200)
    with pytest.raises(FileChangedError, match=r"a\.wav: the file changed during the render"):
        next(read_sound(path, sha256=known))
