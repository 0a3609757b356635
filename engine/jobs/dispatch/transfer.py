"""Files of an attempt on another machine: its inputs go there by content, its staged result comes back under its fence.

    sha256/xx/HEX              an input, shared by all jobs that name the same bytes
    staged/JOB_ID.FENCE/000    a file of a finished attempt; the node fetches it into its own staging folder

Whoever fetches a file checks its size and SHA-256.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.common.files import sync_file
from video_pipeline.engine.common.object_store import ObjectStore, content_key
from video_pipeline.engine.common.open_store import open_store
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError, RenderingError
from video_pipeline.engine.jobs.folders import attempt_name
from video_pipeline.engine.storage.local import RESULT

STAGED_PREFIX: Final = "staged"
_NAME = re.compile(r"[^/\0]{1,255}")
_INPUT_NAME = re.compile(r"([0-9a-f]{64})\.[a-z0-9]{1,8}")


class TransferError(RenderingError):
    """A file cannot be put into the shared storage or fetched from it; another attempt may succeed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, machine=True)


def shared_store(config: Config) -> ObjectStore:
    """Open the shared storage of a fleet; raise ConfigError if there is none."""
    if config.fleet.store is None:
        raise ConfigError(
            "fleet.store: not set; give a folder that is mounted on every machine, or s3://BUCKET/PREFIX"
        )
    return open_store(config.fleet.store, endpoint=config.fleet.store_endpoint)


def put_inputs(store: ObjectStore, files: Mapping[str, Path]) -> list[str]:
    """Put a job's files into the storage under their content; return their names in the inbox.

    Raises TransferError.
    """
    for name, path in files.items():
        try:
            store.put_file_if_absent(content_key(_input_sha256(name)), path)
        except OSError as error:
            raise TransferError(f"cannot store the job's file {name}: {error}") from error
    return sorted(files)


def fetch_inputs(store: ObjectStore, names: Iterable[str], inbox: Path) -> None:
    """Fetch a job's files into the inbox of this machine, those that it has not. Raises TransferError."""
    for name in names:
        sha256, path = _input_sha256(name), inbox / name
        if path.is_file() and _sha256(path) == sha256:
            continue
        partial = inbox / f".partial-{name}"
        _fetch_checked(store, content_key(sha256), partial, sha256=sha256)
        partial.replace(path)


def put_staged(store: ObjectStore, folder: Path, job_id: str, fence: int) -> list[dict[str, Any]]:
    """Put the files of a finished attempt into the storage, its result last; return key, name, size and SHA-256 of each.

    Raises TransferError.
    """
    names = sorted((path.name for path in folder.iterdir()), key=lambda name: (name == RESULT, name))
    files = []
    for number, name in enumerate(names):
        path, key = folder / name, _staged_key(job_id, fence, f"{number:03}")
        try:
            # An answer that was lost looks like a file that was there; who fetches it compares the hash.
            store.put_file_if_absent(key, path)
        except OSError as error:
            raise TransferError(f"cannot store the finished {name}: {error}") from error
        files.append({"key": key, "name": name, "size": path.stat().st_size, "sha256": _sha256(path)})
    return files


def fetch_staged(
    store: ObjectStore, files: Iterable[Mapping[str, Any]], folder: Path, job_id: str, fence: int
) -> None:
    """Fetch the files of a finished attempt into an empty staging folder, durably. Raises TransferError."""
    for file in files:
        key, name, sha256 = str(file["key"]), str(file["name"]), str(file["sha256"])
        if not _NAME.fullmatch(name) or name in (".", ".."):
            raise TransferError(f"the machine sent a file with the name {name!r:.100}")
        if not key.startswith(_staged_key(job_id, fence, "")):
            raise TransferError(f"the machine sent {key!r:.100} as a file of {attempt_name(job_id, fence)}")
        path = folder / name
        _fetch_checked(store, key, path, sha256=sha256, size=int(file["size"]))
        sync_file(path)


def remove_staged(store: ObjectStore, job_id: str, fence: int) -> None:
    """Delete what an attempt has put into the storage. Raises TransferError."""
    try:
        for key in list(store.list(f"{STAGED_PREFIX}/{attempt_name(job_id, fence)}/")):
            store.delete(key)
    except OSError as error:
        raise TransferError(f"cannot delete staged files: {error}") from error


def _staged_key(job_id: str, fence: int, name: str) -> str:
    return f"{STAGED_PREFIX}/{attempt_name(job_id, fence)}/{name}"


def _input_sha256(name: str) -> str:
    match = _INPUT_NAME.fullmatch(name)
    if match is None:
        raise TransferError(f"a job's file has the name {name!r:.100}; it must be a SHA-256 and a suffix")
    return match.group(1)


def _fetch_checked(store: ObjectStore, key: str, path: Path, *, sha256: str, size: int | None = None) -> None:
    """Fetch an object into a file and check it; leave no file that is not whole.

    A damaged object is deleted, so that whoever has its bytes can store them again.
    """
    try:
        if not store.fetch_file(key, path):
            fault = f"fleet.store: {store.name}: it is not there"
        elif (size is None or path.stat().st_size == size) and _sha256(path) == sha256:
            return
        else:
            fault = f"fleet.store: {store.name}: its bytes are not those that were stored; it was deleted"
            store.delete(key)
    except OSError as error:
        fault = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    path.unlink(missing_ok=True)
    raise TransferError(f"cannot fetch {key}: {fault}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
