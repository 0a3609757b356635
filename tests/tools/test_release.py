"""A release: what refuses it, which Pythons are found, what a wheel must contain; the quick parts."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tools.release.__main__ import differing_files, main
from tools.release.bill import build_images, with_version, write_sums
from tools.release.build import export_commit
from tools.release.checks import notes_of, read_version, source_of
from tools.release.errors import ReleaseError, run
from tools.release.pythons import OLDEST, find_pythons
from tools.release.wheel_content import bundled_libraries
from video_pipeline.engine import __version__

CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.0] - 2026-01-02

### Added

- More.

## [1.1.0] - 2026-01-01

- Less.
"""
NOTICE = "nanobind, robin-map and libgomp"


def git(root: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-C", root, "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True, timeout=60
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a version and its section of the changelog, all committed."""
    root = tmp_path / "checkout"
    (root / "engine").mkdir(parents=True)
    (root / "engine/__init__.py").write_text('__version__ = "1.2.0"\n')
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    (root / ".gitignore").write_text("*.so\n")
    git(root, "init", "--quiet")
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "-m", "first")
    return root


def test_a_clean_checkout_gives_its_version_its_notes_and_the_time_of_its_commit(checkout: Path) -> None:
    source = source_of(checkout)
    assert (source.version, source.notes) == ("1.2.0", "### Added\n\n- More.\n")
    assert str(source.epoch) == run(["git", "-C", checkout, "log", "-1", "--format=%ct"], what="git").strip()
    git(checkout, "tag", "v1.2.0")
    assert source_of(checkout) == source


def test_a_version_without_a_section_is_refused_in_one_line(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "engine/__init__.py").write_text('__version__ = "1.3.0"\n')
    git(checkout, "commit", "--quiet", "-am", "raised")
    assert main(["--no-images"], root=checkout) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "release: refused: CHANGELOG.md: there is no section [1.3.0], the version in engine/__init__.py; "
        "rename [Unreleased] to [1.3.0] - DATE"
    )
    assert not (checkout / "dist").exists()


def test_a_tree_that_differs_from_its_commit_is_refused_and_a_rehearsal_is_not(checkout: Path) -> None:
    for name in "abcd":
        (checkout / f"new {name}.txt").write_text("new")
    (checkout / "ignored.so").write_text("ignored")
    with pytest.raises(ReleaseError) as refused:
        source_of(checkout)
    assert str(refused.value) == (
        "the tree differs from its commit: new a.txt, new b.txt, new c.txt and 1 more; commit or remove them"
    )
    assert source_of(checkout, is_rehearsal=True).version == "1.2.0"


def test_a_tag_that_disagrees_is_refused(checkout: Path) -> None:
    git(checkout, "tag", "v1.1.0")
    with pytest.raises(
        ReleaseError, match=r"has the tag v1\.1\.0, but engine/__init__\.py has version 1\.2\.0"
    ):
        source_of(checkout)
    git(checkout, "tag", "-d", "v1.1.0")
    git(checkout, "tag", "v1.2.0")
    git(checkout, "commit", "--quiet", "--allow-empty", "-m", "second")
    with pytest.raises(ReleaseError, match=r"the tag v1\.2\.0 is at commit [0-9a-f]{12}, not at this one"):
        source_of(checkout)


@pytest.mark.parametrize(
    "text", ["", '__version__ = "1.2"', '__version__ = "1.2.3.dev1"', '__version__ = "1.2.3"\n' * 2], ids=repr
)
def test_a_version_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ReleaseError, match=r"engine/__init__\.py: got __version__ "):
        read_version(text)


def test_an_empty_section_is_no_section_and_the_last_one_ends_with_the_file() -> None:
    assert notes_of(CHANGELOG, "1.1.0") == "- Less.\n"
    with pytest.raises(ReleaseError, match=r"the section \[Unreleased\] is empty"):
        notes_of(CHANGELOG, "Unreleased")


def test_the_version_is_in_one_place() -> None:
    assert read_version((ROOT / "engine/__init__.py").read_text(encoding="utf-8")) == __version__
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in project
    assert "\nversion = " not in project


def test_what_is_released_is_the_commit_and_not_the_tree(checkout: Path, tmp_path: Path) -> None:
    source = source_of(checkout)
    (checkout / "CHANGELOG.md").write_text("changed")
    (checkout / "left.so").write_text("left")
    tree = export_commit(checkout, source, tmp_path / "tree")
    assert (tree / "CHANGELOG.md").read_text() == CHANGELOG
    assert not (tree / "left.so").exists()


def test_the_running_python_is_found_first_and_one_that_cannot_build_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "python3.11"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    found, left_out = find_pythons({"PATH": str(tmp_path)})
    assert left_out[str(broken)].startswith("does not run: ")
    own = [python for python in found if python.version == sys.version_info[:2]]
    assert len(found) == len(own) <= 1
    if found:  # this Python has its headers
        assert own[0].program == Path(sys.executable)
    else:
        assert sys.executable in left_out
    assert sys.version_info[:2] >= OLDEST


def test_a_python_that_is_not_here_is_refused(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--python", "3.99"], root=checkout) == 2
    assert "release: refused: --python: got 3.99; found here: " in capsys.readouterr().err


def a_wheel(
    folder: Path, *, notice: str = NOTICE, without: str = "", libraries: tuple[str, ...] = ()
) -> Path:
    """Write a wheel with licences, and return it."""
    path = folder / "video_pipeline-1.2.0-cp311-cp311-linux_x86_64.whl"
    info = "video_pipeline-1.2.0.dist-info"
    files = {
        f"{info}/METADATA": "",
        f"{info}/licenses/LICENSE": "",
        f"{info}/licenses/NOTICE": notice,
        "video_pipeline/engine/assets/emoji_font/OFL.txt": "",
    } | {f"video_pipeline.libs/{name}": "" for name in libraries}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            if not without or not name.endswith(without):
                archive.writestr(name, text)
    return path


def test_a_wheel_has_its_licences_and_names_the_libraries_in_it(tmp_path: Path) -> None:
    assert bundled_libraries(a_wheel(tmp_path)) == []
    copied = ("libgomp-a34b3233.so.1.0.0",)
    assert bundled_libraries(a_wheel(tmp_path, libraries=copied)) == list(copied)


@pytest.mark.parametrize("name", ["licenses/LICENSE", "licenses/NOTICE", "OFL.txt"])
def test_a_wheel_without_a_licence_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReleaseError, match=rf"lacks .*{name}"):
        bundled_libraries(a_wheel(tmp_path, without=name))


def test_a_library_that_the_notice_does_not_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"contains libz-0123abcd\.so\.1, which NOTICE does not name"):
        bundled_libraries(a_wheel(tmp_path, libraries=("libz-0123abcd.so.1",)))
    with pytest.raises(ReleaseError, match="contains nanobind, robin-map, which"):
        bundled_libraries(a_wheel(tmp_path, notice="nothing"))


def test_the_checksums_are_those_that_sha256sum_checks(tmp_path: Path) -> None:
    for name in ("b.whl", "a.tar.gz"):
        (tmp_path / name).write_text(name)
    write_sums(tmp_path)
    write_sums(tmp_path)  # a second time: not of itself
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert lines == [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}" for name in ("a.tar.gz", "b.whl")]
    done = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_product_of_the_bill_of_materials_has_the_version() -> None:
    bill = {"components": [], "metadata": {"component": {"name": "video-pipeline", "type": "application"}}}
    found = json.loads(with_version(json.dumps(bill), "1.2.0"))
    assert found["metadata"]["component"] == {
        "name": "video-pipeline",
        "type": "application",
        "version": "1.2.0",
        "purl": "pkg:pypi/video-pipeline@1.2.0",
    }
    assert found["components"] == []


def test_builds_that_differ_are_named(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "same").write_text("same")
        (folder / "other").write_text(folder.name)
    (second / "more").write_text("more")
    assert differing_files(first, second) == ["more", "other"]


def test_a_program_that_fails_is_an_error_with_its_last_lines() -> None:
    with pytest.raises(ReleaseError, match=r"a step: exit status 3 of .*\n  the reason"):
        run([sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"], what="a step")


def test_images_are_left_out_with_a_word_if_the_makefile_has_none(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("test:\n")
    assert build_images(tmp_path) == "no images: the Makefile has no target `image`"
