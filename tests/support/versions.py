"""Wheels of this package under other version numbers, installed over each other as an upgrade does it."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.support.paths import ROOT
from video_pipeline.engine import __version__

METADATA = "Metadata-Version: 2.1\nName: video-pipeline\nVersion: {}\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\nTag: {}\n"
PROGRAM = "[console_scripts]\nvideo-pipeline = video_pipeline.engine.cli.main:main\n"
TAG = "py3-none-any"

Change = Callable[[str], str]


def wheel_of(
    version: str, folder: Path, *, changes: dict[str, Change] | None = None, root: Path = ROOT
) -> Path:
    """Write a wheel of the package in `root` with another version number; `changes` edit files of it, by their names.

    It has the compositor's extension that was built for this environment.
    """
    files: dict[str, bytes] = {}
    for top in ("engine", "filters", "native"):
        for path in (root / top).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".so", ".cpp"):
                files[f"{top}/{path.relative_to(root / top).as_posix()}"] = path.read_bytes()
    for name in ("__init__.py", "__main__.py", "py.typed"):
        files[name] = (root / "video_pipeline" / name).read_bytes()
    if (extension := _extension()) is not None:
        files[f"native/{extension.name}"] = extension.read_bytes()
    edits = {
        "engine/__init__.py": lambda text: _once(text, f'"{__version__}"', f'"{version}"'),
        **(changes or {}),
    }
    for name, change in edits.items():
        files[name] = change(files[name].decode()).encode()
    info = f"video_pipeline-{version}.dist-info"
    packed = {f"video_pipeline/{name}": data for name, data in files.items()} | {
        f"{info}/METADATA": METADATA.format(version).encode(),
        f"{info}/WHEEL": WHEEL.format(TAG).encode(),
        f"{info}/entry_points.txt": PROGRAM.encode(),
    }
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in packed.items())
    wheel = folder / f"video_pipeline-{version}-{TAG}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in packed.items():
            archive.writestr(name, data)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return wheel


def make_environment(folder: Path) -> Path:
    """Make an environment that sees the dependencies of this one, but not its package; return its Python.

    A .pth file in a folder that another .pth file names is not read, so the editable installation stays out.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=300)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    these = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "dependencies.pth").write_text("\n".join(these))
    return folder / "bin/python"


def install(wheel: Path, python: Path, *, compiled: bool = True) -> None:
    """Install a wheel in place of the version that is there; if not `compiled`, Python compiles modules as it needs them."""
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    subprocess.run((*pip, *([] if compiled else ["--no-compile"]), wheel), check=True, timeout=300)


def edit(before: str, after: str) -> Change:
    """Return a change that puts one text in the place of another, which must be there once."""
    return lambda text: _once(text, before, after)


def _once(text: str, before: str, after: str) -> str:
    assert text.count(before) == 1, f"{before!r} is there {text.count(before)} times"
    return text.replace(before, after)


def _extension() -> Path | None:
    found = importlib.util.find_spec("video_pipeline.native._core")
    return Path(found.origin) if found is not None and found.origin else None


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
