"""Install what a release ships as a user would, in an environment with nothing else, and render with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.release.errors import ReleaseError, run
from tools.release.pythons import PythonProgram

EXTRAS = "farm,web"
START_SECONDS = 180.0
RENDER_SECONDS = 600.0
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "SSL_CERT_FILE", "TMPDIR")
"""Variables that the programs under test get; those of pip are for pip alone."""


def make_environment(python: PythonProgram, folder: Path) -> Path:
    """Make an environment without pip; return its Python."""
    run([python.program, "-m", "venv", "--without-pip", folder], what="venv")
    return folder / "bin/python"


def install(python: PythonProgram, target: Path, requirement: str) -> None:
    """Install a requirement, and what it needs, into the environment of the Python `target`."""
    pip = (python.program, "-m", "pip", "--python", target, "install", "--quiet")
    run([*pip, requirement], what=f"pip install {requirement} with Python {python}")


def try_out(python: PythonProgram, artefact: Path, version: str, examples: Path, folder: Path) -> Path:
    """Install a wheel or source archive, render an example; add `farm,web` and render on a node.

    Return the environment's Python. Raises ReleaseError with what failed.
    """
    folder.mkdir(parents=True)
    target = make_environment(python, folder / "environment")
    install(python, target, str(artefact))
    program = target.with_name("video-pipeline")
    work = folder / "work"
    work.mkdir()
    environ = {name: os.environ[name] for name in KEPT if name in os.environ}
    environ["CACHE_PATH"] = str(folder / "cache")
    printed = _run(program, "--version", cwd=work, environ=environ).split()
    if printed[-1:] != [version]:
        raise ReleaseError(f"{artefact.name}: --version printed {' '.join(printed)}, needed {version}")
    story = examples / "lighthouse.json"
    _run(program, "render", story, "-o", "out.mp4", "--proxy", "--quiet", cwd=work, environ=environ)
    made = json.loads((work / "out.manifest.json").read_text(encoding="utf-8"))
    if made["compositor"]["name"] != "native":
        raise ReleaseError(
            f"{artefact.name}: drew with {made['compositor']['name']}, not with its own extension"
        )
    install(python, target, f"video-pipeline[{EXTRAS}] @ {artefact.resolve().as_uri()}")
    with _node(program, work, environ) as (connect, web):
        _run(program, "submit", story, "--wait", "--connect", connect, cwd=work, environ=environ)
        with urllib.request.urlopen(f"{web}/jobs", timeout=10) as reply:
            jobs = json.load(reply)["jobs"]
        if [job["status"] for job in jobs] != ["completed"]:
            raise ReleaseError(f"{artefact.name}: over HTTP the node shows {jobs}")
    return target


@contextmanager
def _node(program: Path, work: Path, environ: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Run a node in a folder; yield its address and that of its HTTP interface. It must end with status 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    connect = f"ipc://{work / 'node.sock'}"
    settings = {
        "node": {"state_path": str(work / "state"), "bind": connect, "http_bind": None},
        "processing": {"max_concurrent_jobs": 1},
        "storage": {"output_path": str(work / "videos")},
        "video": {"size": [540, 960]},
        "web": {"port": port},
    }
    (work / "node.yaml").write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    log = work / "node.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "serve", "--web", "--config", "node.yaml"],
            cwd=work,
            env=environ,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "the node is ready" not in log.read_text(encoding="utf-8", errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ReleaseError(f"a node of {program} does not start:\n{log.read_text('utf-8')[-3000:]}")
            time.sleep(0.1)
        yield connect, f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        if status := process.wait(timeout=START_SECONDS):
            raise ReleaseError(
                f"a node of {program} ended with status {status}:\n{log.read_text('utf-8')[-3000:]}"
            )
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _run(program: Path, *arguments: str | Path, cwd: Path, environ: dict[str, str]) -> str:
    command = [str(part) for part in (program, *arguments)]
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RENDER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ReleaseError(f"{' '.join(command)}: not within {RENDER_SECONDS:g} s") from error
    if done.returncode:
        raise ReleaseError(
            f"{' '.join(command)}: exit status {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}"
        )
    return done.stdout
