"""Stories of every kind of material, in a training part and a held-out part, for the model behind `video.quality`.

No picture is in both parts. Photographs come from Debian's `mate-backgrounds` (unpacked, or installed); without it the
stories that need one are left out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.photographs import MATE_FOLDER, _grain, photographs

Part = Literal["training", "held_out"]
Scene = dict[str, Any]

PHOTO_NAMES: dict[Part, tuple[str, ...]] = {
    "training": ("Garden", "Wood", "Aqua", "Storm", "FreshFlower", "Blinds"),
    "held_out": ("LadyBird", "YellowFlower", "GreenMeadow"),
}
"""Pictures of mate-backgrounds' folder `nature`; those of `benchmarks.photographs` are held out too."""

STYLES: dict[Part, tuple[tuple[str, str, int], ...]] = {
    "training": (
        ("nature", "foggy_forest", 1),
        ("mystery", "moonlit_sea", 2),
        ("fantasy", "aurora", 3),
        ("science_fiction", "planet", 4),
        ("history", "arches", 5),
        ("romance", "silk", 6),
        ("children", "paper_hills", 7),
        ("adventure", "dunes", 8),
    ),
    "held_out": (
        ("mystery", "city_dusk", 11),
        ("science_fiction", "nebula", 12),
        ("romance", "bokeh", 13),
        ("adventure", "misty_ridges", 14),
        ("fantasy", "cloud_sea", 15),
        ("fantasy", "cave", 16),
    ),
}

TRANSITIONS: dict[Part, tuple[str, ...]] = {
    "training": (
        *("fade", "wipeleft", "slideup", "circleopen", "smoothright", "fadeblack", "pixelize", "dissolve"),
        *("zoomin", "radial", "hblur", "diagtl", "hlslice", "squeezeh", "coverleft", "fadewhite"),
    ),
    "held_out": (
        *(
            "smoothleft",
            "slideright",
            "circleclose",
            "fade",
            "distance",
            "wiperight",
            "fadegrays",
            "revealup",
        ),
        *("vuslice", "rectcrop", "vertopen", "diagbr", "squeezev", "fadefast", "horzclose", "wipetl"),
    ),
}


@dataclass(frozen=True, slots=True)
class Material:
    """A story of the corpus with its frame size and rate."""

    name: str
    part: Part
    story: Path
    size_px: tuple[int, int]
    fps: int = 30


def _zoom(rate: float, seconds: float) -> Scene:
    return {"type": "ken_burns", "zoom": [1.0, 1.0 + rate * seconds]}


def _pan(share: float, *, back: bool = False) -> Scene:
    left = {"x": 0.02, "y": 0.05, "width": 0.3, "height": 0.9}
    right = {**left, "x": 0.02 + share}
    return {"type": "ken_burns", "start": right if back else left, "end": left if back else right}


class _Maker:
    """Makes the pictures, clips and stories of one part in a folder."""

    def __init__(self, folder: Path, part: Part, mate: Path) -> None:
        self.folder, self.part = folder / part, part
        self.folder.mkdir(parents=True, exist_ok=True)
        self.photos = [
            path for name in PHOTO_NAMES[part] if (path := mate / "nature" / f"{name}.jpg").is_file()
        ]
        self._joins = iter(TRANSITIONS[part] * 4)

    def save(self, name: str, pixels: NDArray[np.uint8] | Image.Image) -> str:
        path = self.folder / name
        if not path.exists():
            picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
            picture.save(path)
        return str(path)

    def drawn(self, number: int, *, grain: bool = False, size_px: tuple[int, int] = (1440, 2560)) -> str:
        genre, style, seed = STYLES[self.part][number % len(STYLES[self.part])]
        path = self.folder / f"{style}{'_grain' if grain else ''}_{size_px[0]}.png"
        if path.exists():
            return str(path)
        from video_pipeline.engine.assets.backgrounds import draw_background

        drawn = draw_background(genre=genre, style=style, seed=seed, size_px=size_px)
        return self.save(path.name, _grain(drawn, seed=seed) if grain else drawn)

    def dark(self, source: str, share: float = 0.22) -> str:
        path = self.folder / f"dark_{Path(source).stem}.png"
        if not path.exists():
            pixels = np.asarray(Image.open(source).convert("RGB"), np.float32)
            rng = np.random.default_rng(5)
            noisy = pixels * share + rng.normal(0, 2.0, pixels.shape)
            self.save(path.name, noisy.clip(0, 255).astype(np.uint8))
        return str(path)

    def flat(self, number: int) -> str:
        colour = [(24, 32, 56), (244, 238, 226), (150, 30, 44), (20, 90, 80)][
            (number + (self.part == "held_out")) % 4
        ]
        height, width = 1280, 720
        ramp = np.linspace(0.9, 1.0, height)[:, None, None] * np.array(colour)[None, None, :]
        return self.save(
            f"flat{number}.png", np.broadcast_to(ramp, (height, width, 3)).round().astype(np.uint8)
        )

    def clip(self, number: int, source: str, *, noise: float, shake: float, seconds: float = 3.2) -> str:
        """A hand-held view of a picture with an object that crosses it, encoded as a phone would."""
        path = self.folder / f"clip{number}.mp4"
        if path.exists():
            return str(path)
        import av

        width, height, fps = 720, 1280, 30
        picture = ImageOps.fit(Image.open(source).convert("RGB"), (width * 3 // 2, height * 3 // 2))
        pixels = np.asarray(picture)
        rng = np.random.default_rng(number)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=fps, options={"crf": "17", "preset": "fast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for frame in range(int(seconds * fps)):
                at = frame / fps
                x = width / 4 + shake * (np.sin(at * 5.1 + number) + 0.6 * np.sin(at * 13.7)) + at * 14
                y = height / 4 + shake * (np.cos(at * 4.3) + 0.6 * np.cos(at * 11.9 + number))
                left, top = int(np.clip(x, 0, width / 2 - 1)), int(np.clip(y, 0, height / 2 - 1))
                view = pixels[top : top + height, left : left + width].astype(np.float32)
                middle = int(at / seconds * width * 1.2) - 60
                view[height // 3 : height // 3 + 200, max(0, middle) : max(0, middle + 130)] *= 0.35
                view += rng.normal(0, noise, (height, width, 1))
                shown = av.VideoFrame.from_ndarray(view.clip(0, 255).astype(np.uint8), format="rgb24")
                container.mux(stream.encode(shown))
            container.mux(stream.encode(None))
        return str(path)

    def story(self, name: str, scenes: list[Scene], *, size_px: tuple[int, int] = (1080, 1920)) -> Material:
        listed: list[Scene] = []
        for number, scene in enumerate(scenes):
            whole: Scene = {
                "scene_id": f"s{number}",
                "text": "",
                "narration": "",
                "duration": 3.0,
                "effects": [],
            }
            whole |= scene
            if number < len(scenes) - 1 and "transition" not in whole:
                whole["transition"] = {"name": next(self._joins), "duration": 0.6}
            listed.append(whole)
        path = self.folder / f"{name}.json"
        metadata = {"genre": "general", "language": "en"}
        path.write_text(
            json.dumps({"id": name, "title": name, "metadata": metadata, "scenes": listed}, indent=1)
        )
        return Material(name, self.part, path, size_px)


TEXT = "The morning came up slowly, and nobody saw it."


def _stories(make: _Maker) -> Iterator[Material]:
    held = make.part == "held_out"
    turn = 2 if held else 0
    drawn = make.drawn
    yield make.story(
        "drawn",
        [
            {"image": drawn(turn), "effects": [_zoom(0.05, 3)], "text": TEXT},
            {"image": drawn(turn + 1), "effects": [_pan(0.4)]},
            {"image": drawn(turn + 2), "effects": [_zoom(0.2, 3)], "text": TEXT, "animation": "slide_up"},
            {"image": drawn(turn + 3), "duration": 4.5},
        ],
    )
    yield make.story(
        "grain",
        [
            {"image": drawn(turn + 1, grain=True), "effects": [_zoom(0.05, 3)]},
            {"image": drawn(turn + 3, grain=True), "effects": [_pan(0.6, back=held)], "text": TEXT},
            {"image": drawn(turn + 2, grain=True)},
        ],
    )
    yield make.story(
        "text",
        [
            {"image": make.flat(0), "text": TEXT, "animation": "typewriter", "text_position": "center"},
            {"image": make.flat(1), "text": TEXT, "animation": "pop", "size": 90, "text_position": "center"},
            {
                "image": make.flat(2),
                "text": TEXT + " " + TEXT,
                "size": 70,
                "effects": [_zoom(0.08, 3)],
                "text_position": "top",
            },
        ],
        size_px=(720, 1280) if held else (1080, 1920),
    )
    photos = [str(path) for path in make.photos]
    if not photos:
        return
    pick = [photos[index % len(photos)] for index in range(6)]
    yield make.story(
        "slow",
        [
            {"image": pick[0], "effects": [_zoom(0.05, 3)], "text": TEXT},
            {"image": pick[1], "effects": [_zoom(-0.0 + 0.04, 3)], "text": TEXT},
            {"image": pick[2], "effects": [_pan(0.12)], "text": TEXT},
            {"image": pick[3], "effects": [_zoom(0.05, 3), "fade_out"]},
        ],
    )
    yield make.story(
        "fast",
        [
            {"image": pick[4], "effects": [_zoom(0.25, 2)], "duration": 2.2},
            {"image": pick[5], "effects": [_pan(0.65)], "duration": 2.2},
            {"image": pick[0], "effects": [_pan(0.65, back=True)], "duration": 2.2, "fit": "cover"},
            {"image": pick[1], "effects": [_zoom(0.4, 2)], "duration": 2.2, "text": TEXT},
        ],
    )
    yield make.story(
        "still",
        [
            {"image": pick[2], "text": TEXT},
            {"image": pick[3], "fit": "blur", "text": TEXT},
            {"image": pick[5], "fit": "contain"},
        ],
    )
    yield make.story(
        "dark",
        [
            {"image": make.dark(pick[1]), "effects": [_zoom(0.05, 3)]},
            {"image": make.dark(pick[4], 0.12), "effects": [_pan(0.3)], "text": TEXT},
        ],
    )
    yield make.story(
        "footage",
        [
            {"video": make.clip(0, pick[0], noise=2.0, shake=9), "text": TEXT},
            {"video": make.clip(1, pick[3], noise=5.0, shake=25)},
            {"video": make.clip(2, pick[5], noise=0.5, shake=4), "fit": "blur"},
        ],
        size_px=(1080, 1920) if held else (720, 1280),
    )
    yield make.story(
        "landscape",
        [
            {"image": pick[1], "effects": [_zoom(0.06, 3)], "text": TEXT},
            {"image": pick[4], "effects": [_pan(0.2)]},
            {"image": drawn(turn + 4), "effects": [_zoom(0.1, 3)]},
        ],
        size_px=(1280, 720) if held else (1920, 1080),
    )
    yield make.story(
        "joins",
        [
            {
                "image": pick[index % 6] if index % 2 else drawn(turn + index),
                "effects": [_zoom(0.05, 1.6)],
                "duration": 1.7,
            }
            for index in range(10)
        ],
        size_px=(540, 960),
    )


def _mixed(make: _Maker, number: int, *, scenes: int = 12) -> Material:
    """Return a story of random scenes at a small size, which costs little to encode."""
    rng = random.Random(f"{make.part} {number}")
    size_px = ((540, 960), (960, 540), (720, 720), (720, 1280))[number % 4]
    listed: list[Scene] = []
    for _ in range(scenes):
        kind = rng.choice(("photo", "photo", "photo", "drawn", "drawn", "grain", "dark", "flat", "clip"))
        photos = [str(path) for path in make.photos]
        if kind in ("photo", "dark", "clip") and not photos:
            kind = "drawn"
        scene: Scene = {"duration": rng.choice((1.8, 2.2, 2.6))}
        if kind == "photo":
            scene["image"] = rng.choice(photos)
        elif kind == "dark":
            scene["image"] = make.dark(rng.choice(photos), rng.choice((0.12, 0.22)))
        elif kind == "flat":
            scene["image"] = make.flat(rng.randrange(3))
        elif kind == "clip":
            which = rng.randrange(3)
            scene["video"] = make.clip(which, photos[which], noise=2.0, shake=9)
        else:
            scene["image"] = make.drawn(rng.randrange(8), grain=kind == "grain")
        if kind != "clip":
            move = rng.choice(("zoom", "zoom", "pan", "still"))
            if move == "zoom":
                scene["effects"] = [_zoom(rng.choice((0.03, 0.05, 0.1, 0.25)), 2.2)]
            elif move == "pan":
                scene["effects"] = [_pan(rng.choice((0.08, 0.2, 0.5)), back=rng.random() < 0.5)]
        if kind == "flat" or rng.random() < 0.4:
            scene |= {
                "text": TEXT,
                "size": rng.choice((40, 64)),
                "animation": rng.choice(("fade_in", "slide_up")),
            }
        scene["transition"] = {"name": rng.choice(TRANSITIONS[make.part]), "duration": 0.5}
        listed.append(scene)
    del listed[-1]["transition"]
    return make.story(f"mixed{number}", listed, size_px=size_px)


def make_corpus(folder: Path, *, mate: Path = MATE_FOLDER) -> list[Material]:
    """Return the stories of both parts, made in a folder; what is there from an earlier run is reused."""
    folder, mate = folder.resolve(), mate.resolve()
    corpus: list[Material] = []
    for part in ("training", "held_out"):
        make = _Maker(folder, part, mate)
        corpus += [
            *_stories(make),
            *(_mixed(make, number) for number in range(8 if part == "training" else 2)),
        ]
    corpus += _held_out_stories(folder, mate)
    return corpus


def _held_out_stories(folder: Path, mate: Path) -> Iterator[Material]:
    """Yield the benchmark's own photographs and the examples, which are held out."""
    from benchmarks.photographs import MATE_NAMES
    from benchmarks.workload import make_workload

    has_mate = all((mate / name).is_file() for name in MATE_NAMES)
    workload = make_workload(folder=folder / "bench", source=mate if has_mate else None)
    yield Material("benchmark", "held_out", workload.story, (1080, 1920))
    examples = Path(__file__).resolve().parent.parent / "examples"
    yield Material("voyage", "held_out", examples / "voyage.yaml", (1080, 1920))
    yield Material("lighthouse", "held_out", examples / "lighthouse.json", (1080, 1920))


__all__ = ["Material", "make_corpus", "photographs"]
