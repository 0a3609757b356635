"""What a file is, told by its first bytes: the pictures, clips, sounds and fonts that the engine reads.

Nothing else is let in, so playlists, SVG, HTML and other text never come near FFmpeg, whatever they are named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["picture", "video", "sound", "font"]

HEAD_BYTES = 4096
"""How much of a file `sniff` wants to see."""

ALLOWED: dict[Kind, str] = {
    "picture": "a JPEG, PNG or WebP picture",
    "video": "a video: MP4, MOV, MKV, WebM, AVI, MPEG, FLV or GIF",
    "sound": "a sound file: MP3, WAV, FLAC, Ogg, M4A, MP4, Matroska, AAC or AIFF",
    "font": "a font file: TTF, OTF or TTC",
}


@dataclass(frozen=True, slots=True)
class Content:
    """A file format: its name, the suffix that a file of it gets, and what it can serve as."""

    name: str
    suffix: str
    kinds: frozenset[Kind]


def _of(name: str, suffix: str, *kinds: Kind) -> Content:
    return Content(name, suffix, frozenset(kinds))


_MP4 = _of("MP4", ".mp4", "video", "sound")
_MP3 = _of("MP3", ".mp3", "sound")
_AAC = _of("AAC", ".aac", "sound")
_MPEGTS = _of("MPEG-TS", ".ts", "video")
TS_PACKET_BYTES = 188

SIGNATURES: tuple[tuple[int, bytes, Content], ...] = (
    (0, b"\xff\xd8\xff", _of("JPEG", ".jpg", "picture")),
    (0, b"\x89PNG\r\n\x1a\n", _of("PNG", ".png", "picture")),
    (8, b"WEBPVP8", _of("WebP", ".webp", "picture")),  # after RIFF and a length
    (4, b"ftyp", _MP4),
    (4, b"moov", _MP4),
    (4, b"mdat", _MP4),
    (4, b"wide", _MP4),
    (4, b"free", _MP4),
    (0, b"\x1aE\xdf\xa3", _of("Matroska", ".mkv", "video", "sound")),
    (8, b"AVI ", _of("AVI", ".avi", "video")),
    (0, b"\x00\x00\x01\xba", _of("MPEG", ".mpg", "video")),
    (0, b"GIF87a", _of("GIF", ".gif", "video")),
    (0, b"GIF89a", _of("GIF", ".gif", "video")),
    (0, b"FLV\x01", _of("FLV", ".flv", "video")),
    (8, b"WAVE", _of("WAV", ".wav", "sound")),
    (0, b"riff\x2e\x91\xcf\x11", _of("Wave64", ".w64", "sound")),
    (0, b"fLaC", _of("FLAC", ".flac", "sound")),
    (0, b"OggS\x00", _of("Ogg", ".ogg", "sound")),
    (8, b"AIFF", _of("AIFF", ".aiff", "sound")),
    (8, b"AIFC", _of("AIFF", ".aiff", "sound")),
    (0, b"ID3", _MP3),
    (0, b"\x00\x01\x00\x00", _of("TrueType", ".ttf", "font")),
    (0, b"true\x00", _of("TrueType", ".ttf", "font")),
    (0, b"OTTO\x00", _of("OpenType", ".otf", "font")),
    (0, b"ttcf\x00", _of("TrueType collection", ".ttc", "font")),
)

SUFFIXES = tuple(
    dict.fromkeys(content.suffix for content in (*(entry[2] for entry in SIGNATURES), _AAC, _MPEGTS))
)

_CONTAINERS = {b"WEBP": b"RIFF", b"AVI ": b"RIFF", b"WAVE": b"RIFF", b"AIFF": b"FORM", b"AIFC": b"FORM"}
"""What a file begins with whose name stands behind a length."""


def sniff(head: bytes) -> Content | None:
    """Return what a file with these first bytes (up to `HEAD_BYTES`) is, or None for anything unknown."""
    for offset, signature, content in SIGNATURES:
        outer = _CONTAINERS.get(signature[:4], b"") if offset == 8 else b""
        if not head.startswith(signature, offset) or not head.startswith(outer):
            continue
        if content is _MP4 and head[0] >= 0x20:  # a box that long is a text that happens to say `free`
            return None
        if content is _MP3 and not (len(head) > 4 and 2 <= head[3] <= 4 and head[4] != 0xFF):
            return None
        return content
    if head[:1] == b"G" and all(
        head[at : at + 1] == b"G" for at in range(0, min(len(head), HEAD_BYTES), TS_PACKET_BYTES)
    ):
        return _MPEGTS if len(head) > TS_PACKET_BYTES else None
    return _mpeg_audio(head)


def _mpeg_audio(head: bytes) -> Content | None:
    """Tell the frame headers of AAC (ADTS) and of MPEG audio of layer II or III, by ISO 11172-3 and 13818-7."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:  # 12 bits of sync, layer 0
        return _AAC if (head[2] >> 2) & 0xF < 13 else None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate, frequency = head[2] >> 4, head[2] >> 2 & 3
    return _MP3 if version != 1 and layer in (1, 2) and rate != 15 and frequency != 3 else None
