"""The content cache that the configuration names, and private temporary folders."""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from video_pipeline.engine.common.cache import ContentCache, open_cache
from video_pipeline.engine.common.open_store import open_shared_cache
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError, InputError

logger = logging.getLogger(__name__)


def open_asset_cache(config: Config, *, required: bool = True) -> ContentCache:
    """Return the content cache that the configuration names.

    If storage.cache_path is not set and the user's cache folder is not writable, it is a temporary folder that
    is deleted when the process ends. Raises ConfigError if storage.cache_path cannot be written. Without `required`,
    as on a node, that is a warning too, and the cache leaves node.min_free_mb of its disk free.
    """
    max_bytes = int(config.storage.max_storage_gb * 1e9)
    free = 0 if required else int(config.node.min_free_mb * 1e6)
    try:
        cache = open_cache(config.cache_dir(), max_bytes=max_bytes, keep_free_bytes=free)
        return replace(
            cache, shared=open_shared_cache(config.fleet.store, endpoint=config.fleet.store_endpoint)
        )
    except ConfigError as error:
        if required and config.storage.cache_path is not None:
            raise
        folder = Path(tempfile.mkdtemp(prefix="video-pipeline-cache-", dir=config.storage.temp_path))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        logger.warning("%s; nothing is cached beyond this run", error)
        return ContentCache(
            folder,
            max_bytes,
            shared=open_shared_cache(config.fleet.store, endpoint=config.fleet.store_endpoint),
        )


@contextmanager
def scratch_folder(config: Config) -> Iterator[Path]:
    """Yield a private temporary folder; it is deleted when the block ends."""
    parent = config.storage.temp_path
    if parent is not None:
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"storage.temp_path: {parent} cannot be written: {error.strerror}") from error
    with tempfile.TemporaryDirectory(prefix="video-pipeline-", dir=parent) as folder:
        yield Path(folder)
