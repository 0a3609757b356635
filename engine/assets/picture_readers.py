"""Which formats of pictures can be read here: some need a package of an extra."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Final

from PIL import Image, features

from video_pipeline.engine.assets.formats import Content, contents_of
from video_pipeline.engine.common.extras import the_extra

SVG_PACKAGE: Final = "resvg_py"
HEIC_PACKAGE: Final = "pillow_heif"

PACKAGES: Final = {"heic": HEIC_PACKAGE, "svg": SVG_PACKAGE}
"""The package that reads the formats of an extra."""


UNDECODABLE: Final = (OSError, ValueError, SyntaxError, EOFError, RuntimeError, Image.DecompressionBombError)
"""What the readers raise for a picture that they cannot decode; RuntimeError is libheif's."""


class UnreadablePictureError(ValueError):
    """A picture of an accepted format that cannot be read here, or must not be; its text follows the file's name."""


def why_unreadable(content: Content) -> str | None:
    """Return what is missing to read a format of pictures, or None if nothing is."""
    if content.extra and find_spec(PACKAGES[content.extra]) is None:
        return f"needs {the_extra(content.extra)}, which is not installed"
    if content.pillow == "AVIF" and not features.check("avif"):
        return "needs Pillow 11.3 or newer, built with libavif"
    return None


def prepare_reader(content: Content) -> None:
    """Load what reads a format of pictures; raise UnreadablePictureError naming what is missing."""
    missing = why_unreadable(content)
    if missing:
        raise UnreadablePictureError(f"is {content.name}, which {missing}")
    if content.pillow == "HEIF":
        _register_heif()


@cache
def _register_heif() -> None:
    """Add HEIF to Pillow. libheif applies rotation and mirroring; thumbnails are not read."""
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False)


def picture_readers() -> list[tuple[str, str | None]]:
    """Return the name of every format of pictures, and what is missing to read it (None: nothing)."""
    return [(content.name, why_unreadable(content)) for content in contents_of("picture")]
