"""Another process that swaps a file, or the folder that it is in, again and again while it is read."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

Way = Literal["replace", "rewrite", "relink"]

SWAPPER = """
import os, random, shutil, sys, time
way, path, first, second, pause_s, seed = sys.argv[1:]
chance = random.Random(int(seed))
contents = [open(name, "rb").read() for name in (first, second) if os.path.isfile(name)]
kept = os.stat(path)

def replace(number):
    with open(path + ".new", "wb") as file:
        file.write(contents[number])
    os.replace(path + ".new", path)

def rewrite(number):
    with open(path, "r+b") as file:
        file.write(contents[number])
        file.truncate()
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))

def relink(number):
    if number:
        os.rename(path, path + ".real")
        os.symlink(second, path)
    else:
        os.unlink(path)
        os.rename(path + ".real", path)

swap = {"replace": replace, "rewrite": rewrite, "relink": relink}[way]
began = time.monotonic()
print("ready", flush=True)
while True:
    for number in (1, 0):
        swap(number)
        longer = max(1.0, (time.monotonic() - began) / 3)
        time.sleep(chance.uniform(0, float(pause_s) * longer))
"""


@contextmanager
def swapping(way: Way, path: Path, first: Path, second: Path, *, pause_s: float = 0.002) -> Iterator[None]:
    """Swap the bytes at `path` between those of two files, or the folder `path` with a link to the folder `second`.

    `replace` renames a new file over the old one; `rewrite` writes into it and puts its time of modification back.
    Between two swaps are at most `pause_s` seconds, and after three seconds more and more: a slow computer, too, reads
    a file at some time that is not swapped meanwhile.
    """
    seed = random.randrange(2**32)
    print(f"swapping by {way}: seed {seed}")
    command = [
        sys.executable,
        "-c",
        SWAPPER,
        way,
        str(path),
        str(first),
        str(second),
        str(pause_s),
        str(seed),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        yield
    finally:
        assert process.poll() is None, "the swapper has died"
        process.kill()
        process.communicate()
