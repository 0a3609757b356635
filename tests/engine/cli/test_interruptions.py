"""Commands that are interrupted, killed, or run out of disk space, as real processes with real signals."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from PIL import Image

from tests.support.command import COMMAND, SMALL, run, write
from tests.support.process_state import has_ended
from tests.support.waiting import FAST_SECONDS, wait_until


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # the thread has ended
            found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def programs_of(child: subprocess.Popen[str], compositor: str) -> list[int]:
    """Return the programs that a render has started; with ffmpeg there is one now, or at the next segment."""
    found = children_of(child.pid)

    def some() -> bool:
        found[:] = children_of(child.pid)
        return bool(found)

    if compositor == "ffmpeg":
        wait_until(some, what="an ffmpeg")
    return found


@contextmanager
def long_render(tmp_path: Path, compositor: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start a render that takes a while; yield it when its first frames are drawn."""
    picture = Image.effect_mandelbrot((900, 1600), (-2, -1.5, 1, 1.5), 40).convert("RGB")
    (tmp_path / "in").mkdir()
    picture.save(tmp_path / "in/p.png")
    scenes = [
        {"scene_id": f"s{number}", "image": "p.png", "duration": 20.0, "narration": ""} for number in range(4)
    ]
    story = write(tmp_path / "in", {"title": "T", "scenes": scenes})
    target = tmp_path / "out/v.mp4"
    command = [*COMMAND, "render", str(story), "-o", str(target), "--json", "--preset", "medium"]
    command += ["--compositor", compositor]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            event = json.loads(line)
            if event.get("stage") == "render" and event["done"] > 2:
                break
        try:
            yield child, target
        finally:
            child.kill()


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes through /proc")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("compositor", ["ffmpeg", "auto"])
def test_an_interrupted_render_leaves_nothing(
    tmp_path: Path, compositor: str, number: signal.Signals, status: int
) -> None:
    with long_render(tmp_path, compositor) as (child, target):
        programs = programs_of(child, compositor)
        child.send_signal(number)
        started = time.monotonic()
        assert child.wait(timeout=2 * FAST_SECONDS) == status
        assert time.monotonic() - started < FAST_SECONDS
        assert child.stderr is not None
        assert child.stderr.read() == "interrupted; every output file is complete or unchanged\n"
    assert list(target.parent.iterdir()) == []
    assert all(map(has_ended, programs))


def opened_by_a_reader(pipe: Path, child: subprocess.Popen[str]) -> int:
    """Wait until a process opens a named pipe to read it; return a descriptor that keeps it waiting for data."""
    while child.poll() is None:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # no reader yet
            time.sleep(0.01)
    raise AssertionError(f"the command ended: {child.communicate()}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a named pipe holds the command")
@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["render", "STORY"], "; every output file is complete or unchanged"),
        (["preview", "STORY", "--at", "0"], "; the picture is complete or unchanged"),
        (["compile", "STORY"], ""),
        (["doctor"], ""),
        (["vacuum"], "; some old jobs may have been deleted"),
        (["keys", "node"], "; the change may have been made: see `video-pipeline keys list`"),
        (["submit", "STORY", "--connect", "tcp://127.0.0.1:9"], "; submitted jobs continue"),
    ],
)
def test_an_interrupted_command_says_what_it_leaves(
    tmp_path: Path, story: Path, arguments: list[str], left: str
) -> None:
    config = tmp_path / "config.yaml"
    os.mkfifo(config)
    command = [*COMMAND, *(str(story) if each == "STORY" else each for each in arguments)]
    with subprocess.Popen([*command, "--config", str(config)], stderr=subprocess.PIPE, text=True) as child:
        pipe = opened_by_a_reader(config, child)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=2 * FAST_SECONDS)
        os.close(pipe)
        assert (child.returncode, err) == (130, f"interrupted{left}\n")


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes through /proc")
@pytest.mark.parametrize("compositor", ["ffmpeg", "auto"])
def test_a_killed_render_leaves_no_video_and_the_next_one_sweeps_up(
    tmp_path: Path, story: Path, compositor: str
) -> None:
    work = tmp_path / "killed"
    work.mkdir()
    with long_render(work, compositor) as (child, target):
        programs = programs_of(child, compositor)
        child.kill()
        child.wait(timeout=2 * FAST_SECONDS)
    assert not target.exists()
    wait_until(lambda: all(map(has_ended, programs)), what="the end of its programs")
    left = [path.name for path in target.parent.iterdir()]
    assert all(name.startswith(".staging-") for name in left)
    done = run("render", story, "-o", target, "-q", *SMALL)
    assert done.returncode == 0, done.stderr
    assert not [path for path in target.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("warm_cache", [True, False])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, story: Path, warm_cache: bool) -> None:
    def limit() -> None:
        # No file may grow past 40 kB: writing fails as it does on a full disk.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    environment = {"CACHE_PATH": str(tmp_path / "cache")}
    if warm_cache:
        warm = run("render", story, "-o", tmp_path / "warm/v.mp4", "-q", *SMALL, environment=environment)
        assert warm.returncode == 0, warm.stderr
    command = [*COMMAND, "render", str(story), "-o", str(tmp_path / "out/v.mp4"), *SMALL]
    environ = {**os.environ, **environment}
    done = subprocess.run(
        command, env=environ, stderr=subprocess.PIPE, text=True, timeout=120, check=False, preexec_fn=limit
    )
    assert done.returncode == 1, done.stderr
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
