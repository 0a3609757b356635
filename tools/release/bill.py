"""The bill of materials (CycloneDX), the checksums and the images of a release."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.release.checks import Source
from tools.release.errors import run

SUMS = "SHA256SUMS"
BUILDERS = (("docker", "info"), ("podman", "info"), ("buildah", "version"))
"""Programs that build images, and what each is asked to find out whether it works."""


def write_bill(environment: Path, tree: Path, source: Source, target: Path) -> None:
    """Write what an environment holds, with licences and hashes of origin, as a CycloneDX document in JSON."""
    program = (sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", tree / "pyproject.toml")
    run(
        [*program, "--output-reproducible", "--of", "JSON", "-o", target, environment],
        what="the bill of materials",
        environ={"SOURCE_DATE_EPOCH": str(source.epoch)},
    )
    target.write_text(with_version(target.read_text(encoding="utf-8"), source.version), encoding="utf-8")


def with_version(bill: str, version: str) -> str:
    """Return a bill of materials whose product has a version: pyproject.toml, which names the product, has none."""
    document = json.loads(bill)
    product = document["metadata"]["component"]
    product |= {"version": version, "purl": f"pkg:pypi/{product['name']}@{version}"}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def write_sums(folder: Path) -> Path:
    """Write the SHA-256 of every other file of a folder, as `sha256sum --check` reads it; return the file."""
    lines = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != SUMS:
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    return folder / SUMS


def find_builder() -> str | None:
    """Return the first program here that can build images, None if there is none."""
    for program, question in BUILDERS:
        if shutil.which(program) is None:
            continue
        done = subprocess.run([program, question], capture_output=True, timeout=60, check=False)
        if done.returncode == 0:
            return program
    return None


def build_images(root: Path) -> str:
    """Run `make image`, if the Makefile has it and a builder works; return what was done, in words."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    if not re.search(r"^image:", makefile, re.M):
        return "no images: the Makefile has no target `image`"
    builder = find_builder()
    if builder is None:
        return f"no images: none of {', '.join(name for name, _ in BUILDERS)} works here"
    run(["make", "-C", root, "image"], what="make image", seconds=7200)
    return f"images built with {builder}"
