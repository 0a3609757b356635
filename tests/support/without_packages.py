"""Run Python as if some packages were not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from sysconfig import get_path

from tests.support.paths import ROOT


def run_without(packages: tuple[str, ...], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` with links to every installed package but those whose names begin with one of `packages`."""
    links = folder / "packages"
    links.mkdir()
    for entry in Path(get_path("platlib")).iterdir():
        if not entry.name.startswith(packages):
            (links / entry.name).symlink_to(entry)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{links}", "PYTHONDONTWRITEBYTECODE": "1"}
    # Without `site`, the installed packages are found only through the links.
    return subprocess.run(
        [sys.executable, "-S", "-P", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        check=False,
        timeout=120,
    )
