"""Publish a finished attempt: one rename turns its staging folder into the job's folder, once or not at all.

.node-staging/JOB_ID.FENCE/   STORY_ID.mp4 …  .result.json     →     JOB_ID/
"""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.common.cache import file_sha256
from video_pipeline.engine.common.files import sync_folder
from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.outputs.paths import ROLES

RESULT: Final = ".result.json"
"""Written into the staging folder after all other files are complete, and published with them."""


class NotStagedError(RenderingError):
    """The result of a finished attempt is incomplete: its file or one that it names is missing."""


class AlreadyPublishedError(RenderingError):
    """The job's folder already exists; it is not changed, and cannot be adopted because it is not whole."""


def read_staged(folder: Path) -> Mapping[str, Any]:
    """Return the result of a finished attempt from its folder; raise NotStagedError if it is incomplete."""
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        files = {role: str(result["files"][role]) for role in ROLES}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotStagedError(f"{folder}: its result cannot be read: {error}") from error
    missing = [name for name in files.values() if name != Path(name).name or not (folder / name).is_file()]
    if missing:
        raise NotStagedError(f"{folder}: is missing {', '.join(missing)}")
    return {**result, "files": files}


def publish(staged: Path, target: Path) -> Path:
    """Rename a complete staging folder to its final name, durably; return the new path.

    Raises NotStagedError, AlreadyPublishedError if the job was published before, and OSError if the disk fails.
    """
    read_staged(staged)
    sync_folder(staged)
    try:
        staged.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise AlreadyPublishedError(f"{target}: already exists") from error
        raise
    sync_folder(target.parent)
    sync_folder(staged.parent)
    return target


def check_whole(folder: Path) -> None:
    """Raise AlreadyPublishedError unless every file of a published job is as its manifest says, by size and SHA-256."""
    try:
        files = read_staged(folder)["files"]
        outputs = json.loads((folder / files["manifest"]).read_text(encoding="utf-8"))["outputs"]
        listed = {str(entry["name"]): (entry["size"], entry["sha256"]) for entry in outputs}
        for name in files.values():
            if name == files["manifest"]:
                continue
            if name not in listed:
                raise ValueError(f"{name} is not in its manifest")
            size, sha256 = listed[name]
            if (folder / name).stat().st_size != size or file_sha256(folder / name) != sha256:
                raise ValueError(f"{name} is not the file that its manifest names")
    except (NotStagedError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise AlreadyPublishedError(
            f"{folder}: exists and is not a whole video: {error}; move it away and retry the job"
        ) from error


def published_result(folder: Path) -> dict[str, Any]:
    """Return the result of a published job as clients see it, with full paths.

    Raises NotStagedError if the folder does not hold a published job.
    """
    result = dict(read_staged(folder))
    files = {role: str(folder / name) for role, name in result.pop("files").items()}
    return {
        "video_path": files["video"],
        "thumbnail_path": files["thumbnail"],
        "subtitles": [files["srt"], files["vtt"], files["ass"]],
        "words_path": files["words"],
        "metadata_path": files["metadata"],
        "manifest_path": files["manifest"],
        **result,
    }


def result_files(result: Mapping[str, Any]) -> dict[str, Path]:
    """Return the files of a result of `published_result` by role, the video first; those that it has."""
    subtitles = dict(zip(("srt", "vtt", "ass"), result.get("subtitles", ()), strict=False))
    found = {role: subtitles.get(role) or result.get(f"{role}_path") for role in ROLES}
    return {role: Path(path) for role, path in found.items() if path}


def is_published(folder: Path) -> bool:
    """Return whether a folder holds a published job."""
    with contextlib.suppress(NotStagedError):
        read_staged(folder)
        return True
    return False
