"""The assets of a story's first scenes while those of later ones are being made."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from fractions import Fraction
from itertools import takewhile
from typing import Any, Final, NamedTuple

from video_pipeline.engine.assets.models import (
    DrawnPicture,
    Narration,
    PictureOrigin,
    SceneAssets,
    Sound,
    StoryAssets,
)
from video_pipeline.engine.story import StoryScene
from video_pipeline.engine.timeline import Footage, Still

HEAD_START_SECONDS: Final = 0.3
"""Assets that are made sooner, such as cached ones, are not given out in parts: laying scenes out twice takes longer."""

LOOK_SECONDS: Final = 0.05
"""How often to look which scenes are ready."""

GROWTH: Final = 8
"""The first scenes are given out again when there is one more for each GROWTH of them, as each time all are laid out."""


@dataclass(frozen=True, slots=True)
class Made:
    """One scene's asset, and the warnings about it."""

    value: Any
    warnings: tuple[str, ...] = ()


class ShownScene(NamedTuple):
    """What a scene shows, the sound of its clip, the service that it is from or what is drawn; see `SceneAssets`."""

    picture: Still | Footage
    sound: Sound | None = None
    origin: PictureOrigin | None = None
    drawn: DrawnPicture | None = None
    is_unpainted: bool = False


class FirstScenes:
    """The assets of a story's first scenes, and of its title card, while those of later ones are being made."""

    def __init__(
        self,
        scenes: Sequence[StoryScene],
        pictures: Sequence[Future[Made]],
        speeches: Sequence[Future[Made]],
        views: Sequence[Future[Made]],
        title: Future[Made] | None = None,
    ) -> None:
        self._title = title
        self._made = list(zip(scenes, pictures, speeches, views, strict=True))
        self._over = threading.Event()

    def growing(self) -> Iterator[StoryAssets]:
        """Yield the assets of more and more scenes, two or more, until `end` is called. It may run on another thread."""
        count, seconds = 0, HEAD_START_SECONDS
        while not self._over.wait(seconds):
            seconds = LOOK_SECONDS
            ready = list(takewhile(lambda made: _is_made(*made[1:]), self._made))
            if self._title is not None and not _is_made(self._title):
                continue
            if max(1, count + count // GROWTH) < len(ready) < len(self._made):
                count = len(ready)
                warnings = [
                    warning for _, *each in ready for made in each for warning in made.result().warnings
                ]
                scenes = tuple(scene_assets(scene, *each) for scene, *each in ready)
                yield StoryAssets(scenes, title_speech=title_speech(self._title), warnings=tuple(warnings))

    def end(self) -> None:
        """Yield nothing further: all scenes are ready, or one failed."""
        self._over.set()


def _is_made(*futures: Future[Made]) -> bool:
    return all(each.done() and not each.cancelled() and each.exception() is None for each in futures)


def title_speech(made: Future[Made] | None) -> Narration | None:
    """Return the narration of a title card that is spoken."""
    said = made.result().value if made is not None else None
    return said if isinstance(said, Narration) else None


def scene_assets(
    scene: StoryScene, picture: Future[Made], speech: Future[Made], view: Future[Made] | None = None
) -> SceneAssets:
    """Return the assets of a scene; all futures are done. Without `view` it has no second view."""
    shown: ShownScene = picture.result().value
    said = speech.result().value
    narration = said if isinstance(said, Narration) else None
    return SceneAssets(
        scene_id=scene.scene_id,
        picture=shown.picture,
        narration=narration.sound if narration else None,
        footage_sound=shown.sound,
        extended=said is False,
        words=narration.words if narration else (),
        words_by=narration.words_by if narration else None,
        spoken_by=narration.spoken_by if narration else None,
        narration_start=narration.start if narration else Fraction(0),
        narration_name=narration.name if narration else "",
        narration_gain_db=narration.gain_db if narration else 0.0,
        is_unspoken=narration is not None and narration.is_unspoken,
        origin=shown.origin,
        drawn=shown.drawn,
        is_unpainted=shown.is_unpainted,
        second_view=view.result().value if view is not None else None,
    )
