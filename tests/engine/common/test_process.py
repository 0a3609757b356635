"""Freed memory returns to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from video_pipeline.engine.common.process import return_freed_memory

PROGRAM = """
import sys, threading
import numpy as np
from video_pipeline.engine.common.process import return_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

if sys.argv[1] == "told":
    assert return_freed_memory()

def churn():
    # A large block freed first, as a decoded picture is; then many of an encoder's size, a small one kept of each lot.
    np.ones(20_000_000, np.uint8)
    for _ in range(4):
        frames = [np.ones(6_000_000, np.uint8) for _ in range(10)]
        keep.append(np.ones(200_000, np.uint8))
        del frames

keep = []
before = resident()
threads = [threading.Thread(target=churn) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(resident() - before)
"""


@pytest.mark.skipif(not return_freed_memory(), reason="needs glibc")
def test_large_blocks_go_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, "told"], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000_000
