"""Stills: any JPEG, PNG or WebP becomes upright, opaque RGB pixels; other files are rejected with a reason."""

from __future__ import annotations

import base64
import random
import resource
import struct
import subprocess
import time
import tracemalloc
import warnings
import zlib
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from video_pipeline.engine.assets.stills import ORIENTATION_TAG, prepare_still
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.errors import ImageGenerationError
from video_pipeline.engine.timeline import Still

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
Pixels = npt.NDArray[np.uint8]

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture
def cache(tmp_path: Path) -> ContentCache:
    return ContentCache(tmp_path / "cache")


def prepared(
    path: Path, cache: ContentCache, *, max_megapixels: float = 200, max_side_px: int = 4096
) -> Still:
    return prepare_still(path, cache=cache, max_megapixels=max_megapixels, max_side_px=max_side_px)


def refusal(path: Path, cache: ContentCache) -> str:
    with pytest.raises(ImageGenerationError) as caught:
        prepared(path, cache)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def seen_by_ffmpeg(still: Still) -> Pixels:
    """Return a still's pixels as the engine's ffmpeg reads them, (height, width, 3)."""
    argv = [FFMPEG, "-nostdin", "-v", "error", "-f", still.demuxer, "-i", str(still.path)]
    argv += ["-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    raw = subprocess.run(argv, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(still.height_px, still.width_px, 3)


def colour(still: Still) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in seen_by_ffmpeg(still)[0, 0])
    return red, green, blue


def corners(width: int = 64, height: int = 48) -> Image.Image:
    """Return a picture whose four quarters differ, so that its orientation is visible."""
    image = Image.new("RGB", (width, height))
    for index, shade in enumerate((RED, GREEN, BLUE, WHITE)):
        left, top = (index % 2) * width // 2, (index // 2) * height // 2
        image.paste(shade, (left, top, left + width // 2, top + height // 2))
    return image


TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,  # stored turned left, to be shown turned right
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_every_exif_orientation_comes_out_upright(
    tmp_path: Path, cache: ContentCache, suffix: str, orientation: int
) -> None:
    method = TURNED[orientation]
    stored = corners() if method is None else corners().transpose(method)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    options = {".jpg": {"quality": 95, "subsampling": 0}, ".webp": {"lossless": True}}.get(suffix, {})
    path = tmp_path / f"turned{suffix}"
    stored.save(path, exif=exif, **options)
    still = prepared(path, cache)
    assert (still.width_px, still.height_px) == (64, 48)
    pixels = seen_by_ffmpeg(still).astype(int)
    for (y, x), shade in zip(
        ((10, 10), (10, 54), (38, 10), (38, 54)), (RED, GREEN, BLUE, WHITE), strict=True
    ):
        assert np.abs(pixels[y, x] - shade).max() <= 8


def test_a_plain_picture_is_used_unchanged(tmp_path: Path, cache: ContentCache) -> None:
    for suffix, demuxer in ((".jpg", "jpeg_pipe"), (".png", "png_pipe"), (".webp", "webp_pipe")):
        path = tmp_path / f"plain{suffix}"
        corners().save(path)
        still = prepared(path, cache)
        assert (still.path, still.demuxer) == (path.resolve(), demuxer)
        assert seen_by_ffmpeg(still).shape == (48, 64, 3)
    assert not (cache.folder / "stills").exists()


def test_the_format_is_detected_from_the_bytes_and_not_the_name(tmp_path: Path, cache: ContentCache) -> None:
    path = tmp_path / "really-a-jpeg.png"
    corners().save(path, "JPEG")
    still = prepared(path, cache)
    assert still.demuxer == "jpeg_pipe"
    assert seen_by_ffmpeg(still).shape == (48, 64, 3)


def png(width: int, height: int, depth: int, kind: int, row: bytes, *, extra: bytes = b"") -> bytes:
    """Return a PNG of equal rows (PNG specification, second edition, section 11)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = zlib.compress((b"\0" + row) * height) if row else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_transparency_is_laid_over_black(tmp_path: Path, cache: ContentCache) -> None:
    made = {
        "rgba.png": Image.new("RGBA", (8, 8), (200, 100, 50, 128)),
        "la.png": Image.new("LA", (8, 8), (200, 128)),
        "clear.webp": Image.new("RGBA", (8, 8), (200, 100, 50, 0)),
    }
    found = {}
    for name, image in made.items():
        image.save(tmp_path / name, **({"lossless": True, "exact": True} if name.endswith("webp") else {}))
        found[name] = colour(prepared(tmp_path / name, cache))
    assert found == {"rgba.png": (100, 50, 25), "la.png": (100, 100, 100), "clear.webp": (0, 0, 0)}


def test_a_palette_and_its_transparent_colour(tmp_path: Path, cache: ContentCache) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 200, 30, *[0] * 750])
    image.save(tmp_path / "palette.png")
    image.save(tmp_path / "clear.png", transparency=1)
    assert colour(prepared(tmp_path / "palette.png", cache)) == (10, 200, 30)
    assert colour(prepared(tmp_path / "clear.png", cache)) == (0, 0, 0)


def test_grey_and_two_tone_pictures(tmp_path: Path, cache: ContentCache) -> None:
    Image.new("L", (8, 8), 77).save(tmp_path / "grey.jpg")
    Image.new("L", (8, 8), 77).save(tmp_path / "grey.png")
    Image.new("1", (8, 8), 1).save(tmp_path / "bits.png")
    assert colour(prepared(tmp_path / "grey.jpg", cache)) == (77, 77, 77)
    assert colour(prepared(tmp_path / "grey.png", cache)) == (77, 77, 77)
    assert colour(prepared(tmp_path / "bits.png", cache)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (0, (0xC000,), (192, 192, 192)),
        (2, (0x8000, 0x4000, 0xFF00), (128, 64, 255)),
        (4, (0xC000, 0x8080), (96, 96, 96)),
        (6, (0x8000, 0x4000, 0xFE00, 0x8080), (64, 32, 127)),
    ],
    ids=["grey", "rgb", "grey+alpha", "rgba"],
)
def test_sixteen_bits_a_channel(
    tmp_path: Path, cache: ContentCache, kind: int, values: tuple[int, ...], expected: tuple[int, int, int]
) -> None:
    path = tmp_path / "deep.png"
    path.write_bytes(png(6, 4, 16, kind, struct.pack(f">{len(values)}H", *values) * 6))
    assert np.abs(np.subtract(colour(prepared(path, cache)), expected)).max() <= 1


def test_sixteen_bit_grey_keeps_its_whole_range(tmp_path: Path, cache: ContentCache) -> None:
    ramp = np.linspace(0, 65535, 1024).astype(np.uint16).reshape(4, 256)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    pixels = seen_by_ffmpeg(prepared(tmp_path / "ramp.png", cache))
    assert np.array_equal(pixels[..., 0], (ramp >> 8).astype(np.uint8))


def test_cmyk_comes_out_as_the_colours_that_were_meant(tmp_path: Path, cache: ContentCache) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    assert np.abs(np.subtract(colour(prepared(tmp_path / "red.jpg", cache)), RED)).max() <= 4


def test_the_first_picture_of_an_animation_is_shown(tmp_path: Path, cache: ContentCache) -> None:
    frames = [Image.new("RGB", (8, 8), shade) for shade in ("red", "blue")]
    saves = {
        "moving.webp": {"lossless": True, "duration": 50},
        "moving.png": {"duration": 50},
        "two-in-one.jpg": {"format": "MPO", "quality": 95},
    }
    for name, options in saves.items():
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
        still = prepared(tmp_path / name, cache)
        assert still.demuxer == "png_pipe"
        assert np.abs(np.subtract(colour(still), RED)).max() <= 2


def swapped_profile() -> bytes:
    """Return the sRGB profile with red and blue exchanged, under another name."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    at = {bytes(profile[132 + 12 * n : 136 + 12 * n]): 132 + 12 * n for n in range(count)}
    red, blue = at[b"rXYZ"], at[b"bXYZ"]
    profile[red + 4 : red + 12], profile[blue + 4 : blue + 12] = (
        profile[blue + 4 : blue + 12],
        profile[red + 4 : red + 12],
    )
    return (
        bytes(profile)
        .replace(b"sRGB", b"odd ")
        .replace("sRGB".encode("utf-16-be"), "odd ".encode("utf-16-be"))
    )


def test_a_colour_profile_is_honoured_and_a_broken_one_left_aside(
    tmp_path: Path, cache: ContentCache
) -> None:
    picture = Image.new("RGB", (8, 8), (230, 20, 20))
    picture.save(tmp_path / "swapped.png", icc_profile=swapped_profile())
    red, green, blue = colour(prepared(tmp_path / "swapped.png", cache))
    assert blue > 220
    assert max(red, green) < 60
    picture.save(tmp_path / "broken.png", icc_profile=b"not a profile at all" * 10)
    assert colour(prepared(tmp_path / "broken.png", cache)) == (230, 20, 20)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save(tmp_path / "srgb.png", icc_profile=srgb)
    assert prepared(tmp_path / "srgb.png", cache).path == (tmp_path / "srgb.png").resolve()


def test_the_smallest_and_the_longest_picture(tmp_path: Path, cache: ContentCache) -> None:
    Image.new("RGB", (1, 1), "red").save(tmp_path / "dot.png")
    dot = prepared(tmp_path / "dot.png", cache)
    assert (dot.width_px, dot.height_px, colour(dot)) == (1, 1, RED)
    Image.new("RGB", (20_000, 200), "red").save(tmp_path / "long.jpg", quality=95)
    long = prepared(tmp_path / "long.jpg", cache)
    assert (long.width_px, long.height_px) == (4096, 41)
    assert np.abs(np.subtract(colour(long), RED)).max() <= 2
    Image.new("RGB", (30_000, 1), "red").save(tmp_path / "line.png")
    assert prepared(tmp_path / "line.png", cache).height_px == 1


def test_a_large_picture_is_made_smaller_without_changing_its_look(
    tmp_path: Path, cache: ContentCache
) -> None:
    corners(1000, 750).save(tmp_path / "large.jpg", quality=95, subsampling=0)
    still = prepared(tmp_path / "large.jpg", cache, max_side_px=100)
    assert (still.width_px, still.height_px) == (100, 75)
    pixels = seen_by_ffmpeg(still).astype(int)
    for (y, x), shade in zip(
        ((18, 25), (18, 75), (56, 25), (56, 75)), (RED, GREEN, BLUE, WHITE), strict=True
    ):
        assert np.abs(pixels[y, x] - shade).max() <= 8


def test_a_prepared_still_comes_from_the_cache_the_second_time(tmp_path: Path, cache: ContentCache) -> None:
    Image.new("RGBA", (8, 8), (200, 100, 50, 128)).save(tmp_path / "a.png")
    one = prepared(tmp_path / "a.png", cache)
    stamp = one.path.stat().st_mtime_ns
    assert prepared(tmp_path / "a.png", cache) == one
    assert one.path.stat().st_mtime_ns == stamp
    assert one.path.is_relative_to(cache.folder)


def test_a_prepared_still_that_is_damaged_in_the_cache_is_made_again(
    tmp_path: Path, cache: ContentCache
) -> None:
    Image.effect_noise((40, 30), 60).save(tmp_path / "a.png")
    one = prepared(tmp_path / "a.png", cache)
    whole = one.path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (whole[: len(whole) // 2], bytes(flipped), b"words"):
        one.path.write_bytes(damaged)
        assert prepared(tmp_path / "a.png", cache) == one
        assert one.path.read_bytes() == whole


def test_a_file_that_is_not_a_picture_is_refused_with_the_reason(tmp_path: Path, cache: ContentCache) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("not a picture")
    Image.new("RGB", (8, 8)).save(tmp_path / "icon.png", "ICO")
    (tmp_path / "page.png").write_text("<html><svg xmlns='http://www.w3.org/2000/svg'/></html>")
    assert "is empty (0 bytes)" in refusal(tmp_path / "empty.png", cache)
    assert "is not a picture; allowed: JPEG, PNG, WebP" in refusal(tmp_path / "text.png", cache)
    assert "is not a picture" in refusal(tmp_path / "icon.png", cache)
    assert "is not a picture" in refusal(tmp_path / "page.png", cache)
    assert "does not exist" in refusal(tmp_path / "gone.png", cache)
    assert "is a folder; give a file" in refusal(tmp_path, cache)


@pytest.mark.parametrize("part", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_truncated_picture_is_refused(
    tmp_path: Path, cache: ContentCache, suffix: str, part: float
) -> None:
    path = tmp_path / f"noise{suffix}"
    Image.effect_noise((200, 200), 60).convert("RGB").save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    assert "cannot be" in refusal(path, cache)
    assert not list(cache.folder.rglob("*.png"))


def test_a_picture_of_900_megapixels_is_refused_from_its_header(tmp_path: Path, cache: ContentCache) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(30_000, 30_000, 8, 2, b""))
    refusal(path, cache)  # load modules before measuring
    peak_before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    started = time.process_time()
    message = refusal(path, cache)
    seconds = time.process_time() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "30000 x 30000 is 900 megapixels; allowed: at most 200 (images.max_megapixels)" in message
    assert seconds < 0.5
    assert peak < 2_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_before_kib < 20_000


def test_the_limit_is_a_setting(tmp_path: Path, cache: ContentCache) -> None:
    Image.new("RGB", (1000, 1000)).save(tmp_path / "a.png")
    assert prepared(tmp_path / "a.png", cache, max_megapixels=1).width_px == 1000
    with pytest.raises(ImageGenerationError, match=r"1000 x 1000 is 1 megapixels; allowed: at most 0\.99"):
        prepared(tmp_path / "a.png", cache, max_megapixels=0.99)


def test_damaged_pictures_are_read_or_refused_and_nothing_else(tmp_path: Path, cache: ContentCache) -> None:
    seed = 20_260_101
    print("seed", seed)
    chance = random.Random(seed)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    noise = Image.effect_noise((24, 24), 60)
    noise.convert("RGBA").save(tmp_path / "a.png")
    noise.convert("RGB").save(tmp_path / "a.jpg", exif=exif)
    noise.convert("RGB").save(tmp_path / "a.webp", lossless=True)
    refused = 0
    for turn in range(450):
        source = tmp_path / ("a.png", "a.jpg", "a.webp")[turn % 3]
        data = bytearray(source.read_bytes())
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(min(len(data), 300) if turn % 2 else len(data))] = chance.randrange(256)
        damaged = tmp_path / f"damaged{source.suffix}"
        damaged.write_bytes(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                still = prepared(damaged, cache, max_megapixels=10)
        except ImageGenerationError:
            refused += 1
        else:
            assert still.width_px >= 1
    assert 0 < refused < 450


def with_figure(mode: str = "RGB", size: tuple[int, int] = (640, 360)) -> Image.Image:
    """Return a plain ground with a bright figure at 0.8 of its width and 0.3 of its height."""
    image = Image.new("RGB", size, (60, 80, 70))
    x, y = size[0] * 8 // 10, size[1] * 3 // 10
    image.paste((240, 220, 60), (x - 30, y - 30, x + 30, y + 30))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if mode == "RGBA":
        image.putalpha(255)
    return image.convert(mode)


ARITHMETIC_JPEG = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6j"
    "q62rZ4C8ybqmx5moq6T/yQALCACQAQABAREA/8wABgAQEAX/2gAIAQEAAD8A/wA//udfg/CrQ8n9VI15v7GgHRFrRP/Z"
)
"""A JPEG of 256 x 144 with arithmetic coding, by cjpeg: Pillow decodes it, FFmpeg does not."""


def test_a_jpeg_that_only_pillow_decodes_keeps_its_size(tmp_path: Path, cache: ContentCache) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(base64.b64decode(ARITHMETIC_JPEG))
    still = prepared(path, cache)
    assert still.is_copy
    assert seen_by_ffmpeg(still).shape == (144, 256, 3)
    assert seen_by_ffmpeg(still)[48, 208, 0] > 200
    assert subject_of(path, cache) == pytest.approx((0.8, 1 / 3), abs=0.1)


def subject_of(path: Path, cache: ContentCache) -> tuple[float, float] | None:
    still = prepare_still(path, cache=cache, max_megapixels=200, max_side_px=4096, with_subject=True)
    again = prepare_still(path, cache=cache, max_megapixels=200, max_side_px=4096, with_subject=True)
    fresh = ContentCache(cache.folder.parent / "fresh")
    new = prepare_still(path, cache=fresh, max_megapixels=200, max_side_px=4096, with_subject=True)
    assert still.subject == again.subject == new.subject
    return still.subject


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("RGB", ".jpg"),
        ("L", ".jpg"),
        ("CMYK", ".jpg"),
        ("RGB", ".png"),
        ("RGBA", ".png"),
        ("P", ".png"),
        ("L", ".png"),
        ("I;16", ".png"),
        ("RGB", ".webp"),
        ("RGBA", ".webp"),
    ],
)
def test_a_subject_is_found_in_every_kind_of_picture(
    tmp_path: Path, cache: ContentCache, mode: str, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    with_figure(mode).save(path)
    assert subject_of(path, cache) == pytest.approx((0.8, 0.3), abs=0.08)


@pytest.mark.parametrize("orientation", TURNED)
def test_a_subject_is_where_the_upright_picture_has_it(
    tmp_path: Path, cache: ContentCache, orientation: int
) -> None:
    method = TURNED[orientation]
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    path = tmp_path / "turned.jpg"
    (with_figure() if method is None else with_figure().transpose(method)).save(path, exif=exif, quality=95)
    assert subject_of(path, cache) == pytest.approx((0.8, 0.3), abs=0.08)


def test_what_is_transparent_is_no_subject(tmp_path: Path, cache: ContentCache) -> None:
    image = with_figure("RGBA")
    image.paste((255, 0, 255, 0), (0, 0, 200, 360))  # black once it is flattened, like the left edge
    image.save(tmp_path / "a.png")
    found = subject_of(tmp_path / "a.png", cache)
    assert found is not None
    assert found[0] > 0.5


def test_a_subject_is_looked_for_only_if_wanted_and_once_a_file(tmp_path: Path, cache: ContentCache) -> None:
    with_figure().save(tmp_path / "a.png")
    assert prepared(tmp_path / "a.png", cache).subject is None
    assert not (cache.folder / "subjects").exists()
    found = subject_of(tmp_path / "a.png", cache)
    (note,) = (cache.folder / "subjects").rglob("*.txt")
    note.write_text("2000 5")  # outside: a corrupt entry
    assert subject_of(tmp_path / "a.png", cache) == found
    note.write_text("250 500")
    (tmp_path / "copy.png").write_bytes((tmp_path / "a.png").read_bytes())
    still = prepare_still(
        tmp_path / "copy.png", cache=cache, max_megapixels=200, max_side_px=4096, with_subject=True
    )
    assert still.subject == (0.25, 0.5)


def test_a_picture_is_decoded_no_more_often_for_its_subject(
    tmp_path: Path, cache: ContentCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_figure().save(tmp_path / "a.png")
    opened: list[str] = []
    kept = PngImagePlugin.PngImageFile.load_prepare

    def counted(image: PngImagePlugin.PngImageFile) -> None:
        opened.append(image.mode)
        kept(image)

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load_prepare", counted)
    still = prepare_still(
        tmp_path / "a.png", cache=cache, max_megapixels=200, max_side_px=4096, with_subject=True
    )
    assert still.subject is not None
    assert opened == ["RGB"]
