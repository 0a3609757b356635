"""Find the ffmpeg programs of this machine, inspect them and choose one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.errors import UnavailableError

REQUIRED_FILTERS = frozenset(
    [
        "blend",
        "bwdif",
        "colorchannelmixer",
        "concat",
        "crop",
        "drawtext",
        "eq",
        "fade",
        "fillborders",
        "format",
        "fps",
        "gblur",
        "loop",
        "lut3d",
        "overlay",
        "pad",
        "premultiply",
        "scale",
        "setfield",
        "setparams",
        "setpts",
        "setsar",
        "settb",
        "split",
        "tpad",
        "trim",
        "xfade",
        "zoompan",
        "alimiter",
        "apad",
        "aresample",
        "atrim",
        "ebur128",
        "volume",
    ]
)
"""Filters that the ffmpeg compositor needs; `perspective`, `zscale` and `tonemap` are optional."""


PROGRAM_SECONDS = 86400.0
"""Seconds for which an inspection is cached; the program may be a script that calls another ffmpeg later."""


ANSWER_VERSION = 2
"""Increase it when inspections collect more, so that cached ones are not used."""


@dataclass(frozen=True, slots=True)
class FfmpegProgram:
    """An ffmpeg program: its path, version line, filters and decoders, and how it was found (`origin`).

    `hwaccel` is FFmpeg's name of the acceleration with which it decodes video clips, or None.
    """

    path: Path
    version: str
    filters: frozenset[str]
    origin: str
    decoders: frozenset[str] = frozenset()
    hwaccel: str | None = None

    @property
    def missing(self) -> frozenset[str]:
        """The required filters that it lacks."""
        return REQUIRED_FILTERS - self.filters

    @property
    def release(self) -> tuple[int, ...]:
        """The release number, (8, 0, 1) for 8.0.1; nightly builds count as the release they follow."""
        found = re.search(r"version n?(\d+(?:\.\d+)*)", self.version)
        return tuple(int(part) for part in found.group(1).split(".")) if found else (0,)


def _candidates() -> Iterator[tuple[Path, str]]:
    named = os.environ.get("VIDEO_PIPELINE_FFMPEG")
    if named:
        yield Path(named), "VIDEO_PIPELINE_FFMPEG"
        return
    system = shutil.which("ffmpeg")
    if system:
        yield Path(system), "system"
    try:
        import imageio_ffmpeg
    except ImportError:
        return
    inside = None
    if "IMAGEIO_FFMPEG_EXE" not in os.environ:
        # get_ffmpeg_exe() runs the program to test it, which inspect_ffmpeg does anyway.
        inside = next(iter(sorted(Path(imageio_ffmpeg.__file__).parent.glob("binaries/ffmpeg-*"))), None)
    try:
        yield inside or Path(imageio_ffmpeg.get_ffmpeg_exe()), "imageio-ffmpeg"
    except RuntimeError:
        return


def inspect_ffmpeg(path: Path, origin: str, memory: ContentCache | None = None) -> FfmpegProgram | None:
    """Return the version, filters and decoders of an ffmpeg program, or None if it does not run.

    They are cached in `memory` for a day, under the program's path, size and modification time.
    """
    try:
        if memory is None:
            answer = _ask_ffmpeg(path)
        else:
            status = path.stat()
            parts = {
                "path": str(path),
                "size": status.st_size,
                "mtime_ns": status.st_mtime_ns,
                "version": ANSWER_VERSION,
            }

            def keep(target: Path) -> None:
                target.write_text(json.dumps(_ask_ffmpeg(path)), encoding="utf-8")

            kept, _ = memory.get_or_make("programs", parts, ".json", keep, ttl=PROGRAM_SECONDS)
            answer = json.loads(kept.read_text(encoding="utf-8"))
        filters, decoders = frozenset(answer["filters"]), frozenset(answer["decoders"])
        return FfmpegProgram(path, answer["version"], filters, origin, decoders)
    except subprocess.SubprocessError:
        return None
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
    ):  # the cached answer is corrupt, or the cache is not writable
        return inspect_ffmpeg(path, origin) if memory is not None else None


def _ask_ffmpeg(path: Path) -> dict[str, Any]:
    """Return the version line, the filters and the decoders of an ffmpeg program."""
    version, listing, decoders = (
        subprocess.run(
            [path, "-hide_banner", question], capture_output=True, text=True, timeout=30, check=True
        ).stdout
        for question in ("-version", "-filters", "-decoders")
    )
    names = re.findall(r"^ [T.][S.]?[C.]? +(\w+) +\S+->\S+", listing, re.M)
    known = re.findall(r"^ [VAS][F.][S.][X.][B.][D.] (\S+) ", decoders, re.M)
    return {"version": version.partition("\n")[0], "filters": names, "decoders": known}


@cache
def ffmpeg_programs(memory: ContentCache | None = None) -> tuple[FfmpegProgram, ...]:
    """Return every ffmpeg program that was found and runs; `memory` caches their inspection."""
    found = (inspect_ffmpeg(path, origin, memory) for path, origin in _candidates())
    return tuple(program for program in found if program)


@cache
def find_ffmpeg(memory: ContentCache | None = None) -> FfmpegProgram:
    """Return the newest ffmpeg program that has every filter needed.

    If the environment variable VIDEO_PIPELINE_FFMPEG names a program, no other is considered. With `memory` an
    unchanged program is not inspected again. Raises UnavailableError.
    """
    programs = ffmpeg_programs(memory)
    usable = [program for program in programs if not program.missing]
    if usable:
        return max(usable, key=lambda program: program.release)
    if programs:
        lacks = "; ".join(
            f"{program.path} lacks {', '.join(sorted(program.missing))}" for program in programs
        )
        raise UnavailableError(f"no ffmpeg program has the filters needed: {lacks}")
    named = os.environ.get("VIDEO_PIPELINE_FFMPEG")
    what = f"VIDEO_PIPELINE_FFMPEG={named} does not run" if named else "no ffmpeg program was found"
    raise UnavailableError(f"{what}; `pip install imageio-ffmpeg` brings one")
