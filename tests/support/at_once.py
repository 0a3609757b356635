"""Start the same program in several processes at the same moment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from tests.support.paths import ROOT


def run_at_once(program: str, arguments: Sequence[Sequence[str]]) -> list[str]:
    """Run a Python program once for each list of arguments and return what each printed; all must exit with 0.

    The program prints "ready" and waits for a line of its input before it begins.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        for given in arguments
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return told
