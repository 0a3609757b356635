"""Another user for a moment: root may do anything, so that a test of permissions has to be somebody else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

NOBODY: Final = 65534
IS_ROOT: Final = os.geteuid() == 0


@contextmanager
def without_root() -> Iterator[None]:
    """Act as `nobody` during the block if this process is root's."""
    if IS_ROOT:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if IS_ROOT:
            os.seteuid(0)
