"""The Pythons of this machine that wheels are built for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

OLDEST = (3, 11)
"""`requires-python` of pyproject.toml."""

_PROBE = """\
import importlib.util, json, pathlib, sys, sysconfig
print(json.dumps({
    "version": sys.version_info[:2],
    "name": sys.implementation.name,
    "headers": (pathlib.Path(sysconfig.get_path("include")) / "Python.h").is_file(),
    "missing": [name for name in ("venv", "pip", "ensurepip") if importlib.util.find_spec(name) is None],
    "threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""
_NAME = re.compile(r"python3\.(\d+)")


@dataclass(frozen=True, slots=True, order=True)
class PythonProgram:
    """A Python: its version as (3, N), and its program."""

    version: tuple[int, int]
    program: Path

    def __str__(self) -> str:
        return ".".join(map(str, self.version))


def find_pythons(
    environ: Mapping[str, str] = os.environ, *, own: Path = Path(sys.executable)
) -> tuple[list[PythonProgram], dict[str, str]]:
    """Return one Python of each version that can build wheels, the running one first for its version.

    Also return why others cannot, by their programs. Searched: PATH, and the versions of pyenv.
    """
    found: dict[tuple[int, int], PythonProgram] = {}
    left_out: dict[str, str] = {}
    for program in [own, *_candidates(environ)]:
        answer = _ask(program)
        if isinstance(answer, str):
            left_out.setdefault(str(program), answer)
        else:
            found.setdefault(answer.version, answer)
    return sorted(found.values()), left_out


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    folders = [Path(name) for name in environ.get("PATH", "").split(os.pathsep) if name]
    home = environ.get("PYENV_ROOT") or (f"{environ['HOME']}/.pyenv" if environ.get("HOME") else None)
    if home is not None:
        folders += sorted(Path(home).glob("versions/*/bin"))
    for folder in folders:
        if folder.name == "shims" or not folder.is_dir():  # pyenv's own, which choose among its versions
            continue
        for path in sorted(folder.glob("python3.*")):
            named = _NAME.fullmatch(path.name)
            if named and (3, int(named[1])) >= OLDEST and shutil.which(path) is not None:
                yield path


def _ask(program: Path) -> PythonProgram | str:
    """Return a Python, or why it can build no wheel."""
    try:
        done = subprocess.run(
            [program, "-I", "-c", _PROBE], capture_output=True, text=True, timeout=60, check=True
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return f"does not run: {error}"
    version = (int(answer["version"][0]), int(answer["version"][1]))
    if answer["name"] != "cpython" or answer["threaded"]:
        return "is no CPython with a lock (GIL)"
    if version < OLDEST:
        return f"is older than {'.'.join(map(str, OLDEST))}"
    if not answer["headers"]:
        return "has no headers (Python.h)"
    if answer["missing"]:
        return f"has no {' and no '.join(answer['missing'])}"
    return PythonProgram(version, program)
