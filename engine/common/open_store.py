"""Open the storage that `fleet.store` names."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Final

from video_pipeline.engine.common.arguments import as_instance
from video_pipeline.engine.common.object_store import FolderStore, ObjectStore
from video_pipeline.engine.common.shared_cache import SharedCache
from video_pipeline.engine.errors import ConfigError

_S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?")
_SCHEME = re.compile(r"[a-z0-9+.-]+://", re.IGNORECASE)
ALLOWED: Final = "an absolute path of a folder, or s3://BUCKET or s3://BUCKET/PREFIX"


def open_store(place: str, *, endpoint: str | None = None) -> ObjectStore:
    """Return the storage at a place; nothing is asked of it yet.

    Raises ConfigError for a place that is none, UnavailableError if the package for it is missing, and TypeError naming an argument
    of a wrong type.
    """
    place = as_instance(place, str, "place")
    endpoint = None if endpoint is None else as_instance(endpoint, str, "endpoint")
    if _SCHEME.match(place):
        found = _S3.fullmatch(place)
        if found is None or "//" in (found[2] or "") or ".." in (found[2] or "").split("/"):
            raise ConfigError(f"fleet.store: got {place!r}; allowed: {ALLOWED}")
        from video_pipeline.engine.common.s3_store import S3Store

        return S3Store(found[1], (found[2] or "").strip("/"), endpoint=endpoint)
    folder = Path(place).expanduser()
    if not folder.is_absolute():
        raise ConfigError(f"fleet.store: got {place!r}; allowed: {ALLOWED}")
    return FolderStore(folder)


def open_shared_cache(place: str | None, *, endpoint: str | None = None) -> SharedCache | None:
    """Return the cache that machines share at a place, None if there is no place; errors as in open_store."""
    return None if place is None else SharedCache(open_store(place, endpoint=endpoint))


def try_store(store: ObjectStore) -> str | None:
    """Return why objects cannot be stored, read and deleted, None if they can; what it stores is deleted."""
    key, data = f"probe/{os.getpid()}-{secrets.token_hex(8)}", secrets.token_bytes(1000)
    try:
        store.put_if_absent(key, data)
        if store.put_if_absent(key, b"other"):
            return (
                f"fleet.store: {store.name}: replaces objects although it was told not to (If-None-Match: *)"
            )
        found = store.get(key)
        store.delete(key)
    except OSError as error:
        return str(error)
    return None if found == data else f"fleet.store: {store.name}: returns other bytes than were stored"
