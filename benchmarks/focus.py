"""How often a crop of a photograph to 9:16 keeps its subject: found focus, centre crop, libvips' attention crop.

The photographs come from packages of Debian, which are not part of the project; focus_marks.json names each by its
package, version and hash, and has its subject as a rectangle that was drawn by eye, in fractions of the picture: left,
top, right, bottom. Those of gcompris-qt-data are WebP pictures inside resource files. The formula was tuned on some
of the photographs; the others were marked before it was measured on them, and it was not changed afterwards.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from benchmarks.machine import describe_machine
from benchmarks.report import markdown_table
from video_pipeline.engine.assets.stills import prepare_still
from video_pipeline.engine.assets.subject import find_subject, seen_px
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.filters.geometry import Rect, largest_rect

MARKS = Path(__file__).with_name("focus_marks.json")
RESULTS = Path(__file__).with_name("results")
FRAME_ASPECT = 9 / 16
KEPT = 0.9
"""A subject is inside if the crop shows this part of the most that any crop of its size shows of the rectangle."""

LEAST_PHOTOGRAPHS = 30
FIND_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Mark:
    """A photograph's subject: `rect` is left, top, right, bottom in fractions; `half` is `tuned` or `held out`."""

    package: str
    version: str
    file: str
    sha256: str
    half: str
    what: str
    rect: tuple[float, float, float, float]


def read_marks(path: Path = MARKS) -> tuple[Mark, ...]:
    """Return the marks of all photographs."""
    return tuple(
        Mark(**{**mark, "rect": tuple(mark["rect"])}) for mark in json.loads(path.read_text(encoding="utf-8"))
    )


def share_kept(rect: Sequence[float], crop: Rect) -> float:
    """Return the area of a rectangle that a crop shows, divided by the most that a crop of its size can show."""
    left, top, right, bottom = rect
    across = min(right, crop.x + crop.width) - max(left, crop.x)
    down = min(bottom, crop.y + crop.height) - max(top, crop.y)
    most = min(right - left, crop.width) * min(bottom - top, crop.height)
    return max(0.0, across) * max(0.0, down) / most


def _pictures(path: Path) -> Iterator[bytes]:
    """Yield a picture's bytes, or those of each WebP picture inside a resource file of Qt."""
    content = path.read_bytes()
    if path.suffix != ".rcc":
        yield content
        return
    at = content.find(b"RIFF")
    while at >= 0:
        length = int.from_bytes(content[at + 4 : at + 8], "little") + 8
        if content[at + 8 : at + 12] == b"WEBP":
            yield content[at : at + length]
        at = content.find(b"RIFF", at + 4)


def find_photographs(folder: Path, marks: Sequence[Mark], copies: Path) -> Iterator[tuple[Mark, Path]]:
    """Yield each marked photograph below `folder` whose bytes are those that were marked, as a copy in `copies`."""
    names = {Path(mark.file).name for mark in marks}
    wanted = {mark.sha256 for mark in marks}
    for path in sorted(folder.rglob("*")):
        if path.name in names and path.is_file():
            for content in _pictures(path):
                digest = hashlib.sha256(content).hexdigest()
                if digest in wanted:
                    (copies / digest).write_bytes(content)
    for mark in marks:
        if (copies / mark.sha256).exists():
            yield mark, copies / mark.sha256


def found_crop(path: Path, cache: ContentCache) -> Rect:
    """Return the crop about the focus that a render finds."""
    still = prepare_still(path, cache=cache, max_megapixels=200, max_side_px=4096, with_subject=True)
    return largest_rect(still.width_px / still.height_px, FRAME_ASPECT, focus=still.subject or (0.5, 0.5))


def centre_crop(path: Path) -> Rect:
    """Return the crop of a picture's middle."""
    with Image.open(path) as image:
        return largest_rect(image.width / image.height, FRAME_ASPECT)


def attention_crop(path: Path) -> Rect:
    """Return the crop that libvips' attention strategy takes; raise ImportError without pyvips."""
    import pyvips  # type: ignore[import-not-found, import-untyped, unused-ignore]

    image = pyvips.Image.new_from_file(str(path)).autorot()
    whole = largest_rect(image.width / image.height, FRAME_ASPECT)
    width, height = round(whole.width * image.width), round(whole.height * image.height)
    crop = image.smartcrop(width, height, interesting="attention")
    return Rect(-crop.xoffset / image.width, -crop.yoffset / image.height, whole.width, whole.height)


def find_ms(path: Path) -> float:
    """Return the milliseconds of CPU that finding the subject takes once the picture is decoded, the median of a few."""
    with Image.open(path) as image:
        image.draft("RGB", seen_px(image.size))
        small = ImageOps.exif_transpose(image.convert("RGB"))
    taken: list[float] = []
    for _ in range(FIND_ROUNDS):
        started = time.thread_time()
        find_subject(small)
        taken.append(1000 * (time.thread_time() - started))
    return statistics.median(taken)


def measure(photographs: Sequence[tuple[Mark, Path]]) -> dict[str, Any]:
    """Return how much of each subject each crop shows, and what finding it costs."""
    with tempfile.TemporaryDirectory() as folder:
        cache = ContentCache(Path(folder))
        crops: dict[str, Callable[[Path], Rect]] = {
            "found": lambda path: found_crop(path, cache),
            "center": centre_crop,
        }
        try:
            import pyvips  # noqa: F401

            crops["vips attention"] = attention_crop
        except ImportError:
            print("without libvips: pip install 'pyvips[binary]'", file=sys.stderr)
        rows = []
        for mark, path in photographs:
            shown = {name: share_kept(mark.rect, crop(path)) for name, crop in crops.items()}
            rows.append(
                {
                    "file": mark.file,
                    "what": mark.what,
                    "half": mark.half,
                    "shown": {name: round(share, 3) for name, share in shown.items()},
                    "find_ms": round(find_ms(path), 2),
                }
            )
    return {"kept": KEPT, "crops": list(crops), "photographs": rows}


def table(results: dict[str, Any]) -> str:
    """Return the share of photographs whose subject is inside, of each half and of all, as a Markdown table."""
    lines = []
    for half in ("tuned", "held out", "all"):
        rows = [row for row in results["photographs"] if half in ("all", row["half"])]
        cells = []
        for name in results["crops"]:
            inside = sum(row["shown"][name] >= results["kept"] for row in rows)
            cells.append(f"{inside} ({100 * inside / max(1, len(rows)):.0f} %)")
        lines.append([half, str(len(rows)), *cells])
    return markdown_table(["half", "photographs", *results["crops"]], lines)


def as_markdown(results: dict[str, Any]) -> str:
    """Return the results as a page."""
    each = [
        [row["file"], row["what"], row["half"], *(f"{row['shown'][name]:.2f}" for name in results["crops"])]
        for row in results["photographs"]
    ]
    times = [row["find_ms"] for row in results["photographs"]]
    machine = results["machine"]
    return "\n".join(
        [
            "# Focus",
            "",
            f"Photographs cropped to 9:16. A subject is inside if the crop shows at least {100 * results['kept']:.0f} % "
            "of the most that any crop of that size can show of its rectangle. The formula was "
            "tuned on some; those held out were marked before it was measured on them, and it was not changed afterwards.",
            "",
            table(results),
            "",
            f"Finding the subject of a decoded picture takes {statistics.median(times):.1f} ms of CPU (median; at most "
            f"{max(times):.1f} ms) on {machine['cpu']}, {machine['cores']} cores, load {machine['load_average_before']}.",
            "",
            markdown_table(["photograph", "subject", "half", *results["crops"]], each),
            "",
        ]
    )


def main() -> int:
    """Measure the photographs below a folder and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.focus", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument(
        "--photographs",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder below which the packages that focus_marks.json names are unpacked (dpkg -x)",
    )
    parser.add_argument("--half", choices=["tuned", "held out"], help="only this half")
    parser.add_argument("--save", action="store_true", help="write results/focus.json and focus.md")
    options = parser.parse_args()
    marks = [mark for mark in read_marks() if options.half in (None, mark.half)]
    with tempfile.TemporaryDirectory() as copies:
        return _report(options, marks, list(find_photographs(options.photographs, marks, Path(copies))))


def _report(
    options: argparse.Namespace, marks: Sequence[Mark], photographs: Sequence[tuple[Mark, Path]]
) -> int:
    import imageio_ffmpeg

    missing = {f"{mark.package} {mark.version}" for mark in marks} - {
        f"{mark.package} {mark.version}" for mark, _ in photographs
    }
    if len(photographs) < len(marks):
        print(
            f"{len(photographs)} of {len(marks)} photographs are below {options.photographs}", file=sys.stderr
        )
        for package in sorted(missing):
            print(f"missing: {package} (apt-get download, dpkg -x)", file=sys.stderr)
        if not photographs:
            return 1
    results = measure(photographs)
    print(table(results))
    if options.save:
        results = {"machine": describe_machine(imageio_ffmpeg.get_ffmpeg_exe()), **results}
        (RESULTS / "focus.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (RESULTS / "focus.md").write_text(as_markdown(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
