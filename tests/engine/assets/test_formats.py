"""File formats, recognised by their first bytes."""

from __future__ import annotations

import io

import pytest
from av.format import ContainerFormat
from PIL import Image

from tests.support import samples
from video_pipeline.engine.assets.formats import CONTENTS, HEAD_BYTES, SUFFIXES, Content, sniff


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (samples.picture(form), suffix)
        for form, suffix in (("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp"))
    ],
    ids=["jpeg", "png", "webp"],
)
def test_a_picture_is_detected_from_its_bytes(data: bytes, suffix: str) -> None:
    found = sniff(data[:HEAD_BYTES])
    assert found is not None
    assert found.suffix == suffix
    assert found.kinds == {"picture"}


def in_format(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, form, **options)
    return file.getvalue()


SECOND = {"save_all": True, "append_images": [Image.new("RGB", (8, 8), "red")]}


@pytest.mark.parametrize(
    ("data", "name", "is_moving"),
    [
        (in_format("TIFF"), "TIFF", False),
        (in_format("BMP"), "BMP", False),
        (in_format("AVIF"), "AVIF", False),
        (in_format("AVIF", **SECOND), "AVIF sequence", True),
        (in_format("GIF"), "GIF", True),
        (in_format("PNG", **SECOND), "APNG", True),
        (in_format("WEBP", **SECOND), "animated WebP", True),
        (in_format("WEBP"), "WebP", False),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF", False),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC", False),
        (b"\0\0\0\x18ftypheix\0\0\0\0mif1heic", "HEIC", False),
        (b"<svg/>", "SVG", False),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a > -->\n<svg:svg xmlns:svg='x'>", "SVG", False),
        (b"<!DOCTYPE svg [<!ENTITY a '>'>]><svg >", "SVG", False),
    ],
)
def test_a_picture_is_told_from_a_moving_picture(data: bytes, name: str, is_moving: bool) -> None:
    found = sniff(data[:HEAD_BYTES])
    assert found is not None
    assert found.name == name
    assert found.is_moving == is_moving
    assert found.kinds == ({"picture", "video"} if is_moving else {"picture"})


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".flv", ".gif", ".ts"])
def test_every_container_for_clips_is_detected(suffix: str) -> None:
    found = sniff(samples.clip(suffix)[:HEAD_BYTES])
    assert found is not None
    assert "video" in found.kinds
    assert ("sound" in found.kinds) == (suffix != ".gif")


@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".flac", ".ogg", ".m4a", ".mka", ".aac", ".aiff", ".w64"])
def test_every_supported_sound_is_detected(suffix: str) -> None:
    found = sniff(samples.sound(suffix)[:HEAD_BYTES])
    assert found is not None
    assert "sound" in found.kinds


def test_a_transport_stream_with_error_correction_is_detected() -> None:
    packets = samples.clip(".ts")
    longer = b"".join(packets[at : at + 188] + bytes(16) for at in range(0, len(packets), 188))
    found = sniff(longer[:HEAD_BYTES])
    assert found is not None
    assert found.suffix == ".ts"


def test_an_mp4_with_a_first_box_above_half_a_gigabyte_is_detected() -> None:
    found = sniff(b"\x41\x42\x43\x44mdat" + bytes(100))
    assert found is not None
    assert found.suffix == ".mp4"


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: content.name)
def test_ffmpeg_has_the_demuxer_of_every_format_that_it_reads(content: Content) -> None:
    if not content.demuxer:
        kinds = ({"font"}, {"words"}, {"lut"})
        assert content.kinds in kinds or content.pillow or content.name == "SVG"
    else:
        assert ContainerFormat(content.demuxer, "r").is_input


def test_an_mp3_without_a_tag_is_detected_by_its_frame() -> None:
    data = samples.sound(".mp3")
    size = data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9]
    assert data.startswith(b"ID3")
    found = sniff(data[10 + size :][:HEAD_BYTES])
    assert found is not None
    assert found.suffix == ".mp3"


def test_a_font_is_detected_from_its_bytes() -> None:
    found = sniff(samples.font().read_bytes()[:HEAD_BYTES])
    assert found is not None
    assert found.suffix == ".ttf"
    assert found.kinds == {"font"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n",
        "#!MLT\n",
        "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>",
        "<html><svg xmlns='http://www.w3.org/2000/svg'/></html>",
        "<!DOCTYPE html><svg xmlns='http://www.w3.org/2000/svg'/>",
        "<!-- " * 900 + "<svg/>",
        "<!-->" * 900 + "<html/>",
        "<svgz/>",
        "BM is how a text may begin",
        "<!DOCTYPE html><html><body>no</body></html>",
        "ffconcat version 1.0\nfile /etc/passwd\n",
        "[playlist]\nFile1=http://127.0.0.1/\n",
        "GET / HTTP/1.0\r\n",
        "Great! " * 100,
        "free text, freely given",
        "get free stuff here",
        "the wide world",
        "ID3 is a tag",
        "push graphic-context\nviewbox 0 0 640 480\nimage over 0,0 0,0 'https://127.0.0.1/x.php'\n",
        "%!PS-Adobe-3.0\n",
        "RIFFxxxxjunk",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_text_is_nothing(text: str, encoding: str) -> None:
    assert sniff(text.encode(encoding)[:HEAD_BYTES]) is None


def test_suffixes_are_of_one_kind_of_name() -> None:
    assert all(suffix.startswith(".") and suffix[1:].isalnum() and suffix.islower() for suffix in SUFFIXES)
