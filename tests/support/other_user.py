"""Tests of permissions run as another user, because root may do anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

NOBODY: Final = 65534
IS_ROOT: Final = os.geteuid() == 0


@contextmanager
def without_root() -> Iterator[None]:
    """Run the block as the user `nobody` if this process runs as root."""
    if IS_ROOT:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if IS_ROOT:
            os.seteuid(0)
