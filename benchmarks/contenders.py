"""Commands to compare: the engine and parts of it, a plain ffmpeg command, handwritten graphs, the encoder alone.

Each contender is a command line, so start-up, picture decoding and file writing count for all of them. All
use the same ffmpeg program. Other libraries (MoviePy, MovieLite) are in `peers.py`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from benchmarks.handwritten import zoompan_video_argv
from benchmarks.measure import measure
from benchmarks.workload import BUILD, Workload
from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.render.encoders.base import encoder_settings, load_encoder

GOP_SECONDS = 2
"""The engine's default keyframe interval; contenders that have such an option get it too."""

READY_FRAMES_MAX_BYTES = 4 * 2**30
SHARED_MEMORY = Path("/dev/shm")

ReadyFrom = Literal["graph", "native"]
"""Which contender draws the frames that the encode-only contenders read."""


@dataclass(frozen=True, slots=True)
class Settings:
    """x264 settings: a preset, and either a crf or an average bit rate such as '8000k'; or a profile of the engine."""

    preset: str = "veryfast"
    crf: float = 21.0
    bitrate: str | None = None
    profile: str | None = None

    def ffmpeg_options(self, fps: int) -> tuple[str, ...]:
        """Return the engine's encoder settings, with its x264 parameters, as ffmpeg output options."""
        quality: dict[str, Any] = {"bitrate": self.bitrate} if self.bitrate else {"crf": self.crf}
        video = Video(fps=Fraction(fps), preset=self.preset, gop=GOP_SECONDS, **quality)
        options = encoder_settings(load_encoder("libx264"), video).ffmpeg_options()
        return tuple(part for name, value in options.items() for part in (f"-{name}", value))

    def encoder_options(self) -> tuple[str, ...]:
        """Return the settings as `--preset` with `--crf` or `--bitrate`, or as `--profile`."""
        if self.profile:
            return ("--profile", self.profile)
        rate = ("--bitrate", self.bitrate) if self.bitrate else ("--crf", f"{self.crf:g}")
        return ("--preset", self.preset, *rate)

    def engine_options(self) -> tuple[str, ...]:
        """Return the settings as options of `render`."""
        return ("--encoder", "libx264", *self.encoder_options())

    def __str__(self) -> str:
        if self.profile:
            return f"profile {self.profile}"
        return f"x264 {self.preset}, " + (self.bitrate if self.bitrate else f"crf {self.crf:g}")


@dataclass(frozen=True, slots=True)
class Contender:
    """A command that renders `frames` frames into `output`.

    `differs` describes how its work differs from the engine's. Without an output it draws the frames and
    discards them. If `prints_seconds` is set, it prints JSON with its seconds without start-up as `working_s`.
    """

    name: str
    argv: tuple[str, ...]
    output: Path | None
    frames: int
    differs: str = ""
    slow: bool = False
    prints_seconds: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def engine(
    work: Workload,
    settings: Settings,
    folder: Path,
    *,
    compositor: str = "auto",
    options: tuple[str, ...] = (),
) -> Contender:
    """Return the engine's `render` command with its caches off."""
    named = compositor != "auto"
    output = folder / (
        f"engine-{settings.profile or compositor}.mp4" if named or settings.profile else "engine.mp4"
    )
    what = f", profile {settings.profile}" if settings.profile else ""
    return Contender(
        name=f"video-pipeline{what}" + (f", {compositor} compositor" if named else ""),
        argv=(
            *(
                sys.executable,
                "-m",
                "video_pipeline.engine.cli.main",
                "render",
                str(work.story),
                "-o",
                str(output),
            ),
            *_shape(work),
            *("--compositor", compositor, "--no-cache", "--json"),
            *settings.engine_options(),
            *options,
        ),
        output=output,
        frames=work.frames,
        differs="also makes sound, thumbnail, subtitles and manifest",
        slow=compositor == "ffmpeg",
        environment={"XDG_CACHE_HOME": str(folder / "cache")},
    )


def _shape(work: Workload) -> tuple[str, ...]:
    return ("--size", f"{work.size_px[0]}x{work.size_px[1]}", "--fps", str(work.fps))


def compiled_command(work: Workload, settings: Settings, folder: Path) -> tuple[str, ...]:
    """Return the single ffmpeg command that draws the engine's pictures; its last argument is the output.

    Its other inputs (captions, mixed sound) are made here, outside the measured time.
    """
    printed = measure(
        (
            *(
                sys.executable,
                "-m",
                "video_pipeline.engine.cli.main",
                "compile",
                str(work.story),
                "--as",
                "command",
            ),
            *_shape(work),
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
    """Return the contender that runs the compiled ffmpeg command."""
    return Contender(
        name="plain ffmpeg command",
        argv=compiled,
        output=Path(compiled[-1]),
        frames=work.frames,
        differs="the engine's filter graph in one process and one stream; captions and sound were made before",
        slow=True,
    )


def graph_only(work: Workload, *, compiled: tuple[str, ...]) -> Contender:
    """Return the compiled command without its encoder; the frames are discarded."""
    first_map = compiled.index("-map")
    return Contender(
        name="plain graph, no encoding",
        argv=(*compiled[: first_map + 2], "-f", "null", "-"),
        output=None,
        frames=work.frames,
        differs="the plain command's filter graph, its frames discarded",
        slow=True,
    )


def zoompan_graph(work: Workload, folder: Path, *, ffmpeg: str) -> Contender:
    """Return the handwritten graph of zoompan, drawtext and xfade without an encoder; the frames are discarded."""
    return Contender(
        name="zoompan graph, no encoding",
        argv=(*zoompan_video_argv(ffmpeg, work, folder / "zoompan"), "-f", "null", "-"),
        output=None,
        frames=work.frames,
        differs="handwritten graph: zoompan on a picture of the frame's size, drawtext and xfade; moves in whole pixels",
    )


def native_frames(work: Workload, *, compositor: str = "native") -> Contender:
    """Return the command that draws every frame and encodes nothing."""
    return Contender(
        name=f"{compositor} frames, no encoding",
        argv=(
            *(sys.executable, "-m", "benchmarks.draw", str(work.story), *_shape(work)),
            *("--compositor", compositor),
        ),
        output=None,
        frames=work.frames,
        differs="the renderer's segments and threads, its frames discarded; planning counts in the whole command",
        prints_seconds=True,
    )


@contextmanager
def ready_frames(
    work: Workload, *, compiled: tuple[str, ...], drawn_by: ReadyFrom = "graph"
) -> Iterator[tuple[Path, int]]:
    """Draw the workload's frames once as raw yuv420p, in memory if they fit; yield the file and the frame count.

    The compiled command or the native compositor draws them. If they exceed READY_FRAMES_MAX_BYTES, the file
    holds only the first ones.
    """
    width, height = work.size_px
    frame_bytes = width * height * 3 // 2
    frames = min(work.frames, READY_FRAMES_MAX_BYTES // frame_bytes)
    roomy = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > 2 * work.frames * frame_bytes
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix="video-pipeline-", dir=SHARED_MEMORY if roomy else BUILD
    ) as folder:
        raw = Path(folder, "frames.yuv")
        if drawn_by == "native":
            measure((*native_frames(work).argv, "--raw", str(raw)))
            os.truncate(raw, frames * frame_bytes)
        else:
            _graphs_frames(raw, compiled=compiled, frames=frames)
        if raw.stat().st_size != frames * frame_bytes:
            raise RuntimeError(f"ready frames: {raw.stat().st_size} bytes; expected {frames} x {frame_bytes}")
        yield raw, frames


def _graphs_frames(raw: Path, *, compiled: tuple[str, ...], frames: int) -> None:
    """Write the compiled command's frames, by way of a lossless encoding because that command writes MP4."""
    lossless = BUILD / "lossless.mp4"
    exact = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "0", "-profile:v", "high444")
    measure((*compiled[:-1], *exact, str(lossless)))
    measure(
        (
            *(compiled[0], "-v", "error", "-nostdin", "-y", "-i", str(lossless), "-map", "0:v:0"),
            *("-frames:v", str(frames), "-pix_fmt", "yuv420p", "-f", "rawvideo", str(raw)),
        )
    )
    lossless.unlink()


def encode_only(
    work: Workload, settings: Settings, folder: Path, *, ffmpeg: str, raw: Path, frames: int
) -> Contender:
    """Return the command that only encodes the drawn frames, as one stream with x264's own threads."""
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
        differs="draws nothing: raw frames are read from memory; all of x264's parameters are those of the renderer",
    )


def segments_encoded_only(
    work: Workload, settings: Settings, folder: Path, *, raw: Path, frames: int
) -> Contender:
    """Return the command that only encodes the drawn frames, in the renderer's segments, and joins them."""
    output = folder / "encode-segments.mp4"
    return Contender(
        name="segments encoded only",
        argv=(
            *(sys.executable, "-m", "benchmarks.encode_segments", str(work.story), str(raw)),
            *("-o", str(output), *_shape(work), *settings.encoder_options()),
        ),
        output=output,
        frames=frames,
        differs="draws nothing: the renderer's own segments and one-thread encoders, as many as cores; planning "
        "counts in the whole command",
        prints_seconds=True,
    )
