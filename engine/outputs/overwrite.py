"""Reject outputs that would replace a file that the render reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.story import Story
from video_pipeline.engine.story.asset_fields import config_assets, is_font_file, story_assets
from video_pipeline.engine.story.fields import expand_user


def files_read(story: Story, config: Config, *, base: Path) -> Iterator[tuple[str, Path]]:
    """Yield the field and the path of every file that a story and its configuration name.

    Relative paths of the story start at `base`, those of the configuration at the current folder.
    """
    for data, found, folder in (
        (story.model_dump(mode="json"), story_assets, base),
        (config.model_dump(mode="json"), config_assets, Path()),
    ):
        for place in found(data):
            if isinstance(place.value, str) and (place.kind != "font" or is_font_file(place.value)):
                yield place.field, folder / expand_user(place.value)


def check_inputs_kept(written: Iterable[Path], read: Iterable[tuple[str, Path]]) -> None:
    """Raise InputError if an output is the same file as an input, links included."""
    sources = list(read)
    for target in written:
        for field, source in sources:
            if _is_same_file(target, source):
                raise InputError(
                    f"output {target}: would replace {source}, which is read ({field}); "
                    "give the output another name or folder"
                )


def _is_same_file(target: Path, source: Path) -> bool:
    try:
        return target.resolve() == source.resolve() or (target.exists() and target.samefile(source))
    except (OSError, RuntimeError):  # a missing input or a loop of links; reading it reports the error
        return False
