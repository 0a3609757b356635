"""The text of the CUDA kernels, compiled as C++."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SOURCE = ROOT / "tests/native/cuda_kernels.cpp"


def compiler() -> str:
    """Return the C++ compiler; skip the test if there is none, except in CI."""
    found = shutil.which(os.environ.get("CXX", "g++"))
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no C++ compiler")
        pytest.skip("the CUDA kernels are compiled as C++ here, and there is no compiler")
    return found


def run_program(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program without the sanitizer that `make sanitize` loads into every one."""
    environ = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False, env=environ)


def compile_cpp(sources: Sequence[Path], target: Path, *options: str, native: Path = ROOT / "native") -> Path:
    """Compile C++ files that include the kernels of the folder `native`."""
    command = [compiler(), "-std=c++17", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-ffp-contract=off"]
    command += [f"-I{native}", f"-I{ROOT / 'tests/native'}", *options, *map(str, sources)]
    done = run_program(*command, "-o", str(target))
    assert done.returncode == 0, done.stderr
    return target


def built_kernels() -> Path:
    """Return the library of `build_kernels`, kept in build/ for each content of the sources."""
    sources = [SOURCE, *SOURCE.parent.glob("*.h")]
    sources += [path for part in ("cuda", "pixel") for path in (ROOT / "native" / part).iterdir()]
    content = hashlib.sha256(compiler().encode())
    for source in sorted(sources):
        content.update(source.read_bytes())
    folder = ROOT / "build" / "cuda_kernels" / content.hexdigest()[:16]
    if not folder.is_dir():
        made = folder.with_name(f"{folder.name}.{os.getpid()}")
        made.mkdir(parents=True)
        build_kernels(made)
        try:
            made.rename(folder)
        except OSError:  # another run was faster
            shutil.rmtree(made)
    return folder / "cuda_kernels.so"


def build_kernels(folder: Path, *, native: Path = ROOT / "native") -> Path:
    """Return a shared library that runs the kernels on the CPU."""
    return compile_cpp([SOURCE], folder / "cuda_kernels.so", "-O2", "-fPIC", "-shared", native=native)
