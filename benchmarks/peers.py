"""The contenders: this engine, the plain ffmpeg command, the encoder alone, MoviePy and MovieLite.

Each is a command line that renders a workload into a file, so that start-up, decoding of the pictures and
writing of the file count for all of them alike, and all run the same ffmpeg program.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import measure
from benchmarks.workload import BUILD, Workload

ROOT = Path(__file__).resolve().parent.parent
PEERS_VENV = ROOT / "build" / "peers-venv"
PEER_PACKAGES = ("moviepy==2.2.1", "movielite==0.2.2")

GOP_SECONDS = 2
"""The engine's default distance of keyframes, given to the others where they let it be chosen."""

READY_FRAMES_MAX_BYTES = 3 * 2**30
SHARED_MEMORY = Path("/dev/shm")

MOVIELITE_QUALITIES = {
    ("ultrafast", 23.0): "LOW",
    ("veryfast", 21.0): "MIDDLE",
    ("fast", 19.0): "HIGH",
    ("slow", 17.0): "VERY_HIGH",
}
"""The only pairs of x264 preset and crf that MovieLite has."""


@dataclass(frozen=True, slots=True)
class Settings:
    """x264 settings: a preset, and either a crf or an average bit rate such as '8000k'."""

    preset: str = "veryfast"
    crf: float = 21.0
    bitrate: str | None = None

    def ffmpeg_options(self, fps: int) -> tuple[str, ...]:
        """Return the settings as output options of the ffmpeg program."""
        rate = ("-b:v", self.bitrate) if self.bitrate else ("-crf", f"{self.crf:g}")
        return ("-c:v", "libx264", "-preset", self.preset, *rate, "-g", str(GOP_SECONDS * fps))

    def engine_options(self) -> tuple[str, ...]:
        """Return the settings as options of `render`."""
        rate = ("--bitrate", self.bitrate) if self.bitrate else ("--crf", f"{self.crf:g}")
        return ("--encoder", "libx264", "--preset", self.preset, *rate)

    def __str__(self) -> str:
        return f"x264 {self.preset}, " + (self.bitrate if self.bitrate else f"crf {self.crf:g}")


@dataclass(frozen=True, slots=True)
class Contender:
    """A command that renders `frames` frames into `output`; `differs` says where its work is not the same.

    Without an output it draws frames and keeps none.
    """

    name: str
    argv: tuple[str, ...]
    output: Path | None
    frames: int
    differs: str = ""
    slow: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def engine(work: Workload, settings: Settings, folder: Path, *, options: tuple[str, ...] = ()) -> Contender:
    """Return this engine's own command, with nothing taken from its caches."""
    output = folder / "engine.mp4"
    return Contender(
        name="video-pipeline",
        argv=(
            *(sys.executable, "-m", "engine.cli", "render", str(work.story), "-o", str(output)),
            *(
                "--size",
                f"{work.size_px[0]}x{work.size_px[1]}",
                "--fps",
                str(work.fps),
                "--no-cache",
                "--json",
            ),
            *settings.engine_options(),
            *options,
        ),
        output=output,
        frames=work.frames,
        differs="also makes sound, thumbnail, subtitles and manifest",
        environment={"XDG_CACHE_HOME": str(folder / "cache")},
    )


def compiled_command(work: Workload, settings: Settings, folder: Path) -> tuple[str, ...]:
    """Return the one ffmpeg command line that makes the engine's pictures; its last argument is the output.

    What it reads beside the photographs (captions, the mixed sound) is made here, so not in its time.
    """
    printed = measure(
        (
            *(sys.executable, "-m", "engine.cli", "compile", str(work.story), "--as", "command"),
            *("--size", f"{work.size_px[0]}x{work.size_px[1]}", "--fps", str(work.fps)),
            *("-o", str(folder / "command.mp4"), *settings.engine_options()),
        ),
        environment={"XDG_CACHE_HOME": str(folder / "cache")},
    ).stdout
    argv = tuple(shlex.split(printed))
    if len(argv) < 3 or "ffmpeg" not in Path(argv[0]).name or "-map" not in argv:
        raise RuntimeError(
            f"`compile --as command` printed {printed[:200]!r}; expected a command line of ffmpeg"
        )
    return argv


def plain_command(work: Workload, *, compiled: tuple[str, ...]) -> Contender:
    """Return the compiled ffmpeg command as a contender."""
    return Contender(
        name="plain ffmpeg command",
        argv=compiled,
        output=Path(compiled[-1]),
        frames=work.frames,
        differs="the engine's filter graph in one process and one stream; captions and sound were made before",
    )


def graph_only(work: Workload, *, compiled: tuple[str, ...]) -> Contender:
    """Return the compiled command without its encoder: the frames are thrown away."""
    first_map = compiled.index("-map")
    return Contender(
        name="plain graph, no encoding",
        argv=(*compiled[: first_map + 2], "-f", "null", "-"),
        output=None,
        frames=work.frames,
        differs="the plain command's filter graph, its frames thrown away",
    )


@contextmanager
def ready_frames(work: Workload, *, compiled: tuple[str, ...]) -> Iterator[tuple[Path, int]]:
    """Make the workload's frames once, raw yuv420p, in memory where there is room; yield the file and the count.

    They go through a lossless encoding, since the compiled command writes MP4. Where they are more than
    READY_FRAMES_MAX_BYTES, the file holds the first ones only.
    """
    width, height = work.size_px
    frame_bytes = width * height * 3 // 2
    frames = min(work.frames, READY_FRAMES_MAX_BYTES // frame_bytes)
    roomy = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > 2 * frames * frame_bytes
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix="video-pipeline-", dir=SHARED_MEMORY if roomy else BUILD
    ) as folder:
        raw, lossless = Path(folder, "frames.yuv"), BUILD / "lossless.mp4"
        exact = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "0", "-profile:v", "high444")
        measure((*compiled[:-1], *exact, str(lossless)))
        measure(
            (
                *(compiled[0], "-v", "error", "-nostdin", "-y", "-i", str(lossless), "-map", "0:v:0"),
                *("-frames:v", str(frames), "-pix_fmt", "yuv420p", "-f", "rawvideo", str(raw)),
            )
        )
        lossless.unlink()
        if raw.stat().st_size != frames * frame_bytes:
            raise RuntimeError(f"ready frames: {raw.stat().st_size} bytes; expected {frames} x {frame_bytes}")
        yield raw, frames


def encode_only(
    work: Workload, settings: Settings, folder: Path, *, ffmpeg: str, raw: Path, frames: int
) -> Contender:
    """Return the command that only encodes ready frames, in one stream with x264's own threads."""
    output = folder / "encode.mp4"
    width, height = work.size_px
    return Contender(
        name="encode only",
        argv=(
            *(ffmpeg, "-v", "error", "-nostdin", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p"),
            *("-s", f"{width}x{height}", "-r", str(work.fps), "-i", str(raw)),
            *settings.ffmpeg_options(work.fps),
            *("-movflags", "+faststart", str(output)),
        ),
        output=output,
        frames=frames,
        differs="draws nothing: raw frames are read from memory",
    )


def caption_font() -> Path:
    """Return the font file that the peers set captions in."""
    import manimgx_fonts

    return Path(manimgx_fonts.__file__).parent / "NotoSans[wght].ttf"


def peer_job(work: Workload, settings: Settings, output: Path, *, processes: int) -> dict[str, Any]:
    """Return what a peer's script is told."""
    return {
        "pictures": [str(picture) for picture in work.pictures],
        "captions": list(work.captions),
        "scene_seconds": work.scene_seconds,
        "fade_seconds": work.fade_seconds,
        "start_zoom": work.start_zoom,
        "zoom_per_second": work.zoom_per_second,
        "size_px": list(work.size_px),
        "fps": work.fps,
        "font": str(caption_font()),
        "font_size_px": 48,
        "stroke_px": 4,
        "caption_top": 0.78,
        "preset": settings.preset,
        "crf": settings.crf,
        "bitrate": settings.bitrate,
        "gop_frames": GOP_SECONDS * work.fps,
        "quality": movielite_quality(settings),
        "processes": processes,
        "output": str(output),
    }


def movielite_quality(settings: Settings) -> str:
    """Return the MovieLite quality of these settings, MIDDLE (veryfast, crf 21) where it has none like them."""
    if settings.bitrate:
        return "MIDDLE"
    return MOVIELITE_QUALITIES.get((settings.preset, settings.crf), "MIDDLE")


def _peer(
    script: str,
    work: Workload,
    settings: Settings,
    folder: Path,
    *,
    name: str,
    ffmpeg: str,
    differs: str,
    processes: int = 1,
    slow: bool = False,
) -> Contender:
    output = folder / f"{script}-{processes}.mp4"
    job = folder / f"{script}-{processes}-{work.story.stem}.json"
    job.write_text(json.dumps(peer_job(work, settings, output, processes=processes), indent=1) + "\n")
    programs = linked_programs(ffmpeg)
    return Contender(
        name=name,
        argv=(str(PEERS_VENV / "bin" / "python"), str(ROOT / "benchmarks" / f"{script}.py"), str(job)),
        output=output,
        frames=work.frames,
        differs=differs,
        slow=slow,
        environment={"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "FFMPEG_BINARY": ffmpeg},
    )


def moviepy(work: Workload, settings: Settings, folder: Path, *, ffmpeg: str) -> Contender:
    """Return MoviePy's command."""
    differs = (
        "pictures brought to 1080x1920 first; whole-pixel sizes and places; RGB handed to ffmpeg, no BT.709"
    )
    return _peer(
        "peer_moviepy",
        work,
        settings,
        folder,
        name="MoviePy 2.2.1",
        ffmpeg=ffmpeg,
        differs=differs,
        slow=True,
    )


def movielite(work: Workload, settings: Settings, folder: Path, *, ffmpeg: str, processes: int) -> Contender:
    """Return MovieLite's command, with as many processes as told."""
    differs = (
        "pictures brought to 1080x1920 first; whole-pixel sizes and places; no BT.709; x264's default GOP"
    )
    if (
        movielite_quality(settings) != MOVIELITE_QUALITIES.get((settings.preset, settings.crf))
        or settings.bitrate
    ):
        differs += "; always veryfast, crf 21"
    name = f"MovieLite 0.2.2, {processes} process{'es' if processes > 1 else ''}"
    return _peer(
        "peer_movielite",
        work,
        settings,
        folder,
        name=name,
        ffmpeg=ffmpeg,
        differs=differs,
        processes=processes,
    )


def linked_programs(ffmpeg: str) -> Path:
    """Return a folder whose `ffmpeg` is the given program, for libraries that search PATH.

    MovieLite also asks for an `ffprobe`; it runs it on videos only, of which the workload has none.
    """
    folder = BUILD / "programs" / hashlib.sha256(ffmpeg.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("ffmpeg", "ffprobe"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ffmpeg)
    return folder


def make_peers_venv(report: Callable[[str], None] | None = None) -> None:
    """Make the peers' own environment under build/, or leave it where it is as wanted.

    It is apart from the project's, since MoviePy holds Pillow below the version that the engine may use.
    """
    stamp = PEERS_VENV / "installed.txt"
    wanted = "\n".join(PEER_PACKAGES) + "\n"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if report:
        report(f"installing {', '.join(PEER_PACKAGES)} into {PEERS_VENV.relative_to(ROOT)}")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEERS_VENV)], check=True)
    pip = (
        str(PEERS_VENV / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    )
    subprocess.run([*pip, *PEER_PACKAGES], check=True)
    stamp.write_text(wanted)
