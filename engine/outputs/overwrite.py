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
    folders: dict[Path, Path] = {}
    sources = [(field, source, _names_of(source, folders)) for field, source in read]
    for target in written:
        names = _names_of(target, folders)
        for field, source, others in sources:
            if names & others:
                raise InputError(
                    f"output {target}: would replace {source}, which is read ({field}); "
                    "give the output another name or folder"
                )


def _names_of(path: Path, folders: dict[Path, Path]) -> set[Path | tuple[int, int]]:
    """Return what a file is known by: its path without links, and its device and inode if it exists.

    `folders` has the paths without links of folders that were looked up before.
    """
    names = set[Path | tuple[int, int]]()
    try:
        folder = folders.get(path.parent)
        if folder is None:
            folder = folders[path.parent] = path.parent.resolve()
        names.add(path.resolve() if path.is_symlink() else folder / path.name)
        found = path.stat()
        names.add((found.st_dev, found.st_ino))
    except (OSError, RuntimeError):  # missing, or a loop of links; reading it reports the error
        pass
    return names
