"""Where the clips of a run come from: files that the user names, and the corpus that the engine draws."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.assets.formats import HEAD_BYTES, WORDS, Content, sniff
from video_pipeline.engine.common.cache import ContentCache, FileDigests
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError, RenderingError, StoryError
from video_pipeline.engine.story import load_story
from video_pipeline.engine.tuning.corpus import CORPUS_CLIPS, clip_name, corpus_stretches
from video_pipeline.engine.tuning.material import Drawable, RawClip, story_stretches, video_stretches
from video_pipeline.engine.tuning.records import Part

SECONDS: Final = 24.0
"""Length of the clips that are taken from a file, together."""

CORPUS_SECONDS: Final = 4.0
"""Length of a clip of the corpus."""

MOST_SECONDS: Final = 3600.0

CORPUS: Final = "corpus"
"""The corpus instead of a file's name; `corpus:still,grain` are two of its clips."""

MATERIAL: Final = f"a story, a video file, {CORPUS}, or clips of it such as {CORPUS}:still,grain"

FIELDS: Final[Mapping[Part, str]] = {"training": "material", "held_out": "held_out"}
"""What an error calls the material of a part."""

Drawn = Callable[[int, int], None]
"""Is called with the number of clips that are drawn, and of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the clips of a run are made from: files (stories and videos) or CORPUS, for each part.

    `seconds` is the length of what is taken from each file, or of a clip of the corpus; None: SECONDS, CORPUS_SECONDS.
    """

    training: tuple[str, ...]
    held_out: tuple[str, ...] = ()
    seconds: float | None = None

    def describe(self) -> dict[str, Any]:
        """Return the sources as plain values; files by their full paths, so that a run can be resumed anywhere."""

        def full(names: Iterable[str]) -> list[str]:
            return [name if is_corpus(name) else str(Path(name).absolute()) for name in names]

        return {
            "training": full(self.training),
            "held_out": full(self.held_out),
            "seconds": self.seconds,
        }


def is_corpus(name: str) -> bool:
    """Return whether material is the corpus, or clips of it."""
    return name.partition(":")[0] == CORPUS


def read_sources(data: Mapping[str, Any]) -> Sources:
    """Return sources from what `describe` returned."""
    return Sources(
        training=tuple(data["training"]), held_out=tuple(data["held_out"]), seconds=data["seconds"]
    )


def gather_clips(
    sources: Sources, *, config: Config, cache: ContentCache, drawn: Drawn = lambda done, total: None
) -> tuple[RawClip, ...]:
    """Return the clips of a run, drawn if they are not cached.

    Raises InputError for a file that is neither a story nor a video, or if the cache or its disk is too small, and
    AssetError or RenderingError if a clip cannot be drawn.
    """
    if not sources.training:
        raise InputError(f"material: got none; allowed: {MATERIAL}")
    if sources.seconds is not None and not 0 < sources.seconds <= MOST_SECONDS:
        raise InputError(f"seconds: got {sources.seconds:g}; allowed: more than 0, to {MOST_SECONDS:g}")
    parts: tuple[tuple[Part, tuple[str, ...]], ...] = (
        ("training", sources.training),
        ("held_out", sources.held_out),
    )
    for part, names in parts:  # all of them before anything is made
        for name in names:
            if is_corpus(name):
                _corpus_names(name, part)
            else:
                _content_of(name, part)
    stretches: list[Drawable] = []
    for part, names in parts:
        for name in names:
            stretches += _stretches_of(name, part, sources.seconds, config, cache)
    _check_room(stretches, cache)
    digest = FileDigests()
    clips: list[RawClip] = []
    for stretch in _with_own_names(stretches):
        drawn(len(clips), len(stretches))
        clips.append(stretch.draw(cache, digest))
    drawn(len(clips), len(stretches))
    return tuple(clips)


def _stretches_of(
    name: str, part: Part, seconds: float | None, config: Config, cache: ContentCache
) -> tuple[Drawable, ...]:
    if is_corpus(name):
        return corpus_stretches(
            part,
            names=_corpus_names(name, part),
            seconds=seconds or CORPUS_SECONDS,
            config=config,
            cache=cache,
        )
    path, seconds = Path(name), seconds or SECONDS
    content = _content_of(name, part)
    if content is not None and content.kinds != WORDS:
        return video_stretches(path, name=path.stem, part=part, config=config, cache=cache, seconds=seconds)
    try:
        story = load_story(path)
        return story_stretches(
            story,
            name=path.stem,
            part=part,
            source=path.name,
            config=config,
            base=path.parent,
            cache=cache,
            seconds=seconds,
        )
    except StoryError as error:
        raise InputError(f"material {error}") from error


def _content_of(name: str, part: Part) -> Content | None:
    """Return what a file is by its first bytes, None if unknown; raise InputError if it is no story and no video."""
    try:
        with Path(name).open("rb") as file:
            content = sniff(file.read(HEAD_BYTES))
    except OSError as error:
        near = closest(name, (CORPUS,))
        raise InputError(
            f"{FIELDS[part]}: got {name!r}{near}, which cannot be read: {error.strerror}; allowed: {MATERIAL}"
        ) from error
    if content is not None and content.kinds != WORDS and "video" not in content.kinds:
        raise InputError(f"{FIELDS[part]}: got {name!r}, which is {content.name}; allowed: {MATERIAL}")
    return content


def _corpus_names(material: str, part: Part) -> tuple[str, ...] | None:
    """Return the names of the clips that `corpus:still,grain` means in a part; None: all."""
    chosen = tuple(filter(None, material.partition(":")[2].split(",")))
    names = {clip.name: clip_name(clip, part) for clip in CORPUS_CLIPS}
    for name in chosen:
        if name not in names:
            raise InputError(
                f"{FIELDS[part]}: got {material!r}, and the corpus has no clip {name!r}{closest(name, names)}; "
                f"allowed: {', '.join(names)}"
            )
    return tuple(names[name] for name in chosen) or None


def _with_own_names(stretches: Sequence[Drawable]) -> Iterable[Drawable]:
    """Yield the stretches with a number behind a name that an earlier one has."""
    seen: Counter[str] = Counter()
    for stretch in stretches:
        seen[stretch.name] += 1
        count = seen[stretch.name]
        yield stretch if count == 1 else replace(stretch, name=f"{stretch.name}-{count}")


def _check_room(stretches: Sequence[Drawable], cache: ContentCache) -> None:
    """Raise InputError or RenderingError if the frames that are not yet drawn do not fit into the cache."""
    size = sum(stretch.size for stretch in stretches)
    if size > cache.max_bytes:
        raise InputError(
            f"storage.max_storage_gb: got {cache.max_bytes / 1e9:g}; the frames of the material take "
            f"{size / 1e6:.0f} MB: raise it, or take less material (--seconds, --size)"
        )
    missing = sum(stretch.size for stretch in stretches if not stretch.cached(cache))
    free = shutil.disk_usage(cache.folder).free
    if missing > free:
        raise RenderingError(
            f"{cache.folder}: has {free / 1e6:.0f} MB free; the frames of the material take {missing / 1e6:.0f} MB more"
        )
