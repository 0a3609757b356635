"""From the staging folder of an attempt to the published folder of its job: one rename, so once or not at all.

.node-staging/JOB_ID.FENCE/   STORY_ID.mp4 …  .result.json     →     JOB_ID/
"""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.common.files import sync_folder
from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.outputs.paths import ROLES

RESULT: Final = ".result.json"
"""Written into the staging folder when everything else there is whole, and published with it."""


class NotStagedError(RenderingError):
    """What an attempt calls finished is not all there."""


class AlreadyPublishedError(RenderingError):
    """A job's folder is there already; it stays as it is."""


def read_staged(folder: Path) -> Mapping[str, Any]:
    """Return the result that a finished attempt has left in a folder; raise NotStagedError where it is not whole."""
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        files = {role: str(result["files"][role]) for role in ROLES}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotStagedError(f"{folder}: its result cannot be read: {error}") from error
    missing = [name for name in files.values() if name != Path(name).name or not (folder / name).is_file()]
    if missing:
        raise NotStagedError(f"{folder}: without {', '.join(missing)}")
    return {**result, "files": files}


def publish(staged: Path, target: Path) -> Path:
    """Give a whole staging folder its final name, durably; return it.

    Raises NotStagedError, AlreadyPublishedError where the job has been published before, and OSError where the
    disk refuses.
    """
    read_staged(staged)
    sync_folder(staged)
    try:
        staged.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise AlreadyPublishedError(f"{target}: is there already") from error
        raise
    sync_folder(target.parent)
    sync_folder(staged.parent)
    return target


def published_result(folder: Path) -> dict[str, Any]:
    """Return the result of a published job as clients see it: with paths, absolute.

    Raises NotStagedError where the folder is no published job's.
    """
    result = dict(read_staged(folder))
    files = {role: str(folder / name) for role, name in result.pop("files").items()}
    return {
        "video_path": files["video"],
        "thumbnail_path": files["thumbnail"],
        "subtitles": [files["srt"], files["vtt"]],
        "metadata_path": files["metadata"],
        "manifest_path": files["manifest"],
        **result,
    }


def is_published(folder: Path) -> bool:
    """Whether a folder holds a published job."""
    with contextlib.suppress(NotStagedError):
        read_staged(folder)
        return True
    return False
