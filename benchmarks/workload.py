"""The workload that every contender renders: photographs with a zoom, a cross-fade and a caption each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.photographs import Source, find_source, photographs

BUILD = Path(__file__).resolve().parent.parent / "build" / "bench"
"""Folder for pictures, stories and outputs; ignored by git."""

PICTURE_PX = (1620, 2880)
LARGE_PICTURE_PX = (3000, 4000)
"""Twelve megapixels, like a phone's photograph."""

CAPTIONS = (
    "The morning came up slowly.",
    "Wind went over the long grass.",
    "Rain had left its marks on every leaf.",
    "Then one seed let go, and flew.",
)


CAPTION_SIZE_PX, CAPTION_STROKE_PX, CAPTION_TOP = 48, 4, 0.78
"""Caption style for the contenders other than the engine, like the engine's; CAPTION_TOP is a share of the height."""


def caption_font() -> Path:
    """Return the font file for the other contenders' captions."""
    import manimgx_fonts

    return Path(manimgx_fonts.__file__).parent / "NotoSans[wght].ttf"


@dataclass(frozen=True, slots=True)
class Workload:
    """Scenes of equal length, each a picture with a caption, zoomed at a steady rate and cross-faded.

    Two scenes overlap by `fade_seconds`; the scale grows by `zoom_per_second`, negative for a zoom out. A caption
    may be empty.
    """

    story: Path
    pictures: tuple[Path, ...]
    captions: tuple[str, ...]
    source: Source | None
    scene_seconds: float = 4.0
    fade_seconds: float = 0.5
    zoom_per_second: float = 0.05
    size_px: tuple[int, int] = (1080, 1920)
    fps: int = 30

    @property
    def frames(self) -> int:
        """The number of frames of the whole video."""
        scene = round(self.scene_seconds * self.fps)
        fade = round(self.fade_seconds * self.fps)
        return len(self.pictures) * scene - (len(self.pictures) - 1) * fade

    @property
    def start_zoom(self) -> float:
        """The scale at a scene's start; 1 fills the frame, and a zoom out ends at 1."""
        return 1 + max(0.0, -self.zoom_per_second * self.scene_seconds)

    @property
    def end_zoom(self) -> float:
        """The scale at a scene's end."""
        return self.start_zoom + self.zoom_per_second * self.scene_seconds

    def as_story(self) -> dict[str, Any]:
        """Return the workload as a story in the engine's format."""
        scenes: list[dict[str, Any]] = []
        for number, (picture, caption) in enumerate(zip(self.pictures, self.captions, strict=True), start=1):
            scene: dict[str, Any] = {
                "scene_id": f"scene_{number:03d}",
                "text": caption,
                "narration": "",
                "image": str(picture),
                "duration": self.scene_seconds,
                "effects": [{"type": "ken_burns", "zoom": [self.start_zoom, self.end_zoom]}],
                "animation": "none",
            }
            if number < len(self.pictures):
                scene["transition"] = {"name": "fade", "duration": self.fade_seconds}
            scenes.append(scene)
        return {
            "id": self.story.stem,
            "title": "Benchmark",
            "metadata": {"genre": "general", "language": "en"},
            "scenes": scenes,
        }

    def write(self) -> Workload:
        """Write the story file; return the workload itself."""
        self.story.parent.mkdir(parents=True, exist_ok=True)
        self.story.write_text(json.dumps(self.as_story(), indent=1) + "\n")
        return self


def make_workload(
    *,
    folder: Path = BUILD,
    scenes: int = 4,
    scene_seconds: float = 4.0,
    fade_seconds: float = 0.5,
    picture_px: tuple[int, int] = PICTURE_PX,
    source: Path | None = None,
    report: Callable[[str], None] | None = None,
) -> Workload:
    """Create a workload of `scenes` scenes in `folder`, reusing the pictures of an earlier run."""
    pictures = photographs(
        folder / "pictures", count=scenes, size_px=picture_px, source=source, report=report
    )
    name = f"{scenes}x{scene_seconds:g}s-{picture_px[0]}x{picture_px[1]}"
    return Workload(
        story=folder / "stories" / f"{name}.json",
        pictures=pictures,
        captions=tuple(CAPTIONS[index % len(CAPTIONS)] for index in range(scenes)),
        source=find_source(source)[0],
        scene_seconds=scene_seconds,
        fade_seconds=fade_seconds,
    ).write()


def one_scene(
    name: str,
    *,
    picture: Path,
    seconds: float,
    zoom_per_second: float,
    size_px: tuple[int, int],
    folder: Path = BUILD,
) -> Workload:
    """Write and return a workload of one picture without a caption, to measure a single move."""
    return Workload(
        story=folder / "stories" / f"{name}.json",
        pictures=(picture,),
        captions=("",),
        source=None,
        scene_seconds=seconds,
        fade_seconds=0.0,
        zoom_per_second=zoom_per_second,
        size_px=size_px,
    ).write()
