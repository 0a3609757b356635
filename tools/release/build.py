"""Build the source archive and the wheels, the same bytes each time."""

from __future__ import annotations

import os
import platform
import sys
import tarfile
import tempfile
from pathlib import Path

from tools.release.checks import Source
from tools.release.errors import ReleaseError, run
from tools.release.pythons import PythonProgram


def export_commit(root: Path, source: Source, target: Path) -> Path:
    """Write the files of the commit, and no others, into a folder; return it."""
    target.mkdir(parents=True)
    archive = target.with_suffix(".tar")
    run(["git", "-C", root, "archive", "--output", archive, source.commit], what="git archive")
    with tarfile.open(archive) as files:
        files.extractall(target, filter="data")
    archive.unlink()
    return target


def build_sdist(tree: Path, source: Source, target: Path) -> Path:
    """Build the source archive of an exported commit; return it."""
    # -P: a checkout has a folder `build`, which Python would take for the package if that is not installed.
    run(
        [sys.executable, "-P", "-m", "build", "--sdist", "--outdir", target, tree],
        what="the source archive",
        environ=_environment(source, tree),
    )
    return _only(target, f"video_pipeline-{source.version}.tar.gz")


def build_wheel(sdist: Path, source: Source, python: PythonProgram, target: Path) -> Path:
    """Build a wheel from the source archive, and repair it, so that it runs on other systems; return it.

    Raises ReleaseError if the extension was left out of it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with tarfile.open(sdist) as files:
            files.extractall(folder, filter="data")
        (tree,) = folder.iterdir()
        raw, pip = folder / "raw", (python.program, "-m", "pip", "wheel")
        run(
            [*pip, "--quiet", "--no-deps", "--no-cache-dir", "--wheel-dir", raw, tree],
            what=f"the wheel of Python {python}",
            environ=_environment(source, tree),
        )
        tag = f"cp{python.version[0]}{python.version[1]}"
        found = [path.name for path in raw.iterdir()]
        if len(found) != 1 or f"-{tag}-{tag}-" not in found[0]:
            raise ReleaseError(
                f"the wheel of Python {python}: got {', '.join(found)}, needed one for {tag}: was the C++ extension built?"
            )
        if sys.platform != "linux":
            target.mkdir(parents=True, exist_ok=True)
            return (raw / found[0]).rename(target / found[0])
        return _repair(raw / found[0], source, target)


def _repair(wheel: Path, source: Source, target: Path) -> Path:
    before = set(target.glob("*.whl"))
    run(
        [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", target, wheel],
        what=f"auditwheel repair {wheel.name}",
        environ=_environment(source, wheel.parent) | {"PATH": _path_with_own_programs()},
    )
    (made,) = set(target.glob("*.whl")) - before
    if "manylinux" not in made.name and "musllinux" not in made.name:
        raise ReleaseError(f"auditwheel repair: {made.name} is for this system alone")
    return made


def _path_with_own_programs() -> str:
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def _environment(source: Source, tree: Path) -> dict[str, str]:
    """Return what makes builds equal: one time, no paths of this machine in what the compiler writes."""
    flags = f"-ffile-prefix-map={tree.resolve()}=. -ffile-prefix-map={tempfile.gettempdir()}=/tmp"
    return {
        "SOURCE_DATE_EPOCH": str(source.epoch),
        "PYTHONHASHSEED": "0",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "CXXFLAGS": flags if platform.system() == "Linux" else "",
        "CMAKE_BUILD_PARALLEL_LEVEL": "2",
    }


def _only(folder: Path, name: str) -> Path:
    found = [path.name for path in folder.glob("*.tar.gz")]
    if found != [name]:
        raise ReleaseError(f"the source archive: got {', '.join(found)}, needed {name}")
    return folder / name
