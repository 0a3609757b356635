"""Make a release of the last commit: `make release`.

    python -m tools.release                        dist/VERSION: wheels, source, bill of materials, notes, SHA256SUMS
    python -m tools.release --rehearse             try everything, compare with a second build, keep nothing

Each step must succeed, and each artefact is installed in an environment with nothing else and renders an example; only
then does the folder appear. Nothing is uploaded and no tag is made. Exit status: 0 done, 1 failed, 2 refused.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tools.release.bill import build_images, write_bill, write_sums
from tools.release.build import build_sdist, build_wheel, export_commit
from tools.release.checks import Source, source_of
from tools.release.errors import ReleaseError
from tools.release.installs import try_out
from tools.release.pythons import PythonProgram, find_pythons
from tools.release.wheel_content import bundled_libraries

ROOT = Path(__file__).parents[2]
NOTES = "RELEASE_NOTES.md"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make, for which Pythons, and whether to try it out."""

    source: Source
    pythons: tuple[PythonProgram, ...]
    images: bool
    installs: bool


def main(arguments: Sequence[str] | None = None, *, root: Path = ROOT) -> int:
    """Run the program; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        source = source_of(root, is_rehearsal=options.rehearse)
        pythons = _pythons(options.python)
    except ReleaseError as error:
        print(f"release: refused: {error}", file=sys.stderr)
        return 2
    plan = Plan(
        source, pythons, images=not (options.no_images or options.rehearse), installs=not options.no_installs
    )
    try:
        if options.rehearse:
            _rehearse(root, plan)
        else:
            _release(root, plan, options.output or root / "dist")
    except ReleaseError as error:
        print(f"release: failed: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.release",
        description="Make a release of the last commit: wheels, source archive, bill of materials, notes and checksums.",
    )
    parser.add_argument(
        "--output", metavar="FOLDER", type=Path, help="where the folder VERSION is made; default: dist"
    )
    parser.add_argument(
        "--rehearse", action="store_true", help="build, try out, compare with a second build, keep nothing"
    )
    parser.add_argument(
        "--python",
        metavar="3.N",
        action="append",
        help="a version to build for; default: every one that is found",
    )
    parser.add_argument("--no-images", action="store_true", help="build no container images")
    parser.add_argument("--no-installs", action="store_true", help="install and render nothing")
    return parser


def _pythons(wanted: list[str] | None) -> tuple[PythonProgram, ...]:
    found, left_out = find_pythons()
    for program, why in left_out.items():
        _say(f"no wheel with {program}: it {why}")
    names = ", ".join(map(str, found)) or "none"
    if missing := [name for name in wanted or () if name not in map(str, found)]:
        raise ReleaseError(f"--python: got {missing[0]}; found here: {names}")
    chosen = tuple(python for python in found if wanted is None or str(python) in wanted)
    if not chosen:
        raise ReleaseError("no Python here can build wheels")
    _say(f"wheels for Python {', '.join(map(str, chosen))}")
    return chosen


def _release(root: Path, plan: Plan, output: Path) -> None:
    target = output / plan.source.version
    if target.exists():
        raise ReleaseError(f"{target} exists; move it away")
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".release-", dir=output) as name:
        folder, made = Path(name), Path(name) / plan.source.version
        _make(root, plan, folder, made)
        if plan.images:
            _say(build_images(root))
        write_sums(made)
        made.rename(target)
    for path in sorted(target.iterdir()):
        _say(f"{path.stat().st_size:>12,}  {path.relative_to(output.parent)}")


def _rehearse(root: Path, plan: Plan) -> None:
    with tempfile.TemporaryDirectory(prefix="release-") as name:
        folder = Path(name)
        first, second = folder / "first/made", folder / "another place/made"
        _make(root, plan, first.parent, first)
        _build(root, replace(plan, pythons=plan.pythons[:1]), second.parent, second)
        if differing := differing_files(first, second):
            raise ReleaseError(f"two builds differ in {', '.join(differing)}")
        _say("two builds are equal byte for byte")


def differing_files(first: Path, second: Path) -> list[str]:
    """Return the names of the second folder's files whose bytes the first one does not have."""

    def digest(path: Path) -> str | None:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None

    return [path.name for path in sorted(second.iterdir()) if digest(path) != digest(first / path.name)]


def _build(root: Path, plan: Plan, folder: Path, made: Path) -> Path:
    """Build the source archive and the wheels into `made`; return the exported commit."""
    tree = export_commit(root, plan.source, folder / "tree")
    made.mkdir()
    sdist = build_sdist(tree, plan.source, made)
    _say(sdist.name)
    for python in plan.pythons:
        began = time.monotonic()
        wheel = build_wheel(sdist, plan.source, python, made)
        copied = bundled_libraries(wheel)
        _say(f"{wheel.name}, bundled: {', '.join(copied) or 'no library'}; {time.monotonic() - began:.0f} s")
    return tree


def _make(root: Path, plan: Plan, folder: Path, made: Path) -> None:
    tree = _build(root, plan, folder, made)
    (made / NOTES).write_text(plan.source.notes, encoding="utf-8")
    if not plan.installs:
        return
    environment = None
    sdist = next(made.glob("*.tar.gz"))
    tried = [(python, _wheel_of(made, python)) for python in plan.pythons] + [(plan.pythons[-1], sdist)]
    for number, (python, artefact) in enumerate(tried):
        began, place = time.monotonic(), folder / f"installed-{number}"
        target = try_out(python, artefact, plan.source.version, tree / "examples", place)
        if environment is None:
            environment = target
            bill = made / f"video_pipeline-{plan.source.version}.cdx.json"
            write_bill(environment, tree, plan.source, bill)
        shutil.rmtree(place)
        _say(f"{artefact.name} installed and rendered with Python {python}: {time.monotonic() - began:.0f} s")


def _wheel_of(made: Path, python: PythonProgram) -> Path:
    (wheel,) = made.glob(f"*-cp{python.version[0]}{python.version[1]}-*.whl")
    return wheel


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
