"""Hash and decode pictures by one open, as the engine does, beside two opens of the path.

Both take turns in one process. Prints JSON: the median milliseconds of each picture, and their spread (the
difference between the quartiles).

    python -m benchmarks.reading [PICTURE ...] [--repeats 41]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from video_pipeline.engine.common.input_files import ANY_FILES

MEDIA = Path(__file__).resolve().parent.parent / "examples" / "media"


def one_open(path: Path) -> str:
    """Return a picture's hash; it is decoded from the bytes that are hashed."""
    with ANY_FILES.open(path) as file:
        with Image.open(file.stream) as image:
            image.load()
        return file.sha256


def two_opens(path: Path) -> str:
    """Return a picture's hash; it is decoded from the path, which is then opened again."""
    with Image.open(path) as image:
        image.load()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


WAYS: dict[str, Callable[[Path], str]] = {"one open": one_open, "two opens": two_opens}


def measure_reading(path: Path, *, repeats: int) -> dict[str, Any]:
    """Return the milliseconds of each way, and the median of the ratios of neighbouring turns."""
    taken_ms: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(repeats):
        for name, read in WAYS.items():
            started = time.perf_counter()
            read(path)
            taken_ms[name].append(1000 * (time.perf_counter() - started))
    ratios = [one / two for one, two in zip(*taken_ms.values(), strict=True)]
    found: dict[str, Any] = {
        name: {"median_ms": round(statistics.median(values), 3), "spread_ms": round(_spread(values), 3)}
        for name, values in taken_ms.items()
    }
    return found | {"ratio": round(statistics.median(ratios), 3)}


def _spread(values: Sequence[float]) -> float:
    first, _, third = statistics.quantiles(values, n=4)
    return third - first


def main() -> int:
    """Measure pictures and print what each way took."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reading",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pictures", nargs="*", type=Path, help="default: those of the examples")
    parser.add_argument("--repeats", type=int, default=41)
    options = parser.parse_args()
    pictures = options.pictures or sorted(path for path in MEDIA.iterdir() if path.suffix != ".mp3")
    print(
        json.dumps({path.name: measure_reading(path, repeats=options.repeats) for path in pictures}, indent=2)
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
