"""Recognise a file's format by its first bytes: the pictures, clips, sounds and fonts that the engine reads.

Everything else is rejected, so playlists, SVG, HTML and other text never reach FFmpeg under any name.
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
    """A file format: its name, file suffix, the kinds of asset it can be, and FFmpeg's demuxer.

    A file has this format if one of `signatures` matches (or there are none) and `check` accepts its first bytes.
    """

    name: str
    suffix: str
    kinds: frozenset[AssetKind]
    demuxer: str
    signatures: tuple[Signature, ...] = ()
    check: Callable[[bytes], bool] | None = None

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


def _is_cube(head: bytes) -> bool:
    """Recognise a LUT's first line that is no comment: a keyword of the format."""
    return _CUBE_HEAD.match(head.removeprefix(codecs.BOM_UTF8)) is not None


def _begins(*heads: bytes) -> tuple[Signature, ...]:
    """Return the signatures of a format whose files begin with one of several byte strings."""
    return tuple(((0, head),) for head in heads)


def _holds(outer: bytes, *names: bytes) -> tuple[Signature, ...]:
    """Return the signatures of a format inside an outer one, such as RIFF, named after the outer length."""
    return tuple(((0, outer), (8, name)) for name in names)


_JSON_HEAD: Final = re.compile(rb'\s*(\{\s*["}]|\[\s*[\]{])')
_SRT_HEAD: Final = re.compile(rb"\s*\d+[ \t]*\r?\n\d+:\d\d:\d\d[,.]\d+[ \t]*-->")
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

CONTENTS: Final = (
    Content("JPEG", ".jpg", PICTURE, "jpeg_pipe", _begins(b"\xff\xd8\xff")),
    Content("PNG", ".png", PICTURE, "png_pipe", _begins(b"\x89PNG\r\n\x1a\n")),
    Content("WebP", ".webp", PICTURE, "webp_pipe", _holds(b"RIFF", b"WEBPVP8")),
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
    Content("GIF", ".gif", frozenset(["video"]), "gif", _begins(b"GIF87a", b"GIF89a")),
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
)
"""Every accepted format; the first that matches wins."""

SUFFIXES: Final = tuple(content.suffix for content in CONTENTS)


def contents_of(kind: AssetKind) -> tuple[Content, ...]:
    """Return the formats that a kind of asset accepts."""
    return tuple(content for content in CONTENTS if kind in content.kinds)


ALLOWED: Final = {
    kind: ", ".join(content.name for content in contents_of(kind)) for kind in get_args(AssetKind)
}
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
