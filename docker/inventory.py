"""What an image contains: the licences of its Python packages, and its bill of materials (CycloneDX).

The programs of the images' build, run by the base's own Python:

    inventory.py licences ENVIRONMENT FOLDER    copy every licence file of an environment's packages into a folder
    inventory.py bill PYTHON.json OUT.json      add this system's Debian packages to a bill of Python packages
"""

from __future__ import annotations

import csv
import email
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

NAMES = ("licen", "copying", "notice", "authors", "copyright", "thirdparty")
"""How the names of licence files begin, in lower case; `licen` is both spellings."""

CODE = (".py", ".pyc", ".pyi", ".so", ".json")


def licence_files(information: Path) -> list[Path]:
    """Return the licence files that a package's .dist-info folder says it has installed."""
    rows = csv.reader((information / "RECORD").read_text(encoding="utf-8").splitlines())
    files = [information.parent / row[0] for row in rows if row and not row[0].startswith(("/", ".."))]
    return [
        path
        for path in sorted(files)
        if path.suffix not in CODE
        and (path.name.lower().startswith(NAMES) or f"{information.name}/licenses/" in path.as_posix())
        and path.is_file()
    ]


def copy_licences(environment: Path, folder: Path) -> list[str]:
    """Copy the licence files of every package of a virtual environment to FOLDER/licences/NAME-VERSION/.

    Writes FOLDER/licences.txt: name, version, licence and number of files of each. Returns the packages that bring
    neither a file nor a word about their licence. Raises FileNotFoundError if there is no package.
    """
    found = sorted(environment.glob("lib/python3*/site-packages/*.dist-info"))
    if not found:
        raise FileNotFoundError(f"{environment}: no packages are installed there")
    lines, silent = [], []
    for information in found:
        data = email.message_from_string((information / "METADATA").read_text(encoding="utf-8"))
        name, version = data["Name"], data["Version"]
        classifiers = [
            line.rpartition(" :: ")[2] for line in data.get_all("Classifier", ()) if "License ::" in line
        ]
        short = (data["License"] or "").strip().splitlines()
        words = data["License-Expression"] or ", ".join(classifiers) or (short[0] if short else "")
        files = licence_files(information)
        for path in files:
            target = folder / "licences" / f"{name}-{version}" / path.relative_to(information.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        if not files and not words:
            silent.append(f"{name} {version}")
        lines.append(f"{name}\t{version}\t{words or 'not said'}\t{len(files)} files\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "licences.txt").write_text("".join(lines), encoding="utf-8")
    return silent


def debian_packages(listing: str, *, distribution: str) -> list[dict[str, Any]]:
    """Return CycloneDX components from lines of `NAME TAB VERSION TAB ARCHITECTURE`."""
    components = []
    for line in listing.splitlines():
        name, version, architecture = line.split("\t")
        place = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro={distribution}"
        components.append(
            {"type": "library", "bom-ref": place, "name": name, "version": version, "purl": place}
        )
    return components


def whole_bill(python: Mapping[str, Any], system: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a bill of Python packages with the system's packages added."""
    return {**python, "components": [*python.get("components", ()), *system]}


def write_bill(python: Path, out: Path) -> None:
    """Write the bill of this system and of the Python packages in another bill; ask dpkg for the former."""
    listing = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Package}\\t${Version}\\t${Architecture}\\n"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    release = platform.freedesktop_os_release()
    system = debian_packages(listing, distribution=f"{release['ID']}-{release.get('VERSION_ID', 'sid')}")
    bill = whole_bill(json.loads(python.read_text(encoding="utf-8")), system)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Run a command; return the exit status."""
    if len(arguments) != 3 or arguments[0] not in ("licences", "bill"):
        print(__doc__, file=sys.stderr)
        return 2
    first, second = Path(arguments[1]), Path(arguments[2])
    if arguments[0] == "bill":
        write_bill(first, second)
        return 0
    silent = copy_licences(first, second)
    if silent:
        print(f"these packages say nothing about their licence: {', '.join(silent)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
