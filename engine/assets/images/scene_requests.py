"""What the picture of each scene is to show: requests that follow from the words of the whole story."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise

from video_pipeline.engine.assets.images.service import PictureRequest
from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.story import Story, StoryScene
from video_pipeline.engine.story.motifs import Depiction, choose_depiction, depict_motifs, find_motifs
from video_pipeline.engine.story.motifs.meaning import has_encoder, with_meaning


def picture_requests(
    story: Story, scenes: Sequence[StoryScene], *, config: Config
) -> tuple[PictureRequest, ...]:
    """Return the request for each scene's picture, also of scenes that have one, as it may be unusable.

    Seeds follow from the story's id or title. They are consecutive, so that neighbours that are drawn by genre differ
    in style; neighbours at the same place are seen from opposite sides.
    """
    name = story.id or story.title
    depicted = _depicted(story, scenes, config=config)
    shown = [depiction for depiction, _ in depicted]
    choice = None if config.images.style in {"auto", "genre"} else config.images.style
    styles = [scene.picture_style or (choice if scene.motif is None else None) for scene in scenes]
    views = _views(
        [style or (each.place if each else None) for style, each in zip(styles, shown, strict=True)]
    )
    return tuple(
        PictureRequest(
            text=scene.text or scene.spoken,
            genre=story.metadata.genre,
            seed=_number_of(name) + index if scene.seed is None else scene.seed,
            frame_px=config.video.finished_px(),
            title=story.title,
            scene_title=scene.title or "",
            language=story.language,
            prompt=scene.image_prompt or "",
            service_seed=_number_of(name, scene.scene_id) if scene.seed is None else scene.seed,
            variant=_number_of(name) + index,
            composition=depiction,
            style=style,
            palette=_number_of(name),
            view=view,
            by_meaning=by_meaning,
        )
        for index, (scene, (depiction, by_meaning), style, view) in enumerate(
            zip(scenes, depicted, styles, views, strict=True)
        )
    )


def story_seed(story: Story) -> int:
    """Return the seed of a whole story, by its id or title."""
    return _number_of(story.id or story.title)


def scene_depictions(
    story: Story, scenes: Sequence[StoryScene], *, config: Config
) -> tuple[Depiction | None, ...]:
    """Return what each scene's drawn picture shows: the scene's own motifs, or those that its words name.

    A scene whose words name none shows what the one before it does. None is drawn by genre.
    """
    return tuple(shown for shown, _ in _depicted(story, scenes, config=config))


def _depicted(
    story: Story, scenes: Sequence[StoryScene], *, config: Config
) -> list[tuple[Depiction | None, bool]]:
    """Return what each scene's drawn picture shows, and whether it was found by meaning."""
    genre, found = story.metadata.genre, list[tuple[Depiction | None, bool]]()
    before: Depiction | None = None
    for scene in scenes:
        by_meaning = False
        if scene.motif is not None:
            shown = depict_motifs(scene.motif, genre=genre)
        elif config.images.style == "genre":
            shown = None
        else:
            motifs, by_meaning = _motifs_of(scene.text or scene.spoken, story.language, config)
            shown = choose_depiction(motifs, genre=genre, previous=before) or before
        found.append((shown, by_meaning))
        before = shown or before
    return found


def _motifs_of(text: str, language: str, config: Config) -> tuple[Mapping[str, float], bool]:
    """Return the motifs that a text names, with `images.meaning` also those that it is about, and whether there are such."""
    named = find_motifs(text, language=language)
    if not config.images.meaning:
        return named, False
    if not has_encoder():
        raise ConfigError(
            f"images.meaning: got true, which needs {the_extra('meaning')}; install it, or set the key to false"
        )
    return with_meaning(named, text, language=language)


def _views(places: Sequence[str | None]) -> list[int]:
    """Return 0 or 1 for each scene: of scenes in a row at one place, or in one style, 0, 1, 0 and so on."""
    views = [0] * len(places)
    for index, (before, now) in enumerate(pairwise(places)):
        if now is not None and before == now:
            views[index + 1] = 1 - views[index]
    return views


def _number_of(*names: str) -> int:
    """Return a number of 32 bits that follows from names."""
    return int.from_bytes(hashlib.sha256("\n".join(names).encode()).digest()[:4], "big")
