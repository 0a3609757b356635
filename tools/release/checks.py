"""What must hold before a release: one version, its section of the changelog, a clean tree, a tag that agrees."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tools.release.errors import ReleaseError, run

VERSION_FILE = "engine/__init__.py"
CHANGELOG = "CHANGELOG.md"
_VERSION = re.compile(r'^__version__ = "([^"]*)"$', re.M)
_PUBLIC = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
_SECTION = re.compile(r"^## \[([^\]]+)\].*$", re.M)
NAMED_FILES = 3
"""Changed files that the refusal of a changed tree names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a release is made of. `epoch` is the commit's time in seconds since 1970, `notes` its changes."""

    version: str
    commit: str
    epoch: int
    notes: str


def source_of(root: Path, *, is_rehearsal: bool = False) -> Source:
    """Check a checkout and return what a release of it is made of; raise ReleaseError with one line if it may not be.

    A rehearsal builds the last commit, whatever the tree, the tags and the changelog are.
    """
    version = read_version((root / VERSION_FILE).read_text(encoding="utf-8"))
    commit, epoch = _git(root, "log", "-1", "--format=%H %ct").split()
    changelog = (root / CHANGELOG).read_text(encoding="utf-8")
    if is_rehearsal:
        name = version if version in _SECTION.findall(changelog) else "Unreleased"
    else:
        _check_tree(root)
        _check_tags(root, version, commit)
        name = version
    return Source(version=version, commit=commit, epoch=int(epoch), notes=notes_of(changelog, name))


def read_version(text: str) -> str:
    """Return the version that the text of `engine/__init__.py` has."""
    found = _VERSION.findall(text)
    if len(found) != 1 or not _PUBLIC.fullmatch(found[0]):
        raise ReleaseError(
            f"{VERSION_FILE}: got __version__ {', '.join(map(repr, found)) or 'nowhere'}; "
            "needed once, as N.N.N, N.N.NaN, N.N.NbN or N.N.NrcN"
        )
    return str(found[0])


def notes_of(changelog: str, version: str) -> str:
    """Return a version's section of the changelog without its heading; raise ReleaseError if there is none."""
    heads = list(_SECTION.finditer(changelog))
    for number, head in enumerate(heads):
        if head[1] == version:
            end = heads[number + 1].start() if number + 1 < len(heads) else len(changelog)
            if text := changelog[head.end() : end].strip():
                return text + "\n"
            raise ReleaseError(f"{CHANGELOG}: the section [{version}] is empty")
    raise ReleaseError(
        f"{CHANGELOG}: there is no section [{version}], the version in {VERSION_FILE}; "
        f"rename [Unreleased] to [{version}] - DATE"
    )


def _check_tree(root: Path) -> None:
    # NUL-separated, so that no name is quoted.
    changed = [
        line[3:] for line in _git(root, "status", "--porcelain", "-z", "--no-renames").split("\0") if line
    ]
    if changed:
        more = f" and {len(changed) - NAMED_FILES} more" if len(changed) > NAMED_FILES else ""
        raise ReleaseError(
            f"the tree differs from its commit: {', '.join(changed[:NAMED_FILES])}{more}; commit or remove them"
        )


def _check_tags(root: Path, version: str, commit: str) -> None:
    here = [tag for tag in _git(root, "tag", "--points-at", "HEAD").split() if _is_version_tag(tag)]
    if wrong := [tag for tag in here if tag != f"v{version}"]:
        raise ReleaseError(f"the commit has the tag {wrong[0]}, but {VERSION_FILE} has version {version}")
    if f"v{version}" in _git(root, "tag").split() and f"v{version}" not in here:
        there = _git(root, "rev-list", "-n1", f"v{version}").strip()
        raise ReleaseError(
            f"the tag v{version} is at commit {there[:12]}, not at this one ({commit[:12]}); raise the version in "
            f"{VERSION_FILE}"
        )


def _is_version_tag(tag: str) -> bool:
    return re.match(r"v?\d", tag) is not None


def _git(root: Path, *arguments: str) -> str:
    return run(["git", "-C", root, *arguments], what="git")
