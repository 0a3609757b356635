"""Other libraries to compare with: MoviePy and MovieLite, installed in a separate environment.

Each is a command line that renders a workload into a file, with the same ffmpeg program as the contenders.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contenders import GOP_SECONDS, Contender, Settings
from benchmarks.workload import (
    BUILD,
    CAPTION_SIZE_PX,
    CAPTION_STROKE_PX,
    CAPTION_TOP,
    Workload,
    caption_font,
)

ROOT = Path(__file__).resolve().parent.parent
PEERS_VENV = ROOT / "build" / "peers-venv"
PEER_PACKAGES = ("moviepy==2.2.1", "movielite==0.2.2")

MOVIELITE_QUALITIES = {
    ("ultrafast", 23.0): "LOW",
    ("veryfast", 21.0): "MIDDLE",
    ("fast", 19.0): "HIGH",
    ("slow", 17.0): "VERY_HIGH",
}
"""The only pairs of x264 preset and crf that MovieLite offers."""


def peer_job(
    work: Workload, settings: Settings, output: Path, *, processes: int, exact: bool = False
) -> dict[str, Any]:
    """Return the job that a peer's script reads as JSON; `exact` puts the crf into MovieLite's own table."""
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
        "font_size_px": CAPTION_SIZE_PX,
        "stroke_px": CAPTION_STROKE_PX,
        "caption_top": CAPTION_TOP,
        "preset": settings.preset,
        "crf": settings.crf,
        "bitrate": settings.bitrate,
        "gop_frames": GOP_SECONDS * work.fps,
        "quality": movielite_quality(settings),
        "set_crf": exact,
        "processes": processes,
        "output": str(output),
    }


def movielite_quality(settings: Settings) -> str:
    """Return the MovieLite quality for these settings; MIDDLE (veryfast, crf 21) if none matches."""
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
    exact: bool = False,
) -> Contender:
    output = folder / f"{script}-{processes}.mp4"
    job = folder / f"{script}-{processes}-{work.story.stem}.json"
    job.write_text(
        json.dumps(peer_job(work, settings, output, processes=processes, exact=exact), indent=1) + "\n"
    )
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
    """Return the contender that renders with MoviePy."""
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


def movielite(
    work: Workload,
    settings: Settings,
    folder: Path,
    *,
    ffmpeg: str,
    processes: int,
    exact: bool = False,
) -> Contender:
    """Return the contender that renders with MovieLite in `processes` processes.

    With `exact` its crf is the one of the settings, which MovieLite itself has no way to ask for.
    """
    differs = (
        "pictures brought to 1080x1920 first; whole-pixel sizes and places; no BT.709; x264's default GOP"
    )
    if exact:
        differs += f"; veryfast, with crf {settings.crf:g} put into its table of four"
    elif (
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
        exact=exact,
    )


def linked_programs(ffmpeg: str) -> Path:
    """Return a folder with a link `ffmpeg` to the given program, for libraries that search PATH.

    MovieLite also requires an `ffprobe`, but runs it only on videos, and the workload has none.
    """
    folder = BUILD / "programs" / hashlib.sha256(ffmpeg.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("ffmpeg", "ffprobe"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ffmpeg)
    return folder


def make_peers_venv(report: Callable[[str], None] | None = None) -> None:
    """Create the peers' environment under build/, unless it exists with the right versions.

    It is separate because MoviePy limits Pillow to a version below the engine's.
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
