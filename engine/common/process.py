"""Settings for the whole process: freed memory returns to the system, imports start no idle threads."""

from __future__ import annotations

import codecs
import gc
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
THRESHOLD_BYTES = 2 * 1024 * 1024
"""Less than a 1080x1920 frame, so that the frames of a finished segment are unmapped (in heaps they would keep 50 to 80
MiB), and more than the blocks that are allocated and freed for every frame."""

KEPT_BYTES = 2 * 1024 * 1024
"""Free memory that a heap keeps at its end. With glibc's 128 KiB, memory is returned and allocated again at once, and
the system clears each page again: a sixth of a render's page faults. Each thread has its own heap: with 16 MiB a
render of a hundred photographs grows by 75 MiB, with 2 MiB by none."""


def return_freed_memory() -> bool:
    """Make glibc map every large block separately; return whether it accepted.

    By default glibc raises that threshold to 32 MiB after such a block is freed. Frames and encoders are then
    allocated in heaps that never shrink, and a long render grows slowly. The setting is process-wide: call it
    from programs, not from libraries.
    """
    import ctypes  # here, because these two would take a twentieth of the time of `--help`
    import platform

    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_THRESHOLD, THRESHOLD_BYTES) and mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))


def load_nothing_idle() -> None:
    """Stop libraries that are imported later from starting threads and plugin scans, unless the user set otherwise.

    NumPy's OpenBLAS starts a busy-waiting thread per core; pydantic reads the metadata of every installed package
    to find plugins.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


@contextmanager
def importing() -> Iterator[None]:
    """Pause garbage collection during imports, and exclude what they created from later collections.

    Modules live until the process ends; scanning them repeatedly, and once more at exit, costs a tenth of a second
    per start. The setting is process-wide: call it from programs, not from libraries.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def open_missing_streams() -> None:
    """Open /dev/null for each of standard input, output and error that the caller closed.

    Otherwise the next file that the process opens gets the free descriptor, and messages are written into it.
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


def print_any_name() -> None:
    """Make standard output accept every path: one that is not UTF-8 is printed as its bytes, as `ls` does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
        sys.stdout.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
