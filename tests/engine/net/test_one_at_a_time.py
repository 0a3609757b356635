"""The lock between processes for what is paid for."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from video_pipeline.engine.net.one_at_a_time import one_at_a_time

HOLDS = """
import sys, time
from pathlib import Path
from video_pipeline.engine.net.one_at_a_time import one_at_a_time
with one_at_a_time(Path(sys.argv[1]), "key"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(folder: Path, seconds: float) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", HOLDS, str(folder), str(seconds)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    return child


def end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.communicate()


def test_another_process_is_waited_for(tmp_path: Path) -> None:
    child = holder(tmp_path, 0.3)
    begin = time.monotonic()
    with one_at_a_time(tmp_path, "key"):
        assert time.monotonic() - begin > 0.1
    child.communicate()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    end(holder(tmp_path, 60))
    begin = time.monotonic()
    with one_at_a_time(tmp_path, "key"):
        assert time.monotonic() - begin < 10


def test_a_folder_that_cannot_be_written_has_no_lock(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with one_at_a_time(tmp_path / "file", "key"):
        pass
