"""Python programs as forks of one process that has imported the engine, so that each costs no imports.

    python -m tests.support.forks PREPARE     programs in, their exit codes out, as JSON, a line each

A fork has its own memory, libraries and threads: it may crash, hang or lose a card as a program of its own does. What
the dynamic linker reads at a start, such as LD_LIBRARY_PATH, is the process's that forks.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Final

from tests.support.paths import ROOT

IMPORTED: Final = (
    "video_pipeline.engine.cli.compile",
    "video_pipeline.engine.cli.story_commands",
    "video_pipeline.engine.cli.tune_command",
    "video_pipeline.engine.pipeline",
    "video_pipeline.engine.machine.nvml",
    "video_pipeline.engine.render.compositors.cuda",
    "video_pipeline.engine.render.compositors.ffmpeg",
    "video_pipeline.engine.render.compositors.native",
    "video_pipeline.engine.render.cuda.open",
    "video_pipeline.engine.render.cuda.uploads",
    "video_pipeline.engine.render.encoders.nvenc",
    "video_pipeline.engine.render.encoders.x264",
    "cuda.bindings.driver",
    "cuda.bindings.nvrtc",
    "pynvml",
)
"""What programs import; what is not installed is left out."""


class ForkServer:
    """A process that forks for each program, begun with the first one and ended by `close`.

    Before it forks it runs the code `prepare`, whose results programs begin with.
    """

    def __init__(self, environ: Mapping[str, str], *, prepare: str = "") -> None:
        self._environ = {**environ, "OPENBLAS_NUM_THREADS": "1"}  # else importing NumPy begins threads
        self._prepare = prepare
        self._process: subprocess.Popen[str] | None = None
        self._prepared: dict[tuple[str, str], ForkServer] = {}

    def prepared(self, prepare: str, *, environ: Mapping[str, str], kind: str) -> ForkServer:
        """Return the process that runs some code before it forks; `kind` tells the environments of one code apart."""
        if (prepare, kind) not in self._prepared:
            self._prepared[prepare, kind] = ForkServer(environ, prepare=prepare)
        return self._prepared[prepare, kind]

    def run(
        self,
        *argv: str,
        environ: Mapping[str, str],
        stdin: str | None = None,
        timeout: float = 120,
        cwd: str | Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `-c CODE` or `-m MODULE` with its arguments, as `subprocess.run` does; raise TimeoutExpired."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forks", self._prepare],
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "stdin").write_text(stdin or "", encoding="utf-8")
            program = {"argv": argv, "environ": dict(environ), "cwd": str(cwd or Path.cwd())}
            code = _asked(self._process, {**program, "folder": name, "timeout": timeout})
            out, err = ((folder / each).read_text(encoding="utf-8") for each in ("stdout", "stderr"))
        if code is None:
            raise subprocess.TimeoutExpired(argv, timeout, out, err)
        return subprocess.CompletedProcess(argv, code, out, err)

    def close(self) -> None:
        """End the process, and those that were prepared."""
        for each in self._prepared.values():
            each.close()
        if self._process is not None:
            self._process.communicate(timeout=60)


def _asked(server: subprocess.Popen[str], program: dict[str, Any]) -> int | None:
    """Return the exit code of a program, None if it was killed after its timeout."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(f"{json.dumps(program)}\n")
    server.stdin.flush()
    answer = server.stdout.readline()
    assert answer, "the process that forks has ended; what it said is above"
    code: int | None = json.loads(answer)
    return code


def _get_ready(prepare: str) -> None:
    for name in IMPORTED:
        if find_spec(name.partition(".")[0]):
            import_module(name)
    if sys.platform == "linux":
        maps = Path("/proc/self/maps").read_text()
        assert "libcuda.so" not in maps, "a module opened the driver, whose counts forks would share"
    exec(prepare, {})
    gc.freeze()  # else each fork's collections copy all of this memory
    until = time.monotonic() + 60  # a thread that was joined is there for a moment longer
    while sys.platform == "linux" and len(list(Path("/proc/self/task").iterdir())) > 1:
        assert time.monotonic() < until, "a thread was begun, which forks would lack"
        time.sleep(0.01)


def _become(program: dict[str, Any]) -> None:
    """Run a program in this process."""
    folder = Path(program["folder"])
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        with (folder / name).open(mode) as file:
            os.dup2(file.fileno(), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the program runs
    os.chdir(program["cwd"])
    os.environ.clear()
    os.environ.update(program["environ"])
    option, what, *arguments = program["argv"]
    sys.argv = [option, *arguments]
    if option == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)


def _serve(requests: IO[str]) -> dict[str, Any] | None:
    """Fork for each request; return, in a fork, the program that it is to run."""
    while line := requests.readline():
        pid = os.fork()
        if pid == 0:
            program: dict[str, Any] = json.loads(line)
            return program
        print(json.dumps(_ended(pid, json.loads(line)["timeout"])), flush=True)
    return None


def _ended(pid: int, timeout: float) -> int | None:
    """Return the exit code of a child, None if it was killed after a timeout."""
    until = time.monotonic() + timeout
    while not (found := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(found[1])


if __name__ == "__main__":
    _get_ready(sys.argv[1])
    if (task := _serve(sys.stdin)) is not None:
        _become(task)
