"""NVIDIA GPUs without a GPU: libraries of `tests/emulator` that FFmpeg's real NVENC encoders call in child processes.

They are built with the C++ compiler and Debian's package libffmpeg-nvenc-dev, once for each content of the sources.
What they do is set by environment variables, here keywords of `EmulatedDriver.environment`:

    cards=2                                     that many cards
    faults="CALL[@CARD]=STATUS[:AFTER],…"       a call fails, or never returns if its STATUS is `hang`
    lost="0:10"                                 card 0 is gone after ten pictures
    sessions=3                                  sessions of all processes together
    capabilities="NAME[@CARD]=VALUE,…"          what the cards can do, by NVENC's names: NUM_MAX_BFRAMES=0
    codecs="h264,hevc,av1"                      what the cards encode; for av1, which they cannot, each picture is
    av1=PATH                                    that of this file, which `av1_picture` makes
    api=0xC2                                    the version of NVENC's API, here 12.2
    name="NVIDIA L4;NVIDIA T4"                  the cards' names; the last one is that of all further cards
    busy="90,0"                                 the load of each card's encoders in percent, by NVML
    primary=1                                   the primary context is in use
    kernels=PATH                                the library that `build_kernels` made, run in place of a CUBIN
    card_memory=1200                            memory of each card in MiB, by NVML
    capability=89, cuda=13000, memory=BYTES     compute capability, the driver's CUDA, memory of a process
    lazy=1                                      what is put into a stream is done when it is waited for
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.forks import ForkServer

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = ROOT / "tests" / "emulator"
HEADER: Final = Path("/usr/include/ffnvcodec/nvEncodeAPI.h")

LIBRARIES: Final = {
    "libcuda.so.1": ("cuda.cpp",),
    "libnvidia-encode.so.1": ("nvenc.cpp",),
    "libnvidia-ml.so.1": ("nvml.cpp",),
    "libnvcuvid.so.1": ("cuvid.cpp",),
    "old/libcuda.so.1": ("cuda.cpp", "-DEMULATE_OLD_DRIVER"),
}
"""What each library is built from; the old one lacks a name that FFmpeg looks for."""

FLAGS: Final = (
    *("-std=c++17", "-O1", "-Wall", "-Wextra", "-Wno-unused-parameter", "-shared", "-fPIC", "-ldl"),
    *("-fvisibility=hidden", "-static-libstdc++", "-static-libgcc"),
    "-Wl,-z,nodelete",  # FFmpeg closes a library after each session, and the counts of its calls would begin again
)


CHOOSE: Final = """
from video_pipeline.engine.config import load_config
from video_pipeline.engine.render.encoders.choice import choose_encoding
choose_encoding(load_config({{"video": {video}}}, environ=False).video)
"""


AV1_PICTURE: Final = """
import sys
from fractions import Fraction
import av
import numpy as np
width, height = map(int, sys.argv[1:])
context = av.CodecContext.create("libsvtav1", "w")
context.width, context.height, context.pix_fmt = width, height, "yuv420p"
context.framerate, context.time_base = Fraction(30), Fraction(1, 30)
context.options = {"preset": "12"}
grey = av.VideoFrame.from_ndarray(np.full((height * 3 // 2, width), 128, np.uint8), format="yuv420p")
packets = [*context.encode(grey), *context.encode(None)]
sys.stdout.buffer.write(bytes(packets[0]))
"""


def av1_picture(path: Path, *, width: int, height: int) -> Path:
    """Write one grey picture, encoded by a real AV1 encoder.

    That is done in a process of its own: as root, SVT-AV1 gives the process that calls it the highest realtime priority (SCHED_FIFO 99),
    which all that it starts later inherits.
    """
    command = [sys.executable, "-c", AV1_PICTURE, str(width), str(height)]
    path.write_bytes(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    return path


class NotBuiltError(Exception):
    """The emulator cannot be built here; the message says what is missing."""


def build() -> Path:
    """Build the libraries, unless that was done, and return their folder; raise NotBuiltError."""
    compiler = shutil.which(os.environ.get("CXX") or "c++") or shutil.which("g++")
    if sys.platform != "linux" or compiler is None:
        raise NotBuiltError("the driver emulator needs Linux and a C++ compiler")
    if not HEADER.is_file():
        raise NotBuiltError("the driver emulator needs NVENC's header: apt-get install libffmpeg-nvenc-dev")
    content = hashlib.sha256(repr((compiler, FLAGS, LIBRARIES)).encode() + HEADER.read_bytes())
    for source in sorted(SOURCES.iterdir()):
        content.update(source.read_bytes())
    folder = ROOT / "build" / "emulator" / content.hexdigest()[:16]
    if folder.is_dir():
        return folder
    made = folder.with_name(f"{folder.name}.{os.getpid()}")
    (made / "old").mkdir(parents=True)
    running = [
        subprocess.Popen(
            [compiler, *FLAGS, f"-Wl,-soname,{Path(name).name}", "-o", made / name, SOURCES / source, *more],
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, (source, *more) in LIBRARIES.items()
    ]
    errors = [process.communicate()[1] for process in running]
    if any(process.returncode for process in running):
        raise AssertionError("the driver emulator does not compile:\n" + "\n".join(errors))
    try:
        made.rename(folder)
    except OSError:  # another run was faster
        shutil.rmtree(made)
    return folder


@dataclass(frozen=True)
class EmulatedDriver:
    """Cards for child processes. `state` is a folder that the processes of one emulated machine share.

    Python programs are forks of one process whose libraries are all those of `libraries`.
    """

    libraries: Path
    state: Path
    forks: ForkServer

    def environment(
        self, *, without: Collection[str] = (), old: bool = False, **settings: Any
    ) -> dict[str, str]:
        """Return the environment of a process on the emulated machine, whose driver lacks some libraries."""
        chosen = self.state / f"lib{'.old' if old else ''}.{'.'.join(sorted(without))}"
        if not chosen.is_dir():
            chosen.mkdir(parents=True)
            for library in LIBRARIES:
                if "/" not in library and library not in without:
                    part = "old" if old and library == "libcuda.so.1" else ""
                    (chosen / library).symlink_to(self.libraries / part / library)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("EMULATOR_")}
        kept.pop("CUDA_VISIBLE_DEVICES", None)
        return {
            **kept,
            "LD_LIBRARY_PATH": str(chosen),
            "EMULATOR_STATE": str(self.state),
            **{f"EMULATOR_{key.upper()}": str(value) for key, value in settings.items()},
        }

    def run(
        self, *argv: str | Path, stdin: str | None = None, timeout: float = 120, **settings: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the emulated machine."""
        return subprocess.run(
            argv,
            input=stdin,
            env=self.environment(**settings),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=ROOT,
        )

    def python(self, code: str, *argv: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run Python code on the emulated machine; options are those of `run`.

        With `chosen`, keys of `video`, the process has chosen an encoder for them before, as one that renders its second
        video.
        """
        return self._python("-c", code, *argv, **options)

    def module(self, module: str, /, *argv: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a module as a program on the emulated machine; options are those of `python`."""
        return self._python("-m", module, *argv, **options)

    def video_pipeline(
        self, *argv: str | Path, code: str = "", **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line, or code that runs it in a way of its own."""
        return (
            self.python(code, *argv, **options) if code else self.module("video_pipeline", *argv, **options)
        )

    def _python(
        self,
        *argv: str | Path,
        stdin: str | None = None,
        timeout: float = 120,
        without: Collection[str] = (),
        old: bool = False,
        chosen: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> subprocess.CompletedProcess[str]:
        if without or old:  # other libraries, which the linker finds for a process that starts with them
            options = {"stdin": stdin, "timeout": timeout, "without": without, "old": old}
            return self.run(sys.executable, *argv, **options, **settings)
        forks, environ = self.forks, self.environment(**settings)
        if chosen is not None:
            cards = settings.get("cards", 1)
            code = CHOOSE.format(video=dict(chosen))
            forks = forks.prepared(code, environ=self.environment(cards=cards), kind=f"{cards} cards")
        return forks.run(*map(str, argv), environ=environ, stdin=stdin, timeout=timeout, cwd=ROOT)

    def calls(self) -> list[str]:
        """Return the lines that the libraries noted: sessions, what they were configured with, calls that hang."""
        log = self.state / "calls.log"
        return log.read_text().splitlines() if log.is_file() else []

    def configured(self) -> list[dict[str, str]]:
        """Return what reached the driver for each session that was configured."""
        return [
            dict(part.split("=", 1) for part in line.split()[1:])
            for line in self.calls()
            if line.startswith("init ")
        ]
