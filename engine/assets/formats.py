"""Recognise a file's format by its first bytes: the pictures, clips, sounds and fonts that the engine reads.

Everything else is rejected, so playlists, HTML and other text never reach FFmpeg under any name. SVG is accepted as
a picture, but FFmpeg never sees it: `svg` draws it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, get_args

from video_pipeline.engine.story.asset_fields import AssetKind

HEAD_BYTES: Final = 4096
"""The number of first bytes that `sniff` needs."""

TS_PACKETS_BYTES: Final = (188, 204)
"""The lengths of an MPEG-TS packet in bytes, without and with error correction."""

M2TS_PACKET_BYTES: Final = 192
"""The length of an MPEG-TS packet behind four bytes of arrival time, as cameras (AVCHD) and Blu-ray discs write it."""

INDEXED_DEMUXERS: Final = frozenset(["mov", "matroska", "avi"])
"""Containers in which a seek finds the keyframe before a time; others are read from their start."""

Signature = tuple[tuple[int, bytes], ...]
"""Offsets, and the bytes that must all be at them."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file format: its name, file suffix, the kinds of asset it can be, and FFmpeg's demuxer ("" if it reads none).

    A file has this format if one of `signatures` matches (or there are none) and `check` accepts its first bytes.
    `pillow` is Pillow's name of a picture's format. `extra` is the extra that installs its reader, if any.
    `is_moving` formats are read frame by frame with Pillow if they are shown as clips.
    """

    name: str
    suffix: str
    kinds: frozenset[AssetKind]
    demuxer: str
    signatures: tuple[Signature, ...] = ()
    check: Callable[[bytes], bool] | None = None
    pillow: str = ""
    extra: str = ""
    is_moving: bool = False

    def matches(self, head: bytes) -> bool:
        """Return whether a file with these first bytes has this format."""
        if self.signatures and not any(
            all(head.startswith(data, offset) for offset, data in signature) for signature in self.signatures
        ):
            return False
        return self.check is None or self.check(head)


def _is_no_text(head: bytes) -> bool:
    """Return whether this is an MP4 box and not text that contains `free`: a box is short or has binary content."""
    return head[0] < 0x20 or b"\0" in head


def _is_ts(head: bytes) -> bool:
    layouts = [*((0, size) for size in TS_PACKETS_BYTES), (4, M2TS_PACKET_BYTES)]
    return any(
        len(head) > size
        and all(head[at] == ord("G") for at in range(first, min(len(head), HEAD_BYTES), size))
        for first, size in layouts
    )


def _is_mp3(head: bytes) -> bool:
    """Recognise an ID3 tag, or the frame header of MPEG audio layer II or III (ISO 11172-3)."""
    if head.startswith(b"ID3"):
        return len(head) > 4 and 2 <= head[3] <= 4 and head[4] != 0xFF
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate, frequency = head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer in (1, 2) and rate != 15 and frequency != 3


def _is_aac(head: bytes) -> bool:
    """Recognise an ADTS frame header (ISO 13818-7): 12 bits of sync and layer 0."""
    return len(head) >= 4 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 and (head[2] >> 2) & 0xF < 13


def _is_json(head: bytes) -> bool:
    """Recognise an object, or a list of objects; a playlist may begin with a bracket too."""
    return _JSON_HEAD.match(head.removeprefix(codecs.BOM_UTF8)) is not None


def _is_srt(head: bytes) -> bool:
    """Recognise the number and the times of a first cue."""
    return _SRT_HEAD.match(head.removeprefix(codecs.BOM_UTF8)) is not None


def _is_ass(head: bytes) -> bool:
    return head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[Script Info]")


def _is_apng(head: bytes) -> bool:
    """Return whether a PNG has the chunk acTL before its first IDAT (PNG, third edition, 11.3.6.1)."""
    at = 8
    while at + 8 <= len(head) and head[at + 4 : at + 8] not in (b"IDAT", b"IEND"):
        if head[at + 4 : at + 8] == b"acTL":
            return True
        at += 12 + int.from_bytes(head[at : at + 4], "big")
    return False


def _is_bmp(head: bytes) -> bool:
    """Return whether the reserved fields are 0 and a known information header follows; text begins with BM too."""
    return head[6:10] == bytes(4) and head[14:18] in _BMP_HEADERS


def _is_avif(head: bytes) -> bool:
    """Return whether a file of images (ISO 23008-12) is AVIF by its major brand, or by a compatible one."""
    brands = _brands(head)
    return brands[0] in _AVIF_BRANDS or (brands[0] in _ANY_IMAGE and not _AVIF_BRANDS.isdisjoint(brands))


def _is_avif_sequence(head: bytes) -> bool:
    return _is_avif(head) and b"avis" in _brands(head)


def _brands(head: bytes) -> list[bytes]:
    """Return the major and the compatible brands of a box ftyp (ISO 14496-12, 4.3)."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]


def _is_svg(head: bytes) -> bool:
    return _SVG_HEAD.match(head.removeprefix(codecs.BOM_UTF8)) is not None


def _is_cube(head: bytes) -> bool:
    """Recognise a LUT's first line that is no comment: a keyword of the format."""
    return _CUBE_HEAD.match(head.removeprefix(codecs.BOM_UTF8)) is not None


def _begins(*heads: bytes) -> tuple[Signature, ...]:
    """Return the signatures of a format whose files begin with one of several byte strings."""
    return tuple(((0, head),) for head in heads)


def _holds(outer: bytes, *names: bytes) -> tuple[Signature, ...]:
    """Return the signatures of a format inside an outer one, such as RIFF, named after the outer length."""
    return tuple(((0, outer), (8, name)) for name in names)


def _brand_of(*brands: bytes) -> tuple[Signature, ...]:
    """Return the signatures of a box ftyp with one of several major brands."""
    return tuple(((4, b"ftyp"), (8, brand)) for brand in brands)


_BMP_HEADERS: Final = frozenset(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))
"""The lengths of a BMP file's information header."""

_AVIF_BRANDS: Final = frozenset([b"avif", b"avis"])
_ANY_IMAGE: Final = frozenset([b"mif1", b"msf1"])


def _is_webvtt(head: bytes) -> bool:
    """Recognise the first line of WebVTT (W3C, section 4.1)."""
    return _WEBVTT_HEAD.match(head.removeprefix(codecs.BOM_UTF8)) is not None


_HEIC_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", *sorted(_ANY_IMAGE))
_IMAGE_BRANDS: Final = (*sorted(_AVIF_BRANDS), *sorted(_ANY_IMAGE))

_SVG_HEAD: Final = re.compile(
    rb"""(?>\s+ | <!--(?s:.*?)--> | <\?(?s:.*?)\?> | <!DOCTYPE\s+svg\b [^\[>]* (?:\[(?s:.*?)\]\s*)? >)*+
    <(?:[A-Za-z][\w.-]*:)?svg[\s/>]""",
    re.VERBOSE,
)
_JSON_HEAD: Final = re.compile(rb'\s*(\{\s*["}]|\[\s*[\]{])')
_SRT_HEAD: Final = re.compile(rb"\s*\d+[ \t]*\r?\n\d+:\d\d:\d\d[,.]\d+[ \t]*-->")
_WEBVTT_HEAD: Final = re.compile(rb"WEBVTT(?:[ \t\r\n]|$)")
_CUBE_HEAD: Final = re.compile(
    rb"(\s*(#[^\r\n]*)?[\r\n])*\s*(TITLE\s|DOMAIN_M(IN|AX)\s|LUT_[13]D_(SIZE|INPUT_RANGE)\s)"
)

PICTURE: Final[frozenset[AssetKind]] = frozenset(["picture"])
SOUND: Final[frozenset[AssetKind]] = frozenset(["sound"])
FONT: Final[frozenset[AssetKind]] = frozenset(["font"])
WORDS: Final[frozenset[AssetKind]] = frozenset(["words"])
LUT: Final[frozenset[AssetKind]] = frozenset(["lut"])
CLIP: Final[frozenset[AssetKind]] = frozenset(["video", "sound"])
"""A clip's sound is read like any other, so a video container is also a sound file."""

MOVING: Final[frozenset[AssetKind]] = frozenset(["picture", "video"])
"""A moving picture is a clip; as a still, its first frame is shown."""

_PNG_HEAD: Final = b"\x89PNG\r\n\x1a\n"

CONTENTS: Final = (
    Content("JPEG", ".jpg", PICTURE, "jpeg_pipe", _begins(b"\xff\xd8\xff"), pillow="JPEG"),
    Content("APNG", ".png", MOVING, "apng", _begins(_PNG_HEAD), check=_is_apng, pillow="PNG", is_moving=True),
    Content("PNG", ".png", PICTURE, "png_pipe", _begins(_PNG_HEAD), pillow="PNG"),
    Content(
        "animated WebP",
        ".webp",
        MOVING,
        "",
        _holds(b"RIFF", b"WEBPVP8X"),
        check=lambda head: len(head) > 20 and bool(head[20] & 2),
        pillow="WEBP",
        is_moving=True,
    ),
    Content("WebP", ".webp", PICTURE, "webp_pipe", _holds(b"RIFF", b"WEBPVP8"), pillow="WEBP"),
    Content("GIF", ".gif", MOVING, "gif", _begins(b"GIF87a", b"GIF89a"), pillow="GIF", is_moving=True),
    Content("TIFF", ".tiff", PICTURE, "", _begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), pillow="TIFF"),
    Content("BMP", ".bmp", PICTURE, "", _begins(b"BM"), check=_is_bmp, pillow="BMP"),
    Content(
        "AVIF sequence",
        ".avif",
        MOVING,
        "mov",
        _brand_of(*_IMAGE_BRANDS),
        check=_is_avif_sequence,
        pillow="AVIF",
        is_moving=True,
    ),
    Content("AVIF", ".avif", PICTURE, "", _brand_of(*_IMAGE_BRANDS), check=_is_avif, pillow="AVIF"),
    Content("HEIC", ".heic", PICTURE, "", _brand_of(*_HEIC_BRANDS), pillow="HEIF", extra="heic"),
    Content("SVG", ".svg", PICTURE, "", check=_is_svg, extra="svg"),
    Content(
        "MP4/MOV",
        ".mp4",
        CLIP,
        "mov",
        tuple(((4, box),) for box in (b"ftyp", b"moov", b"mdat", b"wide", b"free")),
        check=_is_no_text,
    ),
    Content("Matroska/WebM", ".mkv", CLIP, "matroska", _begins(b"\x1aE\xdf\xa3")),
    Content("AVI", ".avi", CLIP, "avi", _holds(b"RIFF", b"AVI")),
    Content("MPEG", ".mpg", CLIP, "mpeg", _begins(b"\x00\x00\x01\xba")),
    Content("MPEG-TS", ".ts", CLIP, "mpegts", check=_is_ts),
    Content("FLV", ".flv", CLIP, "flv", _begins(b"FLV\x01")),
    Content("MP3", ".mp3", SOUND, "mp3", check=_is_mp3),
    Content("WAV", ".wav", SOUND, "wav", _holds(b"RIFF", b"WAVE")),
    Content("Wave64", ".w64", SOUND, "w64", _begins(b"riff\x2e\x91\xcf\x11")),
    Content("FLAC", ".flac", SOUND, "flac", _begins(b"fLaC")),
    Content("Ogg", ".ogg", SOUND, "ogg", _begins(b"OggS\x00")),
    Content("AIFF", ".aiff", SOUND, "aiff", _holds(b"FORM", b"AIFF", b"AIFC")),
    Content("AAC", ".aac", SOUND, "aac", check=_is_aac),
    Content("TrueType", ".ttf", FONT, "", _begins(b"\x00\x01\x00\x00", b"true\x00")),
    Content("OpenType", ".otf", FONT, "", _begins(b"OTTO\x00")),
    Content("TrueType collection", ".ttc", FONT, "", _begins(b"ttcf\x00")),
    Content("ASS", ".ass", WORDS, "", check=_is_ass),
    Content("JSON", ".json", WORDS, "", check=_is_json),
    Content("Cube LUT", ".cube", LUT, "", check=_is_cube),
    Content("SRT", ".srt", WORDS, "", check=_is_srt),
    Content("WebVTT", ".vtt", WORDS, "", check=_is_webvtt),
)
"""Every accepted format; the first that matches wins."""

SUFFIXES: Final = tuple(content.suffix for content in CONTENTS)


def contents_of(kind: AssetKind) -> tuple[Content, ...]:
    """Return the formats that a kind of asset accepts."""
    return tuple(content for content in CONTENTS if kind in content.kinds)


def _names(kind: AssetKind) -> str:
    """Return the names of a kind's formats, moving pictures last; one is left out beside that of its stills."""
    accepted = sorted(contents_of(kind), key=lambda content: content.is_moving)
    stills = {content.pillow for content in accepted if not content.is_moving}
    return ", ".join(
        content.name for content in accepted if not (content.is_moving and content.pillow in stills)
    )


ALLOWED: Final = {kind: _names(kind) for kind in get_args(AssetKind)}
"""The names of the formats of each kind, for errors."""


def sniff(head: bytes) -> Content | None:
    """Return the format of a file with these first bytes (up to `HEAD_BYTES`), or None if it is unknown."""
    return next((content for content in CONTENTS if content.matches(head)), None)


def suffix_as(kind: AssetKind, head: bytes) -> str:
    """Return the suffix for a file with these first bytes; raise ValueError if it is not usable as `kind`."""
    content = sniff(head)
    if content is None or kind not in content.kinds:
        what = (
            "is empty (0 bytes)" if not head else f"is {content.name}" if content else "is not a known format"
        )
        raise ValueError(what)
    return content.suffix
