"""What a program sets for its whole process: memory goes back to the system, imports start nothing idle."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
THRESHOLD_BYTES = 2 * 1024 * 1024
"""Below a frame of 1080x1920, of which each segment has its own, so that they go back when it is done: kept in heaps
they cost 50 to 80 MiB. Above what is taken and given back for every frame."""

KEPT_BYTES = 2 * 1024 * 1024
"""What a heap keeps at its end. With glibc's 128 KiB it gives back what is taken again at once, and the system clears
each page anew: a sixth of the page faults of a render. Each thread has its heaps: with 16 MiB a render of a hundred
photographs grows by 75 MiB, with 2 MiB by none."""


def return_freed_memory() -> bool:
    """Tell glibc to map every large block by itself; return whether it was told.

    Left alone, glibc raises the size from which it does so to 32 MiB once such a block has been freed. Frames
    and encoders then come from heaps that threads fill and never give back, and a long render grows slowly.
    Process-wide, so it is for programs to call and not for libraries.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_THRESHOLD, THRESHOLD_BYTES) and mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))


def load_nothing_idle() -> None:
    """Have libraries that are imported later start nothing that no command needs, unless the user says otherwise.

    NumPy's OpenBLAS starts a thread for each core, which waits for matrices in a loop; pydantic reads what every
    installed package announces, in search of plugins.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


@contextmanager
def importing() -> Iterator[None]:
    """Search for no garbage while the block imports modules, nor ever after in what it has made.

    Modules stay until the process ends; looking through them again and again, and once more at the end, takes
    a tenth of a second of each start. Process-wide, so it is for programs to call and not for libraries.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def open_missing_streams() -> None:
    """Open /dev/null for each of standard input, output and error that the caller closed.

    Otherwise the next file that the process opens gets the number, and messages are written into it.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
