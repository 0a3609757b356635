"""Draw clips of a run once more, and make sure that they are the same frames."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.assets.cache_folder import open_asset_cache
from video_pipeline.engine.common.cache import FileDigests
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.corpus import corpus_stretches
from video_pipeline.engine.tuning.material import RawClip
from video_pipeline.engine.tuning.records import Part, RunData
from video_pipeline.engine.tuning.run import run_clips
from video_pipeline.engine.tuning.runs import is_database

CORPUS_SOURCE: Final = "corpus "
"""How the source of a clip of the corpus begins."""


def redraw_clips(path: Path, data: RunData, names: Collection[str], *, config: Config) -> dict[str, RawClip]:
    """Return clips of a run by name, drawn if they are no longer cached.

    The file of a run knows where its material is; a JSON file does not, so that only the corpus can be drawn. Raises
    InputError if the material is not here or has other frames now.
    """
    if is_database(path):
        return {clip.name: clip for clip in run_clips(path) if clip.name in names}
    return redraw_corpus(data, names, config=config)


def redraw_corpus(data: RunData, names: Collection[str], *, config: Config) -> dict[str, RawClip]:
    """Return clips of the corpus that a run was made on; raise InputError if a clip is of another source or changed."""
    described = {clip["name"]: clip for clip in data.run.material.get("clips", ())}
    wanted = {name: described[name] for name in names if name in described}
    others = [name for name in names if not str(wanted.get(name, {}).get("source")).startswith(CORPUS_SOURCE)]
    if others:
        raise InputError(
            f"run {data.run.id}: {', '.join(others)}: not of the corpus, and only the file that `tune run` wrote knows "
            "where its material is"
        )
    found: dict[str, RawClip] = {}
    try:
        for part, same_form in _by_form(wanted):
            found |= _draw(data, part, same_form, config)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"run {data.run.id}: material.clips: does not say how a clip is drawn: {error}"
        ) from error
    changed = [
        name for name, clip in wanted.items() if name not in found or found[name].sha256 != clip.get("sha256")
    ]
    if changed:
        raise InputError(
            f"run {data.run.id}: {', '.join(changed)}: the corpus of this version, or this machine's compositor, draws "
            "other frames"
        )
    return found


def _by_form(
    wanted: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[Part, dict[str, Mapping[str, Any]]]]:
    """Yield the clips of each part, size and frame rate."""
    groups: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for name, clip in wanted.items():
        key = clip["part"], clip["width_px"], clip["height_px"], clip["fps"]
        groups.setdefault(key, {})[name] = clip
    for (part, *_), clips in groups.items():
        yield part, clips


def _draw(
    data: RunData, part: Part, clips: Mapping[str, Mapping[str, Any]], config: Config
) -> dict[str, RawClip]:
    one = next(iter(clips.values()))
    own = config.override(
        "video", size=(one["width_px"], one["height_px"]), fps=Fraction(one["fps"]), proxy=False
    )
    cache, digest = open_asset_cache(own), FileDigests()
    stretches = corpus_stretches(
        part, seconds=_corpus_seconds(data, one), config=own, cache=cache, names=clips
    )
    return {each.name: each.draw(cache, digest) for each in stretches}


def _corpus_seconds(data: RunData, like: Mapping[str, Any]) -> float:
    """Return the length for which the corpus was drawn: that of its clips of one scene in the form of another clip."""
    for clip in data.run.material["clips"]:
        same = all(clip[key] == like[key] for key in ("part", "width_px", "height_px", "fps"))
        if same and len(clip["scenes"]) == 1 and str(clip["source"]).startswith(CORPUS_SOURCE):
            return float(clip["frames"] / Fraction(clip["fps"]))
    raise InputError(f"run {data.run.id}: no clip of the corpus says how long its clips are")
