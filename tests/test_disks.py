"""Small disks of tests leave nothing mounted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.disks import mounted, small_disk
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.support.disks import mounted
with mounted(Path(sys.argv[1]), "size=1m") as done:
    assert done
    print("mounted", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def is_mounted(folder: Path) -> bool:
    return f" {folder} " in Path("/proc/mounts").read_text()


def test_a_disk_is_gone_after_the_block(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        assert is_mounted(disk)
    assert not is_mounted(disk)


def test_a_disk_is_gone_after_its_process_was_killed(tmp_path: Path) -> None:
    with mounted(tmp_path / "try", "size=1m") as allowed:
        if not allowed:
            pytest.skip("mounting needs root and Linux")
    disk = tmp_path / "disk"
    command = [sys.executable, "-c", KILLED, str(disk)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "mounted\n"), done.stderr
    wait_until(lambda: not is_mounted(disk), what="its end")
