"""The images' files: what is copied into them, and what they promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

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
    assert install[0].replace("[farm]", "[farm,cuda]") == install[1]
    assert environment[1].startswith(environment[0])
    assert environment[1].removeprefix(environment[0]).split() == [
        "NVIDIA_VISIBLE_DEVICES=all",
        "NVIDIA_DRIVER_CAPABILITIES=compute,utility,video",
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
    assert folders | documents | {"pyproject.toml", "LICENSE", "NOTICE"} == taken
