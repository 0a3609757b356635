"""The grade of a video: one table of the LUT at its strength, in the cache, that every compositor reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.assets.cube import MAX_BYTES, cube_text, load_lut, mixed, parse_cube
from video_pipeline.engine.assets.grades import grade_table
from video_pipeline.engine.common.cache import ContentCache, DamagedError, file_sha256
from video_pipeline.engine.common.grades import GRADE_NAMES, GRADE_WORDS
from video_pipeline.engine.common.input_files import ANY_FILES, InputFiles, why_not_opened
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.config.grade import GradeSettings
from video_pipeline.engine.errors import ConfigError, FileChangedError, InputError, StoryError
from video_pipeline.engine.story import Story
from video_pipeline.engine.story.fields import expand_user
from video_pipeline.engine.timeline import Grade

GRADE_VERSION: Final = 1
"""Increase it when a table changes for the same file or name, so that cached ones are not used."""


def prepare_grade(
    settings: GradeSettings,
    story: Story,
    *,
    base: Path,
    cache: ContentCache,
    files: InputFiles = ANY_FILES,
) -> Grade | None:
    """Return the grade of a story, or else of the configuration; None if there is none.

    The story's relative path starts at `base`. Raises StoryError or ConfigError that names the field, the file and the
    first wrong line, and FileChangedError.
    """
    spec, fault = story.grade, StoryError if story.grade is not None else ConfigError
    place, lut, strength = "grade.lut", settings.lut, settings.strength
    if spec is not None:
        place = "field 'grade'"
        lut = spec.name if spec.name is not None else base / expand_user(spec.path or "")
        strength = settings.strength if spec.strength is None else spec.strength
    if lut == "none" or strength == 0:
        return None
    try:
        return _baked(lut, strength, cache, files)
    except FileChangedError as error:
        raise FileChangedError(f"{place}: {error}") from error
    except InputError as error:
        raise fault(f"{place}: {error}") from error


def _baked(lut: str | Path, strength: float, cache: ContentCache, files: InputFiles) -> Grade:
    if not isinstance(lut, Path):
        name = next(name for name in GRADE_NAMES if name == lut)

        def make_named(target: Path) -> None:
            target.write_text(cube_text(mixed(grade_table(name), strength)), encoding="ascii")

        parts: dict[str, Any] = {"name": name, "strength": strength, "version": GRADE_VERSION}
        path, _ = cache.get_or_make("luts", parts, ".cube", make_named, check=_check_baked)
        return Grade(path, name, file_sha256(path), strength)
    try:
        with files.open(lut) as file:
            if file.size > MAX_BYTES:
                raise InputError(f"{lut}: has {file.size} bytes; a LUT may have {MAX_BYTES}")

            def make(target: Path) -> None:
                text = file.read().decode("utf-8", "replace")
                file.check()
                target.write_text(cube_text(mixed(parse_cube(text), strength)), encoding="ascii")

            parts = {"sha256": file.sha256, "strength": strength, "version": GRADE_VERSION}
            path, _ = cache.get_or_make("luts", parts, ".cube", make, check=_check_baked)
            return Grade(path, lut.name, file.sha256, strength)
    except ValueError as error:
        raise InputError(f"{lut}: is no 3D LUT: {error}") from error
    except OSError as error:
        why, hint = why_not_opened(error), closest(lut.name, GRADE_WORDS)
        raise InputError(f"{lut}: {why}; allowed: a .cube file, {', '.join(GRADE_WORDS)}{hint}") from error


def _check_baked(path: Path) -> None:
    try:
        load_lut(path)
    except ValueError as error:
        raise DamagedError(str(error)) from error
