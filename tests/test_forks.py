"""Forks stand for programs: each has its own memory, environment, folder and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forks import ForkServer


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    server = ForkServer(os.environ, prepare="import sys; sys.prepared = 1")
    yield server
    server.close()


def test_a_program_has_its_own_environment_folder_input_and_arguments(
    forks: ForkServer, tmp_path: Path
) -> None:
    code = (
        "import os, sys; print(sys.argv[1:], os.getcwd(), dict(os.environ), sys.stdin.read(), sys.prepared)"
    )
    done = forks.run("-c", code, "a", "b", environ={"ONE": "1"}, stdin="words", cwd=tmp_path)
    assert done.stdout == f"['a', 'b'] {tmp_path} {{'ONE': '1'}} words 1\n"
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_program_changes_is_gone_for_the_next(forks: ForkServer) -> None:
    forks.run("-c", "import sys, os; sys.prepared = 2; os.chdir('/')", environ={})
    done = forks.run("-c", "import sys, os; print(sys.prepared, os.getcwd())", environ={})
    assert done.stdout == f"1 {Path.cwd()}\n"


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('words')", 1, "words\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV, ""),
    ],
)
def test_a_program_ends_as_its_own_process_does(forks: ForkServer, code: str, status: int, said: str) -> None:
    done = forks.run("-c", code, environ={})
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == alone.returncode == status
    assert done.stderr.endswith(said)
    assert alone.stderr.endswith(said)


def test_a_program_that_takes_too_long_is_killed_and_the_next_one_runs(forks: ForkServer) -> None:
    with pytest.raises(subprocess.TimeoutExpired) as raised:
        forks.run("-c", "import time; print(1, flush=True); time.sleep(60)", environ={}, timeout=3)
    assert raised.value.stdout == "1\n"
    assert forks.run("-c", "print(2)", environ={}).stdout == "2\n"
