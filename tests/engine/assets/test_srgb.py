"""Pictures of any profile, mode and gamma come out in sRGB."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from video_pipeline.engine.assets.cicp import read_cicp
from video_pipeline.engine.assets.srgb import SRGB_CHROMATICITY, foreign_profile, matrix_profile, to_srgb
from video_pipeline.engine.assets.stills import prepare_still
from video_pipeline.engine.assets.watermark import prepare_watermark
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config.sections import WatermarkSettings

COLOUR = (200, 100, 50)
P3_CHROMATICITY = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
P3_FROM_SRGB = [[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]]
"""Linear sRGB to linear Display P3 (both of white D65)."""

LEVELS = 2


def p3_profile(name: bytes = b"none") -> bytes:
    made = matrix_profile(1 / 2.2, P3_CHROMATICITY)
    assert made is not None
    return made.replace(b"none", name)


def linear(level: float) -> float:
    share = level / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def in_p3(colour: tuple[int, int, int] = COLOUR) -> tuple[int, int, int]:
    """Return an sRGB colour as a P3 picture of gamma 2.2 holds it."""
    red, green, blue = np.array(P3_FROM_SRGB) @ [linear(level) for level in colour]
    return tuple(round(255 * share ** (1 / 2.2)) for share in (red, green, blue))  # type: ignore[return-value]


def shown(path: Path, tmp_path: Path) -> tuple[int, ...]:
    still = prepare_still(path, cache=ContentCache(tmp_path / "cache"), max_megapixels=10, max_side_px=100)
    with Image.open(still.path) as image:
        assert image.mode == "RGB"
        return image.getpixel((4, 4))  # type: ignore[return-value]


def near(colour: tuple[int, ...]) -> Any:
    return pytest.approx(colour, abs=LEVELS)


def picture(mode: str, colour: tuple[int, int, int]) -> Image.Image:
    if mode == "P+":
        image = Image.new("P", (8, 8), 1)
        image.putpalette([0, 0, 0, *colour, *[0] * 750])
        image.info["transparency"] = 0
        return image
    plain = Image.new("RGB", (8, 8), colour)
    return plain.quantize(4) if mode == "P" else plain.convert(mode)


@pytest.mark.parametrize("name", [b"none", b"sRGB"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "P+"])
@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_a_profile_counts_in_every_mode_whatever_it_is_called(
    tmp_path: Path, suffix: str, mode: str, name: bytes
) -> None:
    if suffix != "png" and mode != "RGB" and (suffix, mode) != ("webp", "RGBA"):
        pytest.skip("the format has no such mode")
    path = tmp_path / f"p.{suffix}"
    options: dict[str, Any] = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}
    picture(mode, in_p3()).save(path, icc_profile=p3_profile(name), **options.get(suffix, {}))
    assert shown(path, tmp_path) == near(COLOUR)


def test_a_profile_of_greys_counts(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    picture("L", (60, 60, 60)).save(path, icc_profile=matrix_profile(1.0, SRGB_CHROMATICITY))
    assert shown(path, tmp_path) == near((133, 133, 133))


def test_transparency_is_kept_beside_the_profile() -> None:
    image = Image.new("RGBA", (8, 8), (*in_p3(), 77))
    image.info["icc_profile"] = p3_profile()
    assert to_srgb(image).getpixel((4, 4)) == near((*COLOUR, 77))


def png(path: Path, colour: tuple[int, int, int], **chunks: bytes) -> Path:
    info = PngImagePlugin.PngInfo()
    for name, data in chunks.items():
        info.add(name.encode(), data)
    Image.new("RGB", (8, 8), colour).save(path, pnginfo=info)
    return path


def numbers(*values: float) -> bytes:
    return b"".join(round(value * 100_000).to_bytes(4, "big") for value in values)


def test_a_png_s_gamma_and_chromaticities_count(tmp_path: Path) -> None:
    dark = tuple(round(255 * linear(level)) for level in COLOUR)
    linear_png = png(tmp_path / "a.png", dark, gAMA=numbers(1.0))  # type: ignore[arg-type]
    assert shown(linear_png, tmp_path) == near(COLOUR)
    wide = png(tmp_path / "b.png", in_p3(), gAMA=numbers(1 / 2.2), cHRM=numbers(*P3_CHROMATICITY))
    assert shown(wide, tmp_path) == near(COLOUR)


def in_srgb_of(primaries: int, colour: tuple[int, int, int]) -> tuple[int, ...]:
    """Return an sRGB colour as a picture of other primaries and sRGB's curve holds it."""
    from_srgb = {
        12: P3_FROM_SRGB,
        9: [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]],
    }[primaries]
    light = np.array(from_srgb) @ [linear(level) for level in colour]
    return tuple(
        round(255 * (12.92 * x if x <= 0.0031308 else 1.055 * x ** (1 / 2.4) - 0.055)) for x in light
    )


@pytest.mark.parametrize("primaries", [9, 12])
def test_a_png_s_cicp_counts_before_everything_else(tmp_path: Path, primaries: int) -> None:
    held: Any = in_srgb_of(primaries, COLOUR)
    chunk = bytes([primaries, 13, 0, 1])
    plain = png(tmp_path / "a.png", held, cICP=chunk)
    also = png(tmp_path / "b.png", held, sRGB=b"\0", cICP=chunk)
    profiled = tmp_path / "c.png"
    info = PngImagePlugin.PngInfo()
    info.add(b"cICP", chunk)
    Image.new("RGB", (8, 8), held).save(
        profiled, pnginfo=info, icc_profile=matrix_profile(1.0, SRGB_CHROMATICITY)
    )
    for path in (plain, also, profiled):
        assert shown(path, tmp_path) == near(COLOUR)
    mark = prepare_watermark(
        WatermarkSettings(image=plain), frame_px=(100, 180), cache=ContentCache(tmp_path), max_megapixels=1
    )
    assert mark is not None
    with Image.open(mark.path) as image:
        assert image.getpixel((4, 4)) == near((*COLOUR, 255))


@pytest.mark.parametrize(("transfer", "white"), [(16, 148), (18, 191)])
def test_white_of_an_hdr_png_is_white_and_grey_is_grey(tmp_path: Path, transfer: int, white: int) -> None:
    chunk = bytes([9, transfer, 0, 1])
    for level, shows in ((white, 255), (255, 255), (0, 0)):
        path = png(tmp_path / f"{level}.png", (level,) * 3, cICP=chunk)
        assert shown(path, tmp_path) == pytest.approx((shows,) * 3, abs=4)
    grey = shown(png(tmp_path / "g.png", (white * 3 // 4,) * 3, cICP=chunk), tmp_path)
    assert 60 < grey[0] < 220
    assert max(grey) - min(grey) <= 1


@pytest.mark.parametrize(
    "chunk",
    [
        bytes([1, 13, 0, 1]),
        bytes([1, 1, 0, 1]),
        bytes([2, 2, 0, 1]),
        bytes([12, 99, 0, 1]),
        bytes([12, 13, 1, 1]),
        bytes([12, 13, 0, 0]),
        bytes([12, 13, 0]),
        bytes([12, 13, 0, 1, 0]),
        b"",
    ],
)
def test_a_cicp_of_srgb_or_without_a_meaning_changes_nothing(tmp_path: Path, chunk: bytes) -> None:
    assert shown(png(tmp_path / "p.png", COLOUR, cICP=chunk), tmp_path) == COLOUR


def test_a_cicp_after_the_pixels_or_of_a_file_that_is_cut_short_is_none(tmp_path: Path) -> None:
    data = png(tmp_path / "p.png", COLOUR, cICP=bytes([12, 13, 0, 1])).read_bytes()
    assert read_cicp(io.BytesIO(data)) == (12, 13)
    at = data.index(b"cICP") - 4
    moved = data[:at] + data[at + 16 : -12] + data[at : at + 16] + data[-12:]
    assert read_cicp(io.BytesIO(moved)) is None
    for length in range(len(data)):
        stream = io.BytesIO(data[:length])
        stream.seek(3)
        assert read_cicp(stream) in (None, (12, 13))
        assert stream.tell() == 3


def test_srgb_s_own_tags_change_nothing(tmp_path: Path) -> None:
    tagged = png(tmp_path / "a.png", COLOUR, gAMA=numbers(0.45455), cHRM=numbers(*SRGB_CHROMATICITY))
    named = png(tmp_path / "b.png", COLOUR, sRGB=b"\0", gAMA=numbers(1.0))
    own = tmp_path / "c.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (8, 8), COLOUR).save(own, icc_profile=profile)
    for path in (tagged, named, own):
        with Image.open(path) as image:
            assert foreign_profile(image) is None
        cache = ContentCache(tmp_path / "cache")
        still = prepare_still(path, cache=cache, max_megapixels=10, max_side_px=100)
        assert still.path == path.resolve()


@pytest.mark.parametrize("broken", [b"", b"x" * 200, p3_profile()[:100], p3_profile()[:300]])
def test_a_profile_that_cannot_be_used_is_left_aside(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "p.png"
    Image.new("RGB", (8, 8), COLOUR).save(path, icc_profile=broken)
    assert shown(path, tmp_path) == COLOUR


@pytest.mark.parametrize("place", [numbers(0.3, 0), numbers(*[0.0] * 8), numbers(*[0.3] * 8)])
def test_chromaticities_that_make_no_sense_are_left_aside(tmp_path: Path, place: bytes) -> None:
    path = png(tmp_path / "p.png", COLOUR, cHRM=place.ljust(32, b"\0"), gAMA=numbers(0.45455))
    assert shown(path, tmp_path) == COLOUR


def test_a_watermark_is_brought_to_srgb(tmp_path: Path) -> None:
    path = tmp_path / "mark.png"
    Image.new("RGB", (40, 40), in_p3()).save(path, icc_profile=p3_profile())
    mark = prepare_watermark(
        WatermarkSettings(image=path),
        frame_px=(108, 192),
        cache=ContentCache(tmp_path / "cache"),
        max_megapixels=10,
    )
    assert mark is not None
    with Image.open(mark.path) as image:
        assert image.getpixel((4, 4)) == near((*COLOUR, 255))


def raw_png(path: Path, colour: tuple[int, ...], *chunks: tuple[bytes, bytes], colour_type: int = 2) -> Path:
    """Write a PNG of 8 x 8 pixels and 8 bits (16 for grey with alpha) with these chunks before its pixels."""
    deep = colour_type == 4
    row = b"\0" + b"".join(struct.pack(">H" if deep else ">B", level) for level in colour) * 8
    header = struct.pack(">IIBBBBB", 8, 8, 16 if deep else 8, colour_type, 0, 0, 0)
    body = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(row * 8)), (b"IEND", b"")):
        body += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    path.write_bytes(body)
    return path


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"x\0\0" + zlib.compress(profile)


def grey_profile(gamma: float = 1.8) -> bytes:
    """Return the ICC profile of a grey display."""
    made = matrix_profile(1 / gamma, SRGB_CHROMATICITY)
    assert made is not None
    return made.replace(b"mntrRGB ", b"mntrGRAY").replace(b"rTRC", b"kTRC")


SRGB_CICP, P3_CICP = (b"cICP", bytes([1, 13, 0, 1])), (b"cICP", bytes([12, 13, 0, 1]))


def test_a_png_s_cicp_goes_before_everything_else(tmp_path: Path) -> None:
    p3 = in_p3()
    assert shown(raw_png(tmp_path / "a.png", p3, P3_CICP), tmp_path) == pytest.approx(COLOUR, abs=4)
    other = matrix_profile(1 / 1.8, SRGB_CHROMATICITY)
    assert other is not None
    for chunks in ([P3_CICP, iccp(other)], [P3_CICP, (b"sRGB", b"\0")]):
        assert shown(raw_png(tmp_path / "b.png", p3, *chunks), tmp_path) == pytest.approx(COLOUR, abs=4)
    assert shown(raw_png(tmp_path / "c.png", COLOUR, SRGB_CICP, iccp(p3_profile())), tmp_path) == COLOUR
    rgba = raw_png(tmp_path / "d.png", (*p3, 128), P3_CICP, colour_type=6)
    half = tuple(level * 128 / 255 for level in COLOUR)
    assert shown(rgba, tmp_path) == pytest.approx(half, abs=3)


@pytest.mark.parametrize(("transfer", "white", "grey"), [(16, 148, 105), (18, 191, 111)], ids=["PQ", "HLG"])
def test_hdr_pictures_have_their_white_at_white(tmp_path: Path, transfer: int, white: int, grey: int) -> None:
    tag = (b"cICP", bytes([9, transfer, 0, 1]))
    assert min(shown(raw_png(tmp_path / "a.png", (white,) * 3, tag), tmp_path)) >= 240
    brightest = shown(raw_png(tmp_path / "b.png", (255,) * 3, tag), tmp_path)
    assert min(brightest) >= 250
    # 18 % of white: 37 cd/m2.
    assert shown(raw_png(tmp_path / "c.png", (grey,) * 3, tag), tmp_path) == pytest.approx((118,) * 3, abs=5)


@pytest.mark.parametrize(
    "numbers", [[2, 2, 0, 1], [12, 13, 1, 1], [12, 13, 0, 0], [12, 13], [99, 13, 0, 1]], ids=str
)
def test_a_cicp_that_cannot_be_used_is_left_aside(tmp_path: Path, numbers: list[int]) -> None:
    path = raw_png(tmp_path / "a.png", COLOUR, (b"cICP", bytes(numbers)))
    assert shown(path, tmp_path) == COLOUR


def test_a_profile_of_another_space_than_the_picture_s_is_left_aside(tmp_path: Path) -> None:
    assert shown(raw_png(tmp_path / "a.png", COLOUR, iccp(grey_profile())), tmp_path) == COLOUR
    inks = tmp_path / "b.jpg"
    Image.new("CMYK", (8, 8), (0, 128, 200, 50)).save(inks, quality=100)
    plain = shown(inks, tmp_path)
    Image.new("CMYK", (8, 8), (0, 128, 200, 50)).save(inks, quality=100, icc_profile=p3_profile())
    assert shown(inks, tmp_path) == plain


def test_a_profile_of_greys_counts_with_alpha_and_16_bits(tmp_path: Path) -> None:
    path = raw_png(tmp_path / "a.png", (120 * 257, 65535), iccp(grey_profile()), colour_type=4)
    assert shown(path, tmp_path) == near((139,) * 3)


def test_a_png_whose_profile_ffmpeg_refuses_is_given_to_it_without(tmp_path: Path) -> None:
    path = raw_png(tmp_path / "a.png", COLOUR, (b"iCCP", b"x\0\0no zlib stream"))
    assert shown(path, tmp_path) == COLOUR
    still = prepare_still(path, cache=ContentCache(tmp_path / "cache"), max_megapixels=10, max_side_px=100)
    assert still.path != path.resolve()
    with av.open(str(still.path), format=still.demuxer) as opened:
        assert next(opened.decode(video=0)).width == 8
