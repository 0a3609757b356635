"""Moving pictures: real files of four formats, shown with their own times and repeated for as long as a scene needs."""

from __future__ import annotations

import io
import json
import struct
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support.video import bt709, clip_of, compositor_of, decode, draw, middle_colour, timeline_of
from video_pipeline.engine.assets.footage import Clipped, NotVideoError
from video_pipeline.engine.assets.moving import MovingLimits, prepare_clip
from video_pipeline.engine.assets.srgb import matrix_profile
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.input_files import ANY_FILES
from video_pipeline.engine.config import load_config
from video_pipeline.engine.pipeline import render_story
from video_pipeline.engine.story.model import VideoSpec
from video_pipeline.engine.timeline import Footage

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
COLOURS = [RED, GREEN, BLUE]
TIMES_MS = [100, 30, 370]
WHOLE = Fraction(1, 2)
SIZE_PX = (64, 36)
FORMATS = ["gif", "png", "webp", "avif"]
"""Of `png`, APNG; of `avif`, a sequence."""
P3_CHROMATICITY = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
LIMITS = MovingLimits(max_frames=100, max_megapixels=10, max_moving_megapixels=10, max_side_px=4096)


@pytest.fixture
def cache(tmp_path: Path) -> ContentCache:
    return ContentCache(tmp_path / "cache")


def moving(path: Path, frames: list[Image.Image] | None = None, times: list[int] | None = None) -> Path:
    """Write three colours, or some frames, as a moving picture in the format of the path's suffix."""
    first, *rest = frames or [Image.new("RGB", SIZE_PX, colour) for colour in COLOURS]
    options = (
        {"lossless": True} if path.suffix == ".webp" else {"quality": 100} if path.suffix == ".avif" else {}
    )
    first.save(path, save_all=True, append_images=rest, duration=times or TIMES_MS, loop=0, **options)
    return path


def footage_of(path: Path, cache: ContentCache, *, limits: MovingLimits = LIMITS, **part: float) -> Footage:
    return clipped(path, cache, limits=limits, **part).footage


def clipped(path: Path, cache: ContentCache, *, limits: MovingLimits = LIMITS, **part: float) -> Clipped:
    return prepare_clip(path, VideoSpec(path=str(path), **part), limits=limits, cache=cache, files=ANY_FILES)


def refusal(path: Path, cache: ContentCache, *, limits: MovingLimits = LIMITS, **part: float) -> str:
    with pytest.raises(NotVideoError) as caught:
        footage_of(path, cache, limits=limits, **part)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def shown(footage: Footage, count: int) -> list[tuple[Fraction, tuple[int, ...]]]:
    """Return the times and middle pixels of the first frames of a prepared clip, as FFmpeg reads them."""
    found: list[tuple[Fraction, tuple[int, ...]]] = []
    with av.open(footage.path, format=footage.demuxer) as container:
        for frame in container.decode(video=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            pixels = frame.to_ndarray(format="rgb24")
            middle = tuple(int(value) for value in pixels[pixels.shape[0] // 2, pixels.shape[1] // 2])
            found.append((frame.pts * frame.time_base, middle))
            if len(found) == count:
                break
    return found


def near(colour: tuple[int, ...], wanted: tuple[int, ...], *, within: int = 3) -> bool:
    return max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) <= within


@pytest.mark.parametrize("suffix", FORMATS)
def test_frames_have_their_own_times_and_repeat(suffix: str, tmp_path: Path, cache: ContentCache) -> None:
    footage = footage_of(moving(tmp_path / f"m.{suffix}"), cache)
    assert (footage.width_px, footage.height_px) == SIZE_PX
    assert footage.duration == WHOLE
    assert footage.loops_until is not None
    assert footage.loops_until >= 600
    frames = shown(footage, 7)
    starts = [Fraction(0), Fraction(1, 10), Fraction(13, 100)]
    assert [at for at, _ in frames] == [*starts, *(at + WHOLE for at in starts), 2 * WHOLE]
    assert all(near(seen, COLOURS[number % 3]) for number, (_, seen) in enumerate(frames))
    assert footage.path.stat().st_size < 300_000


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_part_of_a_moving_picture_repeats_alone(suffix: str, tmp_path: Path, cache: ContentCache) -> None:
    footage = footage_of(moving(tmp_path / f"m.{suffix}"), cache, start=0.11, end=0.33)
    assert footage.duration == Fraction(22, 100)
    frames = shown(footage, 3)
    assert [at for at, _ in frames] == [0, Fraction(2, 100), Fraction(22, 100)]
    assert [near(seen, wanted) for (_, seen), wanted in zip(frames, [GREEN, BLUE, GREEN], strict=True)] == [
        True
    ] * 3


def test_a_frame_without_a_time_lasts_a_tenth_of_a_second_as_in_browsers(
    tmp_path: Path, cache: ContentCache
) -> None:
    footage = footage_of(moving(tmp_path / "m.gif", times=[0, 10, 20]), cache)
    assert [at for at, _ in shown(footage, 4)] == [0, Fraction(1, 10), Fraction(2, 10), Fraction(22, 100)]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_transparency_is_laid_over_black(suffix: str, tmp_path: Path, cache: ContentCache) -> None:
    first, second = Image.new("RGBA", SIZE_PX), Image.new("RGBA", SIZE_PX)
    first.paste((*RED, 255), (0, 0, 64, 20))
    second.paste((*GREEN, 255), (0, 20, 64, 36))
    options = {"lossless": True} if suffix == "webp" else {"disposal": 2 if suffix == "gif" else 1}
    path = tmp_path / f"m.{suffix}"
    first.save(path, save_all=True, append_images=[second], duration=100, **options)
    seen = [colour for _, colour in shown(footage_of(path, cache), 2)]
    assert near(seen[0], RED)
    assert near(seen[1], (0, 0, 0))


def test_a_part_that_changes_alone_is_laid_over_what_was_shown(tmp_path: Path, cache: ContentCache) -> None:
    first = Image.new("RGB", SIZE_PX, RED)
    second = first.copy()
    second.paste(BLUE, (0, 0, 8, 8))
    footage = footage_of(moving(tmp_path / "m.gif", [first, second], [100, 100]), cache)
    assert [near(seen, RED) for _, seen in shown(footage, 2)] == [True, True]


def test_a_default_picture_that_is_not_part_of_the_animation_is_left_out(
    tmp_path: Path, cache: ContentCache
) -> None:
    path = tmp_path / "m.png"
    first, *rest = [Image.new("RGB", SIZE_PX, colour) for colour in COLOURS]
    first.save(path, save_all=True, append_images=rest, duration=[100, 200], default_image=True)
    footage = footage_of(path, cache)
    assert footage.duration == Fraction(3, 10)
    assert near(shown(footage, 1)[0][1], GREEN)


def test_a_colour_profile_is_applied_to_every_frame(tmp_path: Path, cache: ContentCache) -> None:
    profile = matrix_profile(1 / 2.2, P3_CHROMATICITY)
    assert profile is not None
    frames = [Image.new("RGB", SIZE_PX, colour) for colour in ((200, 60, 60), (60, 200, 60))]
    path = tmp_path / "m.webp"
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=100, lossless=True, icc_profile=profile
    )
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    for (_, seen), frame in zip(shown(footage_of(path, cache), 2), frames, strict=True):
        wanted = ImageCms.profileToProfile(frame, source, ImageCms.createProfile("sRGB"))
        assert wanted is not None
        pixel = wanted.getpixel((0, 0))
        assert isinstance(pixel, tuple)
        assert near(seen, pixel, within=1)
        assert not near(seen, tuple(np.asarray(frame)[0, 0].tolist()), within=5)


def test_a_large_moving_picture_is_made_smaller(tmp_path: Path, cache: ContentCache) -> None:
    path = moving(tmp_path / "m.gif", [Image.new("RGB", (400, 200), colour) for colour in COLOURS])
    small = MovingLimits(max_frames=9, max_megapixels=9, max_moving_megapixels=9, max_side_px=100)
    footage = footage_of(path, cache, limits=small)
    assert (footage.width_px, footage.height_px) == (100, 50)


def test_a_clip_from_the_cache_is_the_same_and_a_damaged_one_is_made_again(
    tmp_path: Path, cache: ContentCache
) -> None:
    path = moving(tmp_path / "m.webp")
    first = footage_of(path, cache)
    written = first.path.stat().st_mtime_ns
    assert footage_of(path, cache) == first
    assert first.path.stat().st_mtime_ns == written
    first.path.write_bytes(first.path.read_bytes()[:-100])
    assert footage_of(path, cache) == first


def test_a_start_past_the_end_is_refused(tmp_path: Path, cache: ContentCache) -> None:
    said = refusal(moving(tmp_path / "m.gif"), cache, start=0.5)
    assert "start 0.5 s is past its end; allowed: at least 0, less than 0.50 s" in said


def gif_of(count: int) -> bytes:
    """Return a GIF of `count` frames of one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x21\xf9\x04\0\x02\0\0\0" + b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + frame * count + b";"


def test_a_moving_picture_of_100_000_frames_is_refused(tmp_path: Path, cache: ContentCache) -> None:
    path = tmp_path / "m.gif"
    path.write_bytes(gif_of(100_000))
    began = time.process_time()
    assert "has 100000 frames; allowed: at most 100 (images.max_frames)" in refusal(path, cache)
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (
            MovingLimits(max_frames=9, max_megapixels=1e-3, max_moving_megapixels=9, max_side_px=99),
            "allowed: at most 0.001 (images.max_megapixels)",
        ),
        (
            MovingLimits(max_frames=9, max_megapixels=9, max_moving_megapixels=0.005, max_side_px=99),
            "3 frames of 64 x 36 are 0 megapixels; allowed: at most 0.005 (images.max_moving_megapixels)",
        ),
        (
            MovingLimits(max_frames=2, max_megapixels=9, max_moving_megapixels=9, max_side_px=99),
            "has 3 frames; allowed: at most 2 (images.max_frames)",
        ),
    ],
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_the_limits_are_settings(
    suffix: str, limits: MovingLimits, reason: str, tmp_path: Path, cache: ContentCache
) -> None:
    assert reason in refusal(moving(tmp_path / f"m.{suffix}"), cache, limits=limits)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_truncated_moving_picture_is_refused_and_nothing_is_kept(
    suffix: str, tmp_path: Path, cache: ContentCache
) -> None:
    rng = np.random.default_rng(5)
    noise = [Image.fromarray(rng.integers(0, 256, (36, 64, 3), np.uint8)) for _ in range(3)]
    path = moving(tmp_path / f"m.{suffix}", noise)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    assert "cannot be" in refusal(path, cache)
    assert not [*cache.folder.rglob("*.mov")]


def limited(colour: tuple[int, int, int]) -> tuple[int, ...]:
    return tuple(round(value) for value in bt709(*colour))


@pytest.mark.parametrize("fps", [30, Fraction(30000, 1001)], ids=str)
@pytest.mark.parametrize("span", [(0, 45), (20, 75), (3000, 3040)], ids=str)
def test_every_range_of_a_long_scene_shows_the_frame_of_its_moment(
    span: tuple[int, int], fps: Fraction | int, tmp_path: Path, cache: ContentCache
) -> None:
    footage = footage_of(moving(tmp_path / "m.webp"), cache)
    footage = replace(footage, duration=Fraction(200))
    clip = clip_of(footage, 0, 6000)
    compositor = compositor_of(timeline_of([clip], fps=fps, size_px=SIZE_PX))
    starts = [Fraction(0), Fraction(1, 10), Fraction(13, 100)]
    for number, frame in zip(range(*span), draw(compositor, *span), strict=True):
        at = number / Fraction(fps) % WHOLE
        near_edge = any(abs(at - start) <= Fraction(501, 1000) / fps for start in (*starts, WHOLE))
        colour = COLOURS[max(index for index, start in enumerate(starts) if start <= at)]
        assert near_edge or near(middle_colour(frame), limited(colour), within=4), number


def test_a_scene_repeats_its_moving_picture_and_the_manifest_names_it(tmp_path: Path) -> None:
    moving(tmp_path / "wave.webp")
    story = {
        "id": "wave",
        "title": "Wave",
        "scenes": [{"scene_id": "a", "video": "wave.webp", "duration": 2, "effects": [], "fit": "cover"}],
    }
    config = load_config(
        {"video": {"size": [180, 320], "fps": 30, "preset": "ultrafast"}, "tts": {"service": "none"}}
    )
    result = render_story(story, tmp_path / "out.mp4", config=config, base=tmp_path)
    frames = decode(result.outputs.video, (180, 320))
    assert len(frames) == 60
    for number in (1, 16, 31, 46):
        assert near(middle_colour(frames[number]), limited(RED), within=8)
        assert near(middle_colour(frames[number + 8]), limited(BLUE), within=8)
    manifest = json.loads(result.outputs.manifest.read_text())
    assert ("footage", "wave.webp") in [(each["role"], each["name"]) for each in manifest["inputs"]]
