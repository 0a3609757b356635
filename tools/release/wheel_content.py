"""What a wheel contains besides the package: licences, and libraries that were copied into it."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from tools.release.errors import ReleaseError

LICENCES = ("licenses/LICENSE", "licenses/NOTICE")
"""Files of the wheel's `dist-info`."""

BESIDE = {"video_pipeline/engine/assets/emoji_font/OFL.txt": "NotoColorEmoji.ttf"}
"""Licences that stand beside what they are of."""

COMPILED_IN = ("nanobind", "robin-map")
"""Libraries whose code is part of the extension: NOTICE has their licences."""


def bundled_libraries(wheel: Path) -> list[str]:
    """Check the licences in a wheel, and return the libraries that auditwheel copied into it.

    Raises ReleaseError if a licence is missing, or if NOTICE does not name a library that is part of the wheel.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        info = next(name.split("/")[0] for name in names if ".dist-info/" in name)
        missing = [name for name in (*(f"{info}/{each}" for each in LICENCES), *BESIDE) if name not in names]
        if missing:
            raise ReleaseError(f"{wheel.name}: lacks {', '.join(missing)}")
        notice = archive.read(f"{info}/licenses/NOTICE").decode()
    copied = sorted(
        PurePosixPath(name).name for name in names if name.split("/")[0].endswith(".libs") and ".so" in name
    )
    unnamed = [name for name in (*COMPILED_IN, *copied) if _library(name) not in notice]
    if unnamed:
        raise ReleaseError(
            f"{wheel.name}: contains {', '.join(unnamed)}, which NOTICE does not name; add the licence there"
        )
    return copied


def _library(name: str) -> str:
    """Return a library's name without the hash and version that auditwheel adds: libz-3e7b1b0c.so.1 is libz."""
    stem = name.partition(".so")[0]
    head, _, tail = stem.rpartition("-")
    return head if head and len(tail) == 8 and set(tail) <= set("0123456789abcdef") else stem
