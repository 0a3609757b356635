"""The part of `doctor` about a node's HTTP interface."""

from __future__ import annotations

import importlib.util
from typing import Any

from video_pipeline.engine.config import Config


def examine_web(config: Config) -> dict[str, Any]:
    """Return where a node with this configuration serves HTTP, who may use it, and what is missing for it."""
    web = config.web
    missing = [name for name in ("h11", "zmq") if importlib.util.find_spec(name) is None]
    found: dict[str, Any] = {
        "enabled": web.enabled,
        "address": f"http{'s' if web.tls_cert else ''}://{web.host}:{web.port}",
        "missing": missing,
        "tokens": None,
    }
    if web.enabled and not missing:
        from video_pipeline.engine.jobs.curve import keys_dir
        from video_pipeline.engine.jobs.tokens import stored_tokens

        found["tokens"] = len(stored_tokens(keys_dir(config))[0])
    return found


def web_line(found: dict[str, Any]) -> str:
    """Return the line of the report."""
    if found["missing"]:
        return (
            f"HTTP          no  {', '.join(found['missing'])} missing: pip install 'video-pipeline[farm,web]'"
        )
    if not found["enabled"]:
        return "HTTP          off; serve --web or web.enabled turns it on"
    return f"HTTP          yes {found['address']}, the page at {found['address']}/; tokens: {found['tokens']}"
