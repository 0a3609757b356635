"""Memory that is freed goes back to the system."""

from __future__ import annotations

import ctypes
import platform
import sys

M_MMAP_THRESHOLD = -3
THRESHOLD_BYTES = 4 * 1024 * 1024
"""Above a frame of 1080x1920, which is used again at once, and below what decoders and encoders hold."""


def return_freed_memory() -> bool:
    """Tell glibc to map every large block by itself; return whether it was told.

    Left alone, glibc raises the size from which it does so to 32 MiB once such a block has been freed. Frames
    and encoders then come from heaps that threads fill and never give back, and a long render grows slowly.
    Process-wide, so it is for programs to call and not for libraries.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    return bool(ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, THRESHOLD_BYTES))
