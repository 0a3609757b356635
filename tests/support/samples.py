"""Small real files of the kinds that jobs use: pictures, clips, sounds and fonts."""

from __future__ import annotations

import io
import shutil
import struct
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from tests.support.video import run_ffmpeg


def picture(form: str = "JPEG", size_px: tuple[int, int] = (64, 96), colour: str = "teal") -> bytes:
    """Return a picture of one colour."""
    data = io.BytesIO()
    Image.new("RGB", size_px, colour).save(data, form)
    return data.getvalue()


def _chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


def _png(width: int, height: int, packed: bytes) -> bytes:
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


@cache
def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few kilobytes that decodes to width x height black pixels."""
    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return _png(width, height, packed)


def png_header(width: int, height: int) -> bytes:
    """Return a PNG whose header claims width x height pixels but that has almost none."""
    return _png(width, height, zlib.compress(bytes(1000)))


@cache
def _encoded(suffix: str, source: str, *options: str) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        run_ffmpeg("-f", "lavfi", "-i", source, *options, path)
        return path.read_bytes()


def clip(suffix: str = ".mp4") -> bytes:
    """Return a clip of half a second without sound, in the container of a suffix."""
    rate = ("-r", "25")
    return _encoded(suffix, "testsrc=size=64x64:rate=25:duration=0.5", "-pix_fmt", "yuv420p", *rate)


def sound(suffix: str = ".wav") -> bytes:
    """Return half a second of a tone, in the format of a suffix."""
    return _encoded(suffix, "sine=frequency=440:duration=0.5")


def empty_wav() -> bytes:
    """Return a WAV file with a header and no samples."""
    return (
        b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x44\xac\x00\x00\x88\x58\x01\x00\x02\x00"
        b"\x10\x00data\x00\x00\x00\x00"
    )


def font() -> Path:
    """Return one of the packaged font files."""
    spec = find_spec("manimgx_fonts")
    assert spec is not None
    assert spec.origin is not None
    return next(path for path in sorted(Path(spec.origin).parent.rglob("*.ttf")) if "Sans" in path.name)


def font_at(path: Path) -> Path:
    """Copy a font file to a path and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(font(), path)
    return path


def font_with(letters: str, path: Path) -> Path:
    """Write a font that has `letters` alone, all drawn as one of a packaged font's, and return its path."""
    data = bytearray(font().read_bytes())
    groups = [struct.pack(">III", code, code, 36) for code in sorted(map(ord, letters))]
    table = struct.pack(">HHIII", 12, 0, 16 + 12 * len(groups), 0, len(groups)) + b"".join(groups)
    cmap = struct.pack(">HHHHI", 0, 1, 3, 10, 12) + table
    entry = data.index(b"cmap", 12)
    data += bytes(-len(data) % 4)
    data[entry + 8 : entry + 16] = struct.pack(">II", len(data), len(cmap))
    path.write_bytes(data + cmap)
    return path
