"""A render finishes even if its reports cannot be written, its user has no home folder, or names are not UTF-8."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import samples
from video_pipeline.engine.outputs.paths import OutputPaths

SMALL = "--size 90x160 --fps 24 --preset ultrafast --crf 40"
PROGRAM = f"{shlex.quote(sys.executable)} -m video_pipeline"
HOMELESS = """
import pwd, sys

def getpwuid(uid):
    raise KeyError(uid)

pwd.getpwuid = getpwuid
from video_pipeline.engine.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a story of one short scene."""
    data = {"title": "T", "scenes": [{"scene_id": "a", "duration": 0.5, "text": "Hello", "narration": ""}]}
    (tmp_path / "s.json").write_text(json.dumps(data), encoding="utf-8")
    return tmp_path


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash; the status of the first command of a pipe is the line's."""
    return subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "ending",
    [
        "2>&-",
        "<&- >&- 2>&-",
        "--json | head -1",
        "--json > /dev/full",
        "> /dev/full 2> /dev/full",
        "-q > /dev/full",
    ],
)
def test_a_render_is_finished_although_nothing_reads_its_reports(folder: Path, ending: str) -> None:
    done = shell(folder, f"{PROGRAM} render s.json -o v.mp4 --no-cache {SMALL} {ending}")
    assert done.returncode == 0, done.stderr.decode()
    for path in OutputPaths(folder / "v.mp4").by_role().values():
        assert path.stat().st_size > 0
    assert b"Traceback" not in done.stderr


def test_nothing_that_is_printed_ends_in_a_file_of_a_process_without_standard_error(folder: Path) -> None:
    done = shell(folder, f"{PROGRAM} render s.json -o v.mp4 --no-cache -v {SMALL} <&- 2>&-")
    assert done.returncode == 0
    manifest = json.loads((folder / "v.manifest.json").read_text(encoding="utf-8"))
    assert manifest["outputs"]
    assert b"DEBUG" not in b"".join(path.read_bytes() for path in folder.glob("v*"))


def homeless(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user with neither HOME nor an entry in the password database."""
    gone = ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "CACHE_PATH")
    environment = {key: value for key, value in os.environ.items() if key not in gone}
    return subprocess.run(
        [sys.executable, "-c", HOMELESS, *arguments],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_user_without_a_home_renders_with_a_warning_about_the_cache(folder: Path) -> None:
    temp = folder / "temp"
    temp.mkdir()
    done = homeless(folder, "render", "s.json", "-o", "v.mp4", *SMALL.split(), TMPDIR=str(temp))
    assert done.returncode == 0, done.stderr
    assert "storage.cache_path: this user has no home folder; set the key or XDG_CACHE_HOME" in done.stderr
    assert list(temp.iterdir()) == []  # the cache of the run is gone with it


def test_a_default_cache_that_cannot_be_written_is_a_warning_and_one_asked_for_an_error(folder: Path) -> None:
    done = homeless(folder, "render", "s.json", "-o", "v.mp4", *SMALL.split(), HOME="/proc/1")
    assert done.returncode == 0, done.stderr
    assert "cannot be written" in done.stderr
    asked = homeless(
        folder, "render", "s.json", "-o", "w.mp4", *SMALL.split(), HOME="/proc/1", CACHE_PATH="/proc/1/cache"
    )
    assert asked.returncode == 2
    assert "storage.cache_path: /proc/1/cache cannot be written" in asked.stderr
    assert not (folder / "w.mp4").exists()


@pytest.mark.parametrize("command", ["doctor", "serve", "preview"])
def test_commands_of_a_user_without_a_home_say_what_to_set_or_do_without(folder: Path, command: str) -> None:
    more = ["s.json", "--frame", "0", "-o", "f.png"] if command == "preview" else []
    done = homeless(folder, command, *more)
    assert "Traceback" not in done.stderr
    if command == "serve":
        assert done.returncode == 2
        assert "node.state_path: this user has no home folder" in done.stderr
    elif command == "preview":
        assert done.returncode == 0, done.stderr
    else:
        assert "storage.cache_path: this user has no home folder" in done.stdout


def test_an_output_name_that_is_no_utf8_is_refused_before_anything_is_made(folder: Path) -> None:
    done = shell(folder, f"{PROGRAM} render s.json -o $'v\\xff.mp4' {SMALL}")
    assert done.returncode == 2
    assert b"the name is not UTF-8 text" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["s.json"]


def test_a_story_in_a_folder_whose_name_is_no_utf8_is_rendered(folder: Path) -> None:
    inner = os.fsencode(folder) + b"/in\xff"
    os.mkdir(inner)  # noqa: PTH102 - the name is bytes
    story = {"title": "T", "scenes": [{"scene_id": "a", "duration": 0.5, "image": "p.jpg", "narration": ""}]}
    Path(os.fsdecode(inner), "p.jpg").write_bytes(samples.picture())
    Path(os.fsdecode(inner), "s.json").write_text(json.dumps(story), encoding="utf-8")
    done = shell(folder, f"{PROGRAM} render $'in\\xff/s.json' -o v.mp4 --json {SMALL}")
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads((folder / "v.manifest.json").read_text(encoding="utf-8"))["inputs"]
