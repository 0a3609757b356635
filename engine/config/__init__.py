"""The configuration: sections with their defaults, files, environment variables, and the part that a job may set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from video_pipeline.engine.common.lazy import importer

if TYPE_CHECKING:
    from video_pipeline.engine.config.load import Config, load_config
else:
    __getattr__ = importer(__name__, dict.fromkeys(["Config", "load_config"], ".load"))

__all__ = ["Config", "load_config"]
