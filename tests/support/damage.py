"""Damage that a soak does to a node while it works: files swapped beneath it, rows overwritten, a full state disk."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import av
import manimgx_fonts
import numpy as np
from PIL import Image

from tests.support.tolerances import SAME_PICTURE_LEVELS

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 160, 30), (30, 30, 220), (255, 255, 255)
PICTURE_PX = (400, 710)
FONTS = ("NotoSans[wght].ttf", "NotoSans-Italic[wght].ttf")
SCENE_SECONDS = 0.3
VALUES: tuple[Any, ...] = (
    *(None, -1, 0, 7, 2**62, -(2**62), 1e308, -1e308, float("inf"), 0.5),
    *("", "{", "[]", "null", "\0", "\ud7ff\u202e", "9" * 5000, '{"a": 1e999}', b"\xff\xfe\x00", b""),
)


class SwappedFiles(threading.Thread):
    """A folder of assets whose picture, font and inner folder are replaced all the time.

    `picture.png` is red or green, `font.ttf` one of two fonts; `inner` is a folder with a blue `x.png`, or for
    moments a link to a folder outside with a white one, which no video may ever show.
    """

    def __init__(self, root: Path, outside: Path, *, seed: int, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.root, self._outside, self._over = root, outside, over
        self._rng = random.Random(seed)
        self.swaps = 0
        for folder, colour in ((root / "inner", BLUE), (outside, WHITE)):
            folder.mkdir(parents=True)
            _write_picture(folder / "x.png", colour)
        self._contents: dict[str, list[bytes]] = {"picture.png": [], "font.ttf": []}
        self.colours: dict[str, tuple[int, int, int]] = {_sha256(root / "inner" / "x.png"): BLUE}
        for colour in (RED, GREEN):
            path = root / "picture.png"
            _write_picture(path, colour)
            self.colours[_sha256(path)] = colour
            self._contents["picture.png"].append(path.read_bytes())
        for name in FONTS:
            path = next(p for p in Path(manimgx_fonts.__file__).parent.rglob("*.ttf") if p.name == name)
            self._contents["font.ttf"].append(path.read_bytes())
            shutil.copy(path, root / "font.ttf")

    def story(self, name: str) -> dict[str, Any]:
        """Return a story that uses every file that is swapped."""
        plain = {"duration": SCENE_SECONDS, "effects": [], "transition": "cut", "narration": ""}
        return {
            "id": name,
            "title": f"Story {name}",
            "metadata": {"genre": "mystery", "language": "en"},
            "scenes": [
                {"scene_id": "picture", "image": "picture.png", "text": "", **plain},
                {"scene_id": "inner", "image": "inner/x.png", "text": "", **plain},
                {
                    **{"scene_id": "font", "image": "inner/x.png", "text": "HAMBURG", **plain},
                    **{"font": "font.ttf", "animation": "none"},
                },
            ],
        }

    def run(self) -> None:
        """Swap files until it is over; leave each as it was."""
        inner, real = self.root / "inner", self.root.with_name("inner.real")
        while not self._over.is_set():
            for name, contents in self._contents.items():
                new = self.root.with_name(f"{name}.new")
                new.write_bytes(self._rng.choice(contents))
                new.replace(self.root / name)
            inner.rename(real)
            inner.symlink_to(self._outside)
            self._over.wait(self._rng.uniform(0, 0.002))
            inner.unlink()
            real.rename(inner)
            self.swaps += 1
            self._over.wait(self._rng.choice((0.001, 0.01, 0.2)))

    def faults(self, published: Iterator[tuple[str, Path]]) -> list[str]:
        """Return a sentence for each video that shows other files than its manifest names.

        `published` yields the job and the output folder of each completed job of `story`.
        """
        faults = []
        looks: dict[str, list[tuple[str, np.ndarray]]] = defaultdict(list)
        for job_id, folder in published:
            inputs = json.loads(next(folder.glob("*.manifest.json")).read_text(encoding="utf-8"))["inputs"]
            named = {
                (entry["role"], scene): entry["sha256"]
                for entry in inputs
                for scene in entry.get("scene_ids") or [""]
            }
            frames = _frames_in_scenes(next(folder.glob("*.mp4")))
            for scene, frame in zip(("picture", "inner"), frames, strict=False):
                sha256 = named["still", scene]
                shown = frame.reshape(-1, 3).mean(axis=0)
                wanted = self.colours.get(sha256)
                if wanted is None or np.abs(shown - wanted).max() > SAME_PICTURE_LEVELS:
                    faults.append(
                        f"{job_id}: scene {scene!r} shows {shown.round()}, its manifest names {wanted}"
                    )
            fonts = [sha256 for (role, _), sha256 in named.items() if role == "font"]
            for sha256 in fonts:
                looks[sha256].append((job_id, frames[2]))
        for sha256, drawn in looks.items():
            for job_id, frame in drawn[1:]:
                if np.abs(frame.astype(int) - drawn[0][1]).mean() > 1:
                    faults.append(
                        f"{job_id}: its caption differs from that of {drawn[0][0]}, in the font {sha256}"
                    )
        return faults


def _frames_in_scenes(video: Path) -> list[np.ndarray]:
    """Return a frame of the middle of each scene of a video, RGB."""
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [frames[len(frames) * part // 6] for part in (1, 3, 5)]


def _write_picture(path: Path, colour: tuple[int, int, int]) -> None:
    Image.new("RGB", PICTURE_PX, colour).save(path)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def damage_row(database: Path, job_id: str, rng: random.Random) -> str | None:
    """Write a wrong value into a random column of a queued job; return column and value, or None."""
    with closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        tables = {
            "jobs": "job_id = ?1",
            "payloads": "position = (SELECT position FROM jobs WHERE job_id = ?1)",
        }
        table = rng.choice(list(tables))
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        column = rng.choice([name for name in columns if name not in ("position", "job_id")])
        value = rng.choice(VALUES)
        queued = "EXISTS (SELECT 1 FROM jobs WHERE job_id = ?1 AND status = 'queued')"
        with suppress(sqlite3.IntegrityError, sqlite3.DataError):
            changed = connection.execute(
                f"UPDATE {table} SET {column} = ?2 WHERE {tables[table]} AND {queued}", (job_id, value)
            )
            if changed.rowcount:
                return f"{table}.{column} = {value!r:.40}"
    return None


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Leave no free block on a folder's disk while the block runs."""
    ballast = folder / "ballast"
    try:
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while os.statvfs(folder).f_bavail:
                file.write(bytes(1 << 16))
        yield
    finally:
        ballast.unlink(missing_ok=True)
