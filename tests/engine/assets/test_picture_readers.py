"""Pictures in AVIF, HEIC, TIFF, BMP and GIF, written by real encoders: upright, opaque and in sRGB, as still and watermark."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.support.without_packages import run_without
from video_pipeline.engine.assets.cicp import read_nclx
from video_pipeline.engine.assets.srgb import matrix_profile
from video_pipeline.engine.assets.stills import ORIENTATION_TAG, animation_warning, prepare_still
from video_pipeline.engine.assets.watermark import prepare_watermark
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config.sections import WatermarkSettings
from video_pipeline.engine.errors import ConfigError, ImageGenerationError
from video_pipeline.engine.timeline import Still

pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
pillow_heif.register_heif_opener(thumbnails=False)

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
P3_CHROMATICITY = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
SIZE_PX = (64, 48)

FORMATS: dict[str, dict[str, Any]] = {
    "avif": {"quality": 100, "subsampling": "4:4:4"},
    "heic": {"quality": 100, "chroma": 444},
    "tiff": {"compression": "tiff_lzw"},
    "bmp": {},
    "gif": {},
}
"""Suffixes with the options for their encoders."""


@pytest.fixture
def cache(tmp_path: Path) -> ContentCache:
    return ContentCache(tmp_path / "cache")


def corners() -> Image.Image:
    """Return a picture whose four quarters differ."""
    image = Image.new("RGB", SIZE_PX)
    for index, shade in enumerate((RED, GREEN, BLUE, WHITE)):
        left, top = (index % 2) * 32, (index // 2) * 24
        image.paste(shade, (left, top, left + 32, top + 24))
    return image


def written(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, "HEIF" if path.suffix == ".heic" else None, **{**FORMATS[path.suffix[1:]], **options})
    return path


def prepared(path: Path, cache: ContentCache, *, max_megapixels: float = 10) -> Still:
    return prepare_still(path, cache=cache, max_megapixels=max_megapixels, max_side_px=4096)


def pixels(path: Path) -> npt.NDArray[np.int_]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def middle(path: Path, cache: ContentCache) -> tuple[int, ...]:
    found = pixels(prepared(path, cache).path)
    return tuple(int(value) for value in found[found.shape[0] // 2 - 4, found.shape[1] // 2 - 4])


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_shows_what_was_written(suffix: str, tmp_path: Path, cache: ContentCache) -> None:
    still = prepared(written(corners(), tmp_path / f"p.{suffix}"), cache)
    assert (still.width_px, still.height_px) == SIZE_PX
    assert still.demuxer == "png_pipe"
    assert still.is_copy
    difference = np.abs(pixels(still.path) - np.asarray(corners()).astype(int))
    assert difference.max() <= (8 if suffix in ("avif", "heic") else 0)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_a_watermark(suffix: str, tmp_path: Path, cache: ContentCache) -> None:
    mark = prepare_watermark(
        WatermarkSettings(image=written(corners(), tmp_path / f"p.{suffix}"), width=0.5),
        frame_px=(128, 200),
        cache=cache,
        max_megapixels=9,
    )
    assert mark is not None
    assert np.abs(pixels(mark.path)[8, 8] - RED).max() <= 8


@pytest.mark.parametrize("suffix", ["avif", "heic", "tiff"])
def test_transparency_is_black_in_a_still_and_kept_in_a_watermark(
    suffix: str, tmp_path: Path, cache: ContentCache
) -> None:
    image = Image.new("RGBA", SIZE_PX)
    image.paste((*WHITE, 255), (0, 0, 32, 48))
    path = written(image, tmp_path / f"p.{suffix}")
    seen = pixels(prepared(path, cache).path)
    assert seen[20, 10].min() >= 250
    assert seen[20, 50].max() <= 5
    settings = WatermarkSettings(image=path, width=0.5)
    mark = prepare_watermark(settings, frame_px=(128, 200), cache=cache, max_megapixels=9)
    assert mark is not None
    with Image.open(mark.path) as kept:
        assert kept.getpixel((50, 20)) == pytest.approx((0, 0, 0, 0), abs=5)


@pytest.mark.parametrize("suffix", ["avif", "heic", "tiff"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_picture_comes_out_upright_once(
    suffix: str, orientation: int, tmp_path: Path, cache: ContentCache
) -> None:
    turn = {
        3: Image.Transpose.ROTATE_180,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    if suffix == "tiff":
        options: dict[str, Any] = {"tiffinfo": {ORIENTATION_TAG: orientation}}
    else:
        options = {"exif": exif.tobytes()}  # both encoders turn it into irot
    path = written(corners().transpose(turn), tmp_path / f"p.{suffix}", **options)
    assert suffix == "tiff" or b"irot" in path.read_bytes()
    still = prepared(path, cache)
    assert (still.width_px, still.height_px) == SIZE_PX
    assert np.abs(pixels(still.path) - np.asarray(corners()).astype(int)).max() <= 8


def test_a_heif_of_a_codec_that_is_not_there_is_refused(tmp_path: Path, cache: ContentCache) -> None:
    content = written(corners(), tmp_path / "p.avif").read_bytes()
    path = tmp_path / "p.heic"  # AV1, for which pillow_heif's libheif has no decoder
    path.write_bytes(content[:8] + b"heic" + content[12:])
    with pytest.raises(ImageGenerationError, match=r"p\.heic: cannot be decoded: .*AV1"):
        prepared(path, cache)
    with pytest.raises(ConfigError, match=r"p\.heic: cannot be decoded: .*AV1"):
        prepare_watermark(WatermarkSettings(image=path), frame_px=(180, 320), cache=cache, max_megapixels=10)


def test_exif_alone_does_not_turn_heic(tmp_path: Path, cache: ContentCache) -> None:
    """ISO 23008-12 (A.2.1): the orientation in EXIF is for information, irot and imir count."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    path = written(corners(), tmp_path / "p.heic", exif=exif)
    assert b"irot" not in path.read_bytes()
    still = prepared(path, cache)
    assert (still.width_px, still.height_px) == SIZE_PX


@pytest.mark.parametrize("suffix", ["avif", "heic", "tiff"])
def test_a_colour_profile_is_applied(suffix: str, tmp_path: Path, cache: ContentCache) -> None:
    profile = matrix_profile(1 / 2.2, P3_CHROMATICITY)
    path = written(Image.new("RGB", SIZE_PX, (180, 90, 70)), tmp_path / f"p.{suffix}", icc_profile=profile)
    plain = Image.new("RGB", SIZE_PX, (180, 90, 70))
    plain.save(tmp_path / "p.png", icc_profile=profile)
    wanted = middle(tmp_path / "p.png", cache)
    assert middle(path, cache) == pytest.approx(wanted, abs=4)
    assert wanted[0] > 190


def hdr_avif(path: Path, colour: tuple[int, int, int], trc: str) -> Path:
    """Write a colour of BT.2020 with a transfer as AVIF of 10 bits."""
    tags = f"setparams=color_primaries=bt2020:color_trc={trc}:colorspace=bt2020nc:range=pc"
    steps = f"format=gbrp10,zscale=matrix=2020_ncl:range=full,format=yuv444p10,{tags}"
    source = "color=0x{:02x}{:02x}{:02x}:s=64x48".format(*colour)
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source, "-frames:v", "1"]
    argv += ["-vf", steps, "-c:v", "libaom-av1", "-crf", "4", "-still-picture", "1", path]
    subprocess.run([str(part) for part in argv], check=True, timeout=60)
    return path


def hdr_heic(path: Path, colour: tuple[int, int, int], trc: str) -> Path:
    heif = pillow_heif.from_pillow(Image.new("RGB", SIZE_PX, colour))
    heif.save(
        path,
        quality=100,
        chroma=444,
        color_primaries=9,
        transfer_characteristics={"smpte2084": 16, "arib-std-b67": 18}[trc],
        matrix_coefficients=9,
        full_range_flag=1,
    )
    return path


@pytest.mark.parametrize(("trc", "white"), [("smpte2084", 148), ("arib-std-b67", 191)])
@pytest.mark.parametrize("suffix", ["avif", "heic"])
def test_hdr_shows_its_diffuse_white_as_white_and_its_colours_as_a_png_does(
    suffix: str, trc: str, white: int, tmp_path: Path, cache: ContentCache
) -> None:
    write = hdr_avif if suffix == "avif" else hdr_heic
    bright = write(tmp_path / f"white.{suffix}", (white,) * 3, trc)
    assert middle(bright, cache) == pytest.approx(WHITE, abs=4)
    colour = (120, 90, 60)
    png = tmp_path / "p.png"
    Image.new("RGB", SIZE_PX, colour).save(png)
    number = {"smpte2084": 16, "arib-std-b67": 18}[trc]
    png.write_bytes(with_cicp(png.read_bytes(), bytes([9, number, 0, 1])))
    wanted = middle(png, cache)
    assert middle(write(tmp_path / f"p.{suffix}", colour, trc), cache) == pytest.approx(wanted, abs=8)
    assert max(abs(a - b) for a, b in zip(wanted, colour, strict=True)) > 15


def with_cicp(png: bytes, numbers: bytes) -> bytes:
    """Return a PNG with a chunk cICP after IHDR. Pillow does not check its checksum."""
    return png[:33] + len(numbers).to_bytes(4, "big") + b"cICP" + numbers + crc(b"cICP" + numbers) + png[33:]


def crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


@pytest.mark.parametrize("suffix", ["avif", "heic"])
def test_damaged_boxes_have_no_colours_and_do_no_harm(suffix: str, tmp_path: Path) -> None:
    write = hdr_avif if suffix == "avif" else hdr_heic
    whole = write(tmp_path / f"p.{suffix}", (99, 99, 99), "smpte2084").read_bytes()
    rng = np.random.default_rng(4)
    path = tmp_path / "damaged"
    found = set()
    for _ in range(300):
        data = bytearray(whole[: rng.integers(8, len(whole))])
        for at in rng.integers(0, min(len(data), 600), 3):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data)
        with path.open("rb") as stream:
            colours = read_nclx(stream)
            found.add(colours is None)
            assert stream.tell() == 0
    assert found == {True, False}


@pytest.mark.parametrize(
    ("mode", "value", "wanted"),
    [
        ("I;16", 0x8040, (128,) * 3),
        ("I;16B", 0x8040, (128,) * 3),
        ("F", 0.5, (127,) * 3),
        ("F", 32768.0, (128,) * 3),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("LAB", (255, 128, 128), WHITE),
        ("1", 255, WHITE),
        ("P", 0, (0, 0, 0)),
    ],
)
def test_a_tiff_of_every_mode(
    mode: str, value: Any, wanted: tuple[int, ...], tmp_path: Path, cache: ContentCache
) -> None:
    path = tmp_path / "p.tiff"
    Image.new(mode, SIZE_PX, value).save(path)
    assert middle(path, cache) == pytest.approx(wanted, abs=1)


def test_rgb_of_16_bits_in_tiff(tmp_path: Path, cache: ContentCache) -> None:
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "color=0xc86432:s=64x48"]
    argv += ["-frames:v", "1", "-vf", "format=gbrp,format=rgb48le", str(tmp_path / "p.tiff")]
    subprocess.run(argv, check=True, timeout=60)
    assert middle(tmp_path / "p.tiff", cache) == pytest.approx((200, 100, 50), abs=2)


def test_of_several_pages_the_first_is_shown_with_a_warning(tmp_path: Path, cache: ContentCache) -> None:
    path = tmp_path / "p.tiff"
    pages = [Image.new("RGB", SIZE_PX, shade) for shade in (RED, GREEN, BLUE)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert middle(path, cache) == RED
    assert animation_warning(path, prepared(path, cache)) == f"{path}: has 3 pages; only the first is shown"


@pytest.mark.parametrize("suffix", ["gif", "avif"])
def test_a_moving_picture_as_a_still_shows_its_first_frame(
    suffix: str, tmp_path: Path, cache: ContentCache
) -> None:
    frames = [Image.new("RGB", SIZE_PX, shade) for shade in (RED, GREEN)]
    path = written(frames[0], tmp_path / f"p.{suffix}", save_all=True, append_images=frames[1:])
    assert middle(path, cache) == pytest.approx(RED, abs=4)
    warning = animation_warning(path, prepared(path, cache))
    assert warning is not None
    assert "is animated (2 pictures); only the first is shown" in warning


@pytest.mark.parametrize("part", [0.02, 0.4, 0.97])
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_truncated_picture_is_refused(
    suffix: str, part: float, tmp_path: Path, cache: ContentCache
) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (96, 128, 3), np.uint8))
    path = written(noise, tmp_path / f"p.{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ImageGenerationError, match=r"cannot be (read|decoded)"):
        prepared(path, cache)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_size_is_bounded_by_the_header(suffix: str, tmp_path: Path, cache: ContentCache) -> None:
    path = written(Image.new("L" if suffix != "heic" else "RGB", (1200, 1000)), tmp_path / f"p.{suffix}")
    with pytest.raises(
        ImageGenerationError, match=r"1 megapixels; allowed: at most 0.5 \(images.max_megapixels\)"
    ):
        prepared(path, cache, max_megapixels=0.5)


def test_without_the_extra_the_error_names_it(tmp_path: Path) -> None:
    path = written(corners(), tmp_path / "p.heic")
    program = (
        "from pathlib import Path\n"
        "from video_pipeline.engine.assets.stills import prepare_still\n"
        "from video_pipeline.engine.common.cache import ContentCache\n"
        f"prepare_still(Path({str(path)!r}), cache=ContentCache(Path('c')), max_megapixels=9, max_side_px=99)\n"
    )
    done = run_without(("pillow_heif",), tmp_path, "-c", program)
    assert done.returncode == 1
    assert (
        "is HEIC, which needs the extra `heic` (pip install 'video-pipeline[heic]'), which is not installed"
        in done.stderr
    )
