"""The lock between processes for what is paid for."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from video_pipeline.engine.net.one_at_a_time import one_at_a_time

HOLDS = """
import sys
from pathlib import Path
from video_pipeline.engine.net.one_at_a_time import one_at_a_time
with one_at_a_time(Path(sys.argv[1]), "key"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[bytes]:
    """Start a process that holds the lock until its standard input ends; return it when it holds it."""
    command = [sys.executable, "-c", HOLDS, str(folder)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    return child


def test_another_process_is_waited_for(tmp_path: Path) -> None:
    child = holder(tmp_path)
    released = threading.Event()

    def release() -> None:
        released.set()
        child.communicate()

    threading.Timer(0.3, release).start()
    with one_at_a_time(tmp_path, "key"):
        assert released.is_set()
    child.wait()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    child = holder(tmp_path)
    child.kill()
    child.wait()  # its input is open: what it held is not given back by its own end
    with one_at_a_time(tmp_path, "key"):
        pass
    child.communicate()


def test_a_folder_that_cannot_be_written_has_no_lock(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with one_at_a_time(tmp_path / "file", "key"):
        pass
