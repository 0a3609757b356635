"""Why a release is not made, and the programs that it runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TAIL_LINES = 25


class ReleaseError(Exception):
    """A release cannot be made; the message is what the user reads."""


def run(
    command: Sequence[str | Path],
    *,
    what: str,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    seconds: float = 1800.0,
) -> str:
    """Run a program and return its output; raise ReleaseError with its last lines if it fails."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ReleaseError(f"{what}: {error}") from error
    if done.returncode:
        tail = (done.stdout + done.stderr).splitlines()[-TAIL_LINES:]
        raise ReleaseError(f"{what}: exit status {done.returncode} of {command[0]}:\n  " + "\n  ".join(tail))
    return done.stdout
