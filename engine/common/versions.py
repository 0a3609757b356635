"""The versions of installed packages, each looked up once: what is kept depends on what made it."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import distribution


@cache
def version(name: str) -> str:
    """Return the version of an installed distribution; raise importlib.metadata.PackageNotFoundError.

    Only that line of its metadata is read, which is quicker by half than to parse the whole as a message.
    """
    found = distribution(name)
    line = re.search(r"^Version:\s*(\S+)", found.read_text("METADATA") or "", re.MULTILINE)
    return line.group(1) if line else found.version
