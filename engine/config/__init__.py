"""The configuration: sections with their defaults, files, environment, and a job's own share of it."""

from __future__ import annotations

from video_pipeline.engine.config.load import Config, load_config

__all__ = ["Config", "load_config"]
