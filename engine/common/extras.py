"""The package's extras in words: what to install for a part that is missing."""

from __future__ import annotations


def install_extra(name: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install 'video-pipeline[{name}]'"


def the_extra(name: str) -> str:
    """Return an extra by its name, with the command that installs it."""
    return f"the extra `{name}` ({install_extra(name)})"
