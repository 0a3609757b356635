"""Photographs for benchmarks: Debian's `mate-backgrounds` if installed, otherwise drawn ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

MATE_FOLDER = Path("/usr/share/backgrounds/mate")
MATE_NAMES = (
    "abstract/Elephants_5640x3172.jpg",
    "nature/Dune.jpg",
    "nature/RainDrops.jpg",
    "nature/TwoWings.jpg",
)
"""A painting full of detail, grass, leaves with drops, and a seed head before a soft ground."""

DRAWN = (
    ("nature", "foggy_forest"),
    ("adventure", "misty_ridges"),
    ("mystery", "city_dusk"),
    ("nature", "dunes"),
)
"""Genre and style of each generated picture."""

JPEG_QUALITY = 92
GRAIN_SEED = 20240601

Source = Literal["mate-backgrounds", "drawn"]


def find_source(folder: Path | None = None) -> tuple[Source, Path | None]:
    """Return the source of the photographs: a folder with all of MATE_NAMES, or drawn ones.

    `folder` is an unpacked `mate-backgrounds` with its subfolders `abstract` and `nature`; raise
    FileNotFoundError with the missing file if it is incomplete.
    """
    looked_in = folder or MATE_FOLDER
    missing = [name for name in MATE_NAMES if not (looked_in / name).is_file()]
    if not missing:
        return "mate-backgrounds", looked_in
    if folder:
        raise FileNotFoundError(
            f"{folder} lacks {', '.join(missing)}; give the folder of an unpacked mate-backgrounds"
        )
    return "drawn", None


def _grain(picture: Image.Image, *, seed: int) -> Image.Image:
    """Add detail at every scale, down to single pixels, to make a drawn picture compress like a photograph."""
    rng = np.random.default_rng(seed)
    width, height = picture.size
    detail: NDArray[np.float32] = np.zeros((height, width), np.float32)
    # The amplitudes fall with frequency, as in the spectrum of a photograph.
    for cell_px, amplitude in ((16, 7.0), (6, 5.0), (3, 3.5), (1, 2.0)):
        coarse = rng.normal(0, amplitude, (-(-height // cell_px), -(-width // cell_px))).astype(np.float32)
        fine = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        detail += np.asarray(fine)
    pixels = np.asarray(picture.convert("RGB"), np.float32) + detail[:, :, None]
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def _original(index: int, size_px: tuple[int, int], folder: Path | None) -> Image.Image:
    if folder:
        with Image.open(folder / MATE_NAMES[index]) as opened:
            return ImageOps.fit(opened.convert("RGB"), size_px, Image.Resampling.LANCZOS)
    from video_pipeline.engine.assets.backgrounds import draw_background

    genre, style = DRAWN[index]
    drawn = draw_background(genre=genre, style=style, seed=index, size_px=size_px)
    return _grain(drawn, seed=GRAIN_SEED + index)


def _distinct(pixels: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """Return a variant of a picture: mirrored for every other number and rolled by a part of its size."""
    if turn == 0:
        return pixels
    if turn % 2:
        pixels = pixels[:, ::-1]
    height, width = pixels.shape[:2]
    return np.ascontiguousarray(np.roll(pixels, ((turn * 389) % height, (turn * 211) % width), (0, 1)))


def photographs(
    folder: Path,
    *,
    count: int,
    size_px: tuple[int, int],
    source: Path | None = None,
    report: Callable[[str], None] | None = None,
) -> tuple[Path, ...]:
    """Return `count` distinct JPEG files of `size_px` in `folder`; files of an earlier run are reused.

    The first four are the originals; the others are variants of them.
    """
    kind, found = find_source(source)
    folder = folder / f"{kind}-{size_px[0]}x{size_px[1]}-q{JPEG_QUALITY}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"photo_{index:03d}.jpg" for index in range(count))
    missing = [index for index, path in enumerate(paths) if not path.exists()]
    if missing and report:
        report(f"making {len(missing)} photographs of {size_px[0]}x{size_px[1]} ({kind})")

    def save(index: int, pixels: NDArray[np.uint8]) -> None:
        unfinished = paths[index].with_suffix(".part")
        Image.fromarray(_distinct(pixels, index // len(MATE_NAMES))).save(
            unfinished, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0"
        )
        unfinished.replace(paths[index])

    with ThreadPoolExecutor(max_workers=2) as pool:
        for original in range(len(MATE_NAMES)):
            wanted = [index for index in missing if index % len(MATE_NAMES) == original]
            if not wanted:
                continue
            pixels = np.asarray(_original(original, size_px, found))
            for _ in pool.map(save, wanted, [pixels] * len(wanted)):
                pass
    (folder / "source.json").write_text(json.dumps({"source": kind, "size_px": size_px}) + "\n")
    return paths
