"""The wheel: its content, and that it works in a folder with packages named like those of the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
import yaml

from tests.support.jobs import node_process, node_settings, tiny_story
from tests.support.modules import FOLDERS, package_modules
from tests.support.paths import ROOT
from tests.support.video import decode
from video_pipeline import native
from video_pipeline.engine import __version__

pytestmark = pytest.mark.slow

UNREACHABLE = "(from versions: none)"
"""What pip says of a requirement if the index does not answer."""

PROGRAM = """\
from fractions import Fraction
from pathlib import Path

from video_pipeline import NodeClient, Sound, load_config, load_story, render_story

voice = Sound(Path("voice.wav"), sha256="", duration=Fraction(2))
result = render_story(load_story("story.json"), Path("out.mp4"), config=load_config({}), voice_over=voice)
frames: int = result.info.frame_count
job: str = NodeClient("tcp://127.0.0.1:5570").submit("story.json", priority="high").job_id
wrong: str = NodeClient().submit(story=1, priority="soon").created  # type: ignore[arg-type, assignment]
"""

STORY = tiny_story("wheel", seconds=0.75, text="Wheel")
SIZE_PX = (160, 284)
FRAMES = 24
"""Two scenes of 18 frames that share a transition of 12."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The wheel in a separate environment, and a user's folder to work in."""

    python: Path
    packages: Path
    folder: Path

    @property
    def program(self) -> Path:
        """The console script."""
        return self.python.with_name("video-pipeline")

    def run(self, *command: str | Path) -> str:
        """Run a program of the installation in the user's folder and return its output; it must succeed."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def build_wheel(folder: Path) -> Path:
    """Build the wheel of the checkout; skip the test if the index that has the build's tools is out of reach."""
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder)
    done = subprocess.run(
        (*pip, f"--config-settings=build-dir={folder / 'cmake'}", ROOT),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if UNREACHABLE in done.stderr and os.environ.get("CI") != "true":
        pytest.skip("no wheel without the package index, which has scikit-build-core and nanobind")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, environment: Path) -> tuple[Path, Path]:
    """Install a wheel into a new environment that sees the dependencies of this one; return its Python and packages.

    A .pth file in a folder that another .pth file names is not read, so the editable installation stays out.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=300)
    python = environment / "bin/python"
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))
    these = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "dependencies.pth").write_text("\n".join(these))
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    subprocess.run((*pip, wheel), check=True, timeout=300)
    return python, packages


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the checkout."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The installed wheel, and a folder with packages `engine`, `filters` and `native` that cannot be imported."""
    python, packages = install(wheel, tmp_path_factory.mktemp("environment"))
    folder = tmp_path_factory.mktemp("user")
    for name in FOLDERS:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(
            f"raise RuntimeError('imported the package {name} of the user')\n"
        )
    return Installation(python, packages, folder)


def test_the_wheel_brings_one_name_and_every_module_under_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = [PurePosixPath(name) for name in archive.namelist()]
    tops = {file.parts[0] for file in files}
    assert tops == {"video_pipeline", f"video_pipeline-{__version__}.dist-info"}
    inside = {file for file in files if file.parts[0] == "video_pipeline"}
    modules = {
        PurePosixPath("video_pipeline", each.path.relative_to(ROOT)) for each in package_modules().values()
    }
    top = {PurePosixPath("video_pipeline", name) for name in ("__init__.py", "__main__.py", "py.typed")}
    assert modules | top <= inside
    kernels = {
        PurePosixPath("video_pipeline", path.relative_to(ROOT))
        for pattern in ("cuda/*.cu", "cuda/*.h", "pixel/*.h")
        for path in (ROOT / "native").glob(pattern)
        if path.name != "plan.h"
    }
    data = {
        PurePosixPath("video_pipeline", path.relative_to(ROOT))
        for kind in ("yaml", "css", "html", "js", "svg", "ttf", "npz", "txt")
        for path in (ROOT / "engine").rglob(f"*.{kind}")
    }
    assert kernels | data <= inside
    extension = [str(file).partition(".")[0] for file in inside - modules - top - kernels - data]
    assert extension == (["video_pipeline/native/_core"] if native.available() else [])


def test_the_package_is_imported_beside_a_users_package_engine(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine/__init__.py").write_text("OWNER = 'user'\n")
    script = (
        "import video_pipeline, engine, video_pipeline.engine\n"
        "print(video_pipeline.__file__, engine.OWNER, video_pipeline.engine.__version__, sep='\\n')\n"
    )
    user = Installation(installation.python, installation.packages, tmp_path)
    printed = user.run(user.python, "-c", script).splitlines()
    assert printed == [str(installation.packages / "video_pipeline/__init__.py"), "user", __version__]


def test_every_module_of_it_is_imported_without_a_users_packages(installation: Installation) -> None:
    left_out = ("_core", "__main__") if native.available() else ("_core", "__main__", "native.kernels")
    names = [name for name in package_modules() if not name.endswith(left_out)]
    script = f"import importlib\nfor name in {names}: print(importlib.import_module(name).__file__)"
    files = [Path(line) for line in installation.run(installation.python, "-c", script).splitlines()]
    assert len(files) == len(names)
    assert all(file.is_relative_to(installation.packages / "video_pipeline") for file in files)


def test_the_command_line_answers_by_both_its_names(installation: Installation) -> None:
    assert installation.run(installation.program, "--version").split()[-1] == __version__
    usage = installation.run(installation.python, "-m", "video_pipeline", "--help")
    assert usage.startswith("usage: video-pipeline ")


def test_it_renders(installation: Installation, tmp_path: Path) -> None:
    compositor = "native" if native.available() else "ffmpeg"
    settings = node_settings(tmp_path)
    config, story, output = (tmp_path / name for name in ("config.yaml", "story.json", "out.mp4"))
    config.write_text(
        yaml.safe_dump({"video": {**settings["video"], "compositor": compositor}, "tts": settings["tts"]})
    )
    story.write_text(json.dumps(STORY))
    render = (installation.python, "-m", "video_pipeline", "render", story, "-o", output)
    installation.run(*render, "--config", config, "--no-cache", "--quiet")
    manifest = json.loads(output.with_name("out.manifest.json").read_text())
    assert manifest["compositor"]["name"] == compositor
    assert len(decode(output, SIZE_PX)) == FRAMES


def test_an_installed_node_starts_its_processes_and_renders(
    installation: Installation, tmp_path: Path
) -> None:
    story = tmp_path / "story.json"
    story.write_text(json.dumps(STORY))
    python, folder = installation.python, installation.folder
    with node_process(tmp_path, python=python, cwd=folder, environ={"PYTHONPATH": ""}) as node:
        node.wait_until_ready()
        connect = ("--connect", node.config.node.bind)
        printed = installation.run(installation.program, "submit", story, "--wait", "--json", *connect)
    last = json.loads(printed.splitlines()[-1])
    assert last["status"] == "completed"
    assert len(decode(Path(last["result"]["video_path"]), SIZE_PX)) == FRAMES


def test_a_users_program_is_checked_against_its_types(installation: Installation, tmp_path: Path) -> None:
    program = installation.folder / "program.py"
    program.write_text(PROGRAM)
    mypy = (sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, "--config-file", os.devnull)
    said = installation.run(*mypy, "--python-executable", installation.python, program)
    assert said == "Success: no issues found in 1 source file\n"
