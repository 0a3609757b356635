"""Kill a process at each of its steps: a fork runs an action and ends by SIGKILL before the Nth line of chosen modules."""

from __future__ import annotations

import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

EVERY_VARIABLE = "KILL_EVERY"
"""Every how many lines processes are killed, whatever a test says; `make soak` has 1."""


def kill_points(usual: int) -> tuple[int, int]:
    """Return the first line to kill before, at random, and how many lines to go on; print both."""
    stride = int(os.environ.get(EVERY_VARIABLE) or usual)
    point = random.Random().randint(1, stride)
    print(f"killed before every {stride}. line, from line {point} on")
    return point, stride


def killed_before_line(number: int, action: Callable[[], object], *, modules: str) -> bool:
    """Run an action in a fork that is killed before the Nth line that it executes below `modules`; count from 1.

    `modules` is the beginning of the modules' names. Returns False if the action ended by itself before that.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # the process may have threads; the fork uses none
        child = os.fork()
    if child == 0:
        try:
            _run_until(number, action, modules)
            os._exit(0)
        except BaseException as error:
            os.write(2, f"the fork failed: {error!r}\n".encode())
            os._exit(3)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, f"signal {os.WTERMSIG(status)}"
        return True
    assert os.WEXITSTATUS(status) == 0, "the action failed in the fork"
    return False


def _run_until(number: int, action: Callable[[], object], modules: str) -> None:
    left = number

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if not str(frame.f_globals.get("__name__", "")).startswith(modules):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(None)
