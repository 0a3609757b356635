"""The corpus: clips that the engine draws, of each kind that its videos have, so that results compare across machines.

Both parts have the same kinds with other pictures, moves and transitions, so that what was found on one can be checked on
the other. Nothing of the user's configuration is used but the size, the frame rate and the compositor.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from video_pipeline.engine.assets.backgrounds import SIZE_LIMIT_PX, draw_background
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.story import parse_story
from video_pipeline.engine.tuning.corpus_footage import FilmedWith, write_footage
from video_pipeline.engine.tuning.material import KIND, Drawable, story_stretches
from video_pipeline.engine.tuning.records import Part

FORMAT: Final = 1
"""Increase it when the pictures or the footage change, so that no older cached ones are used."""

OVERSIZE: Final = 1.5
"""Size of the pictures as a multiple of the frame's, so that zooms have detail to show."""

DETAIL: Final = ((16, 7.0), (6, 5.0), (3, 3.5), (1, 2.0))
"""Cell size in pixels of a picture 1620 px wide, and amplitude, of the detail that makes a drawn picture compress as a
photograph does: amplitudes fall with frequency, as in a photograph's spectrum."""

DARKNESS: Final = 0.25
"""Brightness of the dark pictures."""

PICTURES: Final[Mapping[Part, tuple[tuple[str, str], ...]]] = {
    "training": (
        *(("nature", "foggy_forest"), ("adventure", "misty_ridges")),
        *(("mystery", "city_dusk"), ("fantasy", "aurora")),
    ),
    "held_out": (
        *(("nature", "dunes"), ("romance", "cloud_sea")),
        *(("history", "arches"), ("science fiction", "nebula")),
    ),
}
"""Genre and style of each part's pictures."""

TRANSITIONS: Final[Mapping[Part, tuple[tuple[str, ...], ...]]] = {
    "training": (
        ("fade", "wipeleft", "slideup", "smoothright", "circleopen", "vertopen", "diagtl", "hlslice"),
        ("dissolve", "hlwind", "radial", "pixelize", "squeezeh", "coverleft", "fadeblack", "zoomin"),
    ),
    "held_out": (
        ("fadewhite", "wipedown", "slideleft", "smoothup", "circlecrop", "horzclose", "diagbr", "vuslice"),
        ("distance", "vdwind", "rectcrop", "hblur", "squeezev", "revealright", "fadegrays", "wipetl"),
    ),
}
"""Transitions, two clips for each part, with a member of every family."""

WORDS: Final[Mapping[Part, tuple[str, ...]]] = {
    "training": ("The morning came up slowly.", "Wind went over the long grass.", "Then one seed let go."),
    "held_out": (
        "Nobody had lit the lamp tonight.",
        "The keeper counted the waves.",
        "And the light came back.",
    ),
}


@dataclass(frozen=True, slots=True)
class CorpusPart:
    """What the stories of a part are made of: `picture(n, darkness)` and `footage(kind)` return files in the cache."""

    part: Part
    seconds: float
    picture: Callable[..., Path]
    footage: Callable[[FilmedWith], Path]


@dataclass(frozen=True, slots=True)
class CorpusClip:
    """The record of a clip: its name, what it shows, and its scenes as in a story."""

    name: str
    description: str
    scenes: Callable[[CorpusPart], list[dict[str, Any]]]


def _zoom(strength: float) -> Callable[[CorpusPart], list[dict[str, Any]]]:
    """Return the scenes of a zoom that grows by `strength` a second; the held-out part zooms out."""

    def scenes(part: CorpusPart) -> list[dict[str, Any]]:
        zoom = [1.0, 1.0 + strength * part.seconds]
        effect = {"type": "ken_burns", "zoom": zoom if part.part == "training" else zoom[::-1]}
        return [{"image": part.picture(0), "effects": [effect]}]

    return scenes


def _still(part: CorpusPart) -> list[dict[str, Any]]:
    return [{"image": part.picture(1), "text": WORDS[part.part][0], "animation": "none"}]


def _fast_pan(part: CorpusPart) -> list[dict[str, Any]]:
    """Half of the picture's width and height in the clip's time, at four seconds."""
    far = min(0.5, 0.125 * part.seconds)
    ends = [{"x": 0.0, "y": 0.0, "width": 0.5}, {"x": far, "y": far, "width": 0.5}]
    start, end = ends if part.part == "training" else ends[::-1]
    return [{"image": part.picture(2), "effects": [{"type": "ken_burns", "start": start, "end": end}]}]


def _transitions(which: int) -> Callable[[CorpusPart], list[dict[str, Any]]]:
    """Return scenes that are half transition, one for each name of a list."""

    def scenes(part: CorpusPart) -> list[dict[str, Any]]:
        names = TRANSITIONS[part.part][which]
        each = part.seconds / len(names)
        moves = {"type": "ken_burns", "zoom": [1.0, 1.05]}
        return [
            {
                "image": part.picture(number),
                "effects": [moves] if number % 2 else [],
                "duration": each * 1.5 if name else each,
                "transition": {"name": name, "duration": each / 2} if name else "cut",
            }
            for number, name in enumerate((*names, ""))
        ]

    return scenes


def _moving_text(part: CorpusPart) -> list[dict[str, Any]]:
    """Return captions that move over pictures that move."""
    words = WORDS[part.part]
    kinds = (
        ("slide_up", "pop", "typewriter") if part.part == "training" else ("fade", "typewriter", "slide_up")
    )
    return [
        {
            "image": part.picture(3),
            "text": text,
            "animation": animation,
            "size": 72,
            "box": number == 1,
            "duration": part.seconds / len(words),
            "effects": [{"type": "ken_burns", "zoom": [1.0, 1.08]}],
        }
        for number, (text, animation) in enumerate(zip(words, kinds, strict=True))
    ]


def _dark(part: CorpusPart) -> list[dict[str, Any]]:
    effect = {"type": "ken_burns", "zoom": [1.0, 1.0 + 0.05 * part.seconds]}
    return [{"image": part.picture(0, brightness=DARKNESS), "effects": [effect, "fade_in", "fade_out"]}]


def _filmed(how: FilmedWith) -> Callable[[CorpusPart], list[dict[str, Any]]]:
    return lambda part: [{"video": {"path": part.footage(how), "sound": False}}]


CORPUS_CLIPS: Final = (
    CorpusClip("still", "a picture that does not move, with a caption", _still),
    CorpusClip("slow_zoom", "a zoom of 5 % a second", _zoom(0.05)),
    CorpusClip("fast_pan", "a pan over a quarter of the frame a second", _fast_pan),
    CorpusClip("transitions_1", "eight transitions", _transitions(0)),
    CorpusClip("transitions_2", "eight transitions of other families", _transitions(1)),
    CorpusClip("text", "captions that move", _moving_text),
    CorpusClip("dark", "a dark picture with fades", _dark),
    CorpusClip("grain", "film grain over a slow move", _filmed("grain")),
    CorpusClip("footage", "a hand-held camera, waves and what passes before it", _filmed("hand")),
)


def clip_name(clip: CorpusClip, part: Part) -> str:
    """Return the name of a clip in a part of the corpus."""
    return clip.name if part == "training" else f"{clip.name}_held_out"


def corpus_stretches(
    part: Part, *, seconds: float, config: Config, cache: ContentCache, names: Container[str] | None = None
) -> tuple[Drawable, ...]:
    """Return the clips of a part of the corpus, each of about `seconds`, at the configured size and frame rate.

    `names` are those of the clips that are wanted; None: all.
    """
    video = config.video
    own = load_config({}, environ=False).override(
        "video", size=video.canvas_px(), fps=video.fps, compositor=video.compositor
    )
    own = own.override("captions", style="block")  # a still picture has a caption that stands still
    sources = _corpus_part(part, seconds, own, cache)
    drawn: list[Drawable] = []
    for clip in CORPUS_CLIPS:
        name = clip_name(clip, part)
        if names is not None and name not in names:
            continue
        numbers = count(1)
        scenes = [
            {"scene_id": f"scene_{next(numbers)}", "narration": "", "effects": [], "duration": seconds}
            | {"transition": "cut"}
            | scene
            for scene in clip.scenes(sources)
        ]
        story = parse_story({"id": name, "title": clip.description, "scenes": _as_written(scenes)})
        drawn += story_stretches(
            story,
            name=name,
            part=part,
            source=f"corpus {FORMAT}: {clip.description}",
            config=own,
            cache=cache,
        )
    return tuple(drawn)


def _as_written(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_written(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_written(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _corpus_part(part: Part, seconds: float, config: Config, cache: ContentCache) -> CorpusPart:
    """Return the files of a part, which are made in the cache when they are first asked for."""
    width, height = config.video.canvas_px()
    scale = min(OVERSIZE, SIZE_LIMIT_PX[1] / max(width, height))
    picture_px = max(SIZE_LIMIT_PX[0], round(width * scale)), max(SIZE_LIMIT_PX[0], round(height * scale))

    def picture(number: int, *, brightness: float = 1.0) -> Path:
        index = number % len(PICTURES[part])
        genre, style = PICTURES[part][index]
        parts = {
            "format": FORMAT,
            "genre": genre,
            "style": style,
            "size": picture_px,
            "brightness": brightness,
        }

        def make(target: Path) -> None:
            drawn = draw_background(genre=genre, style=style, seed=index, size_px=picture_px)
            _with_detail(drawn, seed=index, brightness=brightness).save(target, "PNG", compress_level=1)

        return cache.get_or_make(f"{KIND}-pictures", parts, ".png", make)[0]

    def footage(how: FilmedWith) -> Path:
        number = 0 if how == "grain" else 3
        genre, style = PICTURES[part][number]
        fps = config.video.fps
        parts = {"format": FORMAT, "genre": genre, "style": style, "size": [width, height]}
        parts |= {"how": how, "fps": str(fps), "seconds": seconds}

        def make(target: Path) -> None:
            with Image.open(picture(number)) as opened:
                scene = opened.convert("RGB")
            write_footage(
                target, scene, how=how, size_px=(width, height), fps=fps, frames=max(1, round(seconds * fps))
            )

        return cache.get_or_make(f"{KIND}-footage", parts, ".mkv", make)[0]

    return CorpusPart(part, seconds, picture, footage)


def _with_detail(picture: Image.Image, *, seed: int, brightness: float) -> Image.Image:
    """Return a picture with detail at every scale, down to single pixels."""
    random = np.random.default_rng(seed)
    width, height = picture.size
    detail: npt.NDArray[np.float32] = np.zeros((height, width), np.float32)
    for cell, amplitude in DETAIL:
        cell_px = max(1, round(cell * min(width, height) / 1620))
        coarse = random.normal(0, amplitude, (-(-height // cell_px), -(-width // cell_px))).astype(np.float32)
        fine = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        detail += np.asarray(fine)
    pixels = (np.asarray(picture.convert("RGB"), np.float32) + detail[:, :, None]) * brightness
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))
