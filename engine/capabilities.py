"""What this machine can do, found by trying: the ffmpeg program, the encoders, the GPU."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

from video_pipeline import native
from video_pipeline.engine.assets.cache import ContentCache
from video_pipeline.engine.errors import UnavailableError

REQUIRED_FILTERS = frozenset(
    [
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
        "overlay",
        "pad",
        "scale",
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
"""Filters without which the ffmpeg compositor cannot draw; `perspective` is used where it is there."""

PROGRAM_SECONDS = 86400.0
"""How long it is kept what a program said: a script in its place may call another tomorrow."""

PROBE_PX = (320, 256)
"""NVENC refuses very small pictures, which says nothing of larger ones."""


@dataclass(frozen=True, slots=True)
class FfmpegProgram:
    """An ffmpeg program: where it is, its version line and its filters."""

    path: Path
    version: str
    filters: frozenset[str]
    origin: str

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
        # get_ffmpeg_exe() would run it to see whether it does, which is done here anyway.
        inside = next(iter(sorted(Path(imageio_ffmpeg.__file__).parent.glob("binaries/ffmpeg-*"))), None)
    try:
        yield inside or Path(imageio_ffmpeg.get_ffmpeg_exe()), "imageio-ffmpeg"
    except RuntimeError:
        return


def inspect_ffmpeg(path: Path, origin: str, memory: ContentCache | None = None) -> FfmpegProgram | None:
    """Return what an ffmpeg program is, or None where it does not run.

    What it said is kept in `memory` for a day, under its path, size and time of change.
    """
    try:
        if memory is None:
            said = _ask_ffmpeg(path)
        else:
            status = path.stat()
            parts = {"path": str(path), "size": status.st_size, "mtime_ns": status.st_mtime_ns}

            def keep(target: Path) -> None:
                target.write_text(json.dumps(_ask_ffmpeg(path)), encoding="utf-8")

            kept, _ = memory.get_or_make("programs", parts, ".json", keep, ttl=PROGRAM_SECONDS)
            said = json.loads(kept.read_text(encoding="utf-8"))
        return FfmpegProgram(path, said["version"], frozenset(said["filters"]), origin)
    except subprocess.SubprocessError:
        return None
    except (OSError, ValueError, KeyError, TypeError):  # what was kept is damaged, or nothing can be kept
        return inspect_ffmpeg(path, origin) if memory is not None else None


def _ask_ffmpeg(path: Path) -> dict[str, Any]:
    """Return the version line and the filters of an ffmpeg program."""
    version, listing = (
        subprocess.run(
            [path, "-hide_banner", question], capture_output=True, text=True, timeout=30, check=True
        ).stdout
        for question in ("-version", "-filters")
    )
    names = re.findall(r"^ [T.][S.]?[C.]? +(\w+) +\S+->\S+", listing, re.M)
    return {"version": version.partition("\n")[0], "filters": names}


@cache
def ffmpeg_programs(memory: ContentCache | None = None) -> tuple[FfmpegProgram, ...]:
    """Return every ffmpeg program that was found and runs; `memory` keeps what they said of themselves."""
    found = (inspect_ffmpeg(path, origin, memory) for path, origin in _candidates())
    return tuple(program for program in found if program)


@cache
def find_ffmpeg(memory: ContentCache | None = None) -> FfmpegProgram:
    """Return the newest ffmpeg program that has every filter needed.

    The environment variable VIDEO_PIPELINE_FFMPEG names one to use and no other. With `memory` a program that
    has not changed is not asked again what it can do. Raises UnavailableError.
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


# The first decisive line of FFmpeg's log, what it means, and what helps. "No capable devices found" follows
# most of them and decides nothing.
NVENC_FAULTS: tuple[tuple[str, str], ...] = (
    (r"Cannot load libcuda\.so", "no NVIDIA driver on this machine"),
    (r"Cannot load nvcuda\.dll", "no NVIDIA driver on this machine"),
    (
        r"Cannot load (libnvidia-encode\.so|nvEncodeAPI)",
        "the driver's encoder library is missing (in a container: the `video` driver capability)",
    ),
    (
        r"Driver does not support the required nvenc API version",
        "the NVIDIA driver is too old for this FFmpeg",
    ),
    (r"unsupported device \(2\)", "this GPU has no NVENC"),
    (r"incompatible client key \(21\)", "every NVENC session that the driver allows is taken"),
    (r"out of memory \(10\)", "NVENC is out of sessions or memory"),
    (r"cu(Init|DeviceGet\w*|Ctx\w+)\(.*failed", "CUDA could not be started"),
    (r"No NVENC capable devices found|No capable devices found", "no GPU here can encode"),
    (r"less than the minimum", "the picture is smaller than NVENC encodes"),
)


def classify_nvenc(log: str) -> str:
    """Return what the log of a failed NVENC probe means, by its first decisive line."""
    generic = NVENC_FAULTS[-2]
    for line in log.splitlines():
        for pattern, meaning in NVENC_FAULTS:
            if pattern != generic[0] and re.search(pattern, line):
                return meaning
    if re.search(generic[0], log):
        return generic[1]
    return "the probe encode failed"


@dataclass(frozen=True, slots=True)
class EncoderProbe:
    """Whether an encoder encoded a real picture just now, and why not."""

    name: str
    works: bool
    reason: str
    log: str = ""


@cache
def probe_encoder(name: str) -> EncoderProbe:
    """Encode a few real frames with an encoder of PyAV's FFmpeg, the one that will do the work."""
    width, height = PROBE_PX
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    with av.logging.Capture() as lines:
        try:
            context = av.CodecContext.create(name, "w")
            assert isinstance(context, av.VideoCodecContext)
            context.width, context.height = width, height
            context.pix_fmt = "yuv420p"
            context.framerate = Fraction(30)
            packets = 0
            for value in (16, 128, 235):
                frame = av.VideoFrame.from_ndarray(
                    np.full((height * 3 // 2, width), value, np.uint8), format="yuv420p"
                )
                packets += len(context.encode(frame))
            packets += len(context.encode(None))
        except av.FFmpegError as error:
            log = "\n".join(line[2].strip() for line in lines)
            meaning = classify_nvenc(log) if "nvenc" in name else str(error)
            return EncoderProbe(name, False, meaning, log)
        except ValueError:
            return EncoderProbe(name, False, f"PyAV {av.__version__} was built without it")
        finally:
            av.logging.set_level(level)
    if packets < 3:
        return EncoderProbe(name, False, f"{packets} of 3 probe frames came back")
    return EncoderProbe(name, True, "a probe encode succeeded")


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """The encoder of a render and why it was chosen. Made once, before rendering."""

    name: str
    reason: str


def choose_encoder(wanted: str) -> EncoderChoice:
    """Return the encoder to use; raise UnavailableError where one asked for by name does not work."""
    if wanted == "auto":
        nvenc = probe_encoder("h264_nvenc")
        if nvenc.works:
            return EncoderChoice("h264_nvenc", nvenc.reason)
        return EncoderChoice("libx264", f"h264_nvenc is not usable: {nvenc.reason}")
    probe = probe_encoder(wanted)
    if not probe.works:
        detail = f"\n  {probe.log.strip().splitlines()[0]}" if probe.log.strip() else ""
        raise UnavailableError(
            f"encoder {wanted!r} is not usable here: {probe.reason}; allowed on this machine: auto, libx264{detail}"
        )
    return EncoderChoice(wanted, "asked for by name")


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA GPU as NVML reports it."""

    name: str
    driver: str
    memory_mib: int


def gpus() -> tuple[tuple[Gpu, ...], str]:
    """Return the NVIDIA GPUs and, where there are none, why."""
    try:
        import pynvml
    except ImportError:
        return (), "nvidia-ml-py is not installed (pip install 'video-pipeline[cuda]')"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return (), f"NVML: {error}"
    try:
        driver = str(pynvml.nvmlSystemGetDriverVersion())
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) // 2**20
            found.append(Gpu(str(pynvml.nvmlDeviceGetName(handle)), driver, memory))
        return tuple(found), "" if found else "the driver reports no GPU"
    finally:
        pynvml.nvmlShutdown()


@dataclass(frozen=True, slots=True)
class CompositorProbe:
    """Whether a compositor can draw here, and why or why not."""

    name: str
    works: bool
    reason: str


def probe_compositors() -> tuple[CompositorProbe, ...]:
    """Return every compositor, the preferred ones first."""
    built = native.available()
    return (
        CompositorProbe("cuda", False, "it is not part of this version"),
        CompositorProbe(
            "native",
            built,
            f"its extension was built; {native.target()} rows"
            if built
            else "its extension was not built: no C++ compiler was found when this was installed",
        ),
        CompositorProbe("ffmpeg", True, "it needs the ffmpeg program only"),
    )


@dataclass(frozen=True, slots=True)
class CompositorChoice:
    """The compositor of a render and why it was chosen. Made once, before rendering."""

    name: str
    reason: str


def choose_compositor(wanted: str) -> CompositorChoice:
    """Return the compositor to use; raise UnavailableError for one that cannot draw here."""
    probes = probe_compositors()
    usable = [probe.name for probe in probes if probe.works]
    if wanted == "auto":
        best = next(probe for probe in probes if probe.works)
        return CompositorChoice(best.name, best.reason)
    for probe in probes:
        if probe.name == wanted and probe.works:
            return CompositorChoice(wanted, "asked for by name")
        if probe.name == wanted:
            raise UnavailableError(
                f"compositor {wanted!r} is not usable here: {probe.reason}; allowed: auto, {', '.join(usable)}"
            )
    raise UnavailableError(f"compositor {wanted!r}: allowed: auto, {', '.join(usable)}")


_most_cores: int | None = None


def limit_cores(count: int) -> None:
    """Let this process take no more processors than these: several that render share the machine."""
    global _most_cores  # noqa: PLW0603 - of the process, as the processors are
    if count < 1:
        raise ValueError(f"cores: got {count}; allowed: a whole number >= 1")
    _most_cores = count


def cpu_count() -> int:
    """Return the number of processors that this process may use (affinity, cgroup quota and limit counted)."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            count = min(count, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return max(1, min(count, _most_cores or count))
